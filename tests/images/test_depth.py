"""Images of more than 8 bits a channel: the right pixels, by arithmetic of numpy alone, or a refusal that says what to do."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, images, store
from pcm_leukemia.environment import WHITE_LEVEL
from pcm_leukemia.errors import CorruptFile, for_the_command_line
from pcm_leukemia.images import Files
from pcm_leukemia.images.pieces import PNG, chunk
from pcm_leukemia.schema import ImageId
from pcm_leukemia.torchdata import Frames

SHAPE = (6, 10)
GREY: npt.NDArray[np.uint8] = np.linspace(0, 255, 60).astype(np.uint8).reshape(SHAPE)
COLOUR: npt.NDArray[np.uint8] = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
"""The true pixels of every image here; from black to white."""

_TYPES = {2: "c", 3: "H", 4: "I", 9: "i", 11: "f", 12: "d"}
Tag = tuple[int, int, Sequence[Any]]


def of_depth(pixels: npt.NDArray[np.uint8], white: float, kind: str) -> npt.NDArray[Any]:
    """The same pixels with another value as white."""
    return (np.rint(pixels / 255 * white) if np.dtype(kind).kind != "f" else pixels / 255 * white).astype(
        kind
    )


def tiff(
    samples: npt.NDArray[Any],
    *tags: Tag,
    form: int = 1,
    photometric: int | None = None,
    big: bool = False,
    deflated: bool = False,
    planar: bool = False,
    bits: int | None = None,
    width: int | None = None,
) -> bytes:
    """A TIFF of one strip (or one for each plane), written by hand."""
    order: Literal[">", "<"] = ">" if big else "<"
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    planes = [samples[..., channel] for channel in range(channels)] if planar else [samples]
    strips = [np.ascontiguousarray(each.astype(each.dtype.newbyteorder(order))).tobytes() for each in planes]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    starts = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    entries: list[Tag] = [
        (256, 4, [width or samples.shape[1]]),
        (257, 4, [samples.shape[0]]),
        (258, 3, [bits or samples.dtype.itemsize * 8] * channels),
        (259, 3, [8 if deflated else 1]),
        (262, 3, [(2 if channels > 1 else 1) if photometric is None else photometric]),
        (273, 4, starts),
        (277, 3, [channels]),
        (278, 4, [samples.shape[0]]),
        (279, 4, [len(strip) for strip in strips]),
        (284, 3, [2 if planar else 1]),
        (339, 3, [form] * channels),
        *tags,
    ]
    at = starts[-1] + len(strips[-1])
    beyond, directory, more = at + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, values in sorted(entries, key=lambda entry: entry[0]):
        packed = struct.pack(f"{order}{len(values)}{_TYPES[kind]}", *values)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place, more = struct.pack(f"{order}I", beyond + len(more)), more + packed
        directory += struct.pack(f"{order}HHI", tag, kind, len(values)) + place
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(f"{order}I", at)
    ifd = struct.pack(f"{order}H", len(entries)) + directory + bytes(4)
    return head + b"".join(strips) + ifd + more


def png(samples: npt.NDArray[Any], *more: bytes) -> bytes:
    """A PNG of 16 bits a channel."""
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    data = chunk(b"IDAT", zlib.compress(rows))
    return PNG + chunk(b"IHDR", header) + b"".join(more) + data + chunk(b"IEND", b"")


def packed_12(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A TIFF of 12 bits a sample: two samples in three bytes."""
    pairs = of_depth(pixels, 4095, "u2").reshape(len(pixels), -1, 2).astype(int)
    one, other = pairs[..., 0], pairs[..., 1]
    rows = np.stack([one >> 4, (one & 15) << 4 | other >> 8, other & 255], axis=-1).astype(np.uint8)
    return tiff(rows.reshape(len(pixels), -1), bits=12, width=pixels.shape[1])


def jpeg_2000(samples: npt.NDArray[Any]) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(samples).save(out, "JPEG2000")
    return out.getvalue()


def with_bits(data: bytes, bits: int) -> bytes:
    """A JPEG 2000 that declares other bits a channel."""
    start = data.index(b"\xff\x4f\xff\x51")
    channels = data[start + 41]
    changed = bytearray(data)
    changed[start + 42 : start + 42 + 3 * channels : 3] = bytes([bits - 1] * channels)
    return bytes(changed)


