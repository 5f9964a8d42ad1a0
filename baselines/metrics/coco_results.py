"""COCO results as arrays: to score the predictions of other models, and to write those of ours.

`converters.coco` reads, checks and writes the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.converters import coco
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import ImageId

__all__ = ["from_coco_results", "to_coco_results"]


def from_coco_results(
    results: coco.Results, ds: Dataset, *, first_category: int = 1
) -> dict[ImageId, Detections]:
    """The predictions of a COCO results file for every image of a data set, best first.

    Parameters and errors are those of `converters.coco.read_results`.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100), Image(ImageId("b.png"), 200, 100)))
    >>> row = {"image_id": 1, "category_id": 9, "bbox": [50, 20, 30, 40], "score": 0.875}
    >>> found = from_coco_results([row], ds)
    >>> found["a.png"].boxes.tolist(), found["a.png"].labels.tolist(), len(found["b.png"].scores)
    ([[50.0, 20.0, 80.0, 60.0]], [8], 0)
    """
    of_image: dict[ImageId, list[coco.Result]] = {image.id: [] for image in ds.images}
    for result in coco.read_results(results, ds, first_category=first_category):
        of_image[result.image].append(result)
    return {image: _found(results, ds.taxonomy.ids) for image, results in of_image.items()}


def to_coco_results(ds: Dataset, found: Mapping[ImageId, Detections]) -> list[dict[str, Any]]:
    """The rows of a COCO results file, ready for `json.dump`; boxes to 0.001 px.

    Parameters
    ----------
    ds
        The images that the model was run on; an image missing from `found` yields no rows.
    found
        The detections of each image.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),))
    >>> box = np.array([[50, 20, 80, 60.5]], np.float32)
    >>> to_coco_results(ds, {ImageId("a.png"): Detections(box, np.array([0.875], np.float32), np.array([8]))})
    [{'image_id': 1, 'category_id': 9, 'bbox': [50.0, 20.0, 30.0, 40.5], 'score': 0.875}]
    """
    results = (
        coco.Result(image.id, ds.taxonomy.labels[label], tuple(box), score)
        for image in ds.images
        if image.id in found
        for box, score, label in zip(*(each.tolist() for each in found[image.id]), strict=True)
    )
    return coco.result_rows(results, ds)


def _found(results: list[coco.Result], ids: Mapping[str, int]) -> Detections:
    results = sorted(results, key=lambda result: -result.score)
    return Detections(
        np.array([result.sides for result in results], np.float32).reshape(-1, 4),
        np.array([result.score for result in results], np.float32),
        np.array([ids[result.label] for result in results], np.int64),
    )
