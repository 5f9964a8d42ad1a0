"""The labels that a classifier alone gives to crops: images that show one cell each."""

from __future__ import annotations

import csv
import tempfile
import warnings
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path, PurePosixPath

import torch

from pcm_leukemia import bare_images
from pcm_leukemia.baselines.inference import batches
from pcm_leukemia.baselines.machine import workers_of
from pcm_leukemia.baselines.prediction import is_bare
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.converters import crops
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import Files, Report, check_target, new_folder, open_zip
from pcm_leukemia.progress import track
from pcm_leukemia.taxonomy import taxonomy_with
from pcm_leukemia.torchdata import Frames

__all__ = ["check_out", "predict_crops"]

_FORM = "predictions of crops"
_TABLE = "predictions.csv"
_CROPS = "crops.csv"


def check_out(out: str | Path) -> None:
    """Refuse a target that `predict_crops` would refuse, before a model runs; ExportError if so."""
    check_target(out, _FORM)


def predict_crops(
    run: Run,
    images: str | Path,
    out: str | Path,
    *,
    device: str = "auto",
    batch: int = 64,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Label crops with a classifier, and write ``predictions.csv``.

    The table has the file of each crop, its label, the score of the label, and the probability of each class. A crop should be cut
    as those of training were: the box of a cell with the run's padding on each side.

    Parameters
    ----------
    run
        The run of a classifier.
    images
        A folder that `converters.crops` wrote, or a zip of it; or any folder, zip or image file of crops.
    out
        A new folder.
    device, batch, workers, progress
        As in `baselines.evaluate`.

    Raises
    ------
    DataNotFound, CorruptFile
        If there is no image, or one cannot be decoded.
    ExportError
        If `out` holds something else, or cannot be written.
    ValueError
        If `images` is a data set of whole images.

    Warns
    -----
    DataWarning
        If the crops were cut with another padding than those that the classifier has learned from.
    """
    check_out(out)
    if not is_bare(Path(images)):
        raise ValueError(
            f"{images}: is a data set of whole images, and a classifier alone labels crops; write crops first (converters.crops), "
            "or predict with a detector, too"
        )
    classifier = run.classifier(device)
    ds = bare_images.read(images, taxonomy_with(classifier.labels))
    _warn_of_padding(Path(images), run, classifier.padding)
    frames = Frames(ds, ds.images)
    prepared = ahead(
        lambda number: classifier.prepare(frames.load(number)),
        range(len(frames)),
        workers_of(workers),
        2 * batch,
    )
    shown = track(prepared, "classifying", total=len(frames), shown=progress, stays=True)
    rows = [
        row
        for those in batches(shown, batch)
        for row in classifier.probabilities(torch.stack(those)).tolist()
    ]
    with new_folder(out, _FORM) as folder:
        labels = _write_table(ds, rows, folder / _TABLE)
        report = Report(_FORM, Path(out), {"all": len(ds.images)}, {"all": dict(labels)})
        report.leave_in(folder, {"name": ds.name})
    return report


def _warn_of_padding(images: Path, run: Run, padding: int) -> None:
    """Name the padding of crops that this package has cut, if the classifier has learned from another."""
    found = _paddings(images)
    if found - {padding}:
        cut = ", ".join(map(str, sorted(found)))
        warnings.warn(
            f"{images}: crops have {cut} px of padding, and {run.folder} has learned from crops with {padding} px; "
            f"cut them with a padding of {padding} px",
            DataWarning,
            stacklevel=3,
        )


def _paddings(images: Path) -> set[int]:
    """The paddings that ``crops.csv`` records, in a folder or a zip; none for crops that this package has not cut."""
    if not zipfile.is_zipfile(images):
        return _paddings_in(images)
    with open_zip(images) as archive, tempfile.TemporaryDirectory() as work:
        found = set()
        for name in archive.namelist():
            if PurePosixPath(name).name == _CROPS:
                with suppress(CorruptFile):
                    Path(work, _CROPS).write_bytes(Files(images).read(name))
                    found |= _paddings_in(Path(work))
    return found


def _paddings_in(folder: Path) -> set[int]:
    try:
        return {row.padding for row in crops.read_table(folder)}
    except (DataNotFound, CorruptFile):  # no table, or one of something else
        return set()


def _write_table(ds: Dataset, rows: list[list[float]], path: Path) -> Counter[str]:
    """Write a row for each image, and count the labels."""
    classes, counts = ds.taxonomy.labels, Counter[str]()
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "label", "score", *classes])
        for image, row in zip(ds.images, rows, strict=True):
            score = max(row)
            label = classes[row.index(score)]
            counts[label] += 1
            table.writerow([image.file, label, f"{score:.6f}", *(f"{each:.6f}" for each in row)])
    return counts
