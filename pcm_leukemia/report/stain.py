"""The colours of patients' images: background and nuclei, in CIE L*a*b*, and the patients whose stain is unlike the others'.

L* is lightness, from 0 (black) to 100 (white). a* runs from green to red and b* from blue to yellow; both are 0 for grey.
Pixels are taken as sRGB and the white point is D50, as in ICC profiles.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from typing import Literal, NamedTuple, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ImageCms

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.images import Pixels
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.schema import Cell, Image, ImageId, PatientId
from pcm_leukemia.shapes import Point

__all__ = [
    "FEWEST",
    "Colour",
    "Outlier",
    "Unit",
    "background",
    "choose",
    "measure",
    "outliers",
    "stained",
    "to_lab",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Where: TypeAlias = Literal["background", "nuclei"]
T = TypeVar("T")

MOST_IMAGES = 600
"""Images that are measured, so that a large data set costs a minute at most."""
EACH = 3
"""Images of each patient that are measured; two are enough to see the stain of a slide, and a third outvotes one."""
MOST_CELLS = 50
"""Cells of an image that are measured: its first ones."""
PIXELS = 65_536
"""About this many pixels of an image, and of its boxes, are measured: a grid."""

BRIGHTEST = 0.1
"""The background is this share of an image's pixels, those of the highest L*: glass is the brightest part of a smear."""
DARKEST = 0.05
"""The stained part is this share of the pixels in all boxes of an image, those of the lowest L*.

Where an image has a white cell, it is nucleus, also if most boxes are of red cells.
"""

UNLIKE = 3.5
"""A patient is an outlier above this many robust standard deviations from the median of the source.

It is the limit of the modified z-score of Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993.
"""
NARROWEST = 1.0
"""The smallest standard deviation to divide by, in units of L*, a* and b*; the eye does not see one unit."""
FEWEST = 8
"""Patients that a source needs; the median and the deviation of fewer say little."""


class Colour(NamedTuple):
    """A mean colour in CIE L*a*b*, and in RGB, 0 to 255."""

    lab: tuple[float, float, float]
    rgb: tuple[float, float, float]


class Outlier(NamedTuple):
    """L*, a* or b*, whichever is furthest from the median of the source, and its distance in robust standard deviations."""

    axis: str
    deviations: float


@dataclass(frozen=True, slots=True)
class Unit:
    """A patient, or an image without one, the images of it that are measured, and the colours of those that were read."""

    patient: PatientId | None
    images: tuple[Image, ...]
    background: dict[ImageId, Colour] = field(default_factory=dict, compare=False)
    nuclei: dict[ImageId, Colour] = field(default_factory=dict, compare=False)

    def mean(self, where: Where) -> Colour | None:
        """The mean of its images; None if nothing could be measured."""
        found = self.background if where == "background" else self.nuclei
        here = [found[image.id] for image in self.images if image.id in found]
        return _mean_of(here) if here else None


def to_lab(pixels: Pixels) -> Floats:
    """CIE L*a*b* of pixels in sRGB, of the same shape; steps of 0.4 in L* and 1 in a* and b*.

    Examples
    --------
    >>> to_lab(np.array([[[255, 255, 255], [0, 0, 255]]], np.uint8)).round().tolist()
    [[[100.0, 0.0, 0.0], [29.0, 68.0, -112.0]]]
    """
    image = ImageCms.applyTransform(PIL.Image.fromarray(pixels), _transform())
    if image is None:
        raise AssertionError("only a transformation in place returns nothing")
    lab = np.asarray(image)
    return np.dstack([lab[..., 0] * (100 / 255), lab[..., 1:].astype(np.int8)])


@cache
def _transform() -> ImageCms.ImageCmsTransform:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.buildTransform(srgb, lab, "RGB", "LAB")


def background(pixels: Pixels) -> Colour:
    """The mean colour of the brightest pixels of an image; `pixels` are RGB, uint8, ``(height, width, 3)``.

    Examples
    --------
    >>> white = np.full((100, 100, 3), 255, np.uint8)
    >>> white[:80] = 0
    >>> background(white).rgb
    (255.0, 255.0, 255.0)
    """
    step = _step(pixels.shape[0] * pixels.shape[1])
    rgb = np.ascontiguousarray(pixels[::step, ::step])
    lab = to_lab(rgb)
    return _mean(rgb, lab, lab[..., 0] >= np.quantile(lab[..., 0], 1 - BRIGHTEST))


