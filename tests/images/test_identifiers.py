"""Identifiers: each kind is found and taken out, the pixels stay, and the sample is no false alarm."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo

from pcm_leukemia import NINE, Dataset, Image, Patient, converters, images, load_dataset, sample
from pcm_leukemia.converters import coco, yolo
from pcm_leukemia.errors import CorruptFile, DataWarning, ExportError
from pcm_leukemia.images import HARMLESS, find_identifiers, strip_identifiers
from pcm_leukemia.schema import ImageId, PatientId

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>Dr Somebody</dc:creator></x:xmpmeta>'


def encoded(form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(out, form, **options)
    return out.getvalue()


def exif(orientation: int | None = None, **texts: object) -> PIL.Image.Exif:
    made = PIL.Image.Exif()
    for name, value in texts.items():
        made[Base[name]] = value
    if orientation:
        made[Base.Orientation] = orientation
    return made


def full_exif(orientation: int | None = None) -> PIL.Image.Exif:
    made = exif(orientation, Artist="Dr Somebody", DateTime="2024:05:06 07:08:09", ImageDescription="slide 7")
    made[IFD.Exif] = {
        Base.DateTimeOriginal: "2024:05:06 07:08:09",
        Base.BodySerialNumber: "B-1234",
        Base.CameraOwnerName: "Dr Somebody",
        Base.MakerNote: b"OLYMP\0secret",
        Base.UserComment: b"ASCII\0\0\0patient 12",
        Base.ExposureTime: 0.01,
        0xEA7F: "private",
    }
    made[IFD.GPSInfo] = {1: "N", 2: (13.0, 45.0, 0.0), 3: "E", 4: (100.0, 30.0, 0.0)}
    return made


FULL = {
    ("date", "EXIF DateTime"),
    ("date", "EXIF DateTimeOriginal"),
    ("gps", "EXIF GPS (GPSLatitude, GPSLatitudeRef, GPSLongitude, GPSLongitudeRef)"),
    ("maker note", "EXIF MakerNote"),
    ("name", "EXIF Artist"),
    ("name", "EXIF CameraOwnerName"),
    ("serial number", "EXIF BodySerialNumber"),
    ("text", "EXIF ImageDescription"),
    ("text", "EXIF UserComment"),
    ("text", "EXIF tag 0xea7f"),
}


def said(data: bytes) -> set[tuple[str, str]]:
    return {(each.kind, each.field) for each in find_identifiers(data)}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_of_every_format(form: str) -> None:
    # Pillow's TIFF writer takes an Exif that was read from no file only as bytes
    made = full_exif() if form != "TIFF" else full_exif().tobytes()
    assert said(encoded(form, exif=made)) == FULL


def test_no_value_is_ever_quoted() -> None:
    text = repr(find_identifiers(encoded("JPEG", exif=full_exif(), comment=b"patient 12", xmp=XMP)))
    for secret in ("Somebody", "2024", "1234", "patient 12", "slide 7", "secret", "45.0"):
        assert secret not in text


def test_technical_fields_are_no_identifiers() -> None:
    made = exif(6, Make="OLYMPUS", Model="BX53", Software="cellSens 1.18", XResolution=72.0)
    made[IFD.Exif] = {Base.ExposureTime: 0.01, Base.ColorSpace: 1, 0xA439: "firmware 2"}
    assert find_identifiers(encoded("JPEG", exif=made, dpi=(72, 72))) == ()
    assert (
        find_identifiers(encoded("JPEG", exif=exif(ImageDescription="OLYMPUS DIGITAL CAMERA       "))) == ()
    )
    assert find_identifiers(encoded("JPEG", exif=exif(Artist="   ", XPAuthor="  ".encode("utf-16-le")))) == ()


def test_windows_tags() -> None:
    assert said(encoded("JPEG", exif=exif(XPAuthor="Dr S\0".encode("utf-16-le")))) == {
        ("name", "EXIF XPAuthor")
    }


def test_what_else_a_jpeg_holds() -> None:
    data = encoded("JPEG", comment=b"slide 7", xmp=XMP)
    iptc = b"\xff\xed" + struct.pack(">H", 2 + 14 + 4) + b"Photoshop 3.0\0" + b"8BIM"
    other = b"\xff\xe5" + struct.pack(">H", 2 + 5) + b"maker"
    data = data[:2] + iptc + other + data[2:] + b"more"
    assert said(data) == {
        ("block", "IPTC block"),
        ("block", "XMP block"),
        ("block", "block APP5"),
        ("block", "data behind the picture"),
        ("text", "JPEG comment"),
    }


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def with_chunk(data: bytes, made: bytes, *, behind_pixels: bool) -> bytes:
    at = data.index(b"IEND") - 4 if behind_pixels else 33
    return data[:at] + made + data[at:]


def test_what_else_a_png_holds() -> None:
    info = PngInfo()
    info.add_text("Author", "Dr Somebody")
    info.add_text("Comment", "patient 12", zip=True)
    info.add_itxt("Title", "slide 7")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add_text("Software", "cellSens")
    data = encoded("PNG", pnginfo=info)
    data = with_chunk(data, chunk(b"tIME", struct.pack(">HBBBBB", 2024, 5, 6, 7, 8, 9)), behind_pixels=True)
    data = with_chunk(data, chunk(b"meTa", b"secret"), behind_pixels=True)
    data = with_chunk(data, chunk(b"tEXt", b"Comment\0behind the pixels"), behind_pixels=True)
    assert said(data) == {
        ("block", "PNG chunk meTa"),
        ("block", "XMP block"),
        ("date", "PNG time of change"),
        ("text", "PNG compressed text"),
        ("text", "PNG international text"),
        ("text", "PNG text"),
    }
    assert find_identifiers(strip_identifiers(data)) == ()


def test_exif_behind_the_pixels_of_a_png_is_found() -> None:
    block = exif(Artist="Dr Somebody").tobytes()[6:]
    assert said(with_chunk(encoded("PNG"), chunk(b"eXIf", block), behind_pixels=True)) == {
        ("name", "EXIF Artist")
    }


def test_the_sample_is_no_false_alarm(tmp_path: Path) -> None:
    assert sample.ABOUT in HARMLESS
    path = sample.write(tmp_path / "s.zip", patients=1, images=1)
    with zipfile.ZipFile(path) as archive:
        data = archive.read(next(name for name in archive.namelist() if name.endswith(".jpg")))
    assert sample.ABOUT.encode() in data
    assert find_identifiers(data) == ()
    # what only resembles it is one
    assert find_identifiers(encoded("JPEG", comment=f"{sample.ABOUT}: slide 7".encode())) != ()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what Pillow says of damaged EXIF
@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF"]))
def test_any_bytes_are_read_or_refused(tail: bytes, head: bytes) -> None:
    found = find_identifiers(head + tail)
    assert list(found) == sorted(set(found))
    with contextlib.suppress(ExportError, CorruptFile):
        assert find_identifiers(strip_identifiers(head + tail, "a.jpg")) == ()


# Copies without them


def shown(data: bytes) -> tuple[tuple[int, int], bytes]:
    with PIL.Image.open(io.BytesIO(data)) as picture:
        return picture.size, picture.convert("RGB").tobytes()


JPEGS: list[dict[str, Any]] = [
    {},
    {"quality": 95, "subsampling": 0},
    {"progressive": True},
    {"restart_marker_blocks": 2},
    {"icc_profile": b"profile" * 20_000},  # in several segments
    {"comment": b"slide 7", "xmp": XMP},
]


@pytest.mark.parametrize("options", JPEGS)
@pytest.mark.parametrize("orientation", [None, 1, 3, 6])
def test_a_stripped_jpeg_has_the_same_pixels_and_says_nothing(
    options: dict[str, Any], orientation: int | None
) -> None:
    data = encoded("JPEG", exif=full_exif(orientation), **options) + b"trailer"
    bare = strip_identifiers(data)
    assert shown(bare) == shown(data)
    assert (images.decode(bare, "a") == images.decode(data, "a")).all()
    assert find_identifiers(bare) == ()
    with PIL.Image.open(io.BytesIO(bare)) as picture:
        assert dict(picture.getexif()) == ({Base.Orientation: orientation} if orientation in (3, 6) else {})
        assert picture.info.keys() <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
            "dpi",
            "icc_profile",
            "exif",
            "progressive",
            "progression",
        }
        assert picture.info.get("icc_profile") == options.get("icc_profile")
    for secret in (b"Somebody", b"slide 7", b"2024", b"secret", b"trailer"):
        assert secret not in bare
    assert strip_identifiers(bare) == bare
    assert images.size(bare, "a") == images.size(data, "a")


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_jpegs_are_stripped(mode: str) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(PIXELS).convert(mode).save(out, "JPEG", comment=b"slide 7")
    bare = strip_identifiers(out.getvalue())
    assert shown(bare) == shown(out.getvalue())  # CMYK: Adobe's segment, which inverts it, stays
    assert b"slide" not in bare


def test_a_jfif_thumbnail_goes() -> None:
    data = encoded("JPEG")
    payload = data[6:20][:12] + b"\x01\x01" + b"RGB"
    data = data[:2] + b"\xff\xe0" + struct.pack(">H", len(payload) + 2) + payload + data[20:]
    assert said(data) == {("thumbnail", "JFIF thumbnail")}
    assert strip_identifiers(data) == encoded("JPEG")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16", "1"])
@pytest.mark.parametrize("orientation", [None, 6])
def test_a_stripped_png_has_the_same_pixels_and_says_nothing(mode: str, orientation: int | None) -> None:
    info = PngInfo()
    info.add_text("Author", "Dr Somebody")
    info.add_text("Comment", "patient 12", zip=True)
    picture = PIL.Image.fromarray(PIXELS)
    picture = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
    out = io.BytesIO()
    options: dict[str, Any] = {"transparency": 3} if mode == "P" else {}
    picture.save(out, "PNG", pnginfo=info, exif=full_exif(orientation), dpi=(96, 96), **options)
    bare = strip_identifiers(out.getvalue())
    assert find_identifiers(bare) == ()
    with PIL.Image.open(io.BytesIO(bare)) as read, PIL.Image.open(io.BytesIO(out.getvalue())) as before:
        assert read.mode == before.mode
        assert read.tobytes() == before.tobytes()
        assert read.getpalette() == before.getpalette()
        assert read.info.keys() <= {"dpi", "transparency", "exif"}
        assert dict(PIL.Image.Image.getexif(read)) == ({Base.Orientation: 6} if orientation else {})
    assert strip_identifiers(bare) == bare


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=200), st.integers(0xE0, 0xEF), st.booleans())
def test_any_segment_goes_and_the_pixels_stay(payload: bytes, marker: int, early: bool) -> None:  # noqa: FBT001
    data = encoded("JPEG")
    made = struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
    at = 2 if early else data.index(b"\xff\xda")
    bare = strip_identifiers(data[:at] + made + data[at:])
    assert shown(bare) == shown(data)
    if not payload.startswith((b"ICC_PROFILE\0", b"Adobe", b"JFIF\0")):
        assert bare == data


@pytest.mark.parametrize("form", ["TIFF", "BMP", "WEBP", "GIF"])
def test_other_formats_are_refused(form: str) -> None:
    with pytest.raises(
        ExportError, match=r"P1/a\.x: metadata can only be removed from JPEG and PNG; convert it to PNG"
    ):
        strip_identifiers(encoded(form), "P1/a.x")


@pytest.mark.parametrize(
    "data", [encoded("JPEG")[:-300], encoded("PNG")[:-30], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]
)
def test_damaged_files_are_named(data: bytes) -> None:
    with pytest.raises(CorruptFile, match=r"P1/a\.x: its metadata cannot be removed"):
        strip_identifiers(data, "P1/a.x")


# Converters


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.jpg").write_bytes(encoded("JPEG", exif=full_exif(), comment=b"patient 12"))
    info = PngInfo()
    info.add_text("Author", "Dr Somebody")
    (root / "b.png").write_bytes(encoded("PNG", pnginfo=info))
    rows = tuple(Image(ImageId(name), 40, 24, file=name) for name in ("a.jpg", "b.png"))
    return Dataset("demo", NINE, rows, root=root)


@pytest.mark.parametrize(
    ("writer", "places"),
    [(yolo, ("images/all/a.jpg", "images/all/b.png")), (coco, ("images/a.jpg", "images/b.png"))],
)
def test_converters_strip_what_they_copy(
    ds: Dataset, tmp_path: Path, writer: Any, places: tuple[str, str]
) -> None:
    assert isinstance(ds.root, Path)
    report = writer.write(ds, tmp_path / "out", images="copy", strip_metadata=True)
    assert "copied without metadata" in str(report)
    for place, name in zip(places, ("a.jpg", "b.png"), strict=True):
        before, after = (ds.root / name).read_bytes(), (tmp_path / "out" / place).read_bytes()
        assert find_identifiers(before)
        assert find_identifiers(after) == ()
        assert shown(after) == shown(before)
    writer.write(ds, tmp_path / "as_they_are", images="copy")
    assert (tmp_path / "as_they_are" / places[0]).read_bytes() == (ds.root / "a.jpg").read_bytes()


def files_in(form: str, out: Path) -> dict[str, bytes]:
    """Name -> the bytes of each image file in what a writer has written."""
    if form == "huggingface":
        again = load_dataset(out)
        table = pyarrow.parquet.read_table(next((out / "detection").glob("*.parquet")))
        stored = [row["bytes"] for row in table.column("image").to_pylist()]
        return dict(zip((image.id for image in again.images), stored, strict=True))
    if form == "cvat":
        with zipfile.ZipFile(out.with_name(f"{out.name}.zip")) as archive:
            members = [name for name in archive.namelist() if name.endswith(("a.jpg", "b.png"))]
            return {name.rpartition("/")[2]: archive.read(name) for name in members}
    return {path.name: path.read_bytes() for path in out.rglob("*") if path.name in ("a.jpg", "b.png")}


COPYING = {"images": "copy"}


@pytest.mark.parametrize(
    ("form", "options"), [("huggingface", {}), ("cvat", COPYING), ("coco", COPYING), ("yolo", COPYING)]
)
def test_data_with_pseudonyms_are_not_written_with_metadata_without_a_word(
    ds: Dataset, tmp_path: Path, form: str, options: dict[str, Any]
) -> None:
    person = PatientId("P-7K3M9QX4TZ")
    pictures = tuple(replace(image, patient=person) for image in ds.images)
    hidden = replace(ds, images=pictures, patients=(Patient(person),))
    write = converters.get(form).write
    said = (
        r"^demo: 2 of 2 image files are written with metadata that may name patients \(.*EXIF .*, \.\.\.\), which pseudonyms do "
        r"not replace; before you pass them on, write again with strip_metadata=True$"
    )
    with pytest.warns(DataWarning, match=said):
        write(hidden, tmp_path / "kept", **options)
    assert all(map(find_identifiers, files_in(form, tmp_path / "kept").values()))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        report = write(hidden, tmp_path / "stripped", strip_metadata=True, **options)
        write(ds, tmp_path / "without pseudonyms", **options)
        assert isinstance(ds.root, Path)
        for name in ("a.jpg", "b.png"):
            (ds.root / name).write_bytes(strip_identifiers((ds.root / name).read_bytes()))
        write(hidden, tmp_path / "nothing to strip", **options)
    assert "copied without metadata" in str(report)
    stripped = files_in(form, tmp_path / "stripped")
    assert stripped.keys() == {"a.jpg", "b.png"}
    assert not any(map(find_identifiers, stripped.values()))


@pytest.mark.parametrize("writer", [yolo, coco])
@pytest.mark.parametrize("how", ["hardlink", "symlink", "none"])
def test_links_cannot_be_stripped(ds: Dataset, tmp_path: Path, writer: Any, how: str) -> None:
    with pytest.raises(ValueError, match=f'strip_metadata with images="{how}": only copies can be stripped'):
        writer.write(ds, tmp_path / "out", images=how, strip_metadata=True)
    assert not (tmp_path / "out").exists()


def test_a_link_is_not_stripped_by_place_either(ds: Dataset, tmp_path: Path) -> None:
    assert isinstance(ds.root, Path)
    with pytest.raises(ValueError, match="only copies can be stripped"):
        images.place(images.Files(ds.root), "a.jpg", tmp_path / "b.jpg", "hardlink", strip=True)


@pytest.mark.parametrize("writer", [yolo, coco])
def test_nothing_is_written_where_an_image_cannot_be_stripped(
    ds: Dataset, tmp_path: Path, writer: Any
) -> None:
    assert isinstance(ds.root, Path)
    (ds.root / "c.tif").write_bytes(encoded("TIFF"))
    more = Dataset("demo", NINE, (*ds.images, Image(ImageId("c.tif"), 40, 24, file="c.tif")), root=ds.root)
    with pytest.raises(ExportError, match=r"c\.tif: metadata can only be removed from JPEG and PNG"):
        writer.write(more, tmp_path / "out", images="copy", strip_metadata=True)
    assert not (tmp_path / "out").exists()
