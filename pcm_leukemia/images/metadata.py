"""Metadata of image files that could identify a person, and copies without metadata.

No pixels are decoded here. Findings name a field and never quote it: a report that repeated a name would
spread it. Any free text may be an identifier, so every text counts as one, unless it is
known to be harmless (`HARMLESS`). Sources: EXIF 3.0 (CIPA DC-008), sections 4.6.4 to 4.6.8; JPEG (ITU T.81,
annex B) and JFIF (T.871); PNG, third edition, section 11.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import PIL.Image
from PIL.ExifTags import GPSTAGS, IFD, TAGS, Base

from pcm_leukemia.errors import CorruptFile, ExportError
from pcm_leukemia.images.opening import BAD_IMAGE, picture_of
from pcm_leukemia.images.pieces import JPEG, PNG, chunk, chunks, segment, segments

__all__ = ["HARMLESS", "Identifier", "find_identifiers", "strip_identifiers"]

HARMLESS = frozenset(
    {
        "SYNTHETIC blood smear drawn by pcm-leukemia; it shows no patient",  # the synthetic sample
        "OLYMPUS DIGITAL CAMERA",  # the description in images of every Olympus camera
        *("ASCII", "UNICODE"),  # the character code of an empty comment
    }
)

_JFIF, _EXIF, _XMP, _ICC, _ADOBE = b"JFIF\0", b"Exif\0\0", b"http://ns.adobe.com/", b"ICC_PROFILE\0", b"Adobe"
_PICTURE_CHUNKS = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT".split()
)
"""PNG's chunks that describe the pixels; all others are dropped."""
_TEXT_CHUNKS = {b"tEXt": "text", b"zTXt": "compressed text", b"iTXt": "international text"}

