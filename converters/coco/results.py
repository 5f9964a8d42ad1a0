"""What a model predicts, as cells, so that an expert corrects in CVAT instead of drawing.

A prediction becomes a cell with ``source="auto"`` and an attribute ``score``, as text with two
decimals ("0.87"). Boxes are rounded to 0.01 px, as CVAT writes them, and cut at the image's border.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, DataWarning, InvalidExport, Problem, some
from pcm_leukemia.requirements import require_boxes
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box

__all__ = ["AUTO", "SCORE", "Onto", "Predictions", "with_predictions"]

Predictions: TypeAlias = (
    str | Path | Sequence[Mapping[str, Any]] | Mapping[str, Iterable[tuple[str, Box, float]]]
)
"""A COCO results file or its rows, or image id -> (label, box, score)."""
Onto = Literal["empty", "all"]

AUTO = "auto"
"""The source of a predicted cell; CVAT calls its own automatic annotations so."""
SCORE = "score"
"""The attribute that has the score."""

_Sides: TypeAlias = tuple[float, float, float, float]


class _Row(NamedTuple):
    """A prediction, before its box is looked at: x1, y1, x2, y2 in pixels."""

    image: Image
    label: str
    sides: _Sides
    score: float


def with_predictions(
    ds: Dataset,
    predictions: Predictions,
    *,
    threshold: float = 0.5,
    onto: Onto = "empty",
    first_category: int = 1,
) -> Dataset:
    """Add predicted cells to a data set, after the cells that are there.

    Parameters
    ----------
    ds
        The whole data set, with all its parts: numbers count over them. Select a part afterwards.
    predictions
        A COCO results file, or its rows ``{image_id, category_id, bbox, score}`` with
        ``bbox = [x, y, width, height]``, numbered as `converters.coco` does: images from 1 in their
        order in `ds`, categories from `first_category` in the taxonomy's order. Or a mapping of image
        id to (label, box, score).
    threshold
        The lowest score that is taken, 0 to 1.
    onto
        "empty": only images without any cell get predictions, since on others an expert has drawn
        already and would find everything twice; what is left out elsewhere is counted in a warning.
        "all": every image.
    first_category
        The id of the first category, 1 or 0, as in `converters.coco`.

    Returns
    -------
    Dataset
        The same data with more cells; those of an image are numbered in the order of the predictions.

    Raises
    ------
    DataNotFound
        If the results file cannot be read.
    InvalidExport
        If it is no list of results, or a row is not one, names an unknown image or category, or has
        a score or a box that are none: every such row is listed.
    UnfitForTask
        If cells are points without a box, which predictions cannot be held against.
    ValueError
        If an option has no such value.

    Warns
    -----
    DataWarning
        If boxes lie outside their image or have no area, or images already have cells.

    Examples
    --------
    >>> from pcm_leukemia.schema import ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),))
    >>> row = {"image_id": 1, "category_id": 9, "bbox": [50, 20, 30, 40], "score": 0.871}
    >>> cell = with_predictions(ds, [row, {**row, "score": 0.3}]).cells[0]
    >>> cell.label, cell.box, cell.source, cell.attributes
    ('Other', Box(x1=50.0, y1=20.0, x2=80.0, y2=60.0), 'auto', (('score', '0.87'),))
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold}: must be a score from 0 to 1")
    if onto not in ("empty", "all"):
        raise ValueError(f'onto "{onto}": must be empty or all')
    if first_category not in (0, 1):
        raise ValueError(f"first_category {first_category}: must be 1 (COCO) or 0")
    require_boxes(ds)
    problems: list[Problem] = []
    if isinstance(predictions, Mapping):
        rows = list(_from_mapping(ds, predictions, problems))
    else:
        where, results = _results(predictions)
        rows = list(_from_results(ds, where, results, first_category, problems))
    if problems:
        raise InvalidExport(problems)
    left: Counter[str] = Counter()
    added = list(_cells(ds, rows, threshold, left, everywhere=onto == "all"))
    if left:
        lines = [f"{ds.name}: {count:,} predictions {kind}: left out" for kind, count in sorted(left.items())]
        warnings.warn(some(lines), DataWarning, stacklevel=2)
    return replace(ds, cells=(*ds.cells, *added))


