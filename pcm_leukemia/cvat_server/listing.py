"""The images that an export of annotations lists, and the file that each has in an export with images."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple
from xml.parsers import expat

from pcm_leukemia.errors import ServerError
from pcm_leukemia.files import Document, leads_outside

__all__ = ["Listed", "listed"]

_CHUNK = 1 << 20


class Listed(NamedTuple):
    """An image of an export: the number of its task ("" outside a project), its frame in the source, and its file."""

    task: str
    frame: int
    path: str


def listed(document: Document, where: str) -> list[Listed]:
    """The images of an export, in order.

    Raises
    ------
    ServerError
        If the file is not an export, a name leads out of the folder, or two images have one file.
    """
    found: list[Listed] = []
    owners: dict[str, Listed] = {}
    for attributes in _images(document, where):
        one = _listed(attributes, where)
        if owners.setdefault(one.path, one) is not one:
            raise ServerError(
                f'{where} image "{attributes["name"]}": two tasks of one subset have an image of this name; pull each task '
                "by itself, or rename one of them in CVAT"
            )
        found.append(one)
    return found


def _listed(attributes: dict[str, str], where: str) -> Listed:
    name, subset = attributes.get("name", ""), attributes.get("subset", "")
    path = posixpath.join("images", subset, name)
    if not name or leads_outside(name) or leads_outside(subset):
        raise ServerError(
            f'{where} image "{name}": its name is empty or leads out of the export; rename it in CVAT'
        )
    if "." not in posixpath.basename(name):
        path += ".PNG"  # the frame of a video, as CVAT writes it
    try:
        return Listed(attributes.get("task_id", ""), int(attributes["id"]), path)
    except (KeyError, ValueError) as error:
        raise ServerError(
            f'{where} image "{name}": has no frame number; export it in CVAT by hand, and give the zip'
        ) from error


def _images(document: Document, where: str) -> Iterator[dict[str, str]]:
    """The attributes of each <image> element."""
    found: list[dict[str, str]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "image":
            found.append(attributes)

    def refuse(*_: object) -> None:
        raise ServerError(
            f"{where}: its export contains a DTD, which CVAT never writes; do not trust this server"
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    try:
        with closing(document.open()) as stream:
            while chunk := stream.read(_CHUNK):
                parser.Parse(chunk, False)  # noqa: FBT003 - expat takes no keywords
                yield from found
                found.clear()
        parser.Parse(b"", True)  # noqa: FBT003
    except expat.ExpatError as error:
        raise ServerError(
            f"{where}: its export is not well-formed XML ({error}); run the same command again"
        ) from error
