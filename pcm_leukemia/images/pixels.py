"""Reads the sizes and the pixels of image files.

Pixels are RGB, 8 bits, ``(height, width, 3)``. If simplejpeg is installed, it decodes plain colour JPEGs,
faster than Pillow and to the same pixels. Pillow decodes all other files.

EXIF orientation: CVAT, ultralytics and browsers turn an image as its EXIF says, other readers do
not. A file is accepted if it has no orientation, or one that swaps the sides and the recorded size is
the size after the swap. Any other file is refused, since its boxes may have been drawn on the image as stored or on
the image as shown.
"""

from __future__ import annotations

from typing import IO

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, PcmError, Problem, option
from pcm_leukemia.files import Files, no_images
from pcm_leukemia.images.depth import given_white, is_deep, samples_of, to_8_bits
from pcm_leukemia.images.ending import TAIL, may_be_cut_short
from pcm_leukemia.images.opening import BAD_IMAGE, decoding, opened
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Image

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

__all__ = [
    "Files",
    "Pixels",
    "bytes_of",
    "decode",
    "decode_as_annotated",
    "files_of",
    "is_as_annotated_and_upright",
    "load",
    "load_bytes",
    "misfit_of",
    "reason",
    "require_content_fit",
    "require_fit",
    "shown_size",
    "size",
    "stored_size",
    "varies",
]

Pixels = npt.NDArray[np.uint8]

_ORIENTATION = 0x0112
_NOISE = 2
"""Grey levels by which the compressed pixels of a single colour may differ."""
_SWAPS = (5, 6, 7, 8)
"""The EXIF orientations that exchange width and height."""


def size(data: bytes | IO[bytes], where: str) -> tuple[int, int]:
    """Width and height in pixels as the image is shown (after EXIF orientation), from its header.

    Raises
    ------
    CorruptFile
        If the file is not an image.
    """
    with opened(data, where) as picture:
        return shown_size(picture)


def files_of(ds: Dataset) -> Files:
    """The files of a data set.

    Raises
    ------
    DataNotFound
        If no image has a file, or the folder or zip with the images does not exist.
    """
    if ds.root is None or not any(image.file for image in ds.images):
        raise no_images(ds.name)
    if not ds.root.exists():
        raise no_images(ds.root)
    return Files(ds.root)


def load(files: Files, image: Image) -> Pixels:
    """Decode an image as it was annotated.

    Raises
    ------
    DataNotFound
        If its file does not exist.
    CorruptFile
        If the file cannot be decoded, or has another size than recorded.
    """
    return decode_as_annotated(bytes_of(files, image), image)


def load_bytes(files: Files, image: Image) -> bytes:
    """The bytes of an image's file, after its header has been checked.

    Raises
    ------
    DataNotFound
        If its file does not exist.
    CorruptFile
        If the file is not an image, or has another size than recorded.
    """
    data = bytes_of(files, image)
    with opened(data, str(image.file)) as picture:
        _require_fit(picture, image)
    return data


def reason(image: Image, error: PcmError, root: Place | None = None) -> str:
    """What an error says about the file of an image, without the image's name, with which some begin.

    A file that is called otherwise than its image may be called after its patient. Then the image's id is in place of its
    path, because outputs contain these sentences. If `root` is given, "the images" is in place of its path.

    Examples
    --------
    >>> image = Image("P-7K3M9QX4TZ/a.png", 64, 64, file="4711007/a.png")
    >>> reason(image, CorruptFile("4711007/a.png: is cut short"))
    'P-7K3M9QX4TZ/a.png: is cut short'
    """
    said = str(error).removeprefix(f'image "{image.id}": ')
    if root is not None:
        said = said.replace(str(root), "the images")
    renamed = image.file is not None and not image.file.endswith(image.name)
    return said.replace(str(image.file), image.id) if renamed else said


def require_fit(files: Files, image: Image) -> None:
    """Refuse a file that cannot be the annotated `image`, as `images.compare_files` does.

    It is decoded if it does not end as it should, as it may be cut short.

    Raises
    ------
    DataNotFound
        If its file does not exist.
    CorruptFile
        If the file is not an image, has another size than recorded, is turned under its boxes, or is cut short.
    """
    where = str(image.file)
    with files.open_to_move(where) as stream, opened(stream, where) as picture:
        _require_fit(picture, image)
        cut = may_be_cut_short(picture, *files.ending(where, stream, TAIL))
    if cut:
        decode_as_annotated(files.read(where), image)


def require_content_fit(data: bytes, image: Image) -> None:
    """`require_fit` for the bytes of a file."""
    with opened(data, str(image.file)) as picture:
        _require_fit(picture, image)
        cut = may_be_cut_short(picture, len(data), data[-TAIL:])
    if cut:
        decode_as_annotated(data, image)


def decode_as_annotated(data: bytes, image: Image) -> Pixels:
    """Decode an image as it was annotated, from the bytes of its file.

    Raises
    ------
    CorruptFile
        If the file cannot be decoded, or has another size than recorded.
    """
    where = str(image.file)
    with opened(data, where) as picture:
        _require_fit(picture, image)
        turned = _orientation(picture) in _SWAPS
        return _pixels(data, picture, where, image.white_level or given_white(), turned=turned)


