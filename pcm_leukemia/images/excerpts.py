"""The parts of an image that hold its cells: the pixels of their crops, without those of the rest of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pcm_leukemia.images.cropping import Border, crop_from, pixels_needed
from pcm_leukemia.images.opening import decoding, opened
from pcm_leukemia.images.pixels import (
    Files,
    Pixels,
    bytes_of,
    decode_as_annotated,
    is_as_annotated_and_upright,
)
from pcm_leukemia.images.regions import Region, decode_regions
from pcm_leukemia.schema import Image
from pcm_leukemia.shapes import Box

__all__ = ["Excerpt", "decode_excerpt", "load_excerpt"]

_READ = 0.64
"""The share of a JPEG's decoding that reads its codes, which must be done for all rows above the end of a region."""
_MADE = 1 - _READ
"""The share that turns them into pixels, which is done for the region alone."""


@dataclass(frozen=True)
class Excerpt:
    """The pixels of an image that the crops of some boxes need.

    Parameters
    ----------
    size
        Width and height of the image in pixels.
    padding, border
        Of the crops; see `crop`.
    pieces
        The decoded regions of the image, and their pixels ``(height, width, 3)``.
    """

    size: tuple[int, int]
    padding: int
    border: Border
    pieces: tuple[tuple[Region, Pixels], ...]

    def __contains__(self, box: Box) -> bool:
        """Whether the pixels that the box's crop needs have been decoded."""
        return self._piece(box) is not None

    def crop(self, box: Box) -> Pixels:
        """The padded crop of a box, as `images.crop` cuts it out of the whole image.

        Raises
        ------
        ValueError
            As `crop_corners` does, or if the box is not in the excerpt.
        """
        piece = self._piece(box)
        if piece is None:
            raise ValueError(f"{box}: is outside what was decoded; decode an excerpt with it")
        region, pixels = piece
        return crop_from(pixels, region[:2], self.size, box, self.padding, self.border)

    def _piece(self, box: Box) -> tuple[Region, Pixels] | None:
        needed = _needed(box, self.padding, self.size, self.border)
        return next((piece for piece in self.pieces if piece[0].covers(needed)), None)


def load_excerpt(
    files: Files, image: Image, boxes: Sequence[Box], padding: int = 50, border: Border = "clip"
) -> Excerpt:
    """Decode what the crops of `boxes` need of an image as it was annotated; see `decode_excerpt`.

    Raises
    ------
    DataNotFound
        If its file does not exist.
    CorruptFile, ValueError
        As `decode_excerpt` does.
    """
    return decode_excerpt(bytes_of(files, image), image, boxes, padding, border)


def decode_excerpt(
    data: bytes, image: Image, boxes: Sequence[Box], padding: int = 50, border: Border = "clip"
) -> Excerpt:
    """Decode what the crops of `boxes` need of an image as it was annotated, from the bytes of its file.

    The crops are those of the whole image, bit for bit, and the errors are those of `decode_as_annotated`: only of a
    JPEG in order are parts decoded, see `images.regions`, and of any other file the whole image.

    Raises
    ------
    CorruptFile
        If the file cannot be decoded, or has another size than recorded.
    ValueError
        If a box lies outside the image, or the padding is negative.
    """
    size = image.width, image.height
    wanted = _plan([_needed(box, padding, size, border) for box in boxes], size)
    pieces = _decode(data, image, wanted) if wanted else None
    if pieces is None:
        wanted, pieces = [Region(0, 0, *size)], [decode_as_annotated(data, image)]
    return Excerpt(size, padding, border, tuple(zip(wanted, pieces, strict=True)))


def _decode(data: bytes, image: Image, wanted: Sequence[Region]) -> list[Pixels] | None:
    where = str(image.file)
    with opened(data, where) as picture:
        if picture.format != "JPEG" or picture.mode not in ("RGB", "L"):
            return None
        if not is_as_annotated_and_upright(picture, image):
            return None
        with decoding(picture, where):
            return decode_regions(data, (image.width, image.height), wanted)


def _needed(box: Box, padding: int, size: tuple[int, int], border: Border) -> Region:
    return Region(*pixels_needed(box, padding, *size, border))


def _plan(needed: Sequence[Region], size: tuple[int, int]) -> list[Region]:
    """The regions to decode, one after the other, so that all that is needed is decoded soonest; empty for the whole image.

    Each region is read from the top of the image. So two boxes in one region are read once, but the pixels
    between them are made in vain.
    """
    regions: list[Region] = []
    for region in sorted(needed, key=lambda region: region.bottom):
        both = regions[-1].with_(region) if regions else region
        if regions and _cost(both, size) < _cost(regions[-1], size) + _cost(region, size):
            regions[-1] = both
        else:
            regions.append(region)
    return regions if sum(_cost(region, size) for region in regions) < 1 else []


def _cost(region: Region, size: tuple[int, int]) -> float:
    """The time to decode a region, as a share of that of the whole image."""
    width, height = size
    area = (region.right - region.left) * (region.bottom - region.top)
    return _READ * region.bottom / height + _MADE * area / (width * height)
