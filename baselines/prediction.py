"""Predictions for new images, written as COCO results, as pre-annotations for CVAT, or as pictures."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from msgspec.structs import astuple

from pcm_leukemia import bare_images, converters, patients, sources
from pcm_leukemia import images as pixels_of
from pcm_leukemia.baselines import elsewhere, inference
from pcm_leukemia.baselines.contract import Detector
from pcm_leukemia.baselines.machine import workers_of
from pcm_leukemia.baselines.preannotation import as_cells, beside
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.two_stage import OTHER, Labelled, TwoStage
from pcm_leukemia.converters import coco, cvat
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing import Drawn, draw
from pcm_leukemia.errors import UnknownLabel, counted, option
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import IMAGE_SUFFIXES, Report, check_target, new_folder
from pcm_leukemia.loading import load_dataset
from pcm_leukemia.overlaps import ONE_CELL, best_of_each_cell
from pcm_leukemia.progress import track
from pcm_leukemia.schema import ImageId, Taxonomy
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE, taxonomy_with

__all__ = [
    "LOWEST",
    "Form",
    "Predicted",
    "Predictor",
    "as_cells",
    "best",
    "check_out",
    "images_at",
    "is_bare",
    "of_two_stages",
    "predict",
    "write",
]

Form = Literal["coco", "cvat", "pictures"]
LOWEST = 0.05
"""The lowest score of a detection that is kept, unless a lower one is asked for."""

_FOLDERS = {"coco": "predictions", "pictures": "pictures"}
"""The name of each form in the marker file of its folder."""


class Predicted(NamedTuple):
    """One predicted cell: its box in pixels of the image, its label and its score, 0 to 1.

    From the two-stage pipeline, a white cell also has the score of the detection and the score of the label, and `score` is
    their product.
    """

    label: str
    box: Box
    score: float
    detection_score: float | None = None
    label_score: float | None = None

    @property
    def shown_score(self) -> float:
        """The score that decides what is shown: the detector's, so that a cell with an unsure label is not left out."""
        return self.score if self.detection_score is None else self.detection_score


def images_at(path: str | Path, *, cells: bool = False, **options: Any) -> Dataset:
    """The images at a path: those of a data set, or image files in a folder or zip.

    Parameters
    ----------
    path
        What to read.
    cells
        Whether to keep the cells of a data set, in the nine classes or, with other labels, in those that are declared.
    **options
        Options of `load_dataset` for a data set. Images without annotations take `name`, `patients`, `patients_same` and `diagnoses`.

    Raises
    ------
    DataNotFound
        If there is no image.
    InvalidExport
        If an image cannot be opened, or the data set cannot be read.
    ValueError
        If an option does not apply.
    """
    path = Path(path)
    if is_bare(path):
        return _bare(path, **options)
    if not options.keys() & {"split", "split_name"}:  # predictions of all images need no split
        options["allow_incomplete_split"] = True
    if not cells:  # their labels do not matter
        return replace(load_dataset(path, **options | {"taxonomy": "declared"}), taxonomy=NINE, cells=())
    try:
        return load_dataset(path, **options)
    except UnknownLabel:
        if "taxonomy" in options:
            raise
        return load_dataset(path, **options, taxonomy="declared")


def _bare(path: Path, **options: Any) -> Dataset:
    """Images without annotations, and their patients if they are given."""
    for given in options.keys() - {"name", "patients", "patients_same", "diagnoses"}:
        raise ValueError(
            f"{path}: {option(given)} does not apply to images without annotations; leave it out"
        )
    ds = bare_images.read(path, name=options.get("name"))
    people, same, diagnoses = (options.get(each) for each in ("patients", "patients_same", "diagnoses"))
    return patients.assign(ds, people, same=same, diagnoses=diagnoses)


def is_bare(path: Path) -> bool:
    """Whether there are images without annotations at a path."""
    if not sources.split_name(path) and converters.recognise(path) is None:
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return not any(member.lower().endswith(".xml") for member in archive.namelist())


