"""Keeps what a check has read of image files, so that the next one does not open those that are unchanged.

A file counts as unchanged if its path, size, inode, mtime and ctime are the same, as in git's index. On Linux and macOS no
program can set ctime, so a changed file is read again even if its old mtime was put back. For an image in a zip, the zip must
be unchanged; for one at a URL, its size and what its storage lists as its version, such as the ETag of S3. A kept reading also depends on the row of the image, on its boxes, and on the software that reads. If anything
differs, or the cache cannot be read or written, the file is read: a cache never raises.

The file holds the thumbnails, one JSON object, the length of the JSON (8 bytes), and the SHA-256 of everything before.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np
from PIL import features

from pcm_leukemia.checks.blank import Blank
from pcm_leukemia.checks.file_reading import FileReading
from pcm_leukemia.checks.similarity import SIDE, Stack
from pcm_leukemia.environment import MAX_PIXELS, WHITE_LEVEL
from pcm_leukemia.errors import PcmError
from pcm_leukemia.files import BAD_CONTENT, BAD_FILE, CACHE, new_file, write_text
from pcm_leukemia.images import Files, Identifier
from pcm_leukemia.schema import Cell, Image

__all__ = ["Cache"]

_SETTLED = 3 * 10**9
"""Nanoseconds. A file that changes again within this time may get the same mtime: FAT counts in steps of 2 s."""
_READ_BY = ("pcm_leukemia.checks", "pcm_leukemia.images", "pcm_leukemia.files")
"""The rooms whose code decides what is read of a file."""
_HASH, _LENGTH = 32, 8
"""Bytes at the end of the file: the SHA-256, and before it the length of the JSON."""
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# https://bford.info/cachedir/\n"
"""Tells backup programs that the folder is a cache."""


class _Kept(msgspec.Struct, array_like=True):
    """A reading without its thumbnails: one of the image, one for each of the `cells`, and one for each with a margin."""

    image: str
    key: str
    identifiers: tuple[Identifier, ...]
    digest: str
    cells: int
    blank: Blank
    changed: bool


class _Content(msgspec.Struct):
    software: str
    readings: list[_Kept]


class Cache:
    """The readings of the last check, in the folder `files.CACHE`.

    Parameters
    ----------
    folder
        The canonical folder. None: nothing is found or kept.
    files
        The image files.
    """

    def __init__(self, folder: Path | None, files: Files) -> None:
        self._file = None if folder is None else folder / CACHE / "readings"
        self._files = files
        self._kept = _read(self._file) if self._file and not self._file.parent.is_symlink() else {}

    def key(self, image: Image, cells: Sequence[Cell]) -> str:
        """All that a reading of an image depends on; "" if the image may still change in a way that would not show.

        It must be taken before any file is read: a file that changes later then has another key the next time.
        """
        if self._file is None:
            return ""
        try:
            state = self._files.state(str(image.file))
            row = (image.id, image.file, image.width, image.height, image.white_level, image.digest)
            boxes = [(cell.id, cell.box) for cell in cells]
            depends_on = msgspec.json.encode((row, state.values, boxes))
        except (OSError, ValueError, PcmError):  # ValueError: a name that is not UTF-8
            return ""
        now = time.time_ns()
        if any(abs(now - changed) < _SETTLED for changed in state.times):
            return ""
        return hashlib.sha256(depends_on).hexdigest()

    def find(self, image: Image, key: str) -> FileReading | None:
        """The reading that was kept of an image; None if it must be read."""
        kept, thumbnails = self._kept.get(image.id, (None, None))
        if kept is None or thumbnails is None or not key or kept.key != key:
            return None
        whole, *others = thumbnails
        cells, with_margin = tuple(others[: kept.cells]), tuple(others[kept.cells :])
        return FileReading(
            image, None, kept.identifiers, kept.digest, whole, cells, with_margin, kept.blank, kept.changed
        )

    def keep(self, readings: Iterable[tuple[str, FileReading]]) -> None:
        """Keep these readings, each with its key, for the next check, in place of those of the last one."""
        new = {each.image.id: (key, each) for key, each in readings if key and each.whole is not None}
        same = {image: key for image, (key, _) in new.items()} == {
            image: kept.key for image, (kept, _) in self._kept.items()
        }
        if self._file is None or same or self._file.parent.is_symlink():
            return
        try:
            self._file.parent.mkdir(exist_ok=True)
            write_text(self._file.parent / ".gitignore", "*\n")
            write_text(self._file.parent / "CACHEDIR.TAG", _TAG)
            _write(self._file, list(new.values()))
        except (
            OSError,
            PcmError,
        ):  # a disk that is full or must not be written to: the next check reads again
            return


def _read(file: Path) -> dict[str, tuple[_Kept, Stack]]:
    """The kept readings by image, each with its thumbnails; {} if the file is not what this software wrote."""
    try:
        content = file.read_bytes()
        end = len(content) - _HASH
        if hashlib.sha256(memoryview(content)[:end]).digest() != content[end:]:
            return {}
        length = int.from_bytes(content[end - _LENGTH : end], "little")
        start = end - _LENGTH - length
        said = msgspec.json.decode(content[start : end - _LENGTH], type=_Content)
        thumbnails = np.frombuffer(content, np.uint8, start).reshape(-1, SIDE, SIDE)
    except (*BAD_FILE, *BAD_CONTENT, MemoryError):
        return {}
    if said.software != _software():
        return {}
    found, first = {}, 0
    for kept in said.readings:
        found[kept.image] = kept, thumbnails[first : first + 1 + 2 * kept.cells]
        first += 1 + 2 * kept.cells
    return found


def _write(file: Path, readings: Sequence[tuple[str, FileReading]]) -> None:
    rows = []
    with new_file(file) as work, work.open("wb") as stream:
        seal = hashlib.sha256()

        def add(piece: bytes) -> None:
            seal.update(piece)
            stream.write(piece)

        for key, each in readings:
            assert each.whole is not None
            for thumbnail in (each.whole, *each.cells, *each.with_margin):
                add(thumbnail.tobytes())
            rows.append(
                _Kept(
                    each.image.id,
                    key,
                    each.identifiers,
                    each.digest,
                    len(each.cells),
                    each.blank,
                    each.changed,
                )
            )
        said = msgspec.json.encode(_Content(_software(), rows))
        add(said + len(said).to_bytes(_LENGTH, "little"))
        stream.write(seal.digest())


def _code() -> str:
    """A digest of the code that reads image files, and of the libraries that decode them."""
    code = hashlib.sha256()
    for room in _READ_BY:
        for source in sorted(resources.files(room).iterdir(), key=lambda each: each.name):
            if source.name.endswith(".py"):
                code.update(source.read_bytes())
    for library in ("numpy", "pillow", "simplejpeg"):
        try:
            code.update(f"{library} {version(library)}".encode())
        except PackageNotFoundError:
            code.update(f"no {library}".encode())
    for codec in ("jpg", "libjpeg_turbo", "jpg_2000", "zlib", "libtiff", "webp"):
        code.update(f"{codec} {features.version(codec)}".encode())
    return code.hexdigest()


_CODE = _code()  # when it is imported: the files may become those of another version while this one runs


def _software() -> str:
    """What reads the images: the code, and the environment variables that change what is decoded."""
    return " ".join([_CODE, *(os.environ.get(name, "") for name in (MAX_PIXELS, WHITE_LEVEL))])
