"""Opening image files: what a file is that is no image, and how many pixels are decoded."""

from __future__ import annotations

import io
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pcm_leukemia import images
from pcm_leukemia.environment import MAX_PIXELS
from pcm_leukemia.errors import CorruptFile, for_the_command_line
from pcm_leukemia.images import opening
from pcm_leukemia.images.pieces import PNG, chunk
from pcm_leukemia.schema import Image, ImageId


def picture(width: int, height: int, form: str) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (180, 90, 160)).save(out, form)
    return out.getvalue()


def header_of(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel, small whatever its size, whose pixels are cut short."""
    ihdr = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return PNG + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", r"is empty \(0 bytes\); copy or download it again"),
        (bytes(4096), "contains only zeros; copy or download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "is a Git LFS pointer in place of the image; run git lfs pull",
        ),
        (b"\n<!DOCTYPE html><title>403</title>", "answer of a web server in place of the image; download"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "answer of a web server"),
        (b'{"message": "Not Found"}', "answer of a web server"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", r"\(AppleDouble\); remove it"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "is HEIC; save the image in it as PNG"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1", "is AVIF; save"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", r"is a raw photograph \(CR3\); save"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2", "is a video; save"),
        (b"%PDF-1.7\n", "is a PDF; save"),
        (b"PK\x03\x04\x14\x00", "is a zip; save"),
        (b"8BPS\x00\x01", "is a Photoshop document; save"),
        (bytes(128) + b"DICM\x02\x00", "is a DICOM file; save"),
        (b"ZISRAWFILE\x00\x00", "is a CZI of Zeiss; save"),
        (picture(60, 40, "JPEG")[:20], "begins like a JPEG file, but its header cannot be read"),
        (picture(60, 40, "PNG")[:20], "begins like a PNG file, but its header cannot be read"),
        (picture(60, 40, "TIFF")[:8], "begins like a TIFF file, but its header cannot be read"),
        (b"a note of mine", "is not an image that can be read; save it as PNG, JPEG or TIFF"),
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning:PIL")  # of the TIFF that is cut short
def test_a_file_that_is_no_image_is_named_as_what_it_is(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(CorruptFile, match=r"^P1/a\.jpg: .*" + sentence):
        images.decode(data, "P1/a.jpg")
    with pytest.raises(CorruptFile, match=sentence):
        images.size(io.BytesIO(data), "P1/a.jpg")
    (tmp_path / "a.jpg").write_bytes(data)
    _, (problem,) = images.compare_files([Image(ImageId("a.jpg"), 60, 40, file="a.jpg")], tmp_path)
    assert "a.jpg: " in problem.what


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "BMP", "GIF", "PPM", "WEBP", "JPEG2000"])
def test_every_format_is_opened(form: str) -> None:
    assert images.size(picture(60, 40, form), "a") == (60, 40)


@pytest.mark.parametrize("pixels", [(10_000, 9_000), (30_000, 30_000)])  # Pillow warns, and refuses
def test_sizes_are_read_without_a_limit_and_without_a_warning(
    tmp_path: Path, pixels: tuple[int, int]
) -> None:
    data = header_of(*pixels)
    (tmp_path / "a.png").write_bytes(data)
    row = Image(ImageId("a.png"), *pixels, file="a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.size(data, "a") == pixels
        assert images.compare_files([row], tmp_path)[1] == []
        assert images.misfit(data, row) is None
        assert images.find_identifiers(data) == ()


def test_too_many_pixels_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = header_of(20_000, 20_000)
    with pytest.raises(
        CorruptFile, match="^a: has 400,000,000 pixels, more than the 178,956,970 that are dec"
    ) as it:
        images.decode(data, "a")
    assert str(it.value).endswith('raise the limit: os.environ["PCM_LEUKEMIA_MAX_PIXELS"] = "400000000"')
    with (
        for_the_command_line(),
        pytest.raises(CorruptFile, match=r"--max-pixels 400000000 or PCM_LEUKEMIA_MAX_"),
    ):
        images.decode(data, "a")
    small = picture(60, 40, "JPEG")
    monkeypatch.setenv(MAX_PIXELS, "2399")
    with pytest.raises(CorruptFile, match="a: has 2,400 pixels, more than the 2,399"):
        images.decode(small, "a")
    monkeypatch.setenv(MAX_PIXELS, "2400")
    assert images.decode(small, "a").shape == (40, 60, 3)
    monkeypatch.setenv(MAX_PIXELS, "many")
    with pytest.raises(ValueError, match='PCM_LEUKEMIA_MAX_PIXELS="many": must be a number of pixels'):
        images.decode(small, "a")


def test_pillows_own_limit_counts_if_it_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 200_000_000)
    with pytest.raises(CorruptFile, match="cannot be decoded"):  # tried
        images.decode(header_of(20_000, 20_000), "a")
    with pytest.raises(CorruptFile, match="more than the 400,000,000"):
        images.decode(header_of(20_001, 20_000), "a")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(CorruptFile, match="cannot be decoded"):
        images.decode(header_of(20_001, 20_000), "a")


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_large_images_are_decoded_one_at_a_time_and_pillow_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(opening, "_WARNED", 2_000)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 2_000)
    now: list[int] = []
    most: list[int] = []
    load = PIL.ImageFile.ImageFile.load

    def counted(self: PIL.ImageFile.ImageFile) -> object:
        now.append(threading.get_ident())
        time.sleep(0.01)
        most.append(len({*now}))
        try:
            return load(self)
        finally:
            now.remove(threading.get_ident())

    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", counted)
    data = picture(60, 40, form)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: images.decode(data, "a"), range(8)))
    assert all((pixels == np.array([180, 90, 160])).all() for pixels in found)
    assert max(most) == 1
    assert PIL.Image.MAX_IMAGE_PIXELS == 2_000
