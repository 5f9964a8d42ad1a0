"""COCO results: the predictions of a model, read, checked and made into rows; `result_folder` writes them.

A row is ``{image_id, category_id, bbox, score}`` with ``bbox = [x, y, width, height]`` in pixels. Images and
categories are numbered as `coco.write` numbers them for the same data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from pcm_leukemia.converters.coco.numbers import category_numbers, image_numbers
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, InvalidExport, Problem
from pcm_leukemia.schema import ImageId
from pcm_leukemia.shapes import Box

__all__ = ["Result", "Results", "read_results", "result_rows"]

Rows: TypeAlias = str | Path | Sequence[Mapping[str, Any]]
"""A COCO results file, or its rows."""
Results: TypeAlias = Rows | Mapping[str, Iterable[tuple[str, Box, float]]]
"""A COCO results file or its rows, or image id -> (label, box, score)."""


class Result(NamedTuple):
    """One prediction: `sides` are x1, y1, x2, y2 in pixels, `score` is from 0 to 1.

    `more` holds further scores, which `result_rows` writes under their names. A two-stage pipeline gives
    ``detection_score`` and ``label_score``; `score` is then their product.
    """

    image: ImageId
    label: str
    sides: tuple[float, float, float, float]
    score: float
    more: Mapping[str, float] = {}

    @property
    def shown_score(self) -> float:
        """The score that decides what is shown: the detector's, if there are two stages."""
        return self.more.get("detection_score", self.score)


# Reading


def read_results(results: Results, ds: Dataset, *, first_category: int = 1) -> list[Result]:
    """Read and check predictions for a data set.

    Parameters
    ----------
    results
        A JSON file, or its rows ``{image_id, category_id, bbox, score}`` with ``bbox = [x, y, width, height]``
        in pixels. Images are numbered from 1 in the order of `ds`, categories from `first_category` in the
        order of the taxonomy. Or a mapping of image id to (label, box, score).
    ds
        The images that the model saw. If `ds` is one part of a data set, its images are numbered from 1.
    first_category
        The id of the first category, 1 or 0.

    Raises
    ------
    DataNotFound
        If the file cannot be read.
    InvalidExport
        If the file is not a list of results, or a row is malformed, has an unknown image or category, or an
        invalid score or box: every such row is listed.
    ValueError
        If `first_category` is neither 1 nor 0.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),))
    >>> row = {"image_id": 1, "category_id": 9, "bbox": [50, 20, 30, 40], "score": 0.875}
    >>> (result,) = read_results([row], ds)
    >>> result.image, result.label, result.sides, result.score
    ('a.png', 'Other', (50.0, 20.0, 80.0, 60.0), 0.875)
    """
    categories = category_numbers(ds.taxonomy, first_category)
    problems: list[Problem] = []
    if isinstance(results, Mapping):
        found = list(_from_mapping(ds, results, problems))
    else:
        found = list(_from_rows(ds, *_content(results), categories, problems))
    if problems:
        raise InvalidExport(problems)
    return found


def _content(given: Rows) -> tuple[str, Sequence[Any]]:
    """A name for the rows in messages, and the rows."""
    if not isinstance(given, str | Path):
        return "results", given
    try:
        content = msgspec.json.decode(Path(given).read_bytes())
    except OSError as error:
        raise DataNotFound(f"{given}: cannot be read ({error.strerror}); give a COCO results file") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = None
    if not isinstance(content, list):
        is_data = isinstance(content, dict) and "annotations" in content
        what = "is a COCO data set, not COCO results" if is_data else "is not a COCO results file"
        fix = "give a JSON list of {image_id, category_id, bbox, score}"
        raise InvalidExport([Problem(str(given), what, fix)])
    return Path(given).name, content


def _from_rows(
    ds: Dataset, where: str, rows: Sequence[Any], categories: Mapping[str, int], problems: list[Problem]
) -> Iterator[Result]:
    images = {number: image for image, number in image_numbers(ds).items()}
    labels = {number: label for label, number in categories.items()}
    numbered = f"images are numbered 1 to {len(images):,}, as in the COCO export of the same data"
    classes = f"categories are numbered {min(labels)} to {max(labels)}; see first_category"
    for index, row in enumerate(rows):
        place = f"{where}[{index}]"
        try:
            image, label = images.get(row["image_id"]), labels.get(row["category_id"])
            x, y, width, height = map(float, row["bbox"])
            score = float(row["score"])
            more = {name: float(row[name]) for name in ("detection_score", "label_score") if name in row}
        except KeyError as error:
            problems.append(Problem(place, f"lacks {error}", "give image_id, category_id, bbox and score"))
            continue
        except (TypeError, ValueError, OverflowError) as error:
            fix = "give image_id, category_id, bbox as [x, y, width, height], and score"
            problems.append(Problem(place, f"cannot be read ({error})", fix))
            continue
        if image is None:
            problems.append(Problem(place, f"image_id {row['image_id']} does not exist", numbered))
        if label is None:
            problems.append(Problem(place, f"category_id {row['category_id']} does not exist", classes))
        result = Result(image or ImageId(""), label or "", (x, y, x + width, y + height), score, more)
        if _is_sound(place, result, problems) and image and label:
            yield result


def _from_mapping(
    ds: Dataset, given: Mapping[str, Iterable[tuple[str, Box, float]]], problems: list[Problem]
) -> Iterator[Result]:
    images = {str(image.id): image.id for image in ds.images}
    labels = frozenset(ds.taxonomy.labels)
    for name, rows in given.items():
        image = images.get(name)
        if image is None:
            problems.append(Problem(f'results: image "{name}"', "is not in the data", "give its id"))
            continue
        for index, (label, box, score) in enumerate(rows):
            place = f'results: image "{name}" [{index}]'
            if label not in labels:
                fix = f"use one of {', '.join(ds.taxonomy.labels)}"
                problems.append(Problem(place, f'label "{label}" is not a class of the data', fix))
            result = Result(image, label, (box.x1, box.y1, box.x2, box.y2), float(score))
            if _is_sound(place, result, problems) and label in labels:
                yield result


def _is_sound(place: str, result: Result, problems: list[Problem]) -> bool:
    """Whether box and score are valid; if not, a problem is recorded."""
    (x1, y1, x2, y2), score = result.sides, result.score
    if not all(map(math.isfinite, result.sides)):
        problems.append(Problem(place, f"box {result.sides} is not finite", "check the model's output"))
    elif x2 < x1 or y2 < y1:
        what = f"box {result.sides} ends before it starts"
        problems.append(Problem(place, what, "give [x, y, width, height] in pixels"))
    elif not 0 <= score <= 1:
        problems.append(Problem(place, f"score {score} is out of range", "give one from 0 to 1"))
    else:
        return True
    return False


# Writing


def result_rows(results: Iterable[Result], ds: Dataset) -> list[dict[str, Any]]:
    """The rows of a COCO results file, ready for `json.dump`; boxes are rounded to 0.001 px.

    Parameters
    ----------
    results
        The predictions, in the order of the rows.
    ds
        The images that the model saw, and the classes.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),))
    >>> result_rows([Result(ImageId("a.png"), "Other", (50, 20, 80, 60.5), 0.875)], ds)
    [{'image_id': 1, 'category_id': 9, 'bbox': [50, 20, 30, 40.5], 'score': 0.875}]
    """
    images, categories = image_numbers(ds), category_numbers(ds.taxonomy)
    return [
        {
            "image_id": images[image],
            "category_id": categories[label],
            "bbox": [round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1)],
            "score": score,
            **more,
        }
        for image, label, (x1, y1, x2, y2), score, more in results
    ]
