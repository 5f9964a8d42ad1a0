"""The file of a split: how it was made in ``# key: value`` lines, then one row for each image.

Rows have a digest if the digest of any image is known. Files without that column, as of older versions, are read too.

It can be compared line by line, a spreadsheet opens it, and any file name survives in it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, InvalidDataset, Problem
from pcm_leukemia.files import delimiter_of
from pcm_leukemia.schema import ImageId, PatientId, Split

__all__ = ["PART", "read", "write"]

PART = re.compile(r"\w[\w.-]*")
"""What a part may be called: a plain word, since parts become folders and file names."""

_HEADER = ["image", "patient", "part"]
_DIGEST = "digest"
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


def write(split: Split, path: str | Path, ds: Dataset) -> None:
    """Write a split as UTF-8 text, its rows in the order of the image ids.

    The patients and digests in it are those of `ds`; of an image that `ds` lacks, those that the split knows.

    Raises
    ------
    InvalidDataset
        If a part is not a plain word, or a key of `split.made` is empty or has a colon or a line break.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia.schema import Image
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("P1/a.png"), 64, 64),))
    >>> file = Path(tempfile.mkdtemp()) / "demo.csv"
    >>> write(Split("demo", {ImageId("P1/a.png"): "train"}, {"seed": "0"}), file, ds)
    >>> print(file.read_text(), end="")
    # seed: 0
    image,patient,part
    P1/a.png,,train
    """
    for key in split.made:
        if not key.strip() or set(":\n\r") & set(key):
            what = f'key "{key}" in `made`'
            raise InvalidDataset([Problem(f'split "{split.name}"', what, "use words without colons")])
    for part in split.parts:
        if not PART.fullmatch(part):
            fix = 'use letters, digits, "_", "-" and "."'
            raise InvalidDataset([Problem(f'split "{split.name}"', f'part "{part}"', fix)])
    patient_of = {**split.patient_of, **{image.id: image.patient or "" for image in ds.images}}
    digest_of = {**split.digest_of, **{image.id: image.digest for image in ds.images if image.digest}}
    with_digests = not split.part_of.keys().isdisjoint(digest_of)
    with Path(path).open("w", encoding="utf-8", newline="") as out:
        for key, value in split.record.items():
            text = "".join(_ESCAPES.get(character, character) for character in value)
            out.write(f"# {key}: {text}\n")
        out.write(",".join([*_HEADER, _DIGEST] if with_digests else _HEADER) + "\n")
        for image, part in sorted(split.part_of.items()):
            digest = f",{_quoted(digest_of.get(image, ''))}" if with_digests else ""
            out.write(f"{_quoted(image)},{_quoted(patient_of.get(image, ''))},{part}{digest}\n")


def _quoted(value: str) -> str:
    """One value of a CSV row; csv.writer leaves a lone carriage return bare, which ends the row."""
    return '"' + value.replace('"', '""') + '"' if set(',"\r\n') & set(value) else value


def read(path: str | Path, name: str | None = None) -> Split:
    r"""Read a split file; its name is that of the file unless given.

    Raises
    ------
    DataNotFound
        If there is no such file.
    CorruptFile
        If it is not a split file, or a row of it cannot be trusted: the line is named.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "demo.csv"
    >>> _ = file.write_text("# seed: 7\nimage,patient,part\nP1/a.png,P1,train\n")
    >>> split = read(file)
    >>> split.name, split.part_of, split.made
    ('demo', {'P1/a.png': 'train'}, {'seed': '7'})
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{path}: is not in UTF-8; save it as CSV in UTF-8") from error
    except OSError as error:
        raise DataNotFound(
            f"{path}: cannot be read ({error.strerror}); give the path of a split file"
        ) from error
    text = _as_written(text)
    made, start, skipped = _made(text)
    part_of: dict[ImageId, str] = {}
    patient_of: dict[ImageId, PatientId] = {}
    digest_of: dict[ImageId, str] = {}
    for line, image, patient, part, digest in _rows(path, text[start:], skipped):
        if patient and patient_of.setdefault(image, patient) != patient:
            raise CorruptFile(
                f'{path}:{line}: image "{image}" is of patient "{patient_of[image]}" and of "{patient}"; keep one of the '
                "rows"
            )
        if digest:
            digest_of[image] = digest
        if part_of.setdefault(image, part) != part:
            raise CorruptFile(
                f'{path}:{line}: image "{image}" is in {part_of[image]} and in {part}; keep one of the rows'
            )
    return Split.from_record(name or path.stem, part_of, made, patient_of, digest_of)


def _as_written(text: str) -> str:
    """The text with the comments as they were written: a spreadsheet divides them into cells, and pads them."""
    header = re.search(r"^image([,;\t])patient\1part", text, re.MULTILINE)
    if header is None or (header[1] == "," and not re.search(r'^"#|^#.*,,\r?$', text, re.MULTILINE)):
        return text
    rows = csv.reader(io.StringIO(text[: header.start()], newline=""), delimiter=header[1])
    comments = "".join(",".join(row).rstrip(",") + "\n" for row in rows)
    return comments + text[header.start() :]


def _made(text: str) -> tuple[dict[str, str], int, int]:
    """The comments that lead the file, where they end, and their number."""
    made = {}
    start = lines = 0
    while comment := re.compile(r"# ([^:\r\n]+): ([^\r\n]*)\r?\n").match(text, start):
        key, value = comment.groups()
        made[key] = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), value)
        start, lines = comment.end(), lines + 1
    return made, start, lines


def _rows(path: Path, table: str, skipped: int) -> Iterator[tuple[int, ImageId, PatientId, str, str]]:
    """(line, image, patient, part, digest) of each row below the header."""
    delimiter = delimiter_of(table.partition("\n")[0])
    rows = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(rows, [])
        if header not in (_HEADER, [*_HEADER, _DIGEST]):
            raise CorruptFile(
                f'{path}:{skipped + 1}: the columns are "{",".join(header)}"; a split has "{",".join(_HEADER)}"'
            )
        for row in rows:
            line = skipped + rows.line_num
            if len(row) != len(header):
                asked = f"{', '.join(header[:-1])} and {header[-1]}"
                raise CorruptFile(f"{path}:{line}: {len(row)} values in a row; give {asked}")
            image, patient, part, *more = row
            if not image:
                raise CorruptFile(f"{path}:{line}: no image; give its id, the path inside the export")
            if not PART.fullmatch(part):
                raise CorruptFile(
                    f'{path}:{line}: part "{part}"; give a plain word such as train, val or test'
                )
            yield line, ImageId(image), PatientId(patient), part, more[0] if more else ""
    except csv.Error as error:
        raise CorruptFile(
            f"{path}:{skipped + rows.line_num}: no CSV ({error}); write it again with pcm-leukemia split"
        ) from error
