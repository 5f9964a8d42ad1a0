"""The XML files and images of an export: in a folder, in a zip, or one XML file.

Nothing is unpacked and no image is opened here. Paths that lead out of the export
(absolute paths, `..`, drives, links), and zips that would unpack to far too much, are refused.
"""

from __future__ import annotations

import os
import posixpath
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Protocol

from pcm_leukemia.errors import DataNotFound, Problem, option
from pcm_leukemia.files.paths import leads_outside
from pcm_leukemia.schema import Image, ImageId

__all__ = ["Container", "Document", "find_images", "open_container"]

MOST_RATIO = 200
"""A zip may unpack to this many times its size: XML of boxes reaches about 40, images about 1."""
SMALL = 64 * 2**20
"""... unless it unpacks to at most this many bytes, which is harmless."""

_CVAT_SUFFIXES = (".PNG", ".png", ".jpg", ".jpeg")
"""The suffixes that CVAT adds to the file of an image whose name has no suffix, in the order of the search."""


@dataclass(frozen=True)
class Document:
    """One XML file of an export.

    `where` is its name in messages, `base` is its folder below the export's root, and `prefix`
    distinguishes the images of this file from those of other XML files.
    """

    where: str
    base: str
    prefix: str
    open: Callable[[], IO[bytes]]


class Container(Protocol):
    """The interface to a folder, a zip or a single XML file."""

    root: Path
    problems: list[Problem]

    def documents(self) -> list[Document]:
        """The XML files, in the order of their paths."""

    def listing(self, folder: str) -> frozenset[str]:
        """The names of the files in a folder below the root; empty if the folder does not exist."""

    def only_one_ending(self, name: str) -> str | None:
        """The only path below the root that ends with this whole name; None if no path does, or several do."""

    def refuses(self, path: str) -> bool:
        """Whether a file must not be used because a link leads out of the root; if so, a problem is added."""


def open_container(path: str | Path) -> Container:
    """Open the export at `path`: a folder, a zip or an XML file.

    Raises
    ------
    DataNotFound
        If the path does not exist.
    """
    path = Path(path)
    if path.is_dir():
        return _Folder(path)
    if not path.is_file():
        raise DataNotFound(f"{path}: no such file or folder; give a CVAT export (.xml, .zip or a folder)")
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        return _Zip(path)
    return _File(path)


def find_images(
    images: Iterable[Image], pictures: Container, bases: Mapping[ImageId, str], *, required: bool
) -> tuple[list[Image], list[Problem]]:
    """Set the `file` of each image in `pictures`, and report images without a file.

    `bases` has the folder of an image's XML file, if that is not the root. If files are not `required` and no
    image has one, the export holds only annotations, and nothing is reported.
    """
    images = list(images)
    find = _Finder(pictures).find
    files = [find(image.name, image.subset, bases.get(image.id, "")) for image in images]
    if not required and not any(files):
        return images, []
    problems = []
    owners: dict[str, ImageId] = {}
    for image, file in zip(images, files, strict=True):
        where = f'image "{image.id}"'
        if file is None:
            fix = f"add the file, or name another folder: {option('images_root')}"
            problems.append(Problem(where, f"has no file in {pictures.root}", fix))
        elif (owner := owners.setdefault(file, image.id)) != image.id:
            fix = "put each file at its path in CVAT, beside the XML or in images/"
            problems.append(Problem(where, f'its file {file} is also that of image "{owner}"', fix))
    return [replace(image, file=file) for image, file in zip(images, files, strict=True)], problems


class _Finder:
    """Finds images' files below the root of a container, by their full name first.

    Tried in turn, beside the XML and then at the root: `images/<subset>/<name>`,
    `images/<name>`, `<subset>/<name>`, `<name>`; then the only file anywhere whose path ends with
    <name>. A base name alone is never enough: `P1/img_1.jpg` and `P2/img_1.jpg` are two people. The frames of a
    video have no suffix in the XML, but their files do.
    """

    def __init__(self, container: Container) -> None:
        self.container = container
        self._folders: dict[tuple[str, str, str], list[tuple[str, frozenset[str]]]] = {}

    def find(self, name: str, subset: str, base: str) -> str | None:
        """The file of the image `name` of an XML file in the folder `base`; None if it has no file."""
        path = self._path(name, subset, base)
        return None if path is None or self.container.refuses(path) else path

    def _path(self, name: str, subset: str, base: str) -> str | None:
        inner, _, file = name.rpartition("/")
        place = (base, subset, inner)
        folders = self._folders.get(place)
        if folders is None:
            folders = self._folders[place] = self._list(*place)
        for folder, files in folders:
            if file in files:
                return folder + file
            for suffix in _CVAT_SUFFIXES if "." not in file else ():
                if file + suffix in files:
                    return folder + file + suffix
        return self.container.only_one_ending(name)

    def _list(self, base: str, subset: str, inner: str) -> list[tuple[str, frozenset[str]]]:
        """The folders to search that have files, each with the names in it."""
        starts = (f"{base}/images", base, "images", "") if base else ("images", "")
        paths = [
            "/".join(part for part in (start, middle, inner) if part)
            for start in starts
            for middle in ((subset, "") if subset else ("",))
        ]
        listings = [(path, self.container.listing(path)) for path in dict.fromkeys(paths)]
        return [(f"{path}/" if path else "", files) for path, files in listings if files]