def text(words: str) -> list[bytes]:
    return [bytes([each]) for each in words.encode() + b"\0"]


def opaque(samples: npt.NDArray[Any], alpha: int) -> npt.NDArray[Any]:
    return np.dstack([samples, np.full(SHAPE, alpha, samples.dtype)])


PPM = f"{SHAPE[1]} {SHAPE[0]} "
G16, C16 = of_depth(GREY, 65535, "u2"), of_depth(COLOUR, 65535, "u2")
G12, C12 = of_depth(GREY, 4095, "u2"), of_depth(COLOUR, 4095, "u2")
FLOAT = of_depth(GREY, 1, "f4")

DECIDED = {
    "16 bits": tiff(G16),
    "16 bits, big-endian": tiff(G16, big=True),
    "16 bits, deflated": tiff(G16, deflated=True),
    "16 bits, big-endian, deflated": tiff(G16, big=True, deflated=True),
    "16 bits, 0 is white": tiff(65535 - G16, photometric=0),
    "12 bits, MaxSampleValue": tiff(G12, (280, 3, [0]), (281, 3, [4095])),
    "12 bits, SMaxSampleValue": tiff(G12, (340, 3, [0]), (341, 3, [4095]), big=True),
    "12 bits, OME": tiff(G12, (270, 2, text('<OME><Pixels SignificantBits="12" SizeC="1"/></OME>'))),
    "12 bits, packed": packed_12(GREY),
    "12 bits, MaxSampleValue, 0 is white": tiff(4095 - G12, (281, 3, [4095]), photometric=0),
    "10 bits, MaxSampleValue": tiff(of_depth(GREY, 1023, "u2"), (281, 3, [1023])),
    "14 bits, MaxSampleValue": tiff(of_depth(GREY, 16383, "u2"), (281, 3, [16383])),
    "12 bits, shifted up": tiff(of_depth(GREY, 4095, "u2") * 16),
    "32 bits": tiff(of_depth(GREY, 2**32 - 1, "u4")),
    "int16, SMaxSampleValue": tiff(of_depth(GREY, 255, "i2"), (341, 3, [255]), form=2),
    "float, SMaxSampleValue": tiff(FLOAT, (340, 11, [0.0]), (341, 11, [1.0]), form=3),
    "float, big-endian": tiff(FLOAT, (341, 12, [1.0]), form=3, big=True),
    "float, 0 is white": tiff(1 - FLOAT, (341, 11, [1.0]), form=3, photometric=0),
    "float to 255": tiff(of_depth(GREY, 255, "f4"), (341, 11, [255.0]), form=3),
    "colour, 16 bits": tiff(C16),
    "colour, 16 bits, big-endian": tiff(C16, big=True),
    "colour, 16 bits, deflated": tiff(C16, deflated=True),
    "colour, 12 bits, MaxSampleValue": tiff(C12, (281, 3, [4095] * 3)),
    "colour, 12 bits, big-endian, deflated": tiff(C12, (281, 3, [4095] * 3), big=True, deflated=True),
    "colour, 8 bits, planes": tiff(COLOUR, planar=True),
    "PNG, 16 bits": png(G16),
    "PNG, 16 bits, sBIT": png(G12 * 16 + (G12 >> 8), chunk(b"sBIT", bytes([12]))),
    "PNG, colour": png(C16),
    "PNG, grey with alpha": png(opaque(G16, 65535)),
    "PNG, colour under alpha 0": png(opaque(C16, 0)),
    "JPEG 2000": jpeg_2000(G16),
    "PGM of 4095": f"P5 {PPM} 4095\n".encode() + G12.astype(">u2").tobytes(),
    "PGM of 65535": f"P5 {PPM} 65535\n".encode() + G16.astype(">u2").tobytes(),
    "PPM of 1023": f"P6 {PPM} 1023\n".encode() + of_depth(COLOUR, 1023, ">u2").tobytes(),
}
UNDECIDED = {
    "12 bits": (tiff(G12), 4095),
    "12 bits, big-endian, deflated": (tiff(G12, big=True, deflated=True), 4095),
    "12 bits, the full range declared": (tiff(G12, (281, 3, [65535])), 4095),
    "12 bits, a statistic": (tiff(G12, (281, 3, [4011])), 4095),
    "14 bits": (tiff(of_depth(GREY, 16383, "u2")), 16383),
    "12 bits, 0 is white": (tiff(4095 - G12, photometric=0), 4095),
    "32 bits": (tiff(of_depth(GREY, 255, "u4")), 255),
    "int16": (tiff(of_depth(GREY, 255, "i2"), form=2), 255),
    "int16 to 32767": (tiff(of_depth(GREY, 32767, "i2"), form=2), 32767),
    "int32": (tiff(of_depth(GREY, 65535, "i4"), form=2), 65535),
    "float": (tiff(FLOAT, form=3), 1),
    "float to 255": (tiff(of_depth(GREY, 255, "f4"), form=3), 255),
    "float, a statistic": (tiff(FLOAT, (341, 11, [0.98]), form=3), 1),
    "colour, 12 bits": (tiff(C12), 4095),
    "colour, 12 bits, big-endian, deflated": (tiff(C12, big=True, deflated=True), 4095),
    "PNG, 12 bits": (png(G12), 4095),
    "PNG, 12 bits, sBIT": (png(G12, chunk(b"sBIT", bytes([12]))), 4095),
    "PNG, colour, 12 bits": (png(C12), 4095),
    "PNG, colour with alpha, 12 bits": (png(opaque(C12, 65535)), 4095),
    "JPEG 2000, 12 bits in 16": (jpeg_2000(G12), 4095),
    "PFM": (f"Pf\n{PPM}\n-1.0\n".encode() + FLOAT[::-1].tobytes(), 1),
}
REFUSED = {
    "int8": (tiff((GREY.astype(int) - 128).astype("i1"), form=2), "values from -128 to 127, and 0 is black"),
    "int16 below 0": (tiff((G16.astype(int) - 32768).astype("i2"), form=2), "values from -32,768 to 32,767"),
    "NaN": (tiff(np.where(FLOAT > 0.9, np.nan, FLOAT), (341, 11, [1.0]), form=3), "not finite numbers"),
    "infinite": (tiff(np.where(FLOAT > 0.9, np.inf, FLOAT).astype("f4"), form=3), "not finite numbers"),
    "above what is declared": (tiff(G16, (281, 3, [4095])), "values up to 65,535, but 4,095 is white"),
    "16 bits in planes": (tiff(C16, planar=True), "one plane for each channel"),
    "PNG, 12 bits of grey with alpha": (png(opaque(G12, 65535)), "16 bits a channel in an unusual layout"),
    "PPM of 12 bits in 65535": (
        f"P6 {PPM} 65535\n".encode() + C12.astype(">u2").tobytes(),
        "16 bits a channel in an unusual layout",
    ),
    "JPEG 2000 in colour, 12 bits": (
        with_bits(jpeg_2000(COLOUR), 12),
        "is a colour JPEG 2000 of more than 8 bits",
    ),
    "half floats": (
        tiff(FLOAT.astype("f2"), form=3),
        "begins like a TIFF file, but its header cannot be read",
    ),
    "doubles": (tiff(FLOAT.astype("f8"), form=3), "begins like a TIFF file, but its header cannot be read"),
    "colour, floats": (
        tiff(COLOUR.astype("f4"), form=3),
        "begins like a TIFF file, but its header cannot be read",
    ),
}