_NAMES = {Base.Artist, Base.Copyright, Base.XPAuthor, Base.CameraOwnerName, 0xA437, 0xA438}
_DATES = {Base.DateTime, Base.DateTimeOriginal, Base.DateTimeDigitized, Base.PreviewDateTime}
_NUMBERS = {Base.BodySerialNumber, Base.LensSerialNumber, Base.CameraSerialNumber, Base.ImageUniqueID}
_TEXTS = {
    *(Base.ImageDescription, Base.UserComment, Base.DocumentName, Base.PageName, Base.HostComputer),
    *(
        Base.XPTitle,
        Base.XPComment,
        Base.XPKeywords,
        Base.XPSubject,
        Base.ImageHistory,
        Base.SpectralSensitivity,
    ),
    *(Base.ImageID, Base.SecurityClassification, 0xA436),
}
_SOFTWARE = frozenset(range(0xA439, 0xA43D))
"""EXIF 3.0's tags for firmware and programs, unknown to Pillow; they identify nobody."""
_BLOCKS: dict[int, str] = {Base.IPTCNAA: "IPTC block", Base.XMLPacket: "XMP block", 0x8649: "Photoshop block"}


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A place in a file that may identify a person: its `kind` and the `field`, never the content.

    `kind` is gps, name, date, serial number, maker note, text, block or thumbnail.
    """

    kind: str
    field: str


def find_identifiers(data: bytes) -> tuple[Identifier, ...]:
    """Find everything in an image file that may identify a person, sorted, without decoding pixels.

    Unreadable content is skipped here; decoding reports it.

    Examples
    --------
    >>> out = io.BytesIO()
    >>> exif = PIL.Image.Exif()
    >>> exif[Base.Artist] = "Somebody"
    >>> PIL.Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif, comment=b"slide 7")
    >>> find_identifiers(out.getvalue())
    (Identifier(kind='name', field='EXIF Artist'), Identifier(kind='text', field='JPEG comment'))
    >>> find_identifiers(strip_identifiers(out.getvalue()))
    ()
    """
    found: set[Identifier] = set()
    for look in (_in_file, _in_exif):
        with suppress(*BAD_IMAGE):
            found.update(look(data))
    return tuple(sorted(found))


def strip_identifiers(data: bytes, where: str = "image") -> bytes:
    """Copy an image file without metadata; the pixels stay the same, bit for bit.

    A JPEG keeps what decoders need, including its colour profile, and a PNG keeps the chunks of the picture. An EXIF
    orientation other than 1 stays, alone in its block.

    Parameters
    ----------
    data
        The bytes of a JPEG or a PNG.
    where
        The name of the image in messages.

    Raises
    ------
    ExportError
        If the file is neither a JPEG nor a PNG.
    CorruptFile
        If the file is damaged or cut short.
    """
    try:
        if data.startswith(JPEG):
            return _stripped_jpeg(data)
        if data.startswith(PNG):
            return _stripped_png(data)
    except (ValueError, struct.error, IndexError) as error:
        raise CorruptFile(f"{where}: its metadata cannot be removed ({error}); replace the file") from error
    raise ExportError(
        f"{where}: metadata can only be removed from JPEG and PNG; convert it to PNG, or write without strip_metadata"
    )


# Metadata outside of EXIF


def _in_file(data: bytes) -> Iterator[Identifier]:
    if data.startswith(JPEG):
        yield from _in_jpeg(data)
    elif data.startswith(PNG):
        yield from _in_png(data)
    else:
        yield from _in_others(data)


def _in_jpeg(data: bytes) -> Iterator[Identifier]:
    for marker, payload, _ in segments(data):
        if marker == 0xFE and not _harmless(payload):
            yield Identifier("text", "JPEG comment")
        elif marker == 0xE1 and payload.startswith(_XMP):
            yield Identifier("block", "XMP block")
        elif marker == 0xED:
            yield Identifier("block", "IPTC block")
        elif marker == 0xE0 and _has_thumbnail(payload):
            yield Identifier("thumbnail", "JFIF thumbnail")
        elif 0xE0 <= marker <= 0xEF and not payload.startswith((_JFIF, _EXIF, _ICC, _ADOBE)):
            yield Identifier("block", f"block APP{marker - 0xE0}")
        elif marker == 0xD9 and payload.strip(b"\0"):
            yield Identifier("block", "data behind the picture")


def _has_thumbnail(jfif: bytes) -> bool:
    return jfif.startswith(b"JFXX") or (jfif.startswith(_JFIF) and len(jfif) > 14)


def _in_png(data: bytes) -> Iterator[Identifier]:
    for kind, payload, _ in chunks(data):
        if kind in _TEXT_CHUNKS:
            keyword, _, text = payload.partition(b"\0")
            name = keyword.decode("latin-1")
            block = "XMP block" if name == "XML:com.adobe.xmp" else "raw EXIF or IPTC block"
            if name.startswith(("XML:com.adobe", "Raw profile type")):
                yield Identifier("block", block)
            elif name != "Software" and not (kind == b"tEXt" and _harmless(text)):
                yield Identifier("text", f"PNG {_TEXT_CHUNKS[kind]}")
        elif kind == b"tIME":
            yield Identifier("date", "PNG time of change")
        elif kind == b"IEND" and payload.strip(b"\0"):
            yield Identifier("block", "data behind the picture")
        elif kind not in _PICTURE_CHUNKS and kind != b"eXIf":
            yield Identifier("block", f"PNG chunk {kind.decode('latin-1')}")


def _in_others(data: bytes) -> Iterator[Identifier]:
    """TIFF, WebP, GIF and other formats, as far as Pillow reads their metadata."""
    with picture_of(io.BytesIO(data)) as picture:
        if picture.info.get("comment") and not _harmless(picture.info["comment"]):
            yield Identifier("text", f"{picture.format} comment")
        if picture.info.get("xmp"):
            yield Identifier("block", "XMP block")


def _harmless(text: Any) -> bool:
    """Whether a text is empty, or known to identify nobody."""
    if isinstance(text, bytes):
        wide = text[1::2].count(0) * 4 > len(text)  # Windows' tags are UTF-16
        text = text.decode("utf-16-le" if wide else "utf-8", "replace")
    plain = str(text).replace("\0", " ").strip()
    return not plain or plain in HARMLESS


# EXIF in any format


def _in_exif(data: bytes) -> Iterator[Identifier]:
    with picture_of(io.BytesIO(data)) as picture:
        exif = PIL.Image.Image.getexif(picture)  # PNG's own would decode the picture
        if picture.format == "PNG":
            exif = _png_exif(data) or exif
        if exif.get_ifd(IFD.GPSInfo).keys() - {0}:  # 0 is the version of the block
            fields = sorted(str(GPSTAGS.get(tag, tag)) for tag in exif.get_ifd(IFD.GPSInfo).keys() - {0})
            yield Identifier("gps", f"EXIF GPS ({', '.join(fields)})")
        if picture.format not in ("TIFF", "MPO") and exif.get_ifd(IFD.IFD1):
            yield Identifier("thumbnail", "EXIF thumbnail")
        for tag, value in (*exif.items(), *exif.get_ifd(IFD.Exif).items()):
            kind = _kind(tag)
            if kind and not _harmless(value):
                yield Identifier(kind, _BLOCKS.get(tag) or f"EXIF {TAGS.get(tag, f'tag {tag:#06x}')}")


def _kind(tag: int) -> str | None:
    if tag in _BLOCKS:
        return "block"
    if tag == Base.MakerNote:
        return "maker note"
    kinds: dict[str, Container[int]] = {
        "name": _NAMES,
        "date": _DATES,
        "serial number": _NUMBERS,
        "text": _TEXTS,
    }
    known = next((kind for kind, tags in kinds.items() if tag in tags), None)
    # private tags, for example of a microscope, may hold anything
    return known or ("text" if tag not in TAGS and tag not in _SOFTWARE else None)


def _png_exif(data: bytes) -> PIL.Image.Exif | None:
    """The EXIF of a PNG's own chunk. It may follow the pixels, where Pillow does not look."""
    for kind, payload, _ in chunks(data):
        if kind == b"eXIf":
            exif = PIL.Image.Exif()
            exif.load(payload)
            return exif
    return None


