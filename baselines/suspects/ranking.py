"""Ranks annotations by how likely they are wrong, from what models say that have not seen the patient.

Every yardstick comes from the data: most annotations are right, so how a model behaves on most of them is how it behaves on a
right one. A score is 0 to 1, and estimates how likely the annotation is wrong.

- *wrong class*: the model gives another class a higher probability than the given one, each compared with what is usual for the
  cells of that class, as in confident learning (Northcutt et al., 2021).
- *missing box*: a detection beside all boxes; the score is the share of detections of such a score that are on a box.
- *spurious box*: a box without a detection, or with one of a score at which most detections are beside all boxes.
- *misplaced box*: a box that differs from its detection, in position or size, more than is usual for its class.
- *two labels*: one cell that is annotated twice, or again in another image, with another label.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines.suspects.judges import Classes, Sight
from pcm_leukemia.baselines.suspects.seeing import SAME, Beside, Seen, look
from pcm_leukemia.grouping import groups
from pcm_leukemia.schema import IGNORE, Cell, ImageId
from pcm_leukemia.shapes import Box

__all__ = ["KINDS", "Doubt", "Kind", "rank"]

Floats: TypeAlias = npt.NDArray[np.float64]

FEWEST = 20
"""A class is judged by its own yardstick if it has at least this many cells."""
UNUSUAL = 6.0
"""A box that differs from the detection by so many robust deviations is as likely wrong as right."""
WRONG = 0.05
"""The share of labels that are taken to be wrong before a model is asked."""
NARROWEST = 0.02
"""The smallest deviation to divide by: 2 % of a cell's side."""
Kind = Literal["wrong-class", "missing-box", "spurious-box", "misplaced-box", "two-labels"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Doubt(NamedTuple):
    """An annotation that is probably wrong.

    `cell` is the annotated cell, None for a missing box. `label` is the label that it should have, and `box` the box, where
    the models say so. `reason` is for people.
    """

    kind: Kind
    score: float
    image: ImageId
    cell: Cell | None
    label: str | None
    box: Box | None
    reason: str


def rank(
    sights: Sequence[Sight] = (),
    classes: Classes | None = None,
    same: Iterable[tuple[Cell, Cell]] = (),
) -> list[Doubt]:
    """The doubts, the most likely errors first; a cell is in the list once, for what is most likely wrong with it.

    Parameters
    ----------
    sights
        What detectors found.
    classes
        What classifiers say of the cells. They have the last word among the classes that they know.
    same
        Pairs of annotations of one cell, as from `checks.same_cells`.
    """
    doubts: list[Doubt] = []
    for sight in sights:
        seen, beside = look(*sight)
        doubts += [*_missing(seen, beside), *_spurious(seen, beside), *_misplaced(seen)]
        known = classes.labels if classes else ()
        votes = _votes([each for each in seen if each.label not in known], sight.view.taxonomy.labels)
        doubts += _wrong(votes)
    if classes:
        doubts += _wrong(classes)
    doubts += _two_labels(same, classes)
    doubts.sort(key=lambda each: (-each.score, each.image, -1 if each.cell is None else each.cell.id))
    first: dict[tuple[ImageId, int], Doubt] = {}
    for each in doubts:
        if each.cell is not None:
            first.setdefault((each.image, each.cell.id), each)
    return [each for each in doubts if each.cell is None or first[each.image, each.cell.id] is each]


def _missing(seen: Sequence[Seen], beside: Sequence[Beside]) -> Iterator[Doubt]:
    """Detections beside all boxes."""
    on_cell = _share_on_cells(seen, beside, [each.score for each in beside])
    for each, sure in zip(beside, on_cell, strict=True):
        reason = f"the detector sees a cell here, with score {each.score:.2f}, and there is no box"
        yield Doubt("missing-box", float(sure), each.image, None, each.label, each.box, reason)


def _spurious(seen: Sequence[Seen], beside: Sequence[Beside]) -> Iterator[Doubt]:
    """Boxes that no detection overlaps, or only one of a score that most detections on no cell have.

    In a class of which the detector misses more cells than of others, a missed box says less.
    """
    if not any(each.iou >= SAME for each in seen):
        return  # a detector that finds no cell says nothing about boxes
    off_cell = 1 - _share_on_cells(seen, beside, [each.score for each in seen])
    missed = float(off_cell.mean())
    weight: dict[str, float] = {}
    for label in {each.cell.label for each in seen}:
        mine = off_cell[[each.cell.label == label for each in seen]]
        # as if FEWEST more cells were missed as often as all
        rate = (mine.sum() + FEWEST * missed) / (len(mine) + FEWEST)
        weight[label] = min(missed / rate, 1.0) if rate > 0 else 1.0
    for each, sure in zip(seen, off_cell, strict=True):
        faint = f"only a detection with score {each.score:.2f}" if each.box else "no detection"
        reason = f"the detector sees no cell here: {faint} overlaps the box"
        score = weight[each.cell.label] * float(sure)
        yield Doubt("spurious-box", score, each.cell.image, each.cell, None, None, reason)


def _share_on_cells(seen: Sequence[Seen], beside: Sequence[Beside], scores: Sequence[float]) -> Floats:
    """The share of detections of such scores that are on an annotated cell; it rises with the score."""
    from sklearn.isotonic import IsotonicRegression

    on_cell = [each.score for each in seen if each.iou >= SAME]
    off = [each.score for each in beside]
    if not on_cell or not scores:
        return np.zeros(len(scores))
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fitted.fit([*on_cell, *off, 0.0], [1.0] * len(on_cell) + [0.0] * (len(off) + 1))
    return np.asarray(fitted.predict(scores), float)


def _misplaced(seen: Sequence[Seen]) -> Iterator[Doubt]:
    """Boxes that differ from the detection more than is usual, in position or size."""
    found = [each for each in seen if each.box]
    if not found:
        return
    differences = np.array([_difference(each.cell.box, each.box) for each in found if each.box])
    usual, spread = _middle_and_spread(differences)
    off = np.empty_like(differences)
    for label in {each.cell.label for each in found}:
        mine = np.array([each.cell.label == label for each in found])
        middle, own = _middle_and_spread(differences[mine]) if mine.sum() >= FEWEST else (usual, spread)
        # wide classes may be wide because the detector knows them little: half of the variance is that of all
        off[mine] = (differences[mine] - middle) / np.sqrt((own**2 + spread**2) / 2)
    furthest = np.abs(off).max(axis=1)
    for each, deviations in zip(found, furthest.tolist(), strict=True):
        score = 1 / (1 + (UNUSUAL / max(deviations, 1e-6)) ** 4)
        reason = (
            f"the detector places the cell elsewhere: its box differs by {deviations:.0f} usual deviations, and overlaps this "
            f"one by {each.iou:.2f} (IoU)"
        )
        yield Doubt("misplaced-box", score, each.cell.image, each.cell, None, each.box, reason)


def _difference(one: Box, other: Box) -> tuple[float, float, float, float]:
    """How far two boxes are apart in x and y, relative to their size, and the logarithms of the ratios of width and height."""
    width, height = math.sqrt(one.width * other.width), math.sqrt(one.height * other.height)
    return (
        (one.x1 + one.x2 - other.x1 - other.x2) / 2 / width,
        (one.y1 + one.y2 - other.y1 - other.y2) / 2 / height,
        math.log(one.width / other.width),
        math.log(one.height / other.height),
    )


def _middle_and_spread(values: Floats) -> tuple[Floats, Floats]:
    """The median of each column, and its robust standard deviation, which a few wrong rows hardly change."""
    middle = np.median(values, axis=0)
    return middle, np.maximum(1.4826 * np.median(np.abs(values - middle), axis=0), NARROWEST)


def _votes(seen: Sequence[Seen], labels: tuple[str, ...]) -> Classes:
    """A detector's labels as probabilities: its score for the label of the detection, and the rest for the given label."""
    found = [each for each in seen if each.iou >= SAME]
    votes = np.zeros((len(found), len(labels)), np.float32)
    for row, each in zip(votes, found, strict=True):
        row[labels.index(str(each.label))] += each.score
        row[labels.index(each.cell.label)] += 1 - each.score
    return Classes(labels, tuple(each.cell for each in found), votes)


def _wrong(classes: Classes) -> Iterator[Doubt]:
    """Cells to which the models give another class.

    Each probability is compared with the mean that the models give the class for its own cells, since they are less sure of
    some classes than of others.
    """
    labels, cells, probabilities = classes
    if not cells:
        return
    given = np.array([labels.index(cell.label) for cell in cells])
    rows = np.arange(len(cells))
    known = probabilities.clip(1e-6).astype(float)
    chance = 1 / len(labels)  # a class that the models hardly know is given by no less
    means = [known[given == label, label].mean() if label in given else 1.0 for label in range(len(labels))]
    evidence = np.log(known / np.maximum(means, chance))
    own = evidence[rows, given]
    evidence[rows, given] = -np.inf
    best = evidence.argmax(axis=1)
    odds = np.exp(evidence[rows, best] - own) * WRONG / (1 - WRONG)
    for row, score in enumerate((odds / (1 + odds)).tolist()):
        label, cell = labels[best[row]], cells[row]
        sure, now = probabilities[row, best[row]], probabilities[row, given[row]]
        reason = f"the models give {label} a probability of {sure:.2f}, and {cell.label} {now:.2f}"
        yield Doubt("wrong-class", score, cell.image, cell, label, None, reason)


def _two_labels(same: Iterable[tuple[Cell, Cell]], classes: Classes | None) -> Iterator[Doubt]:
    """Annotations of one cell with different labels.

    The score is the share of the probability that the models give the other labels, or of the other annotations.
    """
    said: Mapping[tuple[ImageId, int], npt.NDArray[np.float32]] = {}
    if classes:
        said = {
            (cell.image, cell.id): row for cell, row in zip(classes.cells, classes.probabilities, strict=True)
        }
    pairs = [pair for pair in same if IGNORE not in (pair[0].label, pair[1].label)]
    cells: dict[tuple[str, int], Cell] = {(cell.image, cell.id): cell for pair in pairs for cell in pair}
    for group in groups([((one.image, one.id), (other.image, other.id)) for one, other in pairs]):
        members = [cells[each] for each in group]
        if len({cell.label for cell in members}) > 1:
            yield from _contradicting(members, classes, said)


def _contradicting(
    members: Sequence[Cell],
    classes: Classes | None,
    said: Mapping[tuple[ImageId, int], npt.NDArray[np.float32]],
) -> Iterator[Doubt]:
    """The annotations of one cell, each with how much speaks for another of their labels."""
    weight = dict.fromkeys((cell.label for cell in members), 0.0)
    for cell in members:
        row = said.get((cell.image, cell.id))
        if classes is None or row is None:
            weight[cell.label] += 1
        else:
            for label in weight:
                weight[label] += float(row[classes.labels.index(label)]) if label in classes.labels else 0.0
    total = sum(weight.values()) or 1.0
    for cell in members:
        label = max((each for each in weight if each != cell.label), key=lambda each: weight[each])
        other = next(each for each in members if each.label == label)
        reason = f'the same cell is {label} as cell {other.id} of image "{other.image}"'
        yield Doubt("two-labels", 1 - weight[cell.label] / total, cell.image, cell, label, None, reason)
