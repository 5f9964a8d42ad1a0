"""From an entry of a list or a table to the images that it can mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import PurePosixPath

from pcm_leukemia.files.finding import common_form
from pcm_leukemia.files.paths import path_ends
from pcm_leukemia.schema import Image, ImageId

__all__ = ["ImageNames"]


class ImageNames:
    r"""The images of a data set by every name that a list or a table may give them.

    An entry is an image's id or name, with or without extension, or its end. Folders may come before it. An entry that fits
    no image as it is written is compared in the form that all spellings of a path have in common.

    Examples
    --------
    >>> names = ImageNames([Image(ImageId(name), 64, 64) for name in ("P1/a.png", "P2/a.png", "P2/Ä b.png")])
    >>> names.find("P1/a"), names.find("a"), names.find(r"C:\export\p2\%C3%A4 B.png")
    (['P1/a.png'], ['P1/a.png', 'P2/a.png'], ['P2/Ä b.png'])
    """

    def __init__(self, images: Iterable[Image]) -> None:
        self._images = list(images)

    def find(self, entry: str) -> list[ImageId]:
        """The images that an entry can mean."""
        entry = entry.replace("\\", "/").removeprefix("./")
        return self._as_written.find(entry) or self._in_common_form.find(common_form(entry))

    @cached_property
    def _as_written(self) -> _Index:
        return _Index(self._images, str)

    @cached_property
    def _in_common_form(self) -> _Index:
        return _Index(self._images, common_form)


class _Index:
    """The images by their whole names and by the ends of their ids, in one spelling."""

    def __init__(self, images: Iterable[Image], form: Callable[[str], str]) -> None:
        self.whole: dict[str, list[ImageId]] = {}
        self.ends: dict[str, list[ImageId]] = {}
        for image in images:
            for path in dict.fromkeys((image.id, image.name)):
                for spelled in _with_and_without_extension(form(path)):
                    _add(self.whole, spelled, image.id)
            for spelled in _with_and_without_extension(form(image.id)):
                for end in path_ends(spelled):
                    _add(self.ends, end, image.id)

    def find(self, entry: str) -> list[ImageId]:
        """The images with this whole path, with this end of the path, or whose whole path is an end of the entry."""
        found = self.whole.get(entry) or self.ends.get(entry)
        return found or next((self.whole[end] for end in path_ends(entry) if end in self.whole), [])


def _with_and_without_extension(path: str) -> Iterable[str]:
    return dict.fromkeys((path, path.removesuffix(PurePosixPath(path).suffix)))


def _add(table: dict[str, list[ImageId]], key: str, image: ImageId) -> None:
    images = table.setdefault(key, [])
    if image not in images[-1:]:  # the names of one image come together
        images.append(image)
