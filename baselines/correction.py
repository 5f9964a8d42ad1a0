"""What a differential needs of the runs that predicted: what they confuse, and which patients they have learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from pcm_leukemia import splits
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics import matching
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.baselines.metrics.matching import OTHER
from pcm_leukemia.baselines.prediction import Predicted, predict
from pcm_leukemia.baselines.run import Run, split_fingerprint
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.differential import Confusion, Limits, Reason, Scored
from pcm_leukemia.errors import LeakySplit, MissingPart, Problem, UnfitForTask
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import Taxonomy

__all__ = ["confusion_of", "learned_patients"]


def confusion_of(
    runs: Sequence[Run],
    limits: Limits | None = None,
    *,
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Confusion:
    """What a detector, or the two-stage pipeline, confuses on the validation part of its own data.

    The images of the part val are predicted as `baselines.predict` does, and matched with the annotated cells at an IoU of 0.5,
    whatever the classes. A cell without a prediction is missed, so that a class that is missed more often than others gets a
    higher corrected share. A prediction without a cell is one that is not counted, as Other is.

    Training chose the epoch by these patients, so the confusion of new patients may be a little larger; and if the split
    drew images for validation, not patients, the confusion is far too small.

    Parameters
    ----------
    runs
        The run of a detector; or of a detector for the task "wbc" and of a classifier, trained on the same data and split.
    limits
        The scores from which a cell counts: those of the differential.
    device, batch, workers, progress
        As in `baselines.evaluate`.

    Raises
    ------
    UnfitForTask
        If the runs were trained on different data, or no image of the validation part is completely annotated.
    MissingPart
        If there is no validation part of other patients than those of training.
    LeakySplit
        If a run started from the weights of one that was trained on validation patients.
    DataNotFound, CorruptFile
        If an image has no file, or cannot be decoded.
    ValueError
        If the runs are not one detector, or a detector and a classifier.
    """
    limits = limits or Limits()
    val = _validation(runs)
    predicted, taxonomy = predict(
        runs, val, threshold=limits.threshold, device=device, batch=batch, workers=workers, progress=progress
    )
    view = replace(val.task("detection"), taxonomy=taxonomy)
    found = {image: _counted(each, limits, taxonomy) for image, each in predicted.items()}
    groups, unit = groups_of(view, [image.id for image in view.images])
    tables = matching.by_group(view, found, groups, threshold=0)
    labels = tuple(label for label in taxonomy.labels if label != OTHER)
    where = "the part val of the run's own data"
    return Confusion(labels, _with_others_together(tables, taxonomy), where, unit)


def learned_patients(runs: Sequence[Run], ds: Dataset) -> frozenset[str]:
    """The patients of a data set that runs have learned from, by the rules of `Run.require_unseen`."""
    return frozenset(
        str(ds.image(image).patient)
        for run in runs
        for learned in run.learned()
        for leak in splits.seen(learned, ds, str(run.folder))
        for image in leak.images
        if ds.image(image).patient is not None
    )


def _validation(runs: Sequence[Run]) -> Dataset:
    """The completely annotated images of the part val."""
    whole = [run.dataset() for run in runs]
    first = whole[0]
    kinds = {(each.fingerprint, each.split and split_fingerprint(each.split)) for each in whole}
    if len(kinds) > 1:
        folders = " and ".join(str(run.folder) for run in runs)
        what = "were trained on different data or splits, so that no validation part is that of both"
        raise UnfitForTask([Problem(folders, what, "train them on the same data, with the same split")])
    if first.split is None or "val" not in first.split.parts or first.split.val_shares_patients:
        raise MissingPart(
            f"{runs[0].folder}: has no validation part of other patients than those of training, so that what it confuses is "
            "not known; train it on a split by patient"
        )
    val = first.part("val").select(images=lambda image: image.annotation_state == "complete")
    require(val, boxes=True)
    for run in runs:
        for earlier in run.learned_before():
            trained = earlier.part("train") if earlier.split and "train" in earlier.parts else earlier
            if leaks := list(splits.seen(trained, val, str(run.folder))):
                raise LeakySplit([leak.problem for leak in leaks])
    return val


def _counted(predicted: Sequence[Predicted], limits: Limits, taxonomy: Taxonomy) -> Detections:
    """The predicted cells of an image that a differential counts, and those that it takes for Other."""
    judged = limits.judged(
        [Scored(one.label, astuple(one.box), one.shown_score, one.label_score) for one in predicted]
    )
    left_out = {Reason.BELOW, Reason.AGAIN, Reason.UNSURE}
    kept = [one for one, counted_as in zip(predicted, judged, strict=True) if counted_as not in left_out]
    return Detections(
        np.array([(one.box.x1, one.box.y1, one.box.x2, one.box.y2) for one in kept], np.float32).reshape(
            -1, 4
        ),
        np.array([one.shown_score for one in kept], np.float32),
        np.array([taxonomy.ids[one.label] for one in kept], np.int64),
    )


def _with_others_together(tables: npt.NDArray[np.int64], taxonomy: Taxonomy) -> npt.NDArray[np.int64]:
    """The tables of `matching.by_group` as those of a `Confusion`: Other and spurious predictions are one row."""
    ids: Mapping[str, int] = taxonomy.ids
    classes = [number for label, number in ids.items() if label != OTHER]
    other = ids.get(OTHER)
    rows = [tables[:, classes], tables[:, -1:] + (0 if other is None else tables[:, [other]])]
    by_truth = np.concatenate(rows, axis=1)
    as_other = np.zeros_like(by_truth[:, :, :1]) if other is None else by_truth[:, :, [other]]
    joined = np.concatenate([by_truth[:, :, classes], as_other, by_truth[:, :, -1:]], axis=2)
    joined[:, -1, -1] = 0  # a cell that does not count is not missed
    return joined
