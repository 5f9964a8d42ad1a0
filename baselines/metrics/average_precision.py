"""COCO's average precision, computed by hotcoco, and its variation over bootstrap draws of patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from hotcoco import COCO, COCOeval, Params

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics.bootstrap import times_drawn
from pcm_leukemia.baselines.metrics.matching import sides
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import IGNORE, ImageId

__all__ = ["NAMES", "Averages", "Cells", "bootstrap", "evaluate", "of_arrays", "of_domains"]

Floats = npt.NDArray[np.float64]

Cells: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""The cells of an image: boxes (x1, y1, x2, y2 in pixels), ``(n, 4)``, and class ids from 0, ``(n,)``."""

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
"""COCO's twelve numbers in COCO's order: s, m, l for cells below 32², below 96² and from 96² square pixels."""

_ALL = [[0.0, 1e10]]
_CHUNK = 250
"""Number of draws computed at once, to bound memory."""


class Averages(NamedTuple):
    """What COCO computes. NaN without a cell to find.

    `twelve` holds the numbers in `NAMES`; `of` holds AP, AP50 and AP75 of each class, ``(k, 3)``. `curves` holds
    the precision of each class at a recall of 0, 0.01 ... 1: at IoU 0.5, and the mean over the ten IoUs,
    ``(2, k, 101)``.
    """

    twelve: Floats
    of: Floats
    curves: Floats


def evaluate(ds: Dataset, found: Mapping[ImageId, Detections]) -> Averages:
    """Average precision over the images of a data set."""
    precision, recall = _evaluated(*_coco(ds, found))
    fifty, seventy_five = 0, 5
    best = precision[:, :, :, 0, 2]
    twelve = [
        *(_mean(values) for values in (best, best[fifty], best[seventy_five])),
        *(_mean(precision[:, :, :, size, 2]) for size in (1, 2, 3)),
        *(_mean(recall[:, :, 0, most]) for most in (0, 1, 2)),
        *(_mean(recall[:, :, size, 2]) for size in (1, 2, 3)),
    ]
    classes = range(best.shape[2])
    of = [[_mean(best[..., k]), _mean(best[fifty, :, k]), _mean(best[seventy_five, :, k])] for k in classes]
    known = np.where(best > -1, best, np.nan)
    return Averages(
        np.array(twelve), np.array(of).reshape(-1, 3), np.stack([known[fifty].T, known.mean(0).T])
    )


def of_arrays(truth: Sequence[Cells], found: Sequence[Detections], classes: int) -> tuple[float, float]:
    """AP (mean over IoU 0.5 to 0.95) and AP50, over all classes that have a cell, 0 to 1; NaN without a cell.

    Parameters
    ----------
    truth
        The cells of each image.
    found
        The detections of each image.
    classes
        The number of classes.

    Examples
    --------
    >>> box = np.array([[10, 10, 30, 40]], np.float32)
    >>> of_arrays([(box, np.array([1]))], [Detections(box, np.ones(1, np.float32), np.array([1]))], 2)
    (1.0, 1.0)
    """
    if not any(len(labels) for _, labels in truth):
        return float("nan"), float("nan")
    gold = COCO.from_arrays(
        [{"id": number, "width": 1, "height": 1} for number in range(1, len(truth) + 1)],
        [{"id": number, "name": str(number)} for number in range(1, classes + 1)],
        np.repeat(np.arange(1, len(truth) + 1), [len(labels) for _, labels in truth]),
        np.concatenate([labels for _, labels in truth]) + 1,
        sides(np.concatenate([boxes for boxes, _ in truth])),
    )
    precision, _ = _evaluated(gold, gold.load_res(_results(found)))
    best = precision[:, :, :, 0, 2]
    return round(_mean(best), 6), round(_mean(best[0]), 6)


