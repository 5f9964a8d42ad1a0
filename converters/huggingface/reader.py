"""Reading the output of `huggingface.write` into a `Dataset`; the images are not decoded."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from pcm_leukemia.classes import in_classes
from pcm_leukemia.converters.huggingface.columns import CellRest, ImageRest, corners, pyarrow
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidDataset, PcmError, Problem
from pcm_leukemia.files import BAD_CONTENT, digest
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId, Split, Tag, Taxonomy
from pcm_leukemia.shapes import Box, unpack

__all__ = ["metadata", "read"]

_VERSION = 1
_KEY = b"pcm_leukemia"
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.parquet")
_ROWS_AT_ONCE = 64
"""How many rows, with the bytes of their images, are in memory at once."""


class _Split(msgspec.Struct):
    name: str
    made: dict[str, str]


class _Metadata(msgspec.Struct):
    """The metadata in the schema of every detection file; `part` is None if there is no split."""

    schema_version: int
    name: str
    taxonomy: Taxonomy
    part: str | None
    split: _Split | None
    patients_without_images: list[tuple[str, str | None]]


class _File(msgspec.Struct):
    """The column `image`."""

    data: bytes | None = msgspec.field(name="bytes", default=None)


class _Objects(msgspec.Struct):
    """The columns of `objects` that are read."""

    cell: list[int]
    category: list[int]
    bbox: list[tuple[float, float, float, float]]
    raw_label: list[str]


class _Row(msgspec.Struct):
    """The columns that are read; `image` only if the files are compared."""

    width: int
    height: int
    file_name: str
    patient: str | None
    diagnosis: str | None
    objects: _Objects
    pcm: str | None
    image: _File | None = None


def metadata(ds: Dataset, part: str) -> dict[str, object]:
    """The metadata about the whole data set in a file of `part`."""
    with_images = {image.patient for image in ds.images}
    made = _Metadata(
        _VERSION,
        ds.name,
        ds.taxonomy,
        part if ds.split else None,
        _Split(ds.split.name, ds.split.record) if ds.split else None,
        [(patient.id, patient.diagnosis) for patient in ds.patients if patient.id not in with_images],
    )
    plain: dict[str, object] = msgspec.to_builtins(made)
    return plain


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    images_root: str | Place | None = None,
    check_images: bool = True,
) -> Dataset:
    """Read the detection files of a folder that `write` wrote, or a copy with some of its splits.

    The images stay in the parquet files: `Image.file` and `Dataset.root` are None unless `images_root` is
    given.

    Parameters
    ----------
    path
        The folder that contains ``detection/*.parquet``.
    taxonomy
        The classes; by default (and with "declared") those of the folder.
    labels
        Class in the folder -> class of the data or of the nine, "WBC" (a white cell of unknown type) or "ignore"; also a new class with
        ``taxonomy="declared"``.
    images_root
        A folder or zip with the image files.
    check_images
        Whether to compare the header of every image in the parquet files with its row, and to record its digest.

    Raises
    ------
    DataNotFound
        If there are no such files, or they have no rows.
    CorruptFile
        If a file is truncated, missing, or not written by this package.
    InvalidDataset
        If rows contradict each other or their images, or images are missing in `images_root`.
    UnknownLabel
        If cells have a label that is not a class of `taxonomy`.
    MissingExtra
        If pyarrow is not installed.
    ValueError
        If `labels` maps a class to something other than a class or "ignore".

    Warns
    -----
    DataWarning
        If the dataset card names splits that have no files.
    """
    found = _Contents(Path(path), check_images=check_images and images_root is None)
    pa = pyarrow()
    for file in _files(Path(path)):
        found.read(file, pa)
    if found.problems:
        raise InvalidDataset(found.problems)
    if not found.images:
        raise DataNotFound(
            f"{path}: its detection files have no rows; write them again from data with images"
        )
    images, root = tuple(found.images), None
    if images_root is not None:
        from pcm_leukemia.images import find_at

        images, root, problems = find_at(images, images_root)
        if problems:
            raise InvalidDataset(problems)
    return in_classes(found.dataset(images, root), taxonomy, labels)


class _Contents:
    """Collects the tables of a data set from its files."""

    def __init__(self, path: Path, *, check_images: bool) -> None:
        self.path, self.check_images = path, check_images
        self.common: _Metadata | None = None
        self.images: list[Image] = []
        self.cells: list[Cell] = []
        self.diagnoses: dict[str, str | None] = {}
        self.part_of: dict[ImageId, str] = {}
        self.problems: list[Problem] = []

    def read(self, file: Path, pa: Any) -> None:
        """Read one file into the tables."""
        place = str(file)
        try:
            with pa.parquet.ParquetFile(file) as opened:
                here = _metadata_of(file, opened.schema_arrow)
                common = self.common = self.common or here
                if (here.name, here.taxonomy, here.split) != (common.name, common.taxonomy, common.split):
                    raise CorruptFile(
                        f"{file}: belongs to another data set than the files before it; move it away"
                    )
                for number, row in enumerate(self._rows(opened), 1):
                    place = f"{file} row {number}"
                    self._add(msgspec.convert(row, _Row), here.part, common.taxonomy.labels)
        except (pa.ArrowException, OSError, *BAD_CONTENT) as error:
            if isinstance(error, CorruptFile):
                raise
            raise CorruptFile(
                f"{place}: cannot be read ({error}); write it again, or copy it again"
            ) from error

    def _rows(self, opened: Any) -> Iterator[dict[str, Any]]:
        columns = [name for name in _Row.__struct_fields__ if name != "image" or self.check_images]
        for batch in opened.iter_batches(_ROWS_AT_ONCE, columns=columns):
            yield from batch.to_pylist()

    def _add(self, row: _Row, part: str | None, labels: tuple[str, ...]) -> None:
        rest = msgspec.json.decode(row.pcm, type=ImageRest) if row.pcm else ImageRest()
        image = _image(row, rest)
        if self.check_images:
            image = self._compared(image, row.image)
        self.images.append(image)
        self.cells += _cells(image, row.objects, rest, labels)
        if image.patient is not None:
            self.diagnoses[image.patient] = row.diagnosis
        if part is not None:
            self.part_of[image.id] = part

    def _compared(self, image: Image, file: _File | None) -> Image:
        """Compare an image's file with its row, and record the digest of the file."""
        from pcm_leukemia.images import misfit

        data = (file and file.data) or b""
        try:
            problem = misfit(data, replace(image, file=f"{self.path} {image.id}"))
        except PcmError as error:
            problem = Problem(f'image "{image.id}"', str(error), "then write the folder again")
        if problem:
            self.problems.append(problem)
        return replace(image, digest=digest(io.BytesIO(data), len(data)))

    def dataset(self, images: tuple[Image, ...], root: Place | None) -> Dataset:
        """The tables as a data set."""
        common = self.common
        assert common is not None
        diagnoses = {**self.diagnoses, **dict(common.patients_without_images)}
        return Dataset(
            common.name,
            common.taxonomy,
            images,
            tuple(self.cells),
            tuple(Patient(PatientId(patient), diagnosis) for patient, diagnosis in diagnoses.items()),
            Split.from_record(common.split.name, self.part_of, common.split.made) if common.split else None,
            root,
        )


def _files(path: Path) -> list[Path]:
    """The files in order; a missing file is an error."""
    folder = path / "detection"
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise DataNotFound(
            f"{path}: no detection/*.parquet in it; give a folder that was written as huggingface, "
            "with the configuration detection"
        )
    there = {file.name for file in files}
    for name in sorted(there):
        shard = _SHARD.fullmatch(name)
        if shard is None:
            raise CorruptFile(f"{folder / name}: was not written by pcm-leukemia; move it away")
        for index in range(int(shard[3])):
            sibling = f"{shard[1]}-{index:05d}-of-{shard[3]}.parquet"
            if sibling not in there:
                raise CorruptFile(
                    f"{folder / sibling}: is missing; copy it again, or leave out the whole split"
                )
    absent = [
        split for split in _splits_of_card(path) if not any(name.startswith(f"{split}-") for name in there)
    ]
    if absent:
        warnings.warn(
            f"{path}: README.md names the splits {', '.join(absent)}, but detection/ has no files of them; copy these files, too, "
            "unless you left them out on purpose",
            DataWarning,
            stacklevel=4,
        )
    return files


def _splits_of_card(path: Path) -> list[str]:
    """The splits of the configuration detection that the dataset card names; none without a card."""
    try:
        card = (path / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return re.findall(r"^ +path: detection/(.+)-\*\.parquet$", card, re.MULTILINE)


def _metadata_of(file: Path, schema: Any) -> _Metadata:
    try:
        made = msgspec.json.decode((schema.metadata or {})[_KEY], type=_Metadata)
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(
            f"{file}: is not a detection file of pcm-leukemia; open it with datasets.load_dataset"
        ) from error
    if made.schema_version != _VERSION:
        raise CorruptFile(
            f"{file}: schema_version {made.schema_version}, this version of pcm-leukemia reads {_VERSION}; "
            "run: pip install --upgrade pcm-leukemia"
        )
    return made


def _image(row: _Row, rest: ImageRest) -> Image:
    return Image(
        ImageId(row.file_name),
        row.width,
        row.height,
        None if row.patient is None else PatientId(row.patient),
        rest.name,
        rest.subset,
        tags=tuple(Tag(label, tuple(pairs), source, group) for label, pairs, source, group in rest.tags),
        annotation_state=rest.state,
        diagnosis=row.diagnosis if row.patient is None else rest.diagnosis or None,
        group=rest.group or None,
        white_level=rest.white_level,
    )


def _cells(image: Image, objects: _Objects, rest: ImageRest, labels: tuple[str, ...]) -> Iterator[Cell]:
    if not all(0 <= category < len(labels) for category in objects.category):
        raise ValueError(f"categories {objects.category} are not all in 0 to {len(labels) - 1}")
    rests = rest.cells or [CellRest()] * len(objects.cell)
    columns = (objects.cell, objects.category, objects.bbox, objects.raw_label, rests)
    for number, category, bbox, raw_label, more in zip(*columns, strict=True):
        yield Cell(
            image=image.id,
            id=number,
            label=labels[category],
            box=Box(*(more.box or corners(bbox))),
            raw_label=raw_label,
            shape=None if more.shape is None else unpack(*more.shape),
            occluded=more.occluded,
            source=more.source,
            z_order=more.z_order,
            group=more.group,
            track=more.track,
            attributes=tuple(more.attributes),
        )
