"""The annotations of one COCO file as cells."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from pcm_leukemia.converters.coco.geometry import (
    Placed,
    Sides,
    agree,
    are_corners,
    corners_of,
    placed_by,
    sides_of,
)
from pcm_leukemia.converters.coco.ids import ById
from pcm_leukemia.converters.coco.refused import BAD_ROW, Refused, problem_of
from pcm_leukemia.converters.coco.rows import CocoRow, cell_of
from pcm_leukemia.errors import Problem, counted, either, option
from pcm_leukemia.schema import Cell, Image, ImageId
from pcm_leukemia.shapes import Box, RotatedBox, Shape, unpack

__all__ = ["Annotations"]

REFUSED = "refused"
"""In place of an image or a category that was refused, so that its annotations are not reported, too."""


class Annotations:
    """Reads the annotations of one file into `cells` and `problems`.

    Parameters
    ----------
    where
        The file's name in messages.
    images
        The images by their ids in the file, or `REFUSED`.
    labels
        The names of the categories by their ids in the file.
    classes
        Category's name -> class.
    left
        Counts what is left out, over all files.
    complete
        What could be read whole: "image", "category". Where not, annotations of unknown ones are passed over, because
        the cause is reported.
    clip, rows
        As in `read`.
    """

    def __init__(
        self,
        where: str,
        images: ById[Image | str],
        labels: ById[str],
        classes: Mapping[str, str],
        left: Counter[str],
        *,
        complete: Collection[str],
        clip: bool,
        rows: Literal["box", "outline"] | None,
    ) -> None:
        self.where, self.images, self.labels, self.classes, self.left = where, images, labels, classes, left
        self.complete, self.clip, self.rows = complete, clip, rows
        self.problems: list[Problem] = []
        self.cells: list[Cell] = []
        self._index = 0
        self._image: Image | None = None
        self._numbers: Counter[ImageId] = Counter()
        self._absent: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._firsts: dict[str, str] = {}
        self._outside: list[Problem] = []
        self._leaving = 0
        self._corners: list[str] = []

    def read(self, rows: Sequence[Any], *, ours: bool) -> None:
        """Read all rows. Those that `write` wrote are not compared with what other tools get wrong."""
        for index, row in enumerate(rows):
            self._index, self._image = index, None
            try:
                self._read(row)
            except BAD_ROW as error:
                self.problems.append(problem_of(self._here(), error))
        self._report_absent()
        if ours:
            self.problems += self._outside
        else:
            self._report_outside(rows)

    def _here(self) -> str:
        """The place of the row that is being read."""
        place = f"{self.where} annotations[{self._index}]"
        return place if self._image is None else f'{place} image "{self._image.id}"'

    def _problem(self, where: str, what: str, fix: str) -> None:
        self.problems.append(Problem(where, what, fix))

    def _read(self, row: object) -> None:
        if not isinstance(row, dict):
            raise Refused("is not an object")
        image, category = self.images.get(row["image_id"]), self.labels.get(row["category_id"])
        if image is None or category is None:
            kind = "image" if image is None else "category"
            self._absent[kind, str(row[f"{kind}_id"])].append(self._here())
            return
        if isinstance(image, str):
            return
        self._image = image
        found = self._geometry(row, image)
        if found is None:
            return
        box, shape = found
        label = self.classes.get(category, category), category
        number = self._numbers[image.id]
        cell = cell_of(row, image.id, number, label, box, shape)
        self._numbers[image.id] = max(number, cell.id) + 1
        if row.get("num_keypoints", row.get("keypoints")):
            self.left["annotations with key points: these are not kept"] += 1
        self.cells.append(cell)

    # Boxes and outlines

    def _geometry(self, row: CocoRow, image: Image) -> tuple[Box, Shape | None] | None:
        """The box and the shape of a row; None if it is left out or a problem."""
        if "shape" in row:  # ours: the box may differ from what was drawn
            placed = Placed(sides_of(row["bbox"]), unpack(*row["shape"]))
        else:
            placed = placed_by(row, image.width, image.height)
        sides, shape = placed.sides, placed.shape
        if placed.contradicting is not None:
            if self.rows is None:
                self._contradiction(row, placed, (image.width, image.height))
                return None
            self._count("boxes with an outline elsewhere", f"the {self.rows} is kept")
            sides, shape = (sides, None) if self.rows == "box" else (placed.contradicting, shape)
        elif placed.why_not_kept:
            self.left[placed.why_not_kept] += 1
        if shape is None and "area" in row and are_corners(sides, row.get("area")):
            self._corners.append(self._here())
        box = self._inside(row, sides, shape, image)
        return None if box is None else (box, shape)

    def _contradiction(self, row: CocoRow, placed: Placed, size: tuple[int, int]) -> None:
        outline = placed.contradicting
        assert outline is not None
        what = f"its bbox is {_shown(placed.sides)}, its outline is within {_shown(outline)} (x1, y1, x2, y2)"
        if agree(corners_of(row["bbox"]), outline, size):
            what += ", as if bbox were [x1, y1, x2, y2] and not [x, y, width, height]"
        choice = either('rows="outline" or rows="box"', "--rows outline or --rows box")
        self._problem(self._here(), what, f"correct it, or pass {choice} for the one that counts")

    def _inside(self, row: CocoRow, sides: Sides, shape: Shape | None, image: Image) -> Box | None:
        """The box with these sides; None if it is left out or a problem."""
        x1, y1, x2, y2 = sides
        if x1 == x2 or y1 == y2:
            self._count("boxes without area", "left out")
            return None
        if not (-math.inf < x1 < x2 < math.inf and -math.inf < y1 < y2 < math.inf):
            raise Refused(
                f"its box {row.get('bbox')} has no area or is not finite", "draw it again, or drop it"
            )
        # writing may have rounded by 0.001 px
        box = Box(x1, y1, _snap(x2, image.width), _snap(y2, image.height))
        if box.inside(image.width, image.height):
            return box
        self._leaving += 1
        if not self.clip:
            self._outside.append(_outside(row, box, shape, image, self._here()))
            return None
        inside = box.clip(image.width, image.height)
        if inside is None:
            self._count("boxes outside their image", "left out")
        else:
            self._count("boxes that leave the image", "cut at its border")
        return inside

    def _count(self, kind: str, outcome: str) -> None:
        """Count a row of a kind, under the place of the first."""
        if kind not in self._firsts:
            self._firsts[kind] = f"{kind}, the first {self._here()}: {outcome}"
        self.left[self._firsts[kind]] += 1

    # Causes that rows share

    def _report_absent(self) -> None:
        for (kind, number), places in self._absent.items():
            if kind in self.complete:
                others = f" ({counted(len(places) - 1, 'more annotation')} too)" if len(places) > 1 else ""
                fix = "add it, or drop the annotation" if not others else "add it, or drop the annotations"
                self._problem(places[0], f"its {kind} {number} is not in the file{others}", fix)

    def _report_outside(self, rows: Sequence[Any]) -> None:
        """Report boxes that leave their image, as one problem if all boxes of the file have their corners in bbox."""
        fix = "write bbox as [x, y, width, height]"
        if self._leaving and len(rows) > 2 and self._all_fit_as_corners(rows):
            what = f"{self._leaving:,} of {len(rows):,} boxes leave their image, and all lie in it if bbox is [x1, y1, x2, y2]"
            self._problem(self.where, what, fix)
            return
        if self._all_fractions(rows):
            what = f"all {len(rows):,} boxes lie within 1 pixel of the corner, as if bbox were fractions of the image"
            self._problem(self.where, what, "write bbox in pixels")
            return
        self.problems += self._outside
        if self._corners:
            what = f"has the area of [x1, y1, x2, y2], as {counted(len(self._corners), 'box of the file has', 'boxes of the file have')}"
            self._problem(self._corners[0], f"its bbox {what}", fix)

    def _all_fractions(self, rows: Sequence[Any]) -> bool:
        """Whether no box reaches beyond the first pixel, in images of more pixels."""
        return (
            bool(self.cells)
            and all(cell.box.x2 <= 1 and cell.box.y2 <= 1 and cell.shape is None for cell in self.cells)
            and len(self.cells) == len(rows)
        )

    def _all_fit_as_corners(self, rows: Sequence[Any]) -> bool:
        for row in rows:
            image = self.images.get(row.get("image_id")) if isinstance(row, dict) else None
            if not isinstance(image, Image):
                return False
            try:
                x1, y1, x2, y2 = corners_of(row.get("bbox"))
            except Refused:
                return False
            if not (0 <= x1 < x2 <= image.width and 0 <= y1 < y2 <= image.height):
                return False
        return True


def _outside(row: CocoRow, box: Box, shape: Shape | None, image: Image, where: str) -> Problem:
    given = f"its box {row.get('bbox')}" if row.get("bbox") else "its outline"
    turn = ""
    if isinstance(shape, RotatedBox):
        turn = f", turned by {shape.rotation:g} degrees to {_shown((box.x1, box.y1, box.x2, box.y2))},"
    what = f"{given}{turn} leaves the image of {image.width} x {image.height}"
    return Problem(where, what, f"correct it, or pass {option('clip', value=True)}")


def _shown(sides: Sides) -> str:
    return f"({', '.join(f'{side:.2f}'.rstrip('0').rstrip('.') for side in sides)})"


def _snap(value: float, border: int) -> float:
    """A side in pixels, moved to the image's border if it is at most 0.001 px beyond it."""
    return float(border) if border < value <= border + 0.001 else value
