"""Pixels: the same as Pillow's, of the size that was annotated, and never from outside the root."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcm_leukemia import NINE, Box, Dataset, Image, images
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.images import Files
from pcm_leukemia.images import pixels as decoding
from pcm_leukemia.schema import ImageId


def picture(width: int = 60, height: int = 40, mode: str = "RGB") -> PIL.Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return (
        PIL.Image.fromarray(pixels).convert("RGB").convert(mode)
        if mode != "RGBA"
        else PIL.Image.fromarray(pixels)
    )


def encoded(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def with_orientation(image: PIL.Image.Image, orientation: int) -> bytes:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "JPEG", exif=exif.tobytes())


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 90}),
        ("JPEG", "RGB", {"quality": 95, "subsampling": 0}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("PNG", "RGB", {}),
        ("PNG", "P", {}),
        ("PNG", "L", {}),
        ("PNG", "1", {}),
        ("BMP", "RGB", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("WEBP", "RGB", {"lossless": True}),
    ],
)
def test_pixels_are_those_of_pillow(form: str, mode: str, options: dict[str, Any]) -> None:
    data = encoded(picture(mode=mode), form, **options)
    expected = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
    pixels = images.decode(data, "a")
    assert pixels.dtype == np.uint8
    assert (pixels == expected).all()


def test_without_the_fast_decoder_the_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture(), "JPEG")
    fast = images.decode(data, "a")
    monkeypatch.setattr(decoding, "simplejpeg", None)
    assert (images.decode(data, "a") == fast).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_alpha_is_dropped_not_blended(form: str) -> None:
    rgba = picture(mode="RGBA")
    assert (images.decode(encoded(rgba, form), "a") == np.asarray(rgba)[:, :, :3]).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled(form: str) -> None:
    grey = np.linspace(0, 65535, 60 * 40).reshape(40, 60).astype(np.uint16)
    pixels = images.decode(encoded(PIL.Image.fromarray(grey), form), "a")
    assert np.abs(pixels[:, :, 1].astype(int) - grey // 257).max() <= 1
    assert pixels.max() == 255


@pytest.mark.parametrize(
    "data", [b"no image", encoded(picture(), "JPEG")[:-400], encoded(picture(), "PNG")[:-300]]
)
def test_damaged_files_are_named(data: bytes) -> None:
    with pytest.raises(CorruptFile, match=r"P1/a\.jpg: (is not an image|cannot be decoded)"):
        images.decode(data, "P1/a.jpg")


# Sizes and orientation


def a_dataset(folder: Path, data: bytes, width: int, height: int) -> Dataset:
    (folder / "a.jpg").write_bytes(data)
    return Dataset("x", NINE, (Image(ImageId("a.jpg"), width, height, file="a.jpg"),), root=folder)


def test_size_is_as_shown() -> None:
    assert images.size(encoded(picture(60, 40), "PNG"), "a") == (60, 40)
    assert images.size(with_orientation(picture(60, 40), 6), "a") == (40, 60)


def test_an_image_is_turned_as_it_was_annotated(tmp_path: Path) -> None:
    data = with_orientation(picture(60, 40), 6)
    ds = a_dataset(tmp_path, data, 40, 60)
    assert images.compare_files(ds.images, tmp_path)[1] == []
    pixels = images.load(Files(tmp_path), ds.images[0])
    assert (pixels == np.rot90(np.asarray(PIL.Image.open(io.BytesIO(data))), -1)).all()


@pytest.mark.parametrize(
    ("size", "orientation", "recorded", "sentence"),
    [
        ((60, 40), 1, (61, 40), "is annotated as 61 x 40 pixels, its file is 60 x 40"),
        (
            (60, 40),
            6,
            (60, 40),
            "is annotated as 60 x 40 pixels, its file is 40 x 60 as its EXIF orientation 6 turns it",
        ),
        ((60, 40), 3, (60, 40), "has EXIF orientation 3, which may turn it under its boxes"),
        ((50, 50), 6, (50, 50), "has EXIF orientation 6, which may turn it under its boxes"),
    ],
)
def test_what_does_not_fit_is_a_problem(
    tmp_path: Path, size: tuple[int, int], orientation: int, recorded: tuple[int, int], sentence: str
) -> None:
    ds = a_dataset(tmp_path, with_orientation(picture(*size), orientation), *recorded)
    _, (problem,) = images.compare_files(ds.images, tmp_path)
    assert (problem.where, problem.what) == ('image "a.jpg"', sentence)
    with pytest.raises(CorruptFile, match=sentence):
        images.load(Files(tmp_path), ds.images[0])


def test_every_bad_file_is_a_problem(tmp_path: Path) -> None:
    ds = a_dataset(tmp_path, b"no image", 60, 40)
    missing = Image(ImageId("b.jpg"), 10, 10, file="b.jpg")
    without = Image(ImageId("c.jpg"), 10, 10)
    _, problems = images.compare_files((*ds.images, missing, without), tmp_path, workers=2)
    assert [problem.where for problem in problems] == ['image "a.jpg"', 'image "b.jpg"']
    assert "is not an image" in problems[0].what
    assert "has no file b.jpg" in problems[1].what


# Files


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "C:/a.png", "x/../../a.png"])
def test_paths_that_lead_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataNotFound, match="leads out of"):
        Files(tmp_path).read(name)


def test_links_that_lead_outside(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "a.png").write_bytes(b"secret")
    (root / "a.png").symlink_to(outside / "a.png")
    (root / "folder").symlink_to(outside)
    for name in ("a.png", "folder/a.png"):
        with pytest.raises(DataNotFound, match="is a link that leads out of"):
            Files(root).read(name)
    (root / "b.png").write_bytes(b"fine")
    (root / "c.png").symlink_to(root / "b.png")
    assert Files(root).read("c.png") == b"fine"


def test_zips_are_read_by_many_threads_and_pickle_as_their_path(tmp_path: Path) -> None:
    path = tmp_path / "e.zip"
    members = {f"images/{n}.bin": bytes([n]) * 50_000 for n in range(40)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    files = Files(path)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(files.read, members)) == list(members.values())
    assert files.path("images/1.bin") is None
    assert len(pickle.dumps(files)) < 500
    assert pickle.loads(pickle.dumps(files)).read("images/7.bin") == members["images/7.bin"]
    with pytest.raises(DataNotFound, match=r"has no file images/99\.bin; give images_root"):
        files.read("images/99.bin")
    with pytest.raises(DataNotFound, match="are not there; give images_root"):
        Files(tmp_path / "gone").read("a")


# Crops


@given(
    st.tuples(*[st.floats(0, 30, width=32)] * 2),
    st.tuples(*[st.floats(0.25, 30, width=32)] * 2),
    st.integers(0, 90),
)
def test_a_crop_is_what_pillow_cuts(
    start: tuple[float, float], size: tuple[float, float], padding: int
) -> None:
    image = picture(60, 60)
    box = Box(start[0], start[1], start[0] + size[0], start[1] + size[1])
    corners = images.crop_corners(box, padding, 60, 60)
    x1, _, x2, _ = corners
    assert x1 <= max(box.x1 - padding, 0) < x1 + 1
    assert x2 - 1 < min(box.x2 + padding, 60) <= x2
    pixels = np.asarray(image)
    assert (images.crop(pixels, box, padding) == np.asarray(image.crop(corners))).all()
    whole = images.crop_corners(box, padding, 60, 60, "constant")
    assert (images.crop(pixels, box, padding, "constant") == np.asarray(image.crop(whole))).all()
    reflected = images.crop(pixels, box, padding, "reflect")
    around = np.pad(pixels, ((100, 100), (100, 100), (0, 0)), mode="reflect")
    assert (reflected == around[whole[1] + 100 : whole[3] + 100, whole[0] + 100 : whole[2] + 100]).all()


@pytest.mark.parametrize("small", [False, True])
def test_png_bytes_are_a_png_of_the_same_pixels(small: bool) -> None:  # noqa: FBT001
    for width, height in ((1, 1), (3, 1), (1, 5), (241, 183)):
        pixels = np.asarray(picture(width, height))
        data = images.encode(pixels, "png", small=small)
        with PIL.Image.open(io.BytesIO(data)) as read:
            assert (read.format, read.mode) == ("PNG", "RGB")
            assert (np.asarray(read) == pixels).all()
    assert images.encode(pixels, "jpg").startswith(b"\xff\xd8\xff")


def test_a_small_png_is_as_small_as_pillows() -> None:
    smooth = PIL.Image.linear_gradient("L").rotate(30).convert("RGB")
    pixels = np.asarray(smooth) // 2 + np.random.default_rng(0).integers(0, 9, (256, 256, 3), dtype=np.uint8)
    small = len(images.encode(pixels, "png", small=True))
    assert small < 1.1 * len(encoded(PIL.Image.fromarray(pixels), "PNG"))
    assert small < len(images.encode(pixels, "png")) / 2


def test_a_path_may_lead_through_a_zip_below_the_root(tmp_path: Path) -> None:
    data = encoded(picture(), "PNG")
    (tmp_path / "far").mkdir()
    with zipfile.ZipFile(tmp_path / "far" / "export.ZIP", "w") as archive:
        archive.writestr("images/P01/a.png", data)
    files = Files(tmp_path)
    assert files.read("far/export.ZIP/images/P01/a.png") == data
    assert files.path("far/export.ZIP/images/P01/a.png") is None
    assert pickle.loads(pickle.dumps(files)).read("far/export.ZIP/images/P01/a.png") == data
    with pytest.raises(DataNotFound, match=r"has no file far/export.ZIP/images/b.png"):
        files.read("far/export.ZIP/images/b.png")
    with pytest.raises(DataNotFound, match="leads out of"):
        files.read("far/export.ZIP/../../secret.png")


def test_a_folder_may_be_called_like_a_zip(tmp_path: Path) -> None:
    (tmp_path / "export.zip").mkdir()
    (tmp_path / "export.zip" / "a.png").write_bytes(b"here")
    assert Files(tmp_path).read("export.zip/a.png") == b"here"
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    with pytest.raises(CorruptFile, match="broken.zip: cannot be read as a zip"):
        Files(tmp_path).read("broken.zip/a.png")


def test_what_is_no_image_is_told_beside_ultralytics_too(tmp_path: Path) -> None:
    # importing it puts another function in the place of Pillow's, which wants pi-heif for what is no image
    code = (
        "import ultralytics.utils, PIL.Image\n"
        "from pcm_leukemia import errors, images\n"
        "assert PIL.Image.open.__module__.startswith('ultralytics')\n"
        "try:\n    images.size(b'no image', 'a.png')\n"
        "except errors.CorruptFile as error:\n    print(error)\n"
        "from pcm_leukemia.images.metadata import find_identifiers\n"
        "find_identifiers(b'no image')\n"
    )
    alone = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **alone}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "a.png" in done.stdout


def test_our_own_use_of_ultralytics_leaves_pillow_as_it_was() -> None:
    code = (
        "import PIL.Image, torch\n"
        "before = PIL.Image.open, torch.save\n"
        "from pcm_leukemia.baselines import yolo11m\n"
        "assert (PIL.Image.open, torch.save) == before\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_digest_tells_files_apart_and_not_their_names(tmp_path: Path) -> None:
    """Uncompressed images on a black ground are equal at both ends."""
    cell = np.zeros((450, 450, 3), np.uint8)
    cell[150:300, 150:300] = 180
    other = cell.copy()
    other[160:290, 160:290] = 90
    for name, pixels in (("a.bmp", cell), ("b.bmp", other), ("c.bmp", cell)):
        PIL.Image.fromarray(pixels).save(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.bmp", "a.bmp")
    with zipfile.ZipFile(tmp_path / "stored.zip", "w") as archive:  # as CVAT writes it
        archive.write(tmp_path / "b.bmp", "b.bmp")
        archive.write(tmp_path / "a.bmp", "a.bmp")
    rows = [Image(ImageId(name), 450, 450, file=name) for name in ("a.bmp", "b.bmp", "c.bmp")]
    (a, b, c), problems = images.compare_files(rows, tmp_path)
    (zipped,), _ = images.compare_files(rows[:1], tmp_path / "a.zip")
    (stored,), _ = images.compare_files(rows[:1], tmp_path / "stored.zip")
    assert problems == []
    assert a.digest == c.digest == zipped.digest == stored.digest
    assert a.digest != b.digest
    assert a == rows[0]
