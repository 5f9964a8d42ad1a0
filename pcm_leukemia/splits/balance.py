"""Puts whole patients into parts so that each part gets its share of the images and of every class.

`place` chooses the parts and `reached` says how near they came. `assign` is the search below them: seeded starts, then
moves of one patient and swaps of two until none helps. It knows only a table of counts: one row for each patient,
images in the first column, cells of each class in the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import ImageId, PatientId

__all__ = ["Ints", "assign", "counts", "deviations", "place", "reached"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STARTS = 48
"""Random starts of the search; four times as many make the best result a fifth better."""

SIDE = 32
"""Patients of each part that one step of the search tries to swap; of more, it draws some."""

MISSING = 10.0
"""The cost of a part without patients, or without a class that it could have: more than any deviation."""


def counts(ds: Dataset, group_of: Mapping[ImageId, str], groups: Iterable[str]) -> Ints:
    """The images, then the cells of each class of the taxonomy, by group: ``(groups, 1 + classes)``."""
    rows = {group: row for row, group in enumerate(groups)}
    columns = {label: 1 + index for index, label in enumerate(ds.taxonomy.labels)}
    table = np.zeros((len(rows), 1 + len(columns)), dtype=np.int64)
    for group, images in Counter(group_of.values()).items():
        table[rows[group], 0] = images
    cells = Counter((group_of[cell.image], cell.label) for cell in ds.cells if cell.image in group_of)
    for (group, label), count in cells.items():
        if label in columns:  # ignored cells have no class
            table[rows[group], columns[label]] = count
    return table


def place(
    table: Ints,
    patients: list[PatientId],
    targets: Mapping[str, float],
    settled: Mapping[PatientId, str],
    seed: int,
) -> dict[PatientId, str]:
    """Choose the part of each patient, one part after the other from what is left.

    `targets` are shares of all images, in the order of choice; `settled` patients stay where they are.
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
        chosen = assign(
            table[rows],
            [share, 1 - share],
            rng,
            settled=np.array([-1 if stay is None else int(stay != part) for stay in stays], dtype=np.int64),
            least=[1, len(parts) - index - 1],
        )
        placed |= {patients[row]: part for row, side in zip(rows, chosen, strict=True) if side == 0}
    return {patient: placed.get(patient, parts[-1]) for patient in patients}


