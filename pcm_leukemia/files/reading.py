"""The files of a data set: below a folder, in a zip, in a zip below a folder, or at a URL."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from pcm_leukemia.errors import CorruptFile, DataNotFound, option
from pcm_leukemia.files.archives import why_no_zip
from pcm_leukemia.files.digests import digest
from pcm_leukemia.files.paths import leads_outside
from pcm_leukemia.files.zips import open_zip
from pcm_leukemia.remote import Place, RemotePath

__all__ = [
    "BAD_CONTENT",
    "BAD_FILE",
    "GIT_LFS",
    "IMAGE_SUFFIXES",
    "PULL",
    "UNREAD_SUFFIXES",
    "Files",
    "delimiter_of",
    "no_images",
    "read_text",
]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""The suffixes of image files, in lower case: those that Pillow and ultralytics 8.3 and later can open."""
UNREAD_SUFFIXES = frozenset(
    {
        ".avif",
        ".czi",
        ".dcm",
        ".dng",
        ".gif",
        ".heic",
        ".heif",
        ".jfif",
        ".jp2",
        ".mpo",
        ".nd2",
        ".ndpi",
        ".pgm",
    }
    | {".pnm", ".ppm", ".psd", ".svs"}
)
"""The suffixes of other image files, which are not read, in lower case."""

BAD_FILE = (OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile)
"""The exceptions on reading from a disk or a damaged zip; RuntimeError: encrypted, or an unknown compression."""

GIT_LFS = b"version https://git-lfs"
"""How the file begins that Git LFS leaves in place of a large one until ``git lfs pull``."""
PULL = "run git lfs pull in the repository that it came from"
"""What to do about it."""
_AT_ONCE = 16
"""Remote files that are read at the same time, since most of the time is spent waiting."""
_SMALL = 8 * 2**20
"""Bytes. A smaller remote file is fetched whole, which takes less time than to ask for several pieces of it."""
BAD_CONTENT = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""The exceptions on parsing JSON or YAML of any shape and converting its values."""


def read_text(path: Path) -> str:
    r"""The content of a text file in UTF-8, with or without a byte order mark; its line breaks are kept.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it cannot be read, or is not in UTF-8.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "list.txt"
    >>> _ = file.write_bytes(b"\xef\xbb\xbfa.png\r\n")
    >>> read_text(file)
    'a.png\r\n'
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataNotFound(f"{path}: no such file; put it there, or correct the path") from error
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{path}: is not text in UTF-8; save it in UTF-8") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise CorruptFile(f"{path}: cannot be read ({reason}); check the file and its permissions") from error
    if text.startswith(GIT_LFS.decode()):
        raise CorruptFile(f"{path}: is a Git LFS pointer in place of the file; {PULL}")
    return text


def delimiter_of(header: str) -> str:
    """What separates the values of a CSV: a comma, or what a spreadsheet writes in its place.

    Examples
    --------
    >>> delimiter_of("image,patient,part"), delimiter_of("image;patient;part")
    (',', ';')
    """
    return max(",;\t", key=header.count)


def no_images(where: object) -> DataNotFound:
    """The error for data whose images are not there; `where` is their root, or the name of data without one.

    Examples
    --------
    >>> str(no_images("smears"))
    'smears: the images are not there; give images_root'
    """
    return DataNotFound(f"{where}: the images are not there; give {option('images_root')}")


Answer = TypeVar("Answer")


class FileState(NamedTuple):
    """What changes with the content of a file, and the times in it, in nanoseconds."""

    values: tuple[int | str, ...]
    times: tuple[int, ...]


