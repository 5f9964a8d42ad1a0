"""Reading the output of `huggingface.write` into a `Dataset`; the images are not decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from pcm_leukemia.classes import in_classes
from pcm_leukemia.converters.huggingface.columns import CellRest, ImageRest, corners, pyarrow
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, InvalidDataset
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId, Split, Tag, Taxonomy
from pcm_leukemia.shapes import Box, unpack

__all__ = ["metadata", "read"]

_VERSION = 1
_KEY = b"pcm_leukemia"
_COLUMNS = ("width", "height", "file_name", "patient", "diagnosis", "objects", "pcm")
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.parquet")
_BAD_ROW = (ValueError, KeyError, IndexError, TypeError)  # msgspec's errors are ValueErrors


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
    images_root: str | Path | None = None,
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
        Class in the folder -> class of the data or of the nine, or "ignore"; also a new class with
        ``taxonomy="declared"``.
    images_root
        A folder or zip with the image files.

    Raises
    ------
    DataNotFound
        If there are no such files.
    CorruptFile
        If a file is truncated, missing, or not written by this package.
    InvalidDataset
        If rows contradict each other, or images are missing in `images_root`.
    UnknownLabel
        If cells have a label that is not a class of `taxonomy`.
    MissingExtra
        If pyarrow is not installed.
    ValueError
        If `labels` maps a class to something other than a class or "ignore".
    """
    pa = pyarrow()
    files = _files(Path(path))
    images: list[Image] = []
    cells: list[Cell] = []
    diagnoses: dict[str, str | None] = {}
    part_of: dict[ImageId, str] = {}
    common: _Metadata | None = None
    for file in files:
        try:
            with pa.parquet.ParquetFile(file) as opened:
                here = _metadata_of(file, opened.schema_arrow)
                common = common or here
                if (here.name, here.taxonomy, here.split) != (common.name, common.taxonomy, common.split):
                    raise CorruptFile(
                        f"{file}: belongs to another data set than {files[0].name}; move it away"
                    )
                for row in _rows(opened):
                    image = _image(row)
                    images.append(image)
                    cells += _cells(image, row, common.taxonomy.labels)
                    if image.patient is not None:
                        diagnoses[image.patient] = row["diagnosis"]
                    if here.part is not None:
                        part_of[image.id] = here.part
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, *_BAD_ROW) as error:
            if isinstance(error, CorruptFile):
                raise
            raise CorruptFile(
                f"{file}: cannot be read ({error}); write it again, or copy it again"
            ) from error
    assert common is not None
    diagnoses |= dict(common.patients_without_images)
    root = None
    if images_root is not None:
        from pcm_leukemia.images import find_at

        found, root, problems = find_at(images, images_root)
        if problems:
            raise InvalidDataset(problems)
        images = list(found)
    ds = Dataset(
        common.name,
        common.taxonomy,
        tuple(images),
        tuple(cells),
        tuple(Patient(PatientId(patient), diagnosis) for patient, diagnosis in diagnoses.items()),
        Split.from_record(common.split.name, part_of, common.split.made) if common.split else None,
        root,
    )
    return in_classes(ds, taxonomy, labels)


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
    return files


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


def _rows(opened: Any) -> Iterator[dict[str, Any]]:
    for batch in opened.iter_batches(columns=list(_COLUMNS)):
        yield from batch.to_pylist()


def _rest(row: dict[str, Any]) -> ImageRest:
    return msgspec.json.decode(row["pcm"], type=ImageRest) if row["pcm"] else ImageRest()


def _image(row: dict[str, Any]) -> Image:
    rest = _rest(row)
    return Image(
        ImageId(row["file_name"]),
        row["width"],
        row["height"],
        None if row["patient"] is None else PatientId(row["patient"]),
        rest.name,
        rest.subset,
        tags=tuple(Tag(label, tuple(pairs), source, group) for label, pairs, source, group in rest.tags),
        annotation_state=rest.state,
        diagnosis=row["diagnosis"] if row["patient"] is None else rest.diagnosis or None,
        group=rest.group or None,
        white_level=rest.white_level,
    )


def _cells(image: Image, row: dict[str, Any], labels: tuple[str, ...]) -> Iterator[Cell]:
    objects = row["objects"]
    rests = _rest(row).cells or [CellRest()] * len(objects["cell"])
    columns = (objects["cell"], objects["category"], objects["bbox"], objects["raw_label"], rests)
    for number, category, bbox, raw_label, rest in zip(*columns, strict=True):
        yield Cell(
            image=image.id,
            id=number,
            label=labels[category],
            box=Box(*(rest.box or corners(bbox))),
            raw_label=raw_label,
            shape=None if rest.shape is None else unpack(*rest.shape),
            occluded=rest.occluded,
            source=rest.source,
            z_order=rest.z_order,
            group=rest.group,
            track=rest.track,
            attributes=tuple(rest.attributes),
        )