def predict(
    runs: Sequence[Run],
    ds: Dataset,
    *,
    threshold: float = LOWEST,
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> tuple[dict[ImageId, list[Predicted]], Taxonomy]:
    """Predict the cells in every image with a detector or the two-stage pipeline; return them and the classes.

    The classes of two stages are those of the classifier and Other, which the detector tells from white cells.

    Parameters
    ----------
    runs
        The run of a detector; or the run of a detector for the task "wbc" and the run of a classifier, in any order.
    ds
        The images; its cells are not used.
    threshold
        The lowest score of a detection to keep.
    device, batch, workers, progress
        As in `baselines.evaluate`.
    executor
        Where the model runs instead of here: `execution.Cluster`, or another `concurrent.futures.Executor`. Each of its
        processes loads the model once, on its own `device`, and reads images in so many threads as `workers`, by default one.

    Raises
    ------
    ValueError
        If the runs are not one detector, or a detector and a classifier.
    """
    if executor is not None:
        return _predict_elsewhere(executor, runs, ds, threshold, device, batch, workers, progress=progress)
    predictor = Predictor.of(runs, threshold=threshold, device=device)
    return predictor.predict(ds, batch=batch, workers=workers, progress=progress), predictor.taxonomy


@dataclass(frozen=True)
class Predictor:
    """A detector, or the two-stage pipeline, that is loaded once and then predicts as often as you like.

    Parameters
    ----------
    model
        The detector or the pipeline.
    threshold
        The lowest score of a detection to keep; the pipeline has its own.
    """

    model: Detector | TwoStage
    threshold: float = LOWEST

    @classmethod
    def of(cls, runs: Sequence[Run], *, threshold: float = LOWEST, device: str = "auto") -> Predictor:
        """Load the model of one or two runs; see `predict`.

        Raises
        ------
        ValueError
            If the runs are not one detector, or a detector and a classifier.
        """
        detector, classifier = _stages(runs)
        if classifier:
            return cls(TwoStage.of(detector, classifier, device=device, threshold=threshold), threshold)
        return cls(detector.detector(device), threshold)

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes that are predicted."""
        labels = self.model.labels
        return taxonomy_with((*labels, OTHER) if isinstance(self.model, TwoStage) else labels)

    def predict(
        self, ds: Dataset, *, batch: int = 16, workers: int | None = None, progress: bool = False
    ) -> dict[ImageId, list[Predicted]]:
        """Predict the cells in every image; see `predict`.

        Raises
        ------
        DataNotFound, CorruptFile
            If an image has no file, or cannot be decoded.
        """
        options: dict[str, Any] = {"batch": batch, "workers": workers, "progress": progress}
        if isinstance(self.model, TwoStage):
            labelled = self.model.predict(ds, **options)
            return {image: of_two_stages(each, self.model.labels) for image, each in labelled.items()}
        labels = self.model.labels
        return {
            image: [
                Predicted(labels[label], Box(*map(float, box)), float(score))
                for box, score, label in zip(*each, strict=True)
                if score >= self.threshold
            ]
            for image, each in inference.detect(self.model, ds, **options).items()
        }


def _stages(runs: Sequence[Run]) -> tuple[Run, Run | None]:
    """The detector and the classifier among some runs."""
    detectors = [run for run in runs if run.baseline.kind == "detector"]
    classifiers = [run for run in runs if run.baseline.kind == "classifier"]
    if len(detectors) != 1 or len(classifiers) > 1:
        raise ValueError(
            f"predict: {counted(len(detectors), 'detector')} and {counted(len(classifiers), 'classifier')}; give the run of one detector, and "
            "the run of a classifier to label its cells in a second stage"
        )
    return detectors[0], classifiers[0] if classifiers else None


@dataclass(frozen=True)
class _PredictorOf:
    """Loads the predictor of runs on a worker."""

    folders: tuple[Path, ...]
    trained: tuple[str, ...]
    threshold: float
    device: str

    def __call__(self) -> Predictor:
        runs = [Run.open(folder) for folder in self.folders]
        return Predictor.of(runs, threshold=self.threshold, device=self.device)


def _predict_elsewhere(
    executor: Executor,
    runs: Sequence[Run],
    ds: Dataset,
    threshold: float,
    device: str,
    batch: int,
    workers: int | None,
    *,
    progress: bool,
) -> tuple[dict[ImageId, list[Predicted]], Taxonomy]:
    detector, classifier = _stages(runs)
    labels = (*classifier.labels, OTHER) if classifier else detector.labels
    folders = tuple(run.folder.absolute() for run in runs)
    load = _PredictorOf(folders, elsewhere.trained(runs), threshold, device)
    size = elsewhere.portion_size(batch)
    portions = (elsewhere.portion(ds, those) for those in inference.batches(ds.images, size))
    done = ahead(
        partial(_predict_portion, load, batch, workers or 1),
        portions,
        1,
        2 * workers_of(None),
        executor,
        name=elsewhere.names_of,
        shared=elsewhere.shared_by(ds, runs),
        batch=1,
    )
    predicted: dict[ImageId, list[Predicted]] = {}
    with closing(done):
        for found in track(done, "predicting", total=-(-len(ds.images) // size), shown=progress, stays=True):
            predicted |= found
    return predicted, taxonomy_with(labels)


def _predict_portion(
    load: _PredictorOf, batch: int, workers: int, ds: Dataset
) -> dict[ImageId, list[Predicted]]:
    return elsewhere.once(load).predict(ds, batch=batch, workers=workers)


def of_two_stages(labelled: Labelled, labels: Sequence[str]) -> list[Predicted]:
    """The cells of an image from the two-stage pipeline, by the detector's score, the best first.

    Detections that are not white cells are kept as Other, with the detector's score alone.
    """
    white = (
        Predicted(labels[label], Box(*map(float, box)), float(score * sure), float(score), float(sure))
        for box, score, label, sure in zip(
            labelled.boxes, labelled.scores, labelled.labels, labelled.label_scores, strict=True
        )
    )
    others = (
        Predicted(OTHER, Box(*map(float, box)), float(score))
        for box, score, _ in zip(*labelled.others, strict=True)
    )
    return sorted((*white, *others), key=lambda one: -one.shown_score)


def best(
    predicted: Mapping[ImageId, Sequence[Predicted]], nms_iou: float = ONE_CELL
) -> dict[ImageId, list[Predicted]]:
    """Only the best of several predictions of one cell, whatever their labels; the score that is shown decides.

    Detectors suppress overlapping predictions within a class, or not at all.

    Parameters
    ----------
    predicted
        The cells of each image, as `predict` returns them.
    nms_iou
        Of two predictions that overlap by a higher IoU, the better is kept; 1 keeps all.

    Examples
    --------
    >>> two = [Predicted("Monocyte", Box(0, 0, 50, 50), 0.6), Predicted("Lymphocyte", Box(0, 0, 50, 48), 0.7)]
    >>> [one.label for one in best({"a.png": two})["a.png"]]
    ['Lymphocyte']
    """
    kept = {}
    for image, ones in predicted.items():
        places = best_of_each_cell(
            [astuple(one.box) for one in ones], [one.shown_score for one in ones], nms_iou
        )
        kept[image] = [ones[place] for place in places]
    return kept


def write(
    predicted: Mapping[ImageId, Sequence[Predicted]],
    out: str | Path,
    ds: Dataset,
    taxonomy: Taxonomy,
    form: Form,
    *,
    threshold: float = 0.5,
    nms_iou: float | None = None,
    runs: Sequence[Run] = (),
) -> Report:
    """Write predictions; the report says from which score, and how many are left out.

    Parameters
    ----------
    predicted
        The cells of each image, as `predict` returns them.
    out
        A new folder; for CVAT a new zip (the suffix .zip is added if it is missing).
    ds
        The images. For CVAT, their cells are kept, and the predictions come after them.
    taxonomy
        The classes, as `predict` returns them.
    form
        "coco": ``results.json`` with all predictions, and ``images.json`` with the images and categories that its ids
        refer to, and the patients of the images. "cvat": a zip with images and boxes to correct. "pictures": the images with the boxes drawn.
    threshold
        The lowest score to write for CVAT or to draw; of two stages, the detector's.
    nms_iou
        Of two predictions that overlap by a higher IoU, whatever their labels, only the better is written; by default 0.7, and
        for "coco" 1, which writes all: average precision takes every prediction into account.
    runs
        The runs that predicted; for COCO, their folders are recorded.

    Raises
    ------
    ExportError
        If `out` holds something else, or cannot be written.
    ValueError
        If there is no such form.
    """
    check_out(out, form)
    if form == "coco":
        threshold = 0.0
    kept = best(predicted, (1.0 if form == "coco" else ONE_CELL) if nms_iou is None else nms_iou)
    shown = {image: [one for one in ones if one.shown_score >= threshold] for image, ones in kept.items()}
    left_out = {
        "predictions of a cell that has a better one": _count(predicted) - _count(kept),
        f"predictions with a score below {threshold:g}": _count(kept) - _count(shown),
    }
    bare = replace(ds, taxonomy=taxonomy, cells=(), split=None)
    if form == "cvat":
        report = cvat.write(beside(shown, ds, taxonomy, threshold=threshold), out)
        return replace(report, skipped={**report.skipped, **left_out})
    if form == "coco":
        return _write_coco(shown, bare, Path(out), left_out, runs)
    return _write_pictures(shown, bare, Path(out), left_out)


def _count(predicted: Mapping[ImageId, Sequence[Predicted]]) -> int:
    return sum(map(len, predicted.values()))


def check_out(out: str | Path, form: Form) -> None:
    """Refuse a target that `write` would refuse, before a model runs.

    Raises
    ------
    ExportError
        If `out` holds something else, or names a file where a folder is written.
    ValueError
        If there is no such form.
    """
    if form == "cvat":
        cvat.check_out(out)
    elif form in _FOLDERS:
        check_target(out, _FOLDERS[form])
    else:
        raise ValueError(f'form "{form}": must be coco, cvat or pictures')


def _write_coco(
    predicted: Mapping[ImageId, Sequence[Predicted]],
    ds: Dataset,
    out: Path,
    left_out: Mapping[str, int],
    runs: Sequence[Run],
) -> Report:
    results = [_result(image.id, one) for image in ds.images for one in predicted[image.id]]
    least = min((one.shown_score for ones in predicted.values() for one in ones), default=0.0)
    notes = (
        (f"cells are predictions of every score, down to {least:.2g}; many are not cells",) if results else ()
    )
    report = _report(_FOLDERS["coco"], out, ds, [result.label for result in results], left_out, notes)
    with new_folder(out, report.format) as folder:
        coco.write_results(results, ds, folder)
        report.leave_in(folder, {"name": ds.name, "runs": [_way(out, run.folder) for run in runs]})
    return report


def _way(out: Path, run: Path) -> str:
    """The path from predictions to a run, so that both can move together; the run's name, if they are on two drives."""
    try:
        return Path(os.path.relpath(run.resolve(), out.resolve())).as_posix()
    except ValueError:
        return run.name


def _result(image: ImageId, one: Predicted) -> coco.Result:
    box, more = one.box, {}
    if one.detection_score is not None and one.label_score is not None:
        more = {
            "detection_score": round(one.detection_score, 6),
            "label_score": round(one.label_score, 6),
        }
    return coco.Result(image, one.label, (box.x1, box.y1, box.x2, box.y2), round(one.score, 6), more)


def _write_pictures(
    shown: Mapping[ImageId, Sequence[Predicted]], ds: Dataset, out: Path, left_out: Mapping[str, int]
) -> Report:
    files = pixels_of.files_of(ds)
    report = _report(
        _FOLDERS["pictures"], out, ds, [one.label for image in ds.images for one in shown[image.id]], left_out
    )
    with new_folder(out, report.format) as folder:
        for image, name in zip(ds.images, _picture_names(image.id for image in ds.images), strict=True):
            boxes = [
                Drawn(
                    (one.box.x1, one.box.y1, one.box.x2, one.box.y2),
                    f"{one.label} {one.shown_score:.2f}",
                    one.label,
                )
                for one in reversed(shown[image.id])  # the best is on top
            ]
            picture = draw(pixels_of.load(files, image), boxes)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.save(target, quality=90, subsampling=0)  # thin lines keep their colours
        report.leave_in(folder)
    return report


def _picture_names(images: Iterable[ImageId]) -> list[str]:
    """The path of a JPEG for each image: a.jpg for a.png, or a.png.jpg if another image has taken a.jpg."""
    names: dict[str, str] = {}
    for image in images:
        path = PurePosixPath(image)
        stem = path.with_suffix("") if path.suffix.lower() in IMAGE_SUFFIXES else path
        choices = chain((f"{stem}.jpg", f"{path}.jpg"), (f"{path}.{number}.jpg" for number in count(2)))
        name = next(choice for choice in choices if choice.casefold() not in names)
        names[name.casefold()] = name
    return list(names.values())


def _report(
    form: str,
    out: Path,
    ds: Dataset,
    labels: Sequence[str],
    left_out: Mapping[str, int],
    notes: tuple[str, ...] = (),
) -> Report:
    counts = {label: labels.count(label) for label in ds.taxonomy.labels}
    return Report(form, out, {"all": len(ds.images)}, {"all": counts}, left_out, notes)
