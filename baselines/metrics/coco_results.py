"""Predictions as a COCO results file: how detectors trained elsewhere come in, and ours go out.

Numbers are those that `converters.coco` writes for the same data: images from 1 in the order of the data set,
categories from 1 in the order of its classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pcm_leukemia.baselines.contract import Found
from pcm_leukemia.baselines.metrics.matching import sides
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, InvalidExport, Problem
from pcm_leukemia.schema import ImageId

__all__ = ["from_coco_results", "to_coco_results"]


class _Row(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float


def from_coco_results(
    results: str | Path | Sequence[Mapping[str, Any]], ds: Dataset, *, first_category: int = 1
) -> dict[ImageId, Found]:
    """What a COCO results file found in each image of a data set; nothing, where it has no row.

    Parameters
    ----------
    results
        A JSON file, or its rows ``{image_id, category_id, bbox, score}`` with ``bbox = [x, y, width, height]``
        in pixels, numbered as `converters.coco` numbers this data set. Mind that a part of a data set, given
        alone, is numbered from 1 too.
    ds
        The images that were looked at.
    first_category
        The id of the first category, 1 or 0.

    Raises
    ------
    DataNotFound
        If the file cannot be read.
    InvalidExport
        If it is no list of results, or a row is not one, names an unknown image or category, or has a score
        or a box that are none: every such row is listed.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100), Image(ImageId("b.png"), 200, 100)))
    >>> row = {"image_id": 1, "category_id": 9, "bbox": [50, 20, 30, 40], "score": 0.875}
    >>> found = from_coco_results([row], ds)
    >>> found["a.png"].boxes.tolist(), found["a.png"].labels.tolist(), len(found["b.png"].scores)
    ([[50.0, 20.0, 80.0, 60.0]], [8], 0)
    """
    where, given = _content(results)
    images, classes = len(ds.images), len(ds.taxonomy.labels)
    last = first_category + classes - 1
    problems: list[Problem] = []
    by_image: dict[int, list[_Row]] = {}
    for index, content in enumerate(given):
        place = f"{where}[{index}]"
        try:
            row = msgspec.convert(content, _Row)
        except msgspec.ValidationError as error:
            fix = "give image_id, category_id, bbox as [x, y, width, height], and score"
            problems.append(Problem(place, f"cannot be read ({error})", fix))
            continue
        if not 1 <= row.image_id <= images:
            fix = f"images are numbered 1 to {images:,}, as converters.coco writes them from the same data"
            problems.append(Problem(place, f"its image_id {row.image_id} is not there", fix))
        if not first_category <= row.category_id <= last:
            fix = f"categories are numbered {first_category} to {last}; see first_category"
            problems.append(Problem(place, f"its category_id {row.category_id} is not there", fix))
        if not np.isfinite(row.bbox).all() or min(row.bbox[2:]) < 0:
            fix = "give [x, y, width, height] in pixels"
            problems.append(Problem(place, f"its bbox {list(row.bbox)} is none", fix))
        if not 0 <= row.score <= 1:
            problems.append(Problem(place, f"its score is {row.score}", "give one from 0 to 1"))
        by_image.setdefault(row.image_id, []).append(row)
    if problems:
        raise InvalidExport(problems)
    return {
        image.id: _found(by_image.get(number, []), first_category)
        for number, image in enumerate(ds.images, 1)
    }


def to_coco_results(ds: Dataset, found: Mapping[ImageId, Found]) -> list[dict[str, Any]]:
    """The rows of a COCO results file, ready for `json.dump`; boxes to 0.001 px.

    Parameters
    ----------
    ds
        The images that were looked at, numbered in its order; those that are not in `found` give no row.
    found
        What was found in each.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),))
    >>> box = np.array([[50, 20, 80, 60.5]], np.float32)
    >>> to_coco_results(ds, {ImageId("a.png"): Found(box, np.array([0.875], np.float32), np.array([8]))})
    [{'image_id': 1, 'category_id': 9, 'bbox': [50.0, 20.0, 30.0, 40.5], 'score': 0.875}]
    """
    return [
        {"image_id": number, "category_id": label + 1, "bbox": box, "score": score}
        for number, image in enumerate(ds.images, 1)
        if image.id in found
        for box, score, label in zip(
            sides(found[image.id].boxes).round(3).tolist(),
            found[image.id].scores.tolist(),
            found[image.id].labels.tolist(),
            strict=True,
        )
    ]


def _content(given: str | Path | Sequence[Mapping[str, Any]]) -> tuple[str, Sequence[Any]]:
    """The rows, and what to call them."""
    if not isinstance(given, str | Path):
        return "results", given
    try:
        content = msgspec.json.decode(Path(given).read_bytes())
    except OSError as error:
        raise DataNotFound(f"{given}: cannot be read ({error.strerror}); give a COCO results file") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        content = None
    if not isinstance(content, list):
        what = (
            "is a COCO data set, not its results" if isinstance(content, dict) else "is no COCO results file"
        )
        fix = "give a JSON list of {image_id, category_id, bbox, score}"
        raise InvalidExport([Problem(str(given), what, fix)])
    return Path(given).name, content


def _found(rows: list[_Row], first_category: int) -> Found:
    rows = sorted(rows, key=lambda row: -row.score)
    boxes = np.array([row.bbox for row in rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Found(
        boxes.astype(np.float32),
        np.array([row.score for row in rows], np.float32),
        np.array([row.category_id - first_category for row in rows], np.int64),
    )
