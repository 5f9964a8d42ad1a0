"""One JSON file: its text as objects, and whether they are COCO instances."""

from __future__ import annotations

import codecs
import json
from typing import Any

import msgspec

from pcm_leukemia.converters.coco.refused import Refused
from pcm_leukemia.files import GIT_LFS, PULL

__all__ = ["images_in", "parse", "why_not_instances"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KEYS = ("images", "annotations", "categories")


def parse(data: bytes) -> object:
    """The objects in a JSON file, with or without a byte order mark, and with Python's NaN.

    Raises
    ------
    Refused
        If it is not JSON.
    """
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if encoding is None and data[1:2] == b"\0":
        encoding = "utf-16-le"
    try:
        text = data.decode(encoding).encode() if encoding else data
        return msgspec.json.decode(text)
    except UnicodeError as error:
        raise Refused(
            f"is not valid JSON: its text is not {encoding or 'utf-8'}", "save it in UTF-8"
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        if b"NaN" in text or b"Infinity" in text:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                pass
        if text.startswith(GIT_LFS):
            raise Refused("is a Git LFS pointer in place of the file", PULL) from error
        raise Refused(f"is not valid JSON, or is truncated ({error})", "write it again") from error


def why_not_instances(content: object) -> str | None:
    """What a JSON file is, if it does not list images, annotations with boxes or outlines, and categories."""
    if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in _KEYS):
        first = content["annotations"][0] if content["annotations"] else None
        if isinstance(first, dict) and "segments_info" in first:
            return "holds COCO panoptic annotations, which have no boxes of single cells"
        return None
    if isinstance(content, list):
        first = content[0] if content else None
        if isinstance(first, dict) and "score" in first:
            return "is a list of COCO results, which are predictions, not a data set"
        if isinstance(first, dict) and "data" in first:
            return "is Label Studio's own JSON, not COCO"
        return "is not COCO: it is a list"
    if not isinstance(content, dict):
        return "is not COCO: it is not an object"
    if isinstance(content.get("annotations"), list) and any(
        isinstance(row, dict) and "caption" in row for row in content["annotations"][:1]
    ):
        return "holds COCO captions, which have no boxes"
    if "shapes" in content and "imagePath" in content:
        return "is LabelMe's own JSON, not COCO"
    if "_via_img_metadata" in content or "_via_settings" in content:
        return "is VIA's own JSON, not COCO"
    missing = [key for key in _KEYS if not isinstance(content.get(key), list)]
    return f"is not COCO: it has no list of {' or '.join(missing)}"


def images_in(content: object) -> list[str]:
    """The names of the images that any file in the style of COCO lists."""
    rows: Any = content.get("images") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        return []
    names = (row.get("file_name") for row in rows if isinstance(row, dict))
    return [name for name in names if isinstance(name, str)]
