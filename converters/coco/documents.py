"""The JSON files of a data set, parsed, and those that are put aside because they hold something else."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from pcm_leukemia.converters.coco.content import images_in, parse, why_not_instances
from pcm_leukemia.converters.coco.ids import ById
from pcm_leukemia.converters.coco.layout import Layout, Source, sources_of, where_of
from pcm_leukemia.converters.coco.refused import Refused
from pcm_leukemia.errors import DataWarning, PcmError, Problem, counted, some
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
        """The object ``info``, or an empty one."""
        info = self.content.get("info")
        return info if isinstance(info, dict) else {}

    @property
    def ours(self) -> bool:
        """Whether `write` wrote it."""
        return isinstance(self.info.get("taxonomy"), str) and "split" in self.info


@dataclass(frozen=True, slots=True)
class Documents:
    """The files that are COCO instances, in the order of their parts.

    `level` are the files that were looked at last, `aside` is file -> what it is and holds, if it is something else.
    """

    all: list[Document]
    level: list[str]
    aside: dict[str, tuple[str, object]]
    problems: list[Problem]


def read_documents(layout: Layout) -> Documents:
    """Parse the JSON files of a layout. Files that are not COCO instances are put aside if there are others that are."""
    files = Files(layout.container.root)
    problems: list[Problem] = []
    found: dict[str, dict[str, Any]] = {}
    level: list[str] = []
    aside: dict[str, tuple[str, object]] = {}
    for level in layout.levels:
        for file in level:
            try:
                content = parse(files.read(file))
            except Refused as error:
                problems.append(Problem(where_of(file), error.what, error.fix))
                continue
            except (PcmError, OSError) as error:
                problems.append(Problem(where_of(file), f"cannot be read ({error})", "check the file"))
                continue
            what = why_not_instances(content)
            if what is None and isinstance(content, dict):
                found[file] = content
            else:
                aside[file] = what or "is not COCO", content
        if found or problems:
            break
    for file in _of_other_tasks(found):
        aside[file] = "holds another task of COCO than the instances beside it", found.pop(file)
    if not found:
        problems += _nothing_else(aside)
    documents = [
        _as_written(Document(each, found[each.file]), layout) for each in sources_of([*found], layout)
    ]
    documents.sort(key=lambda each: _order(each.source.part))
    return Documents(documents, level, aside, problems)


def _nothing_else(aside: Mapping[str, tuple[str, object]]) -> Iterator[Problem]:
    """The problems of files that all hold something else, one for each kind."""
    kinds: dict[str, list[str]] = {}
    for file, (what, _) in aside.items():
        kinds.setdefault(what, []).append(where_of(file))
    for what, files in kinds.items():
        others = f" ({counted(len(files) - 1, 'more file')} too)" if len(files) > 1 else ""
        yield Problem(files[0], what + others, "give a COCO instances file")


def _of_other_tasks(files: Iterable[str]) -> list[str]:
    """The files of the official tree that describe the same images for another task."""
    stems = {file: PurePosixPath(file).stem for file in files}
    if not any(stem.startswith("instances_") for stem in stems.values()):
        return []
    return [file for file, stem in stems.items() if stem.startswith(("person_keypoints_", "stuff_"))]


def _as_written(document: Document, layout: Layout) -> Document:
    """The file as it is meant if `write` wrote it: called exactly after its part, with its images in ``images/``."""
    if not document.ours:
        return document
    of_split = layout.whole and document.info.get("split") is not None
    part = PurePosixPath(document.source.file).stem if of_split else None
    return replace(document, source=replace(document.source, part=part, subset="", base=""))


def _order(part: str | None) -> tuple[bool, int]:
    return part not in PARTS, PARTS.index(part) if part in PARTS else 0


def refuse_unread_lists(layout: Layout, documents: Documents, names: set[str]) -> list[Problem]:
    """The problems of JSON files that list images which are not read; a warning names the other files put aside."""
    if not documents.all:
        return []
    problems, ignored = [], []
    for file, (what, content) in documents.aside.items():
        unread = [name for name in images_in(content) if name not in names]
        if unread:
            problems.append(_lists(where_of(file), f"{what}, and lists", unread))
        else:
            ignored.append(f"{where_of(file)}: {what}: ignored")
    files = Files(layout.container.root)
    read = {*documents.level, *documents.aside}
    for file in layout.jsons:
        if file in read:
            continue
        try:
            data = files.read(file)
            content = parse(data) if b'"images"' in data else None
        except (Refused, PcmError, OSError):
            continue
        unread = [name for name in images_in(content) if name not in names]
        if unread:
            problems.append(_lists(file, f"is not read beside {documents.level[0]}, and lists", unread))
    if ignored:
        warnings.warn(some(ignored), DataWarning, stacklevel=4)
    return problems


def _lists(where: str, what: str, unread: list[str]) -> Problem:
    return Problem(
        where,
        f'{what} {counted(len(unread), "image")} that no file read here lists, the first "{unread[0]}"',
        "move it elsewhere, or give the COCO instances file to read",
    )
