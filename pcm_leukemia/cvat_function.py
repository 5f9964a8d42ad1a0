"""A trained run as an auto-annotation function of CVAT, for ``cvat-cli task auto-annotate`` and CVAT's agents.

::

    cvat-cli task auto-annotate 12 --function-module pcm_leukemia.cvat_function -p run=str:runs/yolo11m

The shapes are those that ``pcm-leukemia predict --to cvat`` writes, and have CVAT's own score.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import PIL.Image
import PIL.ImageOps

from pcm_leukemia.baselines.prediction import LOWEST, Predictor, as_cells, best
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.cvat_server import as_shape
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import MissingExtra
from pcm_leukemia.schema import Image, ImageId

try:
    import cvat_sdk.auto_annotation as cvataa
except ImportError as error:
    raise MissingExtra("cvat-sdk", "cvat") from error

if TYPE_CHECKING:
    from cvat_sdk.models import LabeledShapeRequest

__all__ = ["CellFunction", "create"]

_FRAME = "frame.png"
_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
"""Pillow's modes that a PNG holds without loss."""


def create(
    run: str, classifier: str | None = None, *, device: str = "auto", threshold: float = 0.5
) -> CellFunction:
    """Load the function; CVAT's command line and its agents call this with what ``-p NAME=TYPE:VALUE`` gives.

    Parameters
    ----------
    run
        The folder of a detector's run.
    classifier
        The folder of a classifier's run, which labels the cells in a second stage. The detector's task is then "wbc".
    device
        "auto", "cpu", "cuda" or "cuda:1".
    threshold
        The lowest score of a shape, unless CVAT asks for another; of two stages, the detector's score.

    Raises
    ------
    DataNotFound
        If a folder holds no run.
    ValueError
        If the runs are not those of one detector, or a detector and a classifier; or the threshold is not from 0 to 1.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold}: must be a score from 0 to 1")
    runs = [Run.open(folder) for folder in (run, classifier) if folder]
    return CellFunction(Predictor.of(runs, threshold=min(threshold, LOWEST), device=device), threshold)


@dataclass(frozen=True)
class CellFunction:
    """A predictor behind the interface of a detection function of cvat-sdk."""

    predictor: Predictor
    threshold: float = 0.5

    @cached_property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The classes, each with a number; a task must have labels of these names that take rectangles."""
        labels = self.predictor.taxonomy.labels
        return cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(name, number, type="rectangle") for number, name in enumerate(labels)]
        )

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: PIL.Image.Image
    ) -> Sequence[LabeledShapeRequest]:
        """Find the cells in an image, which CVAT shows as its EXIF orientation says."""
        asked = context.conf_threshold
        shown = PIL.ImageOps.exif_transpose(image)
        with tempfile.TemporaryDirectory() as folder:
            # an image in memory would need a second way into the models; this is the way of all others
            picture = shown if shown.mode in _MODES else shown.convert("RGB")
            picture.save(Path(folder, _FRAME), compress_level=1, exif=b"")
            frame = Image(ImageId(_FRAME), *shown.size, file=_FRAME)
            ds = Dataset(context.frame_name, self.predictor.taxonomy, (frame,), root=Path(folder))
            predicted = best(self.predictor.predict(ds, batch=1, workers=1))
        drawn = as_cells(predicted, ds, threshold=self.threshold if asked is None else asked)
        ids = ds.taxonomy.ids
        return [as_shape(cell, ids[cell.label]) for cell in drawn.cells]
