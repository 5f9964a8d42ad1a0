"""Between a data set and the bare counts of `balance`: whole patients into parts, and what each reached."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, MissingPatients
from pcm_leukemia.schema import Image, ImageId, PatientId
from pcm_leukemia.splits import balance

__all__ = ["counts", "need_patients", "place", "reached"]


def need_patients(ds: Dataset, images: Iterable[Image]) -> None:
    """Refuse images of which nobody knows the patient, nor a group that they belong to.

    Raises
    ------
    MissingPatients
        With the three ways to give patient ids.

    Warns
    -----
    DataWarning
        If images are kept together by their group alone.
    """
    images = list(images)
    unknown = [image.id for image in images if image.patient is None and image.group is None]
    if unknown or not images:
        raise MissingPatients(
            f"{ds.name}: {len(unknown):,} of {len(images):,} images have no patient id"
            + (f', the first "{unknown[0]}"' if unknown else "")
            + ", and a split by patient needs one for each; give them by a pattern over image paths "
            "(patients.from_pattern, --patients), a CSV (patients.from_csv, --patients-csv), or a CVAT tag or "
            "attribute (patients.from_tags, --patients-tag; patients.from_attribute, --patients-attribute)"
        )
    by_group = sum(image.patient is None for image in images)
    if by_group:
        warnings.warn(
            f"{ds.name}: {by_group:,} of {len(images):,} images have no patient id; they are kept together by "
            "their group, and a patient with several groups may stand in several parts",
            DataWarning,
            stacklevel=3,
        )


def counts(ds: Dataset, group_of: Mapping[ImageId, str], groups: Iterable[str]) -> balance.Ints:
    """Images, then cells of each class of the taxonomy, by group: ``(groups, 1 + classes)``."""
    rows = {group: row for row, group in enumerate(groups)}
    columns = {label: 1 + index for index, label in enumerate(ds.taxonomy.labels)}
    table = np.zeros((len(rows), 1 + len(columns)), dtype=np.int64)
    for group, images in Counter(group_of.values()).items():
        table[rows[group], 0] = images
    cells = Counter((group_of[cell.image], cell.label) for cell in ds.cells if cell.image in group_of)
    for (group, label), count in cells.items():
        if label in columns:  # cells to be ignored are of no class
            table[rows[group], columns[label]] = count
    return table


def place(
    table: balance.Ints,
    patients: list[PatientId],
    targets: Mapping[str, float],
    settled: Mapping[PatientId, str],
    seed: int,
) -> dict[PatientId, str]:
    """The part of each patient: one part after the other is chosen against what is left.

    `targets` are shares of everything, in the order of choice; `settled` patients stay.
    """
    rng = np.random.default_rng(seed)
    parts = list(targets)
    placed: dict[PatientId, str] = {}
    for index, part in enumerate(parts[:-1]):
        rows = np.array(
            [row for row, patient in enumerate(patients) if patient not in placed], dtype=np.int64
        )
        if not len(rows):
            break
        stays = [settled.get(patients[row]) for row in rows]
        left = sum(targets[other] for other in parts[index:])
        share = targets[part] / left
        chosen = balance.assign(
            table[rows],
            [share, 1 - share],
            rng,
            settled=np.array([-1 if stay is None else int(stay != part) for stay in stays], dtype=np.int64),
            least=[1, len(parts) - index - 1],
        )
        placed |= {patients[row]: part for row, side in zip(rows, chosen, strict=True) if side == 0}
    return {patient: placed.get(patient, parts[-1]) for patient in patients}


def reached(ds: Dataset, part_of: Mapping[ImageId, str], targets: Mapping[str, float]) -> dict[str, str]:
    """What the parts came to, as text for a split's `made`.

    Each part but the last is measured as it was chosen: as a share of what the parts before it left.
    """
    here = {image.id: part_of[image.id] for image in ds.images}
    parts = list(targets)
    table = counts(ds, here, parts)
    people = {part: len({i.patient for i in ds.images if here[i.id] == part} - {None}) for part in parts}
    groups = {
        part: len({i.group for i in ds.images if here[i.id] == part and i.patient is None} - {None})
        for part in parts
    }
    made = {"patients": ", ".join(f"{part} {people[part]}" for part in reversed(parts))}
    if any(groups.values()):
        made["groups"] = ", ".join(f"{part} {groups[part]}" for part in reversed(parts))
    made |= {
        "images": ", ".join(f"{part} {table[parts.index(part), 0]}" for part in reversed(parts)),
    }
    for index, part in enumerate(parts[:-1]):
        share = targets[part] / sum(targets[other] for other in parts[index:])
        made[f"reached_{part}"] = _distance(table[index:], share, ds.taxonomy.labels)
    missing = _missing(ds, table, parts)
    return made | ({"missing": missing} if missing else {})


def _distance(table: balance.Ints, share: float, labels: tuple[str, ...]) -> str:
    """How near the first row of `table` is to its share of every column."""
    first = np.arange(len(table)) == 0
    off = balance.deviations(table, first, share)[1:]
    images, total = table[first, 0].sum(), table[:, 0].sum()
    text = f"{images / total:.4f} of the images for {share:.4f}"
    there = table[:, 1:].sum(axis=0) > 0
    if not there.any():
        return text
    return (
        f"{text}; cells of a class off by {off.max():.4f} at worst ({labels[int(off.argmax())]}), "
        f"{off[there].mean():.4f} on average"
    )


def _missing(ds: Dataset, table: balance.Ints, parts: list[str]) -> str:
    """Which class no cell of which part has, and how many patients have it at all."""
    patient_of = {image.id: image.patient for image in ds.images}
    having: dict[str, set[str | None]] = {}
    for cell in ds.cells:
        having.setdefault(cell.label, set()).add(patient_of[cell.image])
    texts = []
    for column, label in enumerate(ds.taxonomy.labels, start=1):
        lacking = [part for part, row in zip(parts, table, strict=True) if not row[column]]
        if lacking and label in having:
            people = len(having[label])
            texts.append(f"{label} in {', '.join(lacking)} ({people} patient{'s' * (people > 1)} with it)")
    return "; ".join(texts)
