"""Excerpts of images have the pixels and the errors of whole images, with libjpeg-turbo 3 and without."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcm_leukemia import Box, Image, images
from pcm_leukemia.environment import TURBOJPEG
from pcm_leukemia.errors import CorruptFile
from pcm_leukemia.images import regions
from pcm_leukemia.images.excerpts import _plan
from pcm_leukemia.images.regions import Region, decode_regions
from pcm_leukemia.schema import ImageId

HAS_LIBRARY = regions._found()[0] is not None
NEEDS_LIBRARY = pytest.mark.skipif(
    not HAS_LIBRARY, reason=f"{images.region_decoder()}; set {TURBOJPEG} to libjpeg-turbo 3 or later"
)
SIZE = 213, 157
"""Not multiples of any block."""


def noise(width: int = SIZE[0], height: int = SIZE[1], seed: int = 0) -> PIL.Image.Image:
    """Noise of two scales, so that neighbouring blocks differ."""
    rng = np.random.default_rng(seed)
    coarse = PIL.Image.fromarray(rng.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3), np.uint8)).resize(
        (width, height)
    )
    fine = rng.integers(0, 256, (height, width, 3), np.uint8)
    return PIL.Image.blend(coarse, PIL.Image.fromarray(fine), 0.3)


def jpeg(picture: PIL.Image.Image | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    (picture or noise()).save(stream, "JPEG", **options)
    return stream.getvalue()


def row(size: tuple[int, int] = SIZE) -> Image:
    return Image(ImageId("a.jpg"), *size, file="a.jpg")


def pillow(data: bytes) -> images.Pixels:
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))


def crops(data: bytes, size: tuple[int, int], boxes: list[Box]) -> list[bytes] | str:
    """The crops of an excerpt, or the error."""
    try:
        excerpt = images.decode_excerpt(data, row(size), boxes, 2)
    except CorruptFile as error:
        return str(error)
    return [excerpt.crop(box).tobytes() for box in boxes]


def crops_of_whole_image(data: bytes, size: tuple[int, int], boxes: list[Box]) -> list[bytes] | str:
    """The crops of a whole image, or the error."""
    try:
        whole = images.decode_as_annotated(data, row(size))
    except CorruptFile as error:
        return str(error)
    return [images.crop(whole, box, 2).tobytes() for box in boxes]


class PillowRegions:
    """A library of regions that any machine has: it decodes whole images and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Region] = []

    def decode(self, data: bytes, size: tuple[int, int], wanted: Sequence[Region]) -> list[images.Pixels]:
        whole = pillow(data)
        assert whole.shape[1::-1] == size
        self.asked += wanted
        return [whole[top:bottom, left:right].copy() for left, top, right, bottom in wanted]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> PillowRegions:
    library = PillowRegions()
    monkeypatch.setattr(regions, "_found", lambda: (library, "Pillow"))
    return library


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The library is looked for anew."""
    regions._found.cache_clear()
    yield monkeypatch
    regions._found.cache_clear()


def boxes_in(size: tuple[int, int]) -> st.SearchStrategy[list[Box]]:
    def box(values: tuple[float, float, float, float]) -> Box:
        x1, x2 = sorted(size[0] * value for value in values[:2])
        y1, y2 = sorted(size[1] * value for value in values[2:])
        return Box(min(x1, size[0] - 1), min(y1, size[1] - 1), max(x2, x1 + 1), max(y2, y1 + 1))

    shares = st.floats(0, 1)
    return st.lists(st.tuples(shares, shares, shares, shares).map(box), min_size=1, max_size=4)


# Which library is used


def test_without_a_library_whole_images_are_decoded(searched: pytest.MonkeyPatch) -> None:
    searched.setenv(TURBOJPEG, "none")
    assert images.region_decoder() == "whole images are decoded: PCM_LEUKEMIA_TURBOJPEG=none"
    data = jpeg()
    assert decode_regions(data, SIZE, [Region(0, 0, 9, 9)]) is None
    excerpt = images.decode_excerpt(data, row(), [Box(3, 4, 20, 30)], 2)
    assert [region for region, _ in excerpt.pieces] == [Region(0, 0, *SIZE)]
    assert (excerpt.crop(Box(3, 4, 20, 30)) == pillow(data)[2:32, 1:22]).all()


@pytest.mark.skipif(not find_library("c"), reason="no C library is found, which stands in for an old one")
def test_why_a_library_is_not_used_is_said(searched: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old, broken = str(find_library("c")), tmp_path / "libturbojpeg.so"
    broken.write_bytes(b"no library")
    for path, reason in (
        (old, f"{old} is older than libjpeg-turbo 3"),
        (str(broken), f"{broken} cannot be loaded"),
        (str(tmp_path / "missing.so"), f"{tmp_path / 'missing.so'} cannot be loaded"),
    ):
        regions._found.cache_clear()
        searched.setenv(TURBOJPEG, path)
        assert images.region_decoder() == f"whole images are decoded: {reason}"


def test_a_library_with_other_pixels_is_not_used(searched: pytest.MonkeyPatch) -> None:
    class Other(PillowRegions):
        def decode(self, data: bytes, size: tuple[int, int], wanted: Sequence[Region]) -> list[images.Pixels]:
            return [255 - pixels for pixels in super().decode(data, size, wanted)]

    searched.setenv(TURBOJPEG, "some.so")
    searched.setattr(regions, "_TurboJpeg", lambda _: Other())
    assert images.region_decoder() == "whole images are decoded: some.so gives other pixels than Pillow"
    regions._found.cache_clear()
    searched.setattr(regions, "_TurboJpeg", lambda _: PillowRegions())
    assert images.region_decoder() == "some.so"


def test_the_first_library_that_can_be_used_is(searched: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "turbojpeg.libs"
    package.mkdir()
    (tmp_path / "turbojpeg.py").touch()
    (package / "libturbojpeg-1.so").touch()
    searched.syspath_prepend(tmp_path)
    searched.delenv(TURBOJPEG, raising=False)
    tried = []

    def load(path: str) -> PillowRegions:
        tried.append(path)
        if path == str(package / "libturbojpeg-1.so"):
            return PillowRegions()
        raise AttributeError

    searched.setattr(regions, "_TurboJpeg", load)
    assert images.region_decoder() == tried[1] == str(package / "libturbojpeg-1.so")


# What is decoded


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (jpeg(progressive=True), SIZE),
        (jpeg()[:-2], SIZE),
        (jpeg()[:-900] + b"\xff\xd9", SIZE[::-1]),
        (jpeg()[:-900] + b"\xff\xdc\x00\x04\x00\x10" + jpeg()[-900:], SIZE),
        (jpeg(noise().convert("CMYK")), SIZE),
        (
            jpeg(exif=bytes.fromhex("4578696600004d4d002a00000008000101120003000000010006000000000000")),
            SIZE[::-1],
        ),
    ],
    ids=["progressive", "cut short", "other size", "marker inside", "CMYK", "turned"],
)
def test_files_in_which_the_rest_may_matter_are_decoded_whole(
    stub: PillowRegions, data: bytes, size: tuple[int, int]
) -> None:
    boxes = [Box(3, 4, 20, 30)]
    assert crops(data, size, boxes) == crops_of_whole_image(data, size, boxes)
    assert not stub.asked


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_of_a_plain_jpeg_only_what_the_crops_need_is_decoded(stub: PillowRegions, mode: str) -> None:
    data = jpeg(noise().convert(mode))
    images.decode_excerpt(data, row(), [Box(3.5, 40, 20, 50)], 10)
    assert stub.asked == [Region(0, 30, 30, 60)]


def test_boxes_share_a_region_if_that_is_sooner() -> None:
    size = 1920, 1080
    beside = [Region(100, 700, 300, 900), Region(600, 750, 800, 950)]
    assert _plan(beside, size) == [Region(100, 700, 800, 950)]
    far_apart = [Region(0, 0, 100, 100), Region(1800, 900, 1900, 1000)]
    assert _plan(far_apart, size) == far_apart
    assert _plan(far_apart[::-1], size) == far_apart
    assert _plan([Region(0, 0, *size)], size) == []
    assert _plan([*beside, Region(0, 0, *size)], size) == []
    assert _plan([], size) == []


@pytest.mark.usefixtures("stub")
def test_an_excerpt_says_which_boxes_are_in_it() -> None:
    excerpt = images.decode_excerpt(jpeg(), row(), [Box(3, 4, 20, 30)], 2)
    assert Box(5, 5, 9, 9) in excerpt
    assert Box(5, 5, 9, 99) not in excerpt
    with pytest.raises(ValueError, match="is outside what was decoded; decode an excerpt with it"):
        excerpt.crop(Box(5, 5, 9, 99))
    with pytest.raises(ValueError, match="cannot be cut from 213 x 157 px"):
        images.decode_excerpt(jpeg(), row(), [Box(300, 4, 320, 30)], 2)


@given(boxes_in(SIZE), st.integers(0, 300), st.sampled_from(images.BORDERS))
def test_crops_of_excerpts_are_those_of_the_whole_image(
    boxes: list[Box], padding: int, border: images.Border
) -> None:
    data = jpeg()
    whole = images.decode_as_annotated(data, row())
    with pytest.MonkeyPatch.context() as patched:
        library = PillowRegions()
        patched.setattr(regions, "_found", lambda: (library, "Pillow"))
        for library_of in (lambda: (library, "Pillow"), lambda: (None, "none")):
            patched.setattr(regions, "_found", library_of)
            excerpt = images.decode_excerpt(data, row(), boxes, padding, border)
            for box in boxes:
                assert (excerpt.crop(box) == images.crop(whole, box, padding, border)).all()


# With the library


@NEEDS_LIBRARY
@settings(max_examples=300)
@given(st.data())
def test_regions_have_the_pixels_of_pillow(data: st.DataObject) -> None:
    size = data.draw(st.tuples(st.integers(1, 140), st.integers(1, 140)))
    mode = data.draw(st.sampled_from(["RGB", "L"]))
    options = data.draw(
        st.fixed_dictionaries(
            {"quality": st.sampled_from([50, 90, 100]), "subsampling": st.sampled_from([0, 1, 2])},
            optional={"progressive": st.just(value=True), "restart_marker_blocks": st.integers(1, 9)},
        )
    )
    file = jpeg(noise(*size).convert(mode), **options)
    whole = pillow(file)
    boxes = data.draw(boxes_in(size))
    excerpt = images.decode_excerpt(file, row(size), boxes, 0)
    for box in boxes:
        assert (excerpt.crop(box) == images.crop(whole, box, 0)).all()
    wanted = [Region(*images.crop_corners(box, 0, *size)) for box in boxes]
    decoded = decode_regions(file, size, wanted)
    assert (decoded is None) == ("progressive" in options)
    for (left, top, right, bottom), pixels in zip(wanted, decoded or (), strict=False):
        assert (pixels == whole[top:bottom, left:right]).all()


@NEEDS_LIBRARY
@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(1, 4), boxes_in(SIZE))
def test_damage_has_the_same_result_as_in_whole_images(seed: int, changes: int, boxes: list[Box]) -> None:
    chance = random.Random(seed)
    damaged = bytearray(jpeg(quality=80, subsampling=2))
    for _ in range(changes):
        damaged[chance.randrange(len(damaged))] = chance.choice((0, 0xFF, 0xD9, chance.randrange(256)))
    if chance.random() < 0.3:
        del damaged[chance.randrange(len(damaged)) :]
    data = bytes(damaged)
    assert crops(data, SIZE, boxes) == crops_of_whole_image(data, SIZE, boxes)


@NEEDS_LIBRARY
def test_threads_decode_at_once_and_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(subsampling=2)
    whole = pillow(data)

    def decode(number: int) -> bool:
        left, top = number % 150, number % 90
        decoded = decode_regions(data, SIZE, [Region(left, top, left + 50, top + 60)])
        return decoded is not None and bool((decoded[0] == whole[top : top + 60, left : left + 50]).all())

    library, _ = regions._found()
    assert library is not None
    handles: list[int] = []

    def opened(function: Callable[[int], int]) -> Callable[[int], int]:
        def call(purpose: int) -> int:
            handles.append(function(purpose))
            return handles[-1]

        return call

    def closed(function: Callable[[int], None]) -> Callable[[int], None]:
        def call(handle: int) -> None:
            handles.remove(handle)
            function(handle)

        return call

    monkeypatch.setattr(library, "_init", opened(library._init))
    monkeypatch.setattr(library, "_destroy", closed(library._destroy))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(decode, range(200)))
    bad_scan = data[:-1000] + b"\x55" * 900 + data[-100:]
    assert decode_regions(bad_scan, SIZE, [Region(0, 0, *SIZE)]) is None
    assert not handles