def off(data: bytes) -> int:
    """The largest difference to the true pixels, in grey levels."""
    pixels = images.decode(data, "a").astype(int)
    true = COLOUR if (pixels != pixels[..., :1]).any() else np.dstack([GREY] * 3)
    return int(np.abs(pixels - true).max())


@pytest.mark.parametrize("name", DECIDED)
def test_what_the_file_decides_is_right(name: str) -> None:
    assert off(DECIDED[name]) <= 1
    pixels = images.decode(DECIDED[name], "a")
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_the_file_does_not_decide_is_refused_until_it_is_given(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, white = UNDECIDED[name]
    with pytest.raises(CorruptFile, match="^a: .*does not say which value is white") as refused:
        images.decode(data, "a")
    assert f'os.environ["{WHITE_LEVEL}"] = "{white}", or save it with 8 bits' in str(refused.value)
    with for_the_command_line(), pytest.raises(CorruptFile, match=f"--white-level {white} or {WHITE_LEVEL}="):
        images.decode(data, "a")
    monkeypatch.setenv(WHITE_LEVEL, str(white))
    assert off(data) <= 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused(name: str) -> None:
    data, sentence = REFUSED[name]
    with pytest.raises(CorruptFile, match=f"^a: .*{sentence}.*8 bits a channel"):
        images.decode(data, "a")


def test_black_is_black_whatever_is_white() -> None:
    assert not images.decode(tiff(np.zeros(SHAPE, np.uint16)), "a").any()
    assert not images.decode(png(np.zeros((*SHAPE, 3), np.uint16)), "a").any()


def test_a_white_level_that_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WHITE_LEVEL, "4095")
    with pytest.raises(
        CorruptFile, match=r"up to 1, so it would be black if 4,095 were white; .*LEVEL\"\] = \"1\""
    ):
        images.decode(tiff(FLOAT, form=3), "a")
    with pytest.raises(CorruptFile, match="values up to 65,535, but 4,095 is white"):
        images.decode(tiff(np.maximum(G16, 5)), "a")
    assert off(tiff(FLOAT, (341, 11, [1.0]), form=3)) <= 1  # the file says it
    for typed in ("white", "0", "-1", "inf", "nan"):
        monkeypatch.setenv(WHITE_LEVEL, typed)
        with pytest.raises(ValueError, match=f'{WHITE_LEVEL}="{typed}": must be the value that is white'):
            images.decode(tiff(G12), "a")