def decode(data: bytes, where: str) -> Pixels:
    """Decode an image as stored, to RGB pixels ``(height, width, 3)`` as from Pillow's ``convert("RGB")``.

    An alpha channel is dropped, not blended; more than 8 bits a channel are scaled to 8, see `images.depth`.

    Raises
    ------
    CorruptFile
        If the file is not an image, damaged, cut short, or has more pixels than are decoded.
    """
    with opened(data, where) as picture:
        return _pixels(data, picture, where, given_white())


def varies(data: bytes, where: str) -> bool:
    """Whether the samples of a file differ, by more than the noise of compression, before any is scaled or dropped.

    Raises
    ------
    CorruptFile
        If the file cannot be decoded.
    """
    with opened(data, where) as picture, decoding(picture, where):
        if is_deep(picture):
            values = samples_of(data, picture, where)
            return float(values.max()) - float(values.min()) > 0.01 * float(values.max())
        bands = np.asarray(picture)
        return bool((bands.max((0, 1)).astype(int) - bands.min((0, 1)).astype(int)).max() > _NOISE)


def shown_size(picture: PIL.Image.Image) -> tuple[int, int]:
    """Width and height in pixels after EXIF orientation."""
    width, height = stored_size(picture)
    return (height, width) if _orientation(picture) in _SWAPS else (width, height)


def stored_size(picture: PIL.Image.Image) -> tuple[int, int]:
    """Width and height before EXIF orientation; for a TIFF, Pillow gives those after it."""
    if picture.format == "TIFF":
        return int(picture.tag_v2[256]), int(picture.tag_v2[257])  # type: ignore[attr-defined]
    return picture.size


def _orientation(picture: PIL.Image.Image) -> int:
    """The EXIF orientation in the header, 1 to 8; 1 if it is missing."""
    try:
        # PngImageFile's own getexif would decode the whole image
        return int(PIL.Image.Image.getexif(picture).get(_ORIENTATION, 1)) or 1
    except BAD_IMAGE:
        return 1


def misfit_of(picture: PIL.Image.Image, image: Image) -> Problem | None:
    """Why an opened file cannot be the annotated image; None if it can."""
    where, orientation = f'image "{image.id}"', _orientation(picture)
    width, height = stored_size(picture)
    turned = ""
    if orientation in _SWAPS:
        width, height = height, width
        turned = f" as its EXIF orientation {orientation} turns it"
    if (width, height) != (image.width, image.height):
        what = (
            f"is annotated as {image.width} x {image.height} pixels, its file is {width} x {height}{turned}"
        )
        return Problem(where, what, "find the image that was annotated, or export again")
    if orientation != 1 and (orientation not in _SWAPS or width == height):
        what = f"has EXIF orientation {orientation}, which may turn it under its boxes"
        return Problem(where, what, "save it upright, without the orientation, and look at its boxes")
    return None


def is_as_annotated_and_upright(picture: PIL.Image.Image, image: Image) -> bool:
    """Whether an opened file is the annotated image, and its rows and columns are those of the boxes."""
    return misfit_of(picture, image) is None and _orientation(picture) == 1


def _require_fit(picture: PIL.Image.Image, image: Image) -> None:
    misfit = misfit_of(picture, image)
    if misfit:
        raise CorruptFile(str(misfit))


def bytes_of(files: Files, image: Image) -> bytes:
    """The bytes of an image's file.

    Raises
    ------
    DataNotFound
        If it has no file, or the file does not exist.
    """
    if image.file is None:
        raise DataNotFound(f'image "{image.id}": has no file; give {option("images_root")}')
    return files.read(image.file)


def _pixels(
    data: bytes, picture: PIL.Image.Image, where: str, white_level: float | None, *, turned: bool = False
) -> Pixels:
    with decoding(picture, where):
        if simplejpeg is not None and picture.format == "JPEG" and picture.mode == "RGB" and not turned:
            fast = _decode_jpeg(data)
            if fast is not None:
                return fast
        rgb = to_8_bits(data, picture, where, white_level) if is_deep(picture) else picture.convert("RGB")
        # a copy: unlike those of simplejpeg, Pillow's pixels cannot be written to
        return np.array(_as_shown(rgb, picture) if turned else rgb)


def _decode_jpeg(data: bytes) -> Pixels | None:
    """Decode a plain colour JPEG; None if it is something else or truncated (Pillow then decides)."""
    try:
        if simplejpeg.decode_jpeg_header(data)[2] != "YCbCr":
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except ValueError:
        return None
    return pixels


def _as_shown(rgb: PIL.Image.Image, picture: PIL.Image.Image) -> PIL.Image.Image:
    """Turn the pixels of a picture as its EXIF orientation says, which Pillow has done already for a TIFF."""
    if rgb.size != stored_size(picture):
        return rgb
    rgb.getexif()[_ORIENTATION] = _orientation(picture)
    return PIL.ImageOps.exif_transpose(rgb)