def stained(pixels: Pixels, cells: Iterable[Cell]) -> Colour | None:
    """The mean colour of the darkest pixels in the boxes of an image; None without boxes.

    Examples
    --------
    >>> stained(np.full((100, 100, 3), 255, np.uint8), ()) is None
    True
    """
    boxes = [cell.box for cell in cells if not isinstance(cell.shape, Point)][:MOST_CELLS]
    corners = [[max(round(side), 0) for side in (box.y1, box.y2, box.x1, box.x2)] for box in boxes]
    inside = [pixels[top:bottom, left:right] for top, bottom, left, right in corners]
    step = _step(sum(box.size // 3 for box in inside))
    rows = [box[::step, ::step].reshape(-1, 3) for box in inside]
    if not any(map(len, rows)):
        return None
    rgb = np.concatenate(rows)[None]
    lab = to_lab(rgb)
    return _mean(rgb, lab, lab[..., 0] <= np.quantile(lab[..., 0], DARKEST))


def _step(pixels: int) -> int:
    """The rows and columns from one pixel of a grid to the next."""
    return max(1, round(math.sqrt(pixels / PIXELS)))


def _mean_of(colours: Sequence[Colour]) -> Colour:
    return _colour(np.array([each.lab for each in colours]), np.array([each.rgb for each in colours]))


def _mean(rgb: Pixels, lab: Floats, chosen: npt.NDArray[np.bool_]) -> Colour:
    return _colour(lab[chosen], rgb[chosen])


def _colour(lab: npt.NDArray[np.generic], rgb: npt.NDArray[np.generic]) -> Colour:
    """The mean of rows of colours."""
    (lightness, red, yellow), (r, g, b) = lab.mean(axis=0).tolist(), rgb.mean(axis=0).tolist()
    return Colour((lightness, red, yellow), (r, g, b))


def choose(ds: Dataset) -> list[Unit]:
    """The patients, and images without one, of which images are measured: all, or as many as fit, evenly by id.

    Of each patient, images with cells come first.

    Examples
    --------
    >>> from pcm_leukemia import NINE
    >>> images = tuple(Image(f"{n}.png", 200, 100, file=f"{n}.png") for n in range(4))
    >>> [unit.images[0].id for unit in choose(Dataset("demo", NINE, images))]
    ['0.png', '1.png', '2.png', '3.png']
    """
    of: dict[tuple[PatientId | None, str], list[Image]] = defaultdict(list)
    for image in ds.images:
        if image.file is not None:
            of[image.patient, "" if image.patient else image.id].append(image)
    keys = _evenly(list(of), MOST_IMAGES)
    each = max(1, min(EACH, MOST_IMAGES // max(len(keys), 1)))
    units = []
    for key in keys:
        with_cells = [image for image in of[key] if ds.cells_of(image)]
        without = [image for image in of[key] if not ds.cells_of(image)]
        chosen = _evenly(with_cells, each)
        chosen += _evenly(without, each - len(chosen))
        units.append(Unit(key[0], tuple(chosen)))
    return units


def _evenly(things: Sequence[T], most: int) -> list[T]:
    """At most so many of the things, at equal steps from the first on."""
    count = min(len(things), max(most, 0))
    return [things[place * len(things) // count] for place in range(count)]


def measure(ds: Dataset, pictures: Pictures, units: Iterable[Unit]) -> None:
    """Ask for the images of the units; their colours are there when the pictures have been cut."""
    for unit in units:
        for image in unit.images:
            pictures.each(image, partial(_measure, unit, image, ds.cells_of(image)))


def _measure(unit: Unit, image: Image, cells: Iterable[Cell], pixels: Pixels) -> None:
    unit.background[image.id] = background(pixels)
    if colour := stained(pixels, cells):
        unit.nuclei[image.id] = colour


def outliers(units: Sequence[Unit], sources: Mapping[ImageId, str]) -> dict[int, dict[Where, Outlier]]:
    """The units whose background or nuclei are unlike those of their source, by number; see `UNLIKE` for the rule.

    L*, a* and b* are judged one by one, and the largest distance counts. `sources` says where each image comes from; if
    it is empty, all units are compared with each other.
    """
    by_source: dict[str, list[int]] = defaultdict(list)
    for number, unit in enumerate(units):
        by_source[sources.get(unit.images[0].id, "")].append(number)
    found: dict[int, dict[Where, Outlier]] = defaultdict(dict)
    for numbers, where in product(by_source.values(), get_args(Where)):
        there = [(number, colour) for number in numbers if (colour := units[number].mean(where))]
        if len(there) < FEWEST:
            continue
        off = _deviations(np.array([colour.lab for _, colour in there]))
        for (number, _), row in zip(there, off, strict=True):
            most = int(row.argmax())
            if row[most] > UNLIKE:
                found[number][where] = Outlier(("L*", "a*", "b*")[most], float(row[most]))
    return dict(found)


def _deviations(values: Floats) -> Floats:
    """The distance of each value from the median of its column, in robust standard deviations, ``(n, c)``."""
    off = np.abs(values - np.median(values, axis=0))
    # 1.4826 makes the median absolute deviation the standard deviation of normally distributed values
    spread = np.maximum(1.4826 * np.median(off, axis=0), NARROWEST)
    return np.asarray(off / spread)