def test_the_import_records_what_was_given_and_the_data_set_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "a.tif": tiff(G12),
        "b.tif": tiff(G12, (281, 3, [4095])),
        "c.png": png(G16),
    }  # the last is the full range
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    rows = [Image(ImageId(name), 10, 6, file=name) for name in files]
    _, (problem,) = images.compare_files(rows, tmp_path)
    assert problem.where == 'image "a.tif"'
    assert "a.tif: has values up to 4,095, and its file does not say which value is white" in problem.what
    assert images.compare_files(rows[2:], tmp_path)[0][0].white_level is None
    monkeypatch.setenv(WHITE_LEVEL, "4095")
    (a, b), problems = images.compare_files(rows[:2], tmp_path)
    assert (problems, a.white_level, b.white_level) == ([], 4095.0, 4095.0)
    monkeypatch.delenv(WHITE_LEVEL)
    ds = Dataset("demo", NINE, (a, b), (Cell(a.id, 0, "Other", Box(1, 1, 5, 5)),), root=tmp_path)
    store.write(ds, tmp_path / "data")
    read = store.read(tmp_path / "data")
    assert read.images[0].white_level == 4095.0
    assert read.fingerprint == ds.fingerprint
    for decoded in (images.load(Files(tmp_path), read.images[0]), Frames(read, read.images).load(0)):
        assert np.abs(decoded[..., 0].astype(int) - GREY).max() <= 1
    assert images.compare_files(read.images, tmp_path)[1] == []  # it is known now
    monkeypatch.setenv(WHITE_LEVEL, "8191")
    (again, _), _ = images.compare_files(read.images, tmp_path)
    assert again.white_level == 8191.0
    assert (images.load(Files(tmp_path), read.images[0]) == decoded).all()  # the data set says it


@pytest.mark.parametrize("samples", [GREY, G16])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_is_turned_as_other_images(orientation: int, samples: npt.NDArray[Any]) -> None:
    turned = orientation == 6
    data = tiff(samples, (274, 3, [orientation]))
    assert images.size(data, "a") == (SHAPE if turned else SHAPE[::-1])
    image = Image(ImageId("a"), *(SHAPE if turned else SHAPE[::-1]), file="a.tif")
    pixels = images.decode_as_annotated(data, image)[..., 0].astype(int)
    assert np.abs(pixels - (np.rot90(GREY, -1) if turned else GREY)).max() <= 1


def test_a_white_level_is_a_number_above_0() -> None:
    with pytest.raises(ValueError, match='image "a": white_level 0; give a number above 0'):
        replace(Image(ImageId("a"), 5, 5), white_level=0)