def reached(ds: Dataset, part_of: Mapping[ImageId, str], targets: Mapping[str, float]) -> dict[str, str]:
    """The sizes of the parts and how near they came to their targets, as text for `Split.made`.

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


def _distance(table: Ints, share: float, labels: tuple[str, ...]) -> str:
    """How near the first row of `table` is to its share of every column."""
    first = np.arange(len(table)) == 0
    off = deviations(table, first, share)[1:]
    images, total = table[first, 0].sum(), table[:, 0].sum()
    text = f"{images / total:.4f} of the images for {share:.4f}"
    there = table[:, 1:].sum(axis=0) > 0
    if not there.any():
        return text
    return (
        f"{text}; cells of a class off by {off.max():.4f} at worst ({labels[int(off.argmax())]}), "
        f"{off[there].mean():.4f} on average"
    )


def _missing(ds: Dataset, table: Ints, parts: list[str]) -> str:
    """The classes that a part has no cell of, and how many patients have them at all."""
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


def assign(
    table: Ints,
    shares: Sequence[float],
    rng: np.random.Generator,
    *,
    settled: Ints | None = None,
    least: Sequence[int] | None = None,
) -> Ints:
    """Choose the part of each patient so that every part comes near its share of every column.

    The search minimises each part's worst deviation from its share plus its mean deviation. A class that enough
    patients have is in every part.

    Parameters
    ----------
    table
        Counts, ``(n, c)``: one row for each patient; images (1 or more) first, then cells by class.
    shares
        The share of each part, 0 to 1; they add up to 1.
    rng
        The source of the random starts.
    settled
        The part of each patient whose place is fixed, ``(n,)``; -1 for patients who may go anywhere.
    least
        The number of patients with a class that each part needs; 1 by default.

    Returns
    -------
    numpy.ndarray
        The index of each patient's part, ``(n,)``.

    Examples
    --------
    >>> table = np.array([[50, 8], [10, 3], [20, 2], [20, 7]])
    >>> assign(table, [0.2, 0.8], np.random.default_rng(0)).tolist()
    [1, 1, 0, 1]
    """
    where = np.full(len(table), -1, dtype=np.int64) if settled is None else settled
    search = _Search(table, shares, least or [1] * len(shares), where == -1)
    best, lowest = where, np.inf
    for _ in range(STARTS):
        drawn = rng.choice(len(shares), len(table), p=np.array(shares) / sum(shares))
        part_of = np.where(where == -1, drawn, where)
        cost = search.descend(part_of, rng)
        if cost < lowest:
            best, lowest = part_of, cost
    return best


def deviations(table: Ints, inside: npt.NDArray[np.bool_], share: float) -> Floats:
    """The distance of the patients `inside` from a share of each column, ``(c,)``, 0 to 1.

    An empty column has distance 0.

    Examples
    --------
    >>> table = np.array([[50, 8, 0], [50, 2, 0]])
    >>> deviations(table, np.array([True, False]), 0.5).round(2).tolist()
    [0.0, 0.3, 0.0]
    """
    totals = table.sum(axis=0)
    off: Floats = np.abs(table[inside].sum(axis=0) / np.maximum(totals, 1) - share) * (totals > 0)
    return off


class _Search:
    """The descent from one placement of the patients to the best one near it.

    Counts have one column for each patient and a last column of zeros, "nobody": a swap with nobody is a move.
    """

    def __init__(
        self, table: Ints, shares: Sequence[float], least: Sequence[int], free: npt.NDArray[np.bool_]
    ) -> None:
        table = table[:, table.sum(axis=0) > 0]
        padded = np.vstack([table, np.zeros_like(table[:1])]).T
        self.weights: Floats = padded / padded.sum(axis=1, keepdims=True)
        self.has: Ints = (padded > 0).astype(np.int64)
        self.nobody = len(table)
        self.shares, self.least, self.free = shares, least, free
        self.enough = np.flatnonzero(self.has.sum(axis=1) >= sum(least))

    def descend(self, part_of: Ints, rng: np.random.Generator) -> float:
        """Change `part_of` until no move or swap between two parts helps; return its cost."""
        pairs = list(combinations(range(len(self.shares)), 2))
        quiet = 0
        while quiet < len(pairs):
            if self._step(part_of, *pairs[0], rng):
                quiet = 0
            else:
                quiet += 1
                pairs.append(pairs.pop(0))
        nothing = np.array([self.nobody])
        costs = (self._costs(part_of, part, nothing, nothing) for part in range(len(self.shares)))
        return float(sum(cost.item() for cost in costs))

    def _step(self, part_of: Ints, one: int, other: int, rng: np.random.Generator) -> bool:
        """Make the best move or swap between two parts; return whether it helped."""
        here, there = self._draw(part_of == one, rng), self._draw(part_of == other, rng)
        costs = self._costs(part_of, one, here, there) + self._costs(part_of, other, there, here).T
        row, column = np.unravel_index(int(costs.argmin()), costs.shape)
        if costs[row, column] >= costs[-1, -1]:  # nobody for nobody: no change
            return False
        for patient, part in ((here[row], other), (there[column], one)):
            if patient != self.nobody:
                part_of[patient] = part
        return True

    def _costs(self, part_of: Ints, part: int, out: Ints, into: Ints) -> Floats:
        """The cost of the part after one of `out` has left and one of `into` has joined, ``(out, into)``.

        It is the worst deviation plus the mean deviation, and `MISSING` for every class that is missing.
        """
        inside = np.flatnonzero(part_of == part)
        reached = self.weights[:, inside].sum(axis=1)[:, None] - self.weights[:, out]
        off = np.abs(reached[:, :, None] + self.weights[:, None, into] - self.shares[part])
        # rounded, so that machines that add in another order choose the same patients
        costs: Floats = np.round(off.max(axis=0) + off.mean(axis=0), 9)
        holders = self.has[self.enough][:, inside].sum(axis=1)
        for row in self.enough[holders <= self.least[part]]:
            left = self.has[row, inside].sum() - self.has[row, out][:, None] + self.has[row, into]
            costs += MISSING * (left < self.least[part])
        return costs

    def _draw(self, inside: npt.NDArray[np.bool_], rng: np.random.Generator) -> Ints:
        """The patients of a part that may move (a sample if there are many), and nobody."""
        patients = np.flatnonzero(inside & self.free)
        if len(patients) > SIDE:
            patients = rng.choice(patients, SIDE, replace=False)
        return np.append(patients, self.nobody)
