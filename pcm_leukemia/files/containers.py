"""The XML files and images of an export: in a folder, in a zip, or one XML file; and images at a URL.

Nothing is unpacked and no image is opened here. Paths that lead out of the export
(absolute paths, `..`, drives, links), and zips that would unpack to far too much, are refused.
"""

from __future__ import annotations

import os
import posixpath
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Protocol

from pcm_leukemia.errors import DataNotFound, Problem, option
from pcm_leukemia.files.archives import UNPACK, looks_like_zip, other_archive, why_no_zip
from pcm_leukemia.files.paths import leads_outside
from pcm_leukemia.files.zips import open_zip
from pcm_leukemia.remote import Place, RemotePath, place_of

__all__ = ["Container", "Document", "open_container"]

EXPORT_AGAIN = "export again from CVAT"
MOST_RATIO = 200
"""A zip may unpack to this many times its size: XML of boxes reaches about 40, images about 1."""
SMALL = 64 * 2**20
"""... unless it unpacks to at most this many bytes, which is harmless."""


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
    """The interface to a folder, a zip, a single XML file or a URL."""

    problems: list[Problem]

    @property
    def root(self) -> Place:
        """The folder, zip, or URL; of a single XML file, its folder."""

    def documents(self) -> list[Document]:
        """The XML files, in the order of their paths."""

    def listing(self, folder: str) -> frozenset[str]:
        """The names of the files in a folder below the root; empty if the folder does not exist."""

    def paths(self, near: Callable[[str], bool]) -> Iterable[str]:
        """The files below the root; beside a single XML file, only those in folders whose name is `near`."""

    def refuses(self, path: str) -> bool:
        """Whether a file must not be used because a link leads out of the root; if so, a problem is added."""


