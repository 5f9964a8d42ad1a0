"""From the paths in data.yaml and in lists of images to files, also if they were written for another computer."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.files import find_paths, is_hidden, is_image_file, leads_outside, open_container
from pcm_leukemia.remote import Place, RemotePath, place_of
from pcm_leukemia.schema import part_named

__all__ = ["Places", "walk"]


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
        The ``path`` in data.yaml: the folder that its other paths are relative to. If it is not there, `folder` is.
    images_root
        The folder that they are relative to, whatever `base` is. Then only lists may be beside data.yaml.

    Attributes
    ----------
    elsewhere
        What paths in data.yaml led to that were found by their ends alone.

    Raises
    ------
    DataNotFound
        If `images_root` is not a folder.
    """

    def __init__(self, folder: Path, base: object = None, images_root: str | Place | None = None) -> None:
        self.folder = self.root = folder.absolute()
        self._names: dict[Path, dict[str, list[str]]] = {}
        self.elsewhere: list[str] = []
        if images_root is not None:
            place = place_of(images_root)
            if isinstance(place, RemotePath):
                what = "is a URL, and this YOLO folder is read with its images on disk"
                raise DataNotFound(
                    f"{place}: {what}; download the images, or read the annotations from CVAT or COCO"
                )
            self.root = place.absolute()
            if not self.root.is_dir():
                raise DataNotFound(
                    f"{images_root}: is not a folder; give the folder that train, val and test are relative to"
                )
        elif isinstance(base, str) and base:
            inside = self._existing(_normal(self.folder / _slashes(base)))
            usable = inside and inside.is_dir() and inside != inside.parent  # the whole disk is no data set
            self.root = inside if inside and usable else self.folder
        self._starts = (self.root, self.folder) if images_root is None else (self.root,)

    def folder_or_list(self, place: str) -> Path | None:
        """The folder or file that a path in data.yaml names; None if it does not exist, or is the root of the disk."""
        found = self.there(place)
        if found is None:
            found = self._by_end(place, self._starts_of(place)) or self._folder_alike(place)
            if found is not None and found.suffix != ".txt":
                here = found.relative_to(self.root) if found.is_relative_to(self.root) else found
                self.elsewhere.append(f"{place} does not exist; {here} is read instead")
        return None if found is None or found == found.parent else found

    def there(self, place: str) -> Path | None:
        """The folder or file at a path of data.yaml itself."""
        return self._find(place, self._starts_of(place))

    def _starts_of(self, place: str) -> tuple[Path, ...]:
        return (self.root, self.folder) if place.endswith(".txt") else self._starts

    def images(self, path: Path) -> Iterator[Path]:
        """The images in a folder or its subfolders, those that a text file lists, whether they exist or not, or one image.

        Raises
        ------
        CorruptFile
            If the list cannot be read as text.
        """
        if path.is_dir():
            start = os.path.join(path, "")  # noqa: PTH118 - to add to a Path takes twice as long
            yield from (Path(start + name) for name in walk(path) if is_image_file(name))
            return
        if is_image_file(path.name):
            yield path
            return
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise CorruptFile(
                f"{path}: cannot be read as a list of images ({error}); write it as UTF-8"
            ) from error
        names = [name for line in lines if (name := line.strip())]
        found = [self._listed(name, path.parent) for name in names]
        missing = [name for name, image in zip(names, found, strict=True) if image is None]
        alike = iter(find_paths(missing, open_container(self.root)) if missing else ())
        for name, image in zip(names, found, strict=True):
            other = None if image else next(alike).path
            yield image or _normal(self.root / (other or name))

    def _listed(self, name: str, folder: Path) -> Path | None:
        """The image that a list in a folder names."""
        starts: tuple[Path, ...] = self._starts
        if len(starts) > 1:
            starts = (folder, *starts) if name.startswith("./") else (*starts, folder)
        return self._find(name, starts) or self._by_end(name, self._starts)

    def _folder_alike(self, place: str) -> Path | None:
        """The only folder with a name that differs in spelling alone, as in its case."""
        if leads_outside(place):
            return None
        (found,) = find_paths([place], open_container(self.root), folders=True)
        return self.root / found.path if found.path else None

    def labels(self, image: Path) -> Path:
        """The label file of an image: in place of ``images/`` in ``labels/``, or else beside the image.

        If the images are in another folder than data.yaml, it is also looked for where that is.
        """
        usual, beside = _labels_of(image.as_posix())
        if os.path.exists(usual):  # noqa: PTH110 - in half the time of Path.exists
            return Path(usual)
        places = [usual, beside]
        if self.root != self.folder and image.is_relative_to(self.root):
            places += _labels_of((self.folder / image.relative_to(self.root)).as_posix())
        return next((found for place in places if (found := self._existing(Path(place)))), Path(usual))

    def _find(self, place: str, starts: tuple[Path, ...]) -> Path | None:
        """What a path leads to, with slashes for backslashes, and without leading steps up if need be."""
        inside = _slashes(place)
        while inside.startswith(("./", "../")):
            inside = inside.partition("/")[2]
        for name in dict.fromkeys((place, _slashes(place), inside)):
            for start in starts:
                found = self._existing(_normal(start / name))
                if found is not None:
                    return found
        return None

    def _by_end(self, place: str, starts: tuple[Path, ...]) -> Path | None:
        """What the longest end of a path leads to.

        A single name is too little to go by, unless it is that of a part or a list.
        """
        steps = [step for step in _slashes(place).split("/") if step not in ("", ".", "..")]
        for first in range(len(steps)):
            end = PurePosixPath(*steps[first:])
            if first == len(steps) - 1 and part_named(end.stem) is None and end.suffix != ".txt":
                return None
            for start in starts:
                found = self._existing(start / end)
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
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        inside = Path(above).relative_to(folder).as_posix()
        start = "" if inside == "." else f"{inside}/"
        yield from (f"{start}{file}" for file in files if not is_hidden(file))


def _labels_of(image: str) -> tuple[str, str]:
    """Where ultralytics looks for the labels of an image, and the text file beside it."""
    folder, _, name = image.rpartition("/")
    beside = f"{folder}/{name.rpartition('.')[0] or name}.txt"
    above, images, below = beside.rpartition("/images/")
    return f"{above}/labels/{below}" if images else beside, beside


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _normal(path: Path) -> Path:
    """`path` with ".." resolved and links left alone."""
    text = os.path.normpath(path)
    return Path(f"/{text.lstrip('/')}" if text.startswith("//") else text)  # POSIX leaves two slashes alone
