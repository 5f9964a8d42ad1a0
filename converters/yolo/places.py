"""From the paths in data.yaml and in lists of images to files, also if they were written for another computer."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pcm_leukemia.errors import CorruptFile
from pcm_leukemia.files import IMAGE_SUFFIXES
from pcm_leukemia.schema import part_named

__all__ = ["Places", "is_image", "walk"]


class Places:
    """Finds folders, lists, images and label files, as ultralytics does.

    A path that leads nowhere may have been written for another place: with backslashes, in another Unicode form, below
    ``data/`` as by CVAT, one step too far up as by Roboflow, or as an absolute path. It leads to what the longest end of
    it leads to.

    Parameters
    ----------
    folder
        The folder of data.yaml.
    base
        The ``path`` in data.yaml: the folder that its other paths are relative to.
    """

    def __init__(self, folder: Path, base: object = None) -> None:
        self.folder = folder.absolute()
        self._names: dict[Path, dict[str, list[str]]] = {}
        self.root = self.folder
        if isinstance(base, str | Path) and str(base):
            inside = self._existing(_normal(self.folder / _slashes(str(base))))
            self.root = inside if inside and inside.is_dir() else self.folder

    def folder_or_list(self, place: str) -> Path | None:
        """The folder or file that a path in data.yaml names."""
        return self._find(self.root, place)

    def images(self, path: Path) -> Iterator[Path]:
        """The images in a folder or its subfolders, or those that a text file lists, whether they exist or not.

        Raises
        ------
        CorruptFile
            If the list cannot be read as text.
        """
        if path.is_dir():
            yield from (path / name for name in walk(path) if is_image(name))
            return
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise CorruptFile(
                f"{path}: cannot be read as a list of images ({error}); write it as UTF-8"
            ) from error
        for name in filter(None, map(str.strip, lines)):
            start, other = (path.parent, self.root) if name.startswith("./") else (self.root, path.parent)
            usual = _normal(start / name)
            yield (
                self._existing(usual)
                or self._existing(_normal(other / name))
                or self._find(start, name)
                or usual
            )

    def labels(self, image: Path) -> Path:
        """The label file of an image: in place of ``images/`` in ``labels/``, or else beside the image."""
        above, images, below = image.as_posix().rpartition("/images/")
        usual = Path(f"{above}/labels/{below}" if images else below).with_suffix(".txt")
        beside = image.with_suffix(".txt")
        return self._existing(usual) or (self._existing(beside) if images else None) or usual

    def _find(self, start: Path, place: str) -> Path | None:
        found = self._existing(_normal(start / place))
        if found is not None:
            return found
        steps = _slashes(place).split("/")
        while len(steps) > 1 and steps[0] in ("", ".", ".."):
            del steps[0]
        for first in range(len(steps)):
            end = "/".join(steps[first:])
            name = PurePosixPath(end)
            # a single name is too little to go by, unless it is that of a part or a list
            if first and first == len(steps) - 1 and part_named(name.stem) is None and name.suffix != ".txt":
                return None
            for root in dict.fromkeys((start, self.root, self.folder)):
                found = self._existing(_normal(root / end))
                if found is not None:
                    return found
        return None

    def _existing(self, path: Path) -> Path | None:
        """The path itself, or the only one whose names differ from it in their Unicode form alone."""
        try:
            if os.path.exists(path):  # noqa: PTH110 - in half the time of Path.exists
                return path
        except ValueError:  # a NUL
            return None
        if str(path).isascii() or path == path.parent:
            return None
        above = self._existing(path.parent)
        alike = self._spellings(above).get(_nfc(path.name), []) if above else []
        return above / alike[0] if above and len(alike) == 1 else None

    def _spellings(self, folder: Path) -> dict[str, list[str]]:
        """The names in a folder by their composed form."""
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            try:
                for path in folder.iterdir():
                    names.setdefault(_nfc(path.name), []).append(path.name)
            except OSError:
                pass
            self._names[folder] = names
        return self._names[folder]


def walk(folder: Path) -> Iterator[str]:
    """The POSIX paths of the files below a folder that are not hidden; links to folders are followed, but not in circles."""
    seen = set()
    for above, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(above)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        inside = Path(above).relative_to(folder).as_posix()
        start = "" if inside == "." else f"{inside}/"
        yield from (f"{start}{file}" for file in files if not file.startswith("."))


def is_image(file: str) -> bool:
    """Whether a file has the suffix of an image."""
    return PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _normal(path: Path) -> Path:
    """`path` with ".." resolved and links left alone."""
    return Path(os.path.normpath(path))