def _cells(
    ds: Dataset, rows: list[_Row], threshold: float, left: Counter[str], *, everywhere: bool
) -> Iterator[Cell]:
    """The cells to add; `left` counts the rows that give none."""
    free: dict[str, int] = {}
    for image, label, sides, score in rows:
        if score < threshold:
            continue
        there = ds.cells_of(image)
        if there and not everywhere:
            left['on images that have cells (onto="all" takes them)'] += 1
            continue
        box = _inside(sides, image)
        if box is None:
            left["outside their image, or without area"] += 1
            continue
        number = free.setdefault(image.id, there[-1].id + 1 if there else 0)
        free[image.id] = number + 1
        yield Cell(image.id, number, label, box, label, source=AUTO, attributes=((SCORE, f"{score:.2f}"),))


def _inside(sides: _Sides, image: Image) -> Box | None:
    """The box in hundredths of a pixel, as far as it is in the image; None if nothing of it is."""
    x1, y1, x2, y2 = (round(side, 2) for side in sides)
    if x1 >= x2 or y1 >= y2:
        return None
    return Box(x1, y1, x2, y2).clip(image.width, image.height)


# What predictions may come as


def _results(given: str | Path | Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    """The rows of a COCO results file, or of such a list, and what to call them."""
    if not isinstance(given, str | Path):
        return "predictions", list(given)
    try:
        content = msgspec.json.decode(Path(given).read_bytes())
    except OSError as error:
        raise DataNotFound(f"{given}: cannot be read ({error.strerror}); give a COCO results file") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        content = error
    if not isinstance(content, list):
        what = "is no COCO results file"
        if isinstance(content, dict) and "annotations" in content:
            what += ", but a COCO data set"
        fix = "give a JSON list of {image_id, category_id, bbox, score}"
        raise InvalidExport([Problem(str(given), what, fix)])
    return Path(given).name, content


def _from_results(
    ds: Dataset, where: str, results: list[Any], first_category: int, problems: list[Problem]
) -> Iterator[_Row]:
    images = dict(enumerate(ds.images, 1))
    labels = dict(enumerate(ds.taxonomy.labels, first_category))
    numbered = f"images are numbered 1 to {len(images):,}, as converters.coco writes them from the same data"
    classes = (
        f"categories are numbered {first_category} to {first_category + len(labels) - 1}; see first_category"
    )
    for index, row in enumerate(results):
        place = f"{where}[{index}]"
        try:
            image, label = images.get(row["image_id"]), labels.get(row["category_id"])
            x, y, width, height = map(float, row["bbox"])
            score = float(row["score"])
        except KeyError as error:
            problems.append(Problem(place, f"lacks {error}", "give image_id, category_id, bbox and score"))
            continue
        except (TypeError, ValueError) as error:
            problems.append(Problem(place, f"cannot be read ({error})", "give bbox as [x, y, width, height]"))
            continue
        if image is None:
            problems.append(Problem(place, f"its image_id {row['image_id']} is not there", numbered))
        if label is None:
            problems.append(Problem(place, f"its category_id {row['category_id']} is not there", classes))
        sides = x, y, x + width, y + height
        if _is_sound(place, sides, score, problems) and image and label:
            yield _Row(image, label, sides, score)


def _from_mapping(
    ds: Dataset, given: Mapping[str, Iterable[tuple[str, Box, float]]], problems: list[Problem]
) -> Iterator[_Row]:
    images = {image.id: image for image in ds.images}
    labels = frozenset(ds.taxonomy.labels)
    for name, rows in given.items():
        image = images.get(name)  # type: ignore[call-overload]
        if image is None:
            problems.append(Problem(f'predictions: image "{name}"', "is not in the data", "give its id"))
            continue
        for index, (label, box, score) in enumerate(rows):
            place = f'predictions: image "{name}" [{index}]'
            if label not in labels:
                fix = f"use one of {', '.join(ds.taxonomy.labels)}"
                problems.append(Problem(place, f'label "{label}" is no class here', fix))
            sides = box.x1, box.y1, box.x2, box.y2
            if _is_sound(place, sides, score, problems) and label in labels:
                yield _Row(image, label, sides, float(score))


def _is_sound(place: str, sides: _Sides, score: float, problems: list[Problem]) -> bool:
    """Whether box and score are numbers of their kind; if not, that is a problem."""
    if not all(map(math.isfinite, sides)):
        problems.append(Problem(place, f"its box {sides} is not finite", "look at what the model gave"))
    elif sides[2] < sides[0] or sides[3] < sides[1]:
        problems.append(
            Problem(place, "its box ends before it starts", "give [x, y, width, height] in pixels")
        )
    elif not 0 <= score <= 1:
        problems.append(Problem(place, f"its score is {score}", "give one from 0 to 1"))
    else:
        return True
    return False
