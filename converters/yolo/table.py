"""The images of a folder that `write` wrote: its images.csv, compared with the files that are there."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pcm_leukemia.converters.yolo.listing import Issues, ListedImage, with_images
from pcm_leukemia.converters.yolo.names import labels_file
from pcm_leukemia.converters.yolo.places import walk
from pcm_leukemia.errors import CorruptFile, Problem, option
from pcm_leukemia.files import MARKER, is_image_file
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Image, ImageId, PatientId

__all__ = ["TABLE", "at_images_root", "from_table", "marker", "refuse_missing"]

TABLE = ("file", "image", "part", "width", "height", "patient", "diagnosis")
"""The columns of images.csv."""


def marker(folder: Path) -> dict[str, Any]:
    """The record that `write` left in the folder; empty if another tool made the folder."""
    try:
        mark = msgspec.json.decode((folder / MARKER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    ours = isinstance(mark, dict) and mark.get("format") == "yolo" and (folder / "images.csv").is_file()
    return mark if ours else {}


def from_table(folder: Path, issues: Issues) -> list[ListedImage]:
    """The images in images.csv; a file that is not listed there is a problem.

    Raises
    ------
    CorruptFile
        If images.csv is not UTF-8, or its columns are not `TABLE`.
    """
    table = folder / "images.csv"
    images, labels = (frozenset(walk(folder / kind)) for kind in ("images", "labels"))
    listed: list[ListedImage] = []
    files: set[str] = set()
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            if tuple(next(rows, ())) != TABLE:
                raise CorruptFile(f"{table}: its columns are not {', '.join(TABLE)}; convert the data again")
            for row in rows:
                try:
                    listed.append(_listed_image(row, folder, images, files))
                    files.add(row[0])
                except (ValueError, IndexError) as error:
                    what = f"cannot be read ({error})"
                    issues.problems.append(
                        Problem(f"{table}:{rows.line_num}", what, "convert the data again")
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorruptFile(f"{table}: cannot be read ({error}); convert the data again") from error
    strays = [f"images/{file}" for file in images - files if is_image_file(file)]
    expected = {labels_file(file) for file in files}
    strays += [f"labels/{file}" for file in labels - expected if file.endswith(".txt")]
    fix = "add images to the export and convert it again"
    issues.problems += [Problem(f"{folder}/{file}", "is not in images.csv", fix) for file in sorted(strays)]
    return listed


def _listed_image(row: list[str], folder: Path, images: frozenset[str], before: set[str]) -> ListedImage:
    file, name, part, width, height, patient, diagnosis = row
    if file in before or "\0" in "".join(row):
        raise ValueError("its file is there twice" if file in before else "it has a NUL character")
    image = Image(
        ImageId(name),
        int(width),
        int(height),
        PatientId(patient) if patient else None,
        file=file if file in images else None,
        diagnosis=diagnosis if not patient else None,
    )
    return ListedImage(image, part, folder / "labels" / labels_file(file), diagnosis)


def refuse_missing(listed: list[ListedImage], root: Path, mark: Mapping[str, Any], issues: Issues) -> None:
    """Report images without a file.

    They are no problem if no image has a file (labels only), or if as many had none when the folder was written.
    """
    missing = [each.image.id for each in listed if each.image.file is None]
    if len(missing) < len(listed) and len(missing) > _written_without_file(mark):
        fix = f"add the file, or name another folder: {option('images_root')}"
        issues.problems += [Problem(f'image "{image}"', f"has no file in {root}", fix) for image in missing]


def _written_without_file(mark: Mapping[str, Any]) -> int:
    """How many images had no file when the folder was written, according to its notes."""
    notes = mark.get("notes")
    texts = map(str, notes) if isinstance(notes, list) else ()
    found = (re.match(r"([\d,]+) images? ha(?:s|ve) no file;", text) for text in texts)
    return sum(int(note[1].replace(",", "")) for note in found if note)


def at_images_root(
    images_root: str | Place, listed: list[ListedImage], issues: Issues
) -> tuple[Place, list[ListedImage]]:
    """The folder, zip or URL with the images, and the list with the path of each image in it."""
    from pcm_leukemia.images import find_at

    images, root, problems = find_at([each.image for each in listed], images_root)
    issues.problems += problems
    return root, with_images(listed, images)