class Files:
    """The files below a folder or URL, or the members of a zip, by their relative POSIX paths.

    Below a folder a path may lead through a zip, "export.zip/images/a.png": joined data sets have one root,
    even if some of them are zips. Threads may share an instance. It is pickled as its path.

    Raises
    ------
    DataNotFound
        On reading, if the root or the file does not exist, or the path leads out of the root.
    ServerError
        On reading, if the root is at a URL that cannot be reached, or must not be read.
    """

    def __init__(self, root: Place) -> None:
        self.root = root
        self._remote = root if isinstance(root, RemotePath) else None
        self._disk = Path() if isinstance(root, RemotePath) else root
        self._folders: dict[str, str] = {}

    def __reduce__(self) -> tuple[Callable[[Place, int], Files], tuple[Place, int]]:
        is_zip = self._remote is None and self._disk.is_file()
        # absolute, since a worker elsewhere has another current folder
        return _files, (self.root.absolute(), self._disk.stat().st_mtime_ns if is_zip else 0)

    @property
    def remote(self) -> bool:
        """Whether the files are at a URL, so that to open one takes long, and they cannot be linked to."""
        return self._remote is not None

    @property
    def threads(self) -> int:
        """How many threads should read files: one for each core, and more if they wait for a network."""
        return max(os.cpu_count() or 1, _AT_ONCE if self.remote else 1)

    @cached_property
    def _archive(self) -> zipfile.ZipFile | None:
        if self._disk.is_dir():
            return None
        if not self._disk.is_file():
            raise no_images(self.root)
        return _opened(self._disk)

    def _url(self, file: str) -> RemotePath | None:
        """The URL of a file; None for a file on disk."""
        if self._remote is None:
            return None
        self._require_inside(file)
        return self._remote / file

    def _there(self, file: str, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except DataNotFound:
            raise DataNotFound(f"{self.root}: has no file {file}; give {option('images_root')}") from None

    def open(self, file: str) -> IO[bytes]:
        """Open a file for reading."""
        if url := self._url(file):
            return self._there(file, url.open)
        place = self._place(file)
        try:
            if place is not None:
                return open(place, "rb")  # noqa: PTH123 - called for every file; the caller closes it
            if self._archive is not None:
                return self._archive.open(file)
            archive, member = self._through_zip(file) or (None, file)
            assert archive is not None
            return self._inner[archive].open(member)
        except (KeyError, FileNotFoundError, NotADirectoryError) as error:
            raise DataNotFound(f"{self.root}: has no file {file}; give {option('images_root')}") from error
        except BAD_FILE as error:
            raise CorruptFile(
                f"{self.root}: {file} cannot be opened ({error}); check its permissions, or export it again"
            ) from error

    def read(self, file: str) -> bytes:
        """The bytes of a file."""
        if url := self._url(file):
            return self._there(file, url.read_bytes)
        with self.open(file) as stream:
            try:
                return stream.read()
            except BAD_FILE as error:
                raise CorruptFile(f"{self.root}: {file} cannot be read ({error}); export it again") from error

    def open_to_move(self, file: str) -> IO[bytes]:
        """Open a file for reading here and there: to move in a compressed member of a zip would unpack it again."""
        if url := self._url(file):
            small = self._there(file, url.size) <= _SMALL
            return io.BytesIO(self.read(file)) if small else self.open(file)
        stream = self.open(file)
        if not isinstance(stream, zipfile.ZipExtFile) or self._stored(file):
            return stream
        stream.close()
        return io.BytesIO(self.read(file))

    def digest(self, file: str, stream: IO[bytes]) -> str:
        """The digest of a file that `open` or `open_to_move` opened; its stream is moved."""
        if not isinstance(stream, zipfile.ZipExtFile):
            return digest(stream, stream.seek(0, os.SEEK_END))
        stored = self._stored(file)
        if stored is None:
            return digest(stream, self._member(file)[1].file_size)
        archive, begin, length = stored
        with open(archive, "rb") as packed:  # noqa: PTH123 - called for every file
            return digest(packed, length, begin)

    def ending(self, file: str, stream: IO[bytes], size: int) -> tuple[int, bytes]:
        """The length of a file that `open_to_move` opened and its last `size` bytes; its stream is moved."""
        stored = self._stored(file) if isinstance(stream, zipfile.ZipExtFile) else None
        if stored is None:
            length = stream.seek(0, os.SEEK_END)
            raw = getattr(stream, "raw", stream)  # a file's own buffer would read more
            raw.seek(max(length - size, 0))
            return length, raw.read(size)
        archive, begin, length = stored
        size = min(size, length)
        with open(archive, "rb") as packed:  # noqa: PTH123 - called for every file
            packed.seek(begin + length - size)
            return length, packed.read(size)

    def _stored(self, file: str) -> tuple[str, int, int] | None:
        """The zip that holds a member as it is, where the member begins there and how long it is; None for a compressed one.

        To move a ZipExtFile would read all that lies between.
        """
        archive, info = self._member(file)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or archive.filename is None:
            return None
        with open(archive.filename, "rb") as packed:  # noqa: PTH123 - called for every file
            packed.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", packed.read(4))
        return archive.filename, info.header_offset + 30 + name + extra, info.file_size

    def digest_of(self, file: str) -> str:
        """The digest of a file."""
        with self.open_to_move(file) if self.remote else self.open(file) as stream:
            try:
                return self.digest(file, stream)
            except BAD_FILE as error:
                raise CorruptFile(f"{self.root}: {file} cannot be read ({error}); export it again") from error

    def sha256(self, file: str) -> str:
        """The SHA-256 of the whole file, which tells apart what `digest` may not."""
        with self.open(file) as stream:
            try:
                return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # a zip's, too
            except BAD_FILE as error:
                raise CorruptFile(f"{self.root}: {file} cannot be read ({error}); export it again") from error

    def _member(self, file: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        """The zip that a file is in, and its entry there."""
        inner, member = self._through_zip(file) or (None, file)
        archive = self._archive if inner is None else self._inner[inner]
        assert archive is not None
        return archive, archive.getinfo(member)

    def path(self, file: str) -> Path | None:
        """The path of the file on disk; None inside a zip or at a URL."""
        if self._url(file):
            return None
        place = self._place(file)
        return None if place is None else Path(place)

    def state(self, file: str) -> FileState:
        """What changes with the content of a file; it is not opened.

        Raises
        ------
        OSError, ServerError
            If the file is not there, or nothing is known of it.
        """
        if self._remote is not None:
            size, version = self._listed.get(file, (0, ""))
            if not version:
                raise no_images(self.root)
            return FileState((size, version), ())
        there = self._holder(file).stat()
        return FileState(
            (there.st_size, there.st_ino, there.st_mtime_ns, there.st_ctime_ns),
            (there.st_mtime_ns, there.st_ctime_ns),
        )

    @cached_property
    def _listed(self) -> dict[str, tuple[int, str]]:
        """The sizes and versions of all remote files, of which one request gives a thousand."""
        assert self._remote is not None
        return self._remote.files()

    def _holder(self, file: str) -> Path:
        """The path on disk of the file, or of the zip that it is in; nothing is opened."""
        if self._disk.is_file():
            return self._disk
        if inner := self._through_zip(file):
            return self._disk / inner[0]
        return Path(str(self._place(file)))

    def _require_inside(self, file: str) -> None:
        if leads_outside(file):
            raise DataNotFound(f"{file!r}: leads out of {self.root}; import the export again")

    def _place(self, file: str) -> str | None:
        """The path of the file on disk as text, since a `Path` for every file would take longer than to open it."""
        self._require_inside(file)
        if self._archive is not None or self._through_zip(file):
            return None
        place = os.path.join(self._root, file)  # noqa: PTH118
        if not f"{self._real(place, file)}{os.sep}".startswith(f"{self._real_root}{os.sep}"):
            raise DataNotFound(
                f"{place}: is a link that leads out of {self.root}; give the real folder as images_root"
            )
        return place

    @cached_property
    def _inner(self) -> _Archives:
        return _Archives(self._disk)

    def _through_zip(self, file: str) -> tuple[str, str] | None:
        """The zip on the path of the file, and the member in it; None if the path leads through no zip."""
        if ".zip/" not in file.casefold():
            return None
        parts = file.split("/")
        for depth in range(1, len(parts)):
            if parts[depth - 1].casefold().endswith(".zip"):
                archive = "/".join(parts[:depth])
                if archive in self._inner or (self._disk / archive).is_file():
                    return archive, "/".join(parts[depth:])
        return None

    @cached_property
    def _root(self) -> str:
        return os.fspath(self._disk)

    @cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self._disk).rstrip(os.sep)

    def _real(self, place: str, file: str) -> str:
        """Where a path leads in the end; the folder is followed once for all files in it."""
        if os.path.islink(place):  # noqa: PTH114
            return os.path.realpath(place)
        folder, _, name = file.rpartition("/")
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(self._disk / folder)
        return f"{real}{os.sep}{name}"


class _Archives(dict[str, zipfile.ZipFile]):
    """The zips below a folder, each opened when it is first used."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __missing__(self, archive: str) -> zipfile.ZipFile:
        self[archive] = opened = _opened(self._root / archive)
        return opened


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return open_zip(path)
    except (zipfile.BadZipFile, OSError) as error:
        why = why_no_zip(path, error)
        raise CorruptFile(f"{path}: cannot be read as a zip {why}; download or export it again") from error


@lru_cache(maxsize=4)
def _files(root: Place, written: int) -> Files:  # noqa: ARG001 - a changed time means a changed zip
    """Unpickle a `Files`: each process has one, so that the member list of a zip is read only once."""
    return Files(root)