def of_domains(
    truth: Sequence[Cells], found: Sequence[Detections], classes: int, domain_of: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """AP and AP50 of each domain by itself, as `of_arrays` has them; `domain_of` names the domain of each image.

    Examples
    --------
    >>> cells = np.array([[10, 10, 30, 40]], np.float32), np.array([1])
    >>> right = Detections(cells[0], np.ones(1, np.float32), cells[1])
    >>> of_domains([cells, cells], [right, right._replace(boxes=cells[0] + 50)], 2, ["here", "there"])
    {'here': (1.0, 1.0), 'there': (0.0, 0.0)}
    """
    numbers = {
        name: [n for n, each in enumerate(domain_of) if each == name] for name in sorted(set(domain_of))
    }
    return {
        name: of_arrays([truth[n] for n in own], [found[n] for n in own], classes)
        for name, own in numbers.items()
    }


def bootstrap(
    ds: Dataset, found: Mapping[ImageId, Detections], groups: Sequence[str], draws: int, seed: int
) -> Floats:
    """AP and AP50 in each bootstrap draw: ``(draws, k + 1, 2)``, with the mean over classes last.

    `groups` names the group (patient) of each image. Groups are drawn with replacement, each with all its images.
    A class without cells in a draw is NaN there and left out of that draw's mean. A class of one group only is NaN in
    every draw: one patient's cells do not say how patients differ. It counts in the means. Each image is evaluated once;
    a draw only changes how often it counts.
    """
    numbers = {group: number for number, group in enumerate(sorted(set(groups)))}
    of_image = np.array([numbers[group] for group in groups])
    times = times_drawn(len(numbers), draws, seed)
    result = np.full((draws, len(ds.taxonomy.labels) + 1, 2), np.nan)
    for k, ranked in enumerate(_ranked(ds, found, of_image, len(numbers))):
        for start in range(0, draws, _CHUNK):
            values = _ap(times[start : start + _CHUNK].T.astype(np.float32), ranked)
            result[start : start + _CHUNK, k] = np.stack([values.mean(0), values[0]], axis=1)
    known = ~np.isnan(result[:, :-1])
    sums = np.where(known, result[:, :-1], 0).sum(1)
    result[:, -1] = np.divide(sums, known.sum(1), out=result[:, -1], where=known.any(1))
    of_class: dict[str, set[int]] = {label: set() for label in ds.taxonomy.labels}
    for image, group in zip(ds.images, of_image.tolist(), strict=True):
        for cell in ds.cells_of(image):
            of_class.setdefault(cell.label, set()).add(group)
    result[:, [k for k, label in enumerate(ds.taxonomy.labels) if len(of_class[label]) < 2]] = np.nan
    return result


def _coco(ds: Dataset, found: Mapping[ImageId, Detections]) -> tuple[COCO, COCO]:
    """Cells and predictions in COCO's form: images, classes and cells are numbered from 1.

    An ignored cell becomes a crowd of every class, so that predictions on it do not count.
    """
    category = {label: number for number, label in enumerate(ds.taxonomy.labels, 1)}
    images: list[dict[str, Any]] = []
    rows: list[tuple[int, int, int]] = []
    boxes: list[tuple[float, float, float, float]] = []
    for number, image in enumerate(ds.images, 1):
        images.append({"id": number, "width": image.width, "height": image.height})
        for cell in ds.cells_of(image):
            crowd = cell.label == IGNORE
            each = [(number, k, crowd) for k in (category.values() if crowd else [category[cell.label]])]
            rows += each
            box = cell.box
            boxes += [(box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1)] * len(each)
    categories = [{"id": number, "name": label} for label, number in category.items()]
    columns = np.array(rows, np.int64).reshape(-1, 3)
    truth = COCO.from_arrays(
        images,
        categories,
        columns[:, 0],
        columns[:, 1],
        np.array(boxes).reshape(-1, 4),
        iscrowd=columns[:, 2],
        ids=np.arange(1, len(rows) + 1),
    )
    return truth, truth.load_res(_results([found[image.id] for image in ds.images]))


def _results(found: Sequence[Detections]) -> Floats:
    """Detections as COCO's rows: image number from 1, x, y, width, height, score, class number from 1."""
    rows = [
        np.column_stack([np.full(len(each.scores), number), sides(each.boxes), each.scores, each.labels + 1])
        for number, each in enumerate(found, 1)
    ]
    return np.concatenate([np.zeros((0, 7)), *rows])


def _evaluated(truth: COCO, predicted: COCO) -> tuple[Floats, Floats]:
    """Precision by IoU, recall, class, cell size and maximum of predictions; recall by all of these but recall."""
    ran = COCOeval(truth, predicted, "bbox")
    ran.evaluate()
    ran.accumulate()
    assert ran.eval is not None
    return ran.eval["precision"], ran.eval["recall"]


def _mean(values: Floats) -> float:
    """The mean of the computed values: COCO writes -1 without a cell to find."""
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")


class _Ranked(NamedTuple):
    """The predictions of one class, best first, and the number of `cells` of that class in each group.

    `whose` is the group of each prediction. For each IoU, `hits` says whether the prediction matches a cell, and
    `counted` whether it counts: a prediction on an ignored cell does not.
    """

    cells: Floats
    whose: npt.NDArray[np.int_]
    hits: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]