def open_container(path: str | Place) -> Container:
    """Open the export at `path`: a folder, a zip or an XML file; or the images at a URL.

    Raises
    ------
    DataNotFound
        If the path does not exist, or is an archive of another kind.
    ServerError
        If it is a URL that cannot be reached, or must not be read.
    """
    path = place_of(path)
    if isinstance(path, RemotePath):
        return _RemoteFolder(path)
    try:
        if path.is_dir():
            return _Folder(path)
        if not path.is_file():
            raise DataNotFound(f"{path}: no such file or folder; give a CVAT export (.xml, .zip or a folder)")
    except (OSError, ValueError) as error:
        raise DataNotFound(f"{path}: cannot be opened ({error}); give a CVAT export") from error
    if kind := other_archive(path):
        raise DataNotFound(f"{path}: is a {kind} archive, which is not read; {UNPACK}")
    return _Zip(path) if looks_like_zip(path) else _File(path)


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
        paths = [path for path in self._walk if path.lower().endswith(".xml") and not self._unfit(path)]
        return _documents(paths, "", lambda path: (self.root / path).open("rb"))

    def listing(self, folder: str) -> frozenset[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                found = [(entry.name, entry.is_symlink()) for entry in entries if _is_file(entry)]
            linked = (self.root / folder).resolve() != self._real_root / folder
        except PermissionError as error:
            self._cannot_list(error)
            return frozenset()
        except (OSError, ValueError):
            return frozenset()
        self._links |= {f"{folder}/{name}" if folder else name for name, link in found if link or linked}
        return frozenset(name for name, _ in found)

    def paths(self, near: Callable[[str], bool]) -> Iterable[str]:  # noqa: ARG002
        return self._walk

    def refuses(self, path: str) -> bool:
        link = self.root / path
        if path not in self._links and not link.is_symlink():
            return False
        with suppress(OSError, RuntimeError):  # a link in a circle
            if link.resolve().is_relative_to(self._real_root):
                return False
        what = "is reached by a link that leads out of the export"
        self.problems.append(Problem(str(link), what, f"name the real folder: {option('images_root')}"))
        return True

    @cached_property
    def _real_root(self) -> Path:
        return self.root.resolve()

    def _unfit(self, path: str) -> bool:
        """Whether an XML file must not be read; if so, a problem is added."""
        shown = path.encode(errors="replace").decode()
        if shown != path:
            self.problems.append(Problem(str(self.root / shown), "its name is not UTF-8", "rename the file"))
        return shown != path or self.refuses(path) or (self.root / path).is_fifo()

    @cached_property
    def _walk(self) -> list[str]:
        return list(_walked(self.root, self._cannot_list))

    def _cannot_list(self, error: OSError) -> None:
        fix = "check its permissions, or name another folder"
        problem = Problem(str(error.filename), f"cannot be listed ({error.strerror})", fix)
        if problem not in self.problems:
            self.problems.append(problem)


class _File(_Folder):
    """One XML file. Images are searched for beside it, never by walking its folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self.path = path

    def documents(self) -> list[Document]:
        return [Document(self.path.name, "", "", lambda: self.path.open("rb"))]

    def paths(self, near: Callable[[str], bool]) -> Iterable[str]:
        yield from sorted(self.listing(""))
        try:
            with os.scandir(self.root) as entries:
                folders = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            return
        for folder in folders:
            if near(folder):
                yield from (f"{folder}/{path}" for path in _walked(self.root / folder, self._cannot_list))


class _Zip:
    """A zip file, read in place."""

    def __init__(self, path: Path) -> None:
        self.root = path
        self.problems: list[Problem] = []
        self._members: dict[str, zipfile.ZipInfo] = {}
        refused: dict[tuple[str, str], list[str]] = {}
        with self._readable(), open_zip(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    if reason := self._refusal(info):
                        refused.setdefault(reason, []).append(info.orig_filename)
                    else:
                        self._members[info.filename] = info
            self._refuse_bomb(archive.infolist())
        for (what, fix), names in refused.items():
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            self.problems.append(Problem(f"{path.name}:{names[0]!r}{more}", what, fix))

    def documents(self) -> list[Document]:
        paths = [path for path in self._members if path.lower().endswith(".xml")]
        return _documents(paths, f"{self.root.name}:", self._open)

    def listing(self, folder: str) -> frozenset[str]:
        return self._listings.get(folder, frozenset())

    @cached_property
    def _listings(self) -> dict[str, frozenset[str]]:
        return _by_folder(self._members)

    def paths(self, near: Callable[[str], bool]) -> Iterable[str]:  # noqa: ARG002
        return self._members

    def refuses(self, path: str) -> bool:  # noqa: ARG002 - links were refused as members
        return False

    def _open(self, member: str) -> IO[bytes]:
        # the member keeps the archive open until it is closed itself
        with open_zip(self.root) as archive:
            return archive.open(member)

    def _refusal(self, info: zipfile.ZipInfo) -> tuple[str, str] | None:
        """Why a member must not be used, and the fix."""
        if leads_outside(info.orig_filename):
            return "leads out of the zip", EXPORT_AGAIN
        if stat.S_ISLNK(info.external_attr >> 16):
            return "is a link", EXPORT_AGAIN
        if info.filename in self._members:
            return "appears twice in the zip", EXPORT_AGAIN
        if info.flag_bits & 1:
            return "is encrypted", UNPACK
        return None

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn any exception that a broken zip causes into one problem."""
        try:
            yield
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:  # noqa: BLE001 - zipfile and its codecs raise many types
            self._members.clear()
            why = why_no_zip(self.root, error)
            self.problems.append(
                Problem(self.root.name, f"cannot be read {why}", "download or export it again")
            )

    def _refuse_bomb(self, members: list[zipfile.ZipInfo]) -> None:
        unpacked = sum(info.file_size for info in members)
        packed = self.root.stat().st_size
        if unpacked > SMALL and unpacked > MOST_RATIO * packed:
            what = f"unpacks to {unpacked:,} bytes, {unpacked // packed:,} times its size"
            self.problems.append(Problem(self.root.name, what, f"{EXPORT_AGAIN}, or unpack it yourself"))
            self._members.clear()


class _RemoteFolder:
    """A folder at a URL, listed once. Only its images are used."""

    def __init__(self, root: RemotePath) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self._paths = list(root.files())
        if not self._paths:
            raise DataNotFound(f"{root}: no files are there; correct the URL of the images")

    def documents(self) -> list[Document]:
        return []

    def listing(self, folder: str) -> frozenset[str]:
        return self._listings.get(folder, frozenset())

    @cached_property
    def _listings(self) -> dict[str, frozenset[str]]:
        return _by_folder(self._paths)

    def paths(self, near: Callable[[str], bool]) -> Iterable[str]:  # noqa: ARG002
        return self._paths

    def refuses(self, path: str) -> bool:
        return leads_outside(path)


def _by_folder(paths: Iterable[str]) -> dict[str, frozenset[str]]:
    """Folder -> the names of the files in it."""
    names: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        names.setdefault(folder, []).append(name)
    return {folder: frozenset(files) for folder, files in names.items()}


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle
        return False


def _walked(root: Path, onerror: Callable[[OSError], None]) -> Iterator[str]:
    """Every file below a folder, without following links to folders."""
    for folder, folders, files in os.walk(root, onerror=onerror):
        folders.sort()
        inner = Path(folder).relative_to(root).as_posix()
        yield from (file if inner == "." else f"{inner}/{file}" for file in sorted(files))