def _documents(paths: list[str], where: str, opener: Callable[[str], IO[bytes]]) -> list[Document]:
    """Documents from paths below a root. If there are several, each gets its folder or stem as a prefix."""
    paths = sorted(path for path in paths if not posixpath.basename(path).startswith("._"))
    documents = []
    for path in paths:
        base, file = posixpath.split(path)
        stem = posixpath.splitext(path)[0]
        prefix = "" if len(paths) == 1 else base if file.lower() == "annotations.xml" and base else stem
        documents.append(Document(f"{where}{path}", base, prefix, lambda path=path: opener(path)))  # type: ignore[misc]
    return documents


class _Folder:
    """A folder. Its directories are only listed when an image may be in them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self._links: set[str] = set()

    def documents(self) -> list[Document]:
        paths = [path for path in self._walk if path.lower().endswith(".xml") and not self.refuses(path)]
        return _documents(paths, "", lambda path: (self.root / path).open("rb"))

    def listing(self, folder: str) -> frozenset[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                found = [(entry.name, entry.is_symlink()) for entry in entries if entry.is_file()]
            linked = (self.root / folder).resolve() != self._real_root / folder
        except (OSError, ValueError):
            return frozenset()
        self._links |= {f"{folder}/{name}" if folder else name for name, link in found if link or linked}
        return frozenset(name for name, _ in found)

    def only_one_ending(self, name: str) -> str | None:
        paths = [path for path in self._by_base_name.get(posixpath.basename(name), ()) if _ends(path, name)]
        return paths[0] if len(paths) == 1 else None

    def refuses(self, path: str) -> bool:
        link = self.root / path
        if path not in self._links and not link.is_symlink():
            return False
        if link.resolve().is_relative_to(self._real_root):
            return False
        what = "is reached by a link that leads out of the export"
        self.problems.append(Problem(str(link), what, f"name the real folder: {option('images_root')}"))
        return True

    @cached_property
    def _real_root(self) -> Path:
        return self.root.resolve()

    @cached_property
    def _walk(self) -> list[str]:
        """Every file below the root, without following links to folders."""
        paths = []
        for folder, folders, files in os.walk(self.root):
            folders.sort()
            inner = Path(folder).relative_to(self.root).as_posix()
            paths += [file if inner == "." else f"{inner}/{file}" for file in sorted(files)]
        return paths

    @cached_property
    def _by_base_name(self) -> dict[str, list[str]]:
        return _grouped_by_base_name(self._walk)


class _File(_Folder):
    """One XML file. Images are searched for beside it, never by walking its folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self.path = path

    def documents(self) -> list[Document]:
        return [Document(self.path.name, "", "", lambda: self.path.open("rb"))]

    def only_one_ending(self, name: str) -> str | None:  # noqa: ARG002
        return None


class _Zip:
    """A zip file, read in place."""

    def __init__(self, path: Path) -> None:
        self.root = path
        self.problems: list[Problem] = []
        self._members: dict[str, zipfile.ZipInfo] = {}
        with _as_problem(path.name, self.problems), zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and self._accepts(info):
                    self._members[info.filename] = info
            self._refuse_bomb(archive.infolist())

    def documents(self) -> list[Document]:
        paths = [path for path in self._members if path.lower().endswith(".xml")]
        return _documents(paths, f"{self.root.name}:", self._open)

    def listing(self, folder: str) -> frozenset[str]:
        return self._listings.get(folder, frozenset())

    @cached_property
    def _listings(self) -> dict[str, frozenset[str]]:
        names: dict[str, list[str]] = {}
        for path in self._members:
            folder, _, name = path.rpartition("/")
            names.setdefault(folder, []).append(name)
        return {folder: frozenset(files) for folder, files in names.items()}

    def only_one_ending(self, name: str) -> str | None:
        paths = [path for path in self._by_base_name.get(posixpath.basename(name), ()) if _ends(path, name)]
        return paths[0] if len(paths) == 1 else None

    def refuses(self, path: str) -> bool:  # noqa: ARG002 - links were refused as members
        return False

    @cached_property
    def _by_base_name(self) -> dict[str, list[str]]:
        return _grouped_by_base_name(list(self._members))

    def _open(self, member: str) -> IO[bytes]:
        # the member keeps the archive open until it is closed itself
        with zipfile.ZipFile(self.root) as archive:
            return archive.open(member)

    def _accepts(self, info: zipfile.ZipInfo) -> bool:
        what = None
        if leads_outside(info.orig_filename):
            what = "leads out of the zip"
        elif stat.S_ISLNK(info.external_attr >> 16):
            what = "is a link"
        elif info.filename in self._members:
            what = "appears twice in the zip"
        elif info.flag_bits & 1:
            what = "is encrypted"
        if what:
            where = f"{self.root.name}:{info.orig_filename!r}"
            self.problems.append(Problem(where, what, "export again from CVAT"))
        return what is None

    def _refuse_bomb(self, members: list[zipfile.ZipInfo]) -> None:
        unpacked = sum(info.file_size for info in members)
        packed = self.root.stat().st_size
        if unpacked > SMALL and unpacked > MOST_RATIO * packed:
            what = f"unpacks to {unpacked:,} bytes, {unpacked // packed:,} times its size"
            self.problems.append(
                Problem(self.root.name, what, "export again from CVAT, or unpack it yourself")
            )
            self._members.clear()


def _ends(path: str, name: str) -> bool:
    """Whether a path is `name`, or ends with it below some folder."""
    return f"/{path}".endswith(f"/{name}")


def _grouped_by_base_name(paths: list[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(posixpath.basename(path), []).append(path)
    return groups


@contextmanager
def _as_problem(where: str, problems: list[Problem]) -> Iterator[None]:
    """Turn any exception that a broken zip causes into one problem."""
    try:
        yield
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - zipfile and its codecs raise many types
        problems.append(
            Problem(where, f"cannot be read ({error or type(error).__name__})", "export again from CVAT")
        )
