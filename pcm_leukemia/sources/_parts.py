"""The parts of a data set, for all readers: single-cell crops, patients, and the published split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import some
from pcm_leukemia.schema import Attributes, Cell, Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.sources._files import not_found, sizes, warn
from pcm_leukemia.sources._labels import LabelMap
from pcm_leukemia.sources._source import Source

__all__ = ["Crop", "crops", "patients", "whole", "with_parts"]


@dataclass(frozen=True, slots=True)
class Crop:
    """An image of a single cell: its path below the root, its raw label, and its metadata."""

    file: str
    raw: str
    patient: str | None = None
    diagnosis: str | None = None
    group: str | None = None
    part: str | None = None
    subset: str = ""
    attributes: Attributes = ()


def whole(image: Image, label: str, raw: str, attributes: Attributes = ()) -> Cell:
    """Return the cell of a single-cell image; its box is the whole image."""
    return Cell(image.id, 0, label, Box(0, 0, image.width, image.height), raw, attributes=attributes)


def patients(pairs: Iterable[tuple[str | None, str | None]]) -> tuple[Patient, ...]:
    """Build the patient table from (patient, diagnosis) pairs; a missing diagnosis is filled from other pairs.

    Warns
    -----
    DataWarning
        If a patient has several diagnoses; the patient then gets no diagnosis.
    """
    known: dict[str, set[str]] = {}
    for patient, diagnosis in pairs:
        if patient is not None:
            known.setdefault(patient, set()).update([diagnosis] if diagnosis else [])
    torn = [
        f'patient "{patient}": has conflicting diagnoses ({", ".join(sorted(found))}), so none is used; check it'
        for patient, found in sorted(known.items())
        if len(found) > 1
    ]
    if torn:
        warn(some(torn))
    return tuple(
        Patient(PatientId(patient), next(iter(found)) if len(found) == 1 else None)
        for patient, found in sorted(known.items())
    )


def crops(
    source: Source,
    root: Path,
    rows: Sequence[Crop],
    labels: LabelMap,
    *,
    workers: int | None = None,
) -> Dataset:
    """Build a data set of single-cell crops: each row becomes an image with one cell that spans it.

    If every row has a part, the parts become the split; see `with_parts`.

    Raises
    ------
    DataNotFound
        If there are no rows.
    UnknownLabel
        If raw labels are not in the map; lists each one.
    """
    if not rows:
        raise not_found(source, root, "has no images")
    labels.require(row.raw for row in rows)
    known = sizes(root, [row.file for row in rows], workers)
    there = [row for row in rows if row.file in known]
    images: list[Image] = []
    cells: list[Cell] = []
    for row in there:
        width, height = known[row.file]
        image = Image(
            ImageId(row.file),
            width,
            height,
            None if row.patient is None else PatientId(row.patient),
            row.file,
            row.subset,
            row.file,
            diagnosis=row.diagnosis if row.patient is None else None,
            group=row.group,
        )
        images.append(image)
        cells.append(whole(image, labels.rules[row.raw].label, row.raw, row.attributes))
    people = patients((row.patient, row.diagnosis) for row in there)
    ds = Dataset(source.name, labels.taxonomy, tuple(images), tuple(cells), people, root=root)
    parts = {ImageId(row.file): row.part for row in there if row.part is not None}
    return with_parts(ds, parts) if len(parts) == len(there) else ds


def with_parts(ds: Dataset, part_of: Mapping[ImageId, str]) -> Dataset:
    """Return the data set with its published split, unless a patient or group is in two parts.

    Warns
    -----
    DataWarning
        If the split leaks; the data set is then returned without a split.
    """
    people = {image.id: image.patient for image in ds.images if image.patient is not None}
    split = Split("official", part_of, {"method": f"as {ds.name} comes"}, people)
    from pcm_leukemia.splits import leaks  # numpy, which `import pcm_leukemia` does without

    if found := leaks(ds, split):
        warn(
            f"{ds.name}: its published split leaks and is not used; make one with splits.by_patient:\n"
            f"{some(found, 3)}"
        )
        return ds
    return replace(ds, split=split)
