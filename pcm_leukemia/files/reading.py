"""The files of a data set: below a folder, in a zip, or in a zip below a folder."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO

from pcm_leukemia.errors import CorruptFile, DataNotFound, option
from pcm_leukemia.files.paths import leads_outside

__all__ = ["BAD_FILE", "IMAGE_SUFFIXES", "Files"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""The suffixes of image files, in lower case: what Pillow and every ultralytics from 8.3 on can open."""

BAD_FILE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile)
"""What reading from a disk or a damaged zip raises; RuntimeError: encrypted, or packed in a way unknown here."""


class Files:
    """The files below a folder, or the members of a zip, by their relative POSIX paths.

    Below a folder a path may lead through a zip, "export.zip/images/a.png": joined data sets have one root,
    even if some of them are zips. Threads may share one; it pickles as its path.

    Raises
    ------
    DataNotFound
        On reading: if the root or the file is not there, or the path leads out of the root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __reduce__(self) -> tuple[Callable[[Path, int], Files], tuple[Path, int]]:
        return _files, (self.root, self.root.stat().st_mtime_ns if self.root.is_file() else 0)

    @cached_property
    def _archive(self) -> zipfile.ZipFile | None:
        if self.root.is_dir():
            return None
        if not self.root.is_file():
            raise DataNotFound(
                f"{self.root}: the images' folder or zip is not there; give {option('images_root')}"
            )
        return _opened(self.root)

    def open(self, file: str) -> IO[bytes]:
        """A file, opened for reading."""
        path = self.path(file)
        try:
            if path is not None:
                return path.open("rb")
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
        with self.open(file) as stream:
            try:
                return stream.read()
            except BAD_FILE as error:
                raise CorruptFile(f"{self.root}: {file} cannot be read ({error}); export it again") from error

    def length(self, file: str) -> int:
        """How many bytes the file has."""
        path = self.path(file)
        try:
            if path is not None:
                return path.stat().st_size
            archive, member = self._through_zip(file) or (None, file)
            opened = self._archive if archive is None else self._inner[archive]
            assert opened is not None
            return opened.getinfo(member).file_size
        except (KeyError, FileNotFoundError, NotADirectoryError) as error:
            raise DataNotFound(f"{self.root}: has no file {file}; give {option('images_root')}") from error

    def path(self, file: str) -> Path | None:
        """Where the file is; None inside a zip."""
        if leads_outside(file):
            raise DataNotFound(f"{file!r}: leads out of {self.root}; import the export again")
        if self._archive is not None or self._through_zip(file):
            return None
        path = self.root / file
        if not Path(os.path.realpath(path)).is_relative_to(self._real_root):
            raise DataNotFound(
                f"{path}: is a link that leads out of {self.root}; give the real folder as images_root"
            )
        return path

    @cached_property
    def _inner(self) -> _Archives:
        return _Archives(self.root)

    def _through_zip(self, file: str) -> tuple[str, str] | None:
        """The zip on the way to the file and the member in it; None if no zip is on the way."""
        if ".zip/" not in file.casefold():
            return None
        parts = file.split("/")
        for depth in range(1, len(parts)):
            if parts[depth - 1].casefold().endswith(".zip"):
                archive = "/".join(parts[:depth])
                if archive in self._inner or (self.root / archive).is_file():
                    return archive, "/".join(parts[depth:])
        return None

    @cached_property
    def _real_root(self) -> Path:
        return self.root.resolve()


class _Archives(dict[str, zipfile.ZipFile]):
    """The zips below a folder, each opened when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __missing__(self, archive: str) -> zipfile.ZipFile:
        self[archive] = opened = _opened(self._root / archive)
        return opened


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise CorruptFile(f"{path}: cannot be read as a zip ({error}); export it again") from error


@lru_cache(maxsize=4)
def _files(root: Path, written: int) -> Files:  # noqa: ARG001 - another time, another zip
    """What a `Files` is unpickled as: one a process, so that a zip's list of members is read once."""
    return Files(root)