# Copies without metadata


def _stripped_jpeg(data: bytes) -> bytes:
    kept = [JPEG]
    exif = _orientation_alone(data)
    wanted = [segment(0xE1, _EXIF + exif)] if exif else []
    for marker, payload, raw in segments(data):
        if marker == 0xE0 and payload.startswith(_JFIF) and len(payload) >= 14:
            kept.append(segment(0xE0, payload[:12] + b"\0\0"))  # without its thumbnail
            continue
        kept += wanted  # EXIF comes first, or right after JFIF
        wanted = []
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or _of_the_picture(marker, payload):
            kept.append(raw)
    return b"".join(kept)


def _of_the_picture(marker: int, payload: bytes) -> bool:
    return (marker == 0xE2 and payload.startswith(_ICC)) or (marker == 0xEE and payload.startswith(_ADOBE))


def _stripped_png(data: bytes) -> bytes:
    kept = [PNG]
    exif = _orientation_alone(data)
    for kind, _, raw in chunks(data):
        if kind in _PICTURE_CHUNKS:
            kept.append(raw)
        if kind == b"IHDR" and exif:
            kept.append(chunk(b"eXIf", exif))
    return b"".join(kept)


def _orientation_alone(data: bytes) -> bytes:
    """A TIFF block with only the orientation that readers see; b"" if the orientation is 1."""
    try:
        with picture_of(io.BytesIO(data)) as picture:
            orientation = PIL.Image.Image.getexif(picture).get(Base.Orientation, 1)
    except BAD_IMAGE:
        return b""
    if isinstance(orientation, int) and 2 <= orientation <= 8:
        # big-endian; one entry: tag, type SHORT, count 1, value left-justified; no further directory
        return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, Base.Orientation, 3, 1, orientation, 0, 0)
    return b""
