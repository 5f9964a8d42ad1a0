"""The JSON files of a data set, parsed, and those that are put aside because they hold something else."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from pcm_leukemia.converters.coco.content import images_in, parse, why_not_instances
from pcm_leukemia.converters.coco.ids import ById
from pcm_leukemia.converters.coco.layout import Layout, Source
from pcm_leukemia.converters.coco.refused import Refused
from pcm_leukemia.errors import DataWarning, PcmError, Problem, some
from pcm_leukemia.files import Files
from pcm_leukemia.schema import PARTS, Image

__all__ = ["Document", "Documents", "read_documents", "refuse_unread_lists"]


@dataclass(slots=True)
class Document:
    """A JSON file of the data set.

    `labels` are the names of its categories and `images` its images, by their ids in the file. `complete` says which of
    "image" and "category" could be read whole.
    """

    source: Source
    content: dict[str, Any]
    labels: ById[str] = field(default_factory=ById)
    images: ById[Image | str] = field(default_factory=ById)
    complete: set[str] = field(default_factory=lambda: {"image", "category"})

    @property
    def info(self) -> dict[str, Any]:
        """The object ``info``; empty if there is none."""
        info = self.content.get("info")
        return info if isinstance(info, dict) else {}

    @property
    def ours(self) -> bool:
        """Whether `write` wrote it."""
        return isinstance(self.info.get("taxonomy"), str) and "split" in self.info


@dataclass(frozen=True, slots=True)
class Documents:
    """The files that are COCO instances, in the order of their parts; what the others are; and the problems."""

    all: list[Document]
    aside: list[tuple[Source, str, object]]
    problems: list[Problem]


def read_documents(layout: Layout) -> Documents:
    """Parse the JSON files of a layout. Files that are not COCO instances are put aside if there are others that are."""
    files = Files(layout.container.root)
    problems: list[Problem] = []
    documents: list[Document] = []
    aside: list[tuple[Source, str, object]] = []
    for source in layout.sources:
        try:
            content = parse(files.read(source.file))
        except Refused as error:
            problems.append(Problem(source.where, error.what, error.fix))
            continue
        except (PcmError, OSError) as error:
            problems.append(Problem(source.where, f"cannot be read ({error})", "check the file"))
            continue
        what = why_not_instances(content)
        if what is None and isinstance(content, dict):
            document = Document(source, content)
            documents.append(_as_written(document, layout) if document.ours else document)
        else:
            aside.append((source, what or "is not COCO", content))
    if not documents:
        problems += [Problem(source.where, what, "give a COCO instances file") for source, what, _ in aside]
        aside = []
    documents.sort(key=lambda each: _order(each.source.part))
    return Documents(documents, aside, problems)


def _as_written(document: Document, layout: Layout) -> Document:
    """A file that `write` wrote: it is called exactly after its part, and its images are in ``images/``."""
    of_split = layout.whole and document.info.get("split") is not None
    part = PurePosixPath(document.source.file).stem if of_split else None
    return replace(document, source=replace(document.source, part=part, subset="", base=""))


def _order(part: str | None) -> tuple[bool, int]:
    return part not in PARTS, PARTS.index(part) if part in PARTS else 0


def refuse_unread_lists(
    layout: Layout, aside: Iterable[tuple[Source, str, object]], names: set[str]
) -> list[Problem]:
    """The problems of JSON files that list images which are not read; a warning names the other files put aside."""
    problems, ignored = [], []
    for source, what, content in aside:
        unread = [name for name in images_in(content) if name not in names]
        if unread:
            problems.append(_lists(source.where, f"{what}, and lists", unread))
        else:
            ignored.append(f"{source.where}: {what}: ignored")
    files = Files(layout.container.root)
    for file in layout.others:
        try:
            data = files.read(file)
            content = parse(data) if b'"images"' in data else None
        except (Refused, PcmError, OSError):
            continue
        unread = [name for name in images_in(content) if name not in names]
        if unread:
            read = layout.sources[0].file
            problems.append(_lists(file, f"is not read beside {read}, and lists", unread))
    if ignored:
        warnings.warn(some(ignored), DataWarning, stacklevel=4)
    return problems


def _lists(where: str, what: str, unread: list[str]) -> Problem:
    return Problem(
        where,
        f'{what} {len(unread):,} images that no file read here lists, the first "{unread[0]}"',
        "move it elsewhere, or give the COCO instances file to read",
    )