def _ranked(
    ds: Dataset, found: Mapping[ImageId, Detections], of_image: npt.NDArray[np.int_], groups: int
) -> Iterator[_Ranked]:
    """The ranked predictions of each class, in class order."""
    truth, predicted = _coco(ds, found)
    ran = COCOeval(truth, predicted, "bbox")
    params = Params("bbox")
    params.area_rng, params.area_rng_lbl, params.max_dets = _ALL, ["all"], [100]
    params.img_ids = list(range(1, len(ds.images) + 1))
    params.cat_ids = list(range(1, len(ds.taxonomy.labels) + 1))
    ran.params = params
    ran.evaluate()
    # images without a cell or a prediction of the class may be missing here
    of_class: dict[int, list[dict[str, Any]]] = {number: [] for number in params.cat_ids}
    for one in ran.eval_imgs:
        if one is not None:
            of_class[one["category_id"]].append(one)
    for ones in of_class.values():
        cells, scores, whose = np.zeros(groups), [np.zeros(0)], [np.zeros(0, np.int64)]
        hits, ignored = [np.zeros((10, 0), bool)], [np.zeros((10, 0), bool)]
        for one in ones:
            group, predictions = of_image[one["image_id"] - 1], len(one["dtScores"])
            cells[group] += len(one["gtIgnore"]) - sum(one["gtIgnore"])
            scores.append(np.array(one["dtScores"]))
            whose.append(np.full(predictions, group))
            hits.append(np.array(one["dtMatched"], bool).reshape(10, predictions))
            ignored.append(np.array(one["dtIgnore"], bool).reshape(10, predictions))
        order = np.argsort(-np.concatenate(scores), kind="stable")
        counted = ~np.concatenate(ignored, axis=1)[:, order]
        hit = np.concatenate(hits, axis=1)[:, order] & counted
        yield _Ranked(cells, np.concatenate(whose)[order], hit, counted)


def _ap(times: npt.NDArray[np.float32], ranked: _Ranked) -> Floats:
    """COCO's average precision of a class, ``(IoU, draws)``; `times` counts each group's draws, ``(groups, draws)``.

    A prediction of an image that is drawn twice counts twice. Precision peaks at hits, so only hits are
    examined.
    """
    total = ranked.cells @ times
    result = np.where(total > 0, 0.0, np.full((len(ranked.hits), 1), np.nan))
    recalls = np.linspace(0, 1, 101)
    weights = times[ranked.whose]
    until, counted_last = weights, None
    for row, hits, counted in zip(result, ranked.hits, ranked.counted, strict=True):
        places = np.flatnonzero(hits)
        if counted_last is None or not np.array_equal(counted, counted_last):
            # integers below 2 ** 24 are exact in 32 bits
            until, counted_last = (weights * counted[:, None]).cumsum(0), counted
        found = weights[places].cumsum(0, dtype=np.float64)
        precision = np.maximum.accumulate((found / np.maximum(until[places], 1))[::-1], axis=0)[::-1]
        for draw in np.flatnonzero(total):
            at = np.searchsorted(found[:, draw] / total[draw], recalls)
            row[draw] = precision[at[at < len(places)], draw].sum() / len(recalls)
    return result
