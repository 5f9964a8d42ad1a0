"""What became of each cell, and of each prediction without a cell: the rows behind the confusion matrix."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from pcm_leukemia.baselines.evaluation import Scored
from pcm_leukemia.baselines.inference import Classified, Detected
from pcm_leukemia.baselines.metrics import matching
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.report import Pictures
from pcm_leukemia.schema import Image
from pcm_leukemia.shapes import Box

__all__ = ["NONE", "Outcome", "columns", "found_boxes", "illustrated", "of_scored", "worst_images"]

NONE = -1
"""The true class, and the cell, of a spurious prediction; the predicted class of a missed cell."""
LISTED = 120
"""The most mistakes of one kind with a picture: what a view lists at once."""
MOST = 600
"""The most pictures of cells and predictions, which take 2 to 3 MB."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A cell and what was predicted for it, or a prediction that has no cell.

    `image` and `cell` are the numbers of the rows in the data set, `true` and `predicted` class ids. `score` is the
    probability of the predicted class, or the detector's score; NaN for a missed cell. `loss` is the negative logarithm of
    the true class's probability, for classifiers. `box` is the predicted one of a detector.
    """

    image: int
    cell: int
    true: int
    predicted: int
    score: float = np.nan
    loss: float = np.nan
    box: tuple[float, float, float, float] | None = None
    area: float = 0

    @property
    def is_right(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.true == self.predicted

    @property
    def place(self) -> float:
        """What orders the outcomes of one square, the smallest first.

        Mistakes begin with the surest, missed cells with the largest, right ones with the least sure.
        """
        if self.predicted == NONE:
            return -self.area
        return self.score if self.is_right else -self.score


def of_scored(scored: Scored) -> list[Outcome]:
    """The outcomes in the order of their places; the squares of the confusion matrix of `scored` count them."""
    view, predicted = scored.view, scored.predicted
    found = (
        _classified(view, predicted) if isinstance(predicted, Classified) else _detected(scored, predicted)
    )
    return sorted(found, key=lambda outcome: outcome.place)


def _classified(view: Dataset, predicted: Classified) -> Iterator[Outcome]:
    image_at = {image.id: number for number, image in enumerate(view.images)}
    cell_at = {(cell.image, cell.id): number for number, cell in enumerate(view.cells)}
    probabilities = predicted.probabilities.astype(np.float64)
    for cell, chances in zip(predicted.cells, probabilities, strict=True):
        true, best = view.taxonomy.ids[cell.label], int(chances.argmax())
        loss = -float(np.log(max(chances[true], np.finfo(np.float32).tiny)))
        yield Outcome(
            image_at[cell.image], cell_at[cell.image, cell.id], true, best, float(chances[best]), loss
        )


def _detected(scored: Scored, predicted: Detected) -> Iterator[Outcome]:
    view, scores = scored.view, scored.evaluation.detection
    assert scores is not None  # a detector has been scored
    ids, before = view.taxonomy.ids, 0
    for number, image in enumerate(view.images):
        cells, found = view.cells_of(image), predicted.found[image.id]
        pairs, missed, spurious = matching.match(cells, found, threshold=scores.threshold, iou=scores.iou)
        boxes, sure, labels = found.boxes.tolist(), found.scores.tolist(), found.labels.tolist()
        for cell, at in pairs:
            true = ids[cells[cell].label]
            yield Outcome(number, before + cell, true, labels[at], sure[at], box=tuple(boxes[at]))
        for cell in missed:
            true, area = ids[cells[cell].label], cells[cell].box.area
            yield Outcome(number, before + cell, true, NONE, area=area)
        for at in spurious:
            yield Outcome(number, NONE, NONE, labels[at], sure[at], box=tuple(boxes[at]))
        before += len(cells)


def columns(scored: Scored, outcomes: Sequence[Outcome], pictured: Mapping[int, int]) -> dict[str, object]:
    """The outcomes as columns, with the pictures of some."""
    has_losses = isinstance(scored.predicted, Classified)
    return {
        "classes": len(scored.view.taxonomy.labels),
        "detector": not has_losses,
        "image": [outcome.image for outcome in outcomes],
        "cell": [outcome.cell for outcome in outcomes],
        "predicted": [outcome.predicted for outcome in outcomes],
        "score": [None if np.isnan(outcome.score) else round(outcome.score, 4) for outcome in outcomes],
        **({"loss": [round(outcome.loss, 4) for outcome in outcomes]} if has_losses else {}),
        "pictures": sorted(pictured.items()),
    }


def found_boxes(outcomes: Sequence[Outcome], images: Collection[int]) -> dict[int, list[dict[str, object]]]:
    """The predicted boxes [x, y, width, height] in some images, given by their numbers."""
    found: dict[int, list[dict[str, object]]] = {image: [] for image in sorted(images)}
    for number, outcome in enumerate(outcomes):
        if outcome.box is not None and outcome.image in found:
            x1, y1, x2, y2 = outcome.box
            box = [round(side, 1) for side in (x1, y1, x2 - x1, y2 - y1)]
            found[outcome.image].append({"outcome": number, "box": box})
    return found


def worst_images(scored: Scored, outcomes: Sequence[Outcome]) -> list[Image]:
    """The images of the worst mistakes, of each kind in turn, each once."""
    in_turn = (number for row in zip_longest(*_worst(outcomes)) for number in row if number is not None)
    images = dict.fromkeys(outcomes[number].image for number in in_turn)
    return [scored.view.images[image] for image in images]


def illustrated(outcomes: Sequence[Outcome], pictures: Pictures) -> dict[int, int]:
    """Ask for pictures of some outcomes, given by their numbers: number -> picture.

    The worst mistakes of each kind come first, then the first outcomes of each square in turn.
    """
    if not pictures.possible:
        return {}
    chosen = dict.fromkeys([*chain.from_iterable(_worst(outcomes)), *_in_turn(outcomes)])
    return {number: _picture(outcomes[number], pictures) for number in list(chosen)[:MOST]}


def _worst(outcomes: Sequence[Outcome]) -> list[list[int]]:
    """The worst mistakes of each kind."""
    wrong = [number for number, outcome in enumerate(outcomes) if not outcome.is_right]
    missed = [number for number in wrong if outcomes[number].predicted == NONE]
    spurious = [number for number in wrong if outcomes[number].true == NONE]
    confused = [number for number in wrong if NONE not in (outcomes[number].true, outcomes[number].predicted)]
    lossy = [number for number in confused if not np.isnan(outcomes[number].loss)]
    lossy.sort(key=lambda number: -outcomes[number].loss)
    return [kind[:LISTED] for kind in (confused, lossy, missed, spurious)]


def _in_turn(outcomes: Sequence[Outcome]) -> Iterator[int]:
    """The first outcome of each square, then the second of each, and so on."""
    squares: dict[tuple[int, int], list[int]] = {}
    for number, outcome in enumerate(outcomes):
        squares.setdefault((outcome.true, outcome.predicted), []).append(number)
    for row in zip_longest(*squares.values()):
        yield from (number for number in row if number is not None)


def _picture(outcome: Outcome, pictures: Pictures) -> int:
    if outcome.cell != NONE:
        return pictures.crop(pictures.ds.cells[outcome.cell])
    assert outcome.box is not None  # it has no cell, so it is a prediction
    return pictures.crop_of(pictures.ds.images[outcome.image], Box(*outcome.box))
