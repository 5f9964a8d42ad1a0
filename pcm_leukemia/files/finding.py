"""From a name in annotations to the one file that can be meant by it.

Annotations and files often come from two systems, which write one name in two ways: backslashes for slashes (Windows),
decomposed accents (macOS), another case, `%20` for a blank, an absolute path. A name that leads nowhere as it is written
is compared with the files in one common form. Only paths that the container itself lists are returned, so that no name
can lead out of its root.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from pcm_leukemia.errors import Problem, option
from pcm_leukemia.files.containers import Container
from pcm_leukemia.files.paths import leads_outside, path_ends
from pcm_leukemia.schema import Image, ImageId

__all__ = ["Found", "common_form", "find_images", "find_paths"]

_CVAT_SUFFIXES = (".PNG", ".png", ".jpg", ".jpeg")
"""The suffixes that CVAT adds to the file of an image whose name has no suffix, in the order of the search."""

_START = re.compile(r"^([A-Za-z]:|\w[\w+.-]+://[^/]*)")
"""A drive, or the scheme and host of a URL."""
_PLAIN = re.compile(r"\w[\w-]*(?:[./]\w[\w-]*)*", re.ASCII)
"""Matches most paths, whose form differs in case alone."""
_BLANKS = re.compile(r"\s*/\s*")
_RESPELLED = ("%", "\\", ":", "//", "./", "/.", "\n.", "\n/", "/\n")
"""What is in lines of ASCII names if the form of one differs from it in more than case."""
_ABSENT = "add the file, or name another folder: "


class Found(NamedTuple):
    """The path that a name leads to, below the root of the container.

    If it is None, `why` may have the reason, and `fix` what to do if several files can be meant.
    """

    path: str | None
    why: str = ""
    fix: str = ""


class _Wanted(NamedTuple):
    """A name to find, the subset of its image, and the folder of its XML file."""

    name: str
    subset: str = ""
    base: str = ""


def find_images(
    images: Iterable[Image], pictures: Container, bases: Mapping[ImageId, str], *, required: bool
) -> tuple[list[Image], list[Problem]]:
    """Set the `file` of each image in `pictures`, and report images without a file.

    `bases` has the folder of an image's XML file, if that is not the root. If files are not `required` and no
    image has one, the export holds only annotations, and nothing is reported.
    """
    images = list(images)
    finder = _Finder(pictures)
    if not required and finder.finds_nothing(images, bases):
        return images, []
    found = finder.find([_Wanted(image.name, image.subset, bases.get(image.id, "")) for image in images])
    if not required and not any(each.path or each.fix for each in found):
        return images, []
    problems = []
    owners: dict[str, ImageId] = {}
    for image, each in zip(images, found, strict=True):
        where = f'image "{image.id}"'
        if each.path is None:
            what = f"has no file in {pictures.root}{each.why and f': {each.why}'}"
            problems.append(Problem(where, what, each.fix or _ABSENT + option("images_root")))
        elif (owner := owners.setdefault(each.path, image.id)) != image.id:
            fix = "put each file at its path in CVAT, beside the XML or in images/"
            problems.append(Problem(where, f'its file {each.path} is also that of image "{owner}"', fix))
    return [replace(image, file=each.path) for image, each in zip(images, found, strict=True)], problems


def find_paths(names: Iterable[str], container: Container, *, folders: bool = False) -> list[Found]:
    r"""The files that names lead to below the root of a container, or the folders.

    A name is a path below the root; a path that ends with it is taken if there is only one.

    Parameters
    ----------
    names
        Paths as another tool wrote them.
    container
        What `open_container` returns.
    folders
        Whether to look for folders with files in them, in place of files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pcm_leukemia.files import open_container
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "train").mkdir()
    ...     _ = (Path(folder) / "train" / "a.png").write_bytes(b"")
    ...     [found.path for found in find_paths([r".\train\a.png", "b.png"], open_container(folder))]
    ['train/a.png', None]
    """
    return _Finder(container, folders=folders).find([_Wanted(name) for name in names])


class _Finder:
    """Finds files below the root of a container, by their full name first.

    Tried in turn, beside the XML and then at the root: `images/<subset>/<name>`,
    `images/<name>`, `<subset>/<name>`, `<name>`; then the only file anywhere whose path ends with
    <name>. A base name alone is never enough: `P1/img_1.jpg` and `P2/img_1.jpg` are two people. The frames of a
    video have no suffix in the XML, but their files do.
    """

    def __init__(self, container: Container, *, folders: bool = False) -> None:
        self.container = container
        self.folders = folders
        self._listings: dict[tuple[str, str, str], list[tuple[str, frozenset[str]]]] = {}

    def finds_nothing(self, images: Sequence[Image], bases: Mapping[ImageId, str]) -> bool:
        """Whether no file has the name of an image: a quick answer for exports without image files.

        False if it takes `find` to tell, which compares all spellings of a name.
        """
        names = [image.name for image in images]
        lines = "\n".join(("", *names, ""))
        forms = lines.lower().split()
        if not lines.isascii() or len(forms) != len(names) or any(part in lines for part in _RESPELLED):
            return False
        ends = {form.rpartition("/")[2] for form in forms}
        inner = (name.rpartition("/")[0] for name in names)
        subsets = (image.subset for image in images)
        above = (bases.get(image.id, "") for image in images)
        places = [
            (folder, _Wanted("", subset, base))
            for folder, subset, base in {*zip(inner, subsets, above, strict=True)}
        ]

        def is_meant(path: str) -> bool:
            form = common_form(path).rpartition("/")[2]
            return form in ends or posixpath.splitext(form)[0] in ends

        beside = (files for folder, start in places for _, files in self._list(start, folder))
        if not names or any(map(is_meant, chain.from_iterable(beside))):
            return False
        near = _is_near(forms, [start for _, start in places])
        return not any(map(is_meant, self.container.paths(near)))

    def find(self, wanted: Sequence[_Wanted]) -> list[Found]:
        """What each name leads to, in order."""
        exact = [None if self.folders else self._exact(each) for each in wanted]
        missing = [each for each, path in zip(wanted, exact, strict=True) if path is None]
        if not missing:
            return [self._checked(Found(path)) for path in exact]
        rest = iter(
            _Alike(self.container, missing, {path for path in exact if path}, folders=self.folders).find()
        )
        return [self._checked(Found(path) if path else next(rest)) for path in exact]

    def _checked(self, found: Found) -> Found:
        return Found(None) if found.path and self.container.refuses(found.path) else found

    def _exact(self, wanted: _Wanted) -> str | None:
        """The file at one of the places of a name, spelled as it is."""
        name = wanted.name
        if "./" in name or "//" in name:
            name = posixpath.normpath(name)
        inner, _, file = name.rpartition("/")
        place = (wanted.base, wanted.subset, inner)
        listings = self._listings.get(place)
        if listings is None:
            if leads_outside(wanted.name):
                return None
            listings = self._listings[place] = self._list(wanted, inner)
        for folder, files in listings:
            for spelled in _with_suffixes(file):
                if spelled in files:
                    return None if leads_outside(wanted.name) else folder + spelled
        return None

    def _list(self, wanted: _Wanted, inner: str) -> list[tuple[str, frozenset[str]]]:
        """The folders to search that have files, each with the names in it."""
        paths = dict.fromkeys("/".join(part for part in (place, inner) if part) for place in _places(wanted))
        listings = [(path, self.container.listing(path)) for path in paths]
        return [(f"{path}/" if path else "", files) for path, files in listings if files]


class _Alike:
    """Finds files whose names are the same in another spelling; built once for all names that lead nowhere."""

    def __init__(
        self, container: Container, wanted: Sequence[_Wanted], taken: set[str], *, folders: bool
    ) -> None:
        self.wanted, self.taken = wanted, taken
        self.forms = [common_form(each.name) for each in wanted]
        paths: Iterable[str] = container.paths(_is_near(self.forms, wanted))
        if folders:
            above = (folder.as_posix() for path in paths for folder in PurePosixPath(path).parents[:-1])
            paths = dict.fromkeys(above)
        self.whole: dict[str, list[str]] = {}
        self.endings: dict[str, list[str]] = {}
        for path in paths:
            form = common_form(path)
            self.whole.setdefault(form, []).append(path)
            for end in path_ends(form):
                self.endings.setdefault(end, []).append(path)
        self.files = {posixpath.basename(form) for form in self.whole}

    def find(self) -> list[Found]:
        """What each name leads to, in order."""
        return [self._find(each, form) for each, form in zip(self.wanted, self.forms, strict=True)]

    def _find(self, wanted: _Wanted, form: str) -> Found:
        file = form.rpartition("/")[2]
        possible = (
            file in self.files
            if "." in file
            else any(name.lower() in self.files for name in _with_suffixes(file))
        )
        if possible and (candidates := self._candidates(wanted, form)):
            return self._only(wanted.name, candidates)
        why = ""
        if "\\" in wanted.name:
            why = 'its name has backslashes, and no file is found with "/" for them, either'
        return Found(None, why)

    def _candidates(self, wanted: _Wanted, form: str) -> list[str]:
        """The files of the first place that has some, or else those that end with the name.

        An absolute path is read from its end, and below the folder that all absolute paths share. Its base name alone is
        only enough if that is where the file was.
        """
        if not form or not _is_absolute(wanted.name):
            return self._placed(wanted, form) or self.endings.get(form, [])
        parts = form.split("/")
        for first in range(len(parts) - 1):
            end = "/".join(parts[first:])
            if found := self._placed(wanted, end) or self.endings.get(end):
                return found
        return self._placed(wanted, form[len(self._shared_folder) :].lstrip("/"))

    def _placed(self, wanted: _Wanted, form: str) -> list[str]:
        for place in _places(wanted):
            inner = common_form(place)
            for name in _with_suffixes(f"{inner}/{form}" if inner else form):
                if found := self.whole.get(name.lower()):
                    return found
        return []

    @cached_property
    def _shared_folder(self) -> str:
        """The folder that all absolute paths share."""
        names = zip(self.wanted, self.forms, strict=True)
        return posixpath.commonpath(
            {posixpath.dirname(form) for each, form in names if _is_absolute(each.name)}
        )

    def _only(self, name: str, candidates: list[str]) -> Found:
        """The candidate that can be meant, if it is only one: the best of the spellings."""
        for same in (_slashes, _composed):
            closest = [path for path in candidates if f"/{same(path)}".endswith(f"/{same(name)}")]
            if len(closest) == 1:
                candidates = closest
        free = [path for path in candidates if path not in self.taken]
        if len(candidates) == 1:
            if free:
                return Found(free[0])
            return Found(None, f"{candidates[0]} has nearly this name, but belongs to another image")
        first, second = candidates[:2]
        if common_form(first) != common_form(second):
            return Found(
                None, f"{first} and {second} both end with its name", "put the file at its full path"
            )
        what = (
            "how accents are stored" if _composed(first) == _composed(second) else "case, blanks or escapes"
        )
        return Found(None, f'"{first}" and "{second}" differ only in {what}', "rename one of the two files")


def _is_near(forms: Iterable[str], wanted: Iterable[_Wanted]) -> Callable[[str], bool]:
    """Whether files of the given forms may be below a folder of this name."""
    firsts = {form.partition("/")[0] for form in forms} | {"images"}
    starts = {part for each in wanted for part in (each.subset, each.base) if part}
    firsts |= {common_form(start).partition("/")[0] for start in starts}
    return lambda name: common_form(name) in firsts


def _places(wanted: _Wanted) -> list[str]:
    """The folders that a name may be below, in the order of the search."""
    starts = (f"{wanted.base}/images", wanted.base, "images", "") if wanted.base else ("images", "")
    middles = (wanted.subset, "") if wanted.subset else ("",)
    return ["/".join(part for part in (start, middle) if part) for start in starts for middle in middles]


def _with_suffixes(file: str) -> tuple[str, ...]:
    """The names that the file of an image can have in a CVAT export."""
    return (
        (file,) if "." in file.rpartition("/")[2] else (file, *(file + suffix for suffix in _CVAT_SUFFIXES))
    )


def _is_absolute(name: str) -> bool:
    return leads_outside(name) or "://" in name


def _slashes(name: str) -> str:
    return name.replace("\\", "/")


def _composed(name: str) -> str:
    """With slashes, and accents in one character with their letter."""
    return unicodedata.normalize("NFC", _slashes(name))


def common_form(name: str) -> str:
    """The one form of all spellings of a path: relative, without case, escapes, and blanks around its parts."""
    if _PLAIN.fullmatch(name):
        return name.lower()
    if "%" in name:
        with suppress(UnicodeDecodeError):
            name = unquote(name, errors="strict")
    name = _START.sub("", _composed(name))
    name = posixpath.normpath("/" + _BLANKS.sub("/", name).strip()).strip("/")
    return name.lower()
