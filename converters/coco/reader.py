"""Reading COCO: files that `write` wrote, without loss, and files of other tools."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from pcm_leukemia.converters.coco.rows import CocoRow, cell_of, image_of
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, DataWarning, InvalidExport, Problem, UnknownLabel, option, some
from pcm_leukemia.files import MARKER, leads_outside
from pcm_leukemia.schema import (
    IGNORE,
    PARTS,
    Cell,
    Image,
    ImageId,
    Patient,
    PatientId,
    Split,
    Taxonomy,
)
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import known, label_map, not_a_class

__all__ = ["json_files", "read"]


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Path | None = None,
) -> Dataset:
    """Read a COCO file, or a folder with one file for each part of a split.

    Categories are read in the order of their ids, which may be any numbers. A crowd (``iscrowd`` 1) becomes
    an ignored cell. If an outline has several pieces or is given as run lengths, only its box is kept; a
    warning counts these outlines.

    Parameters
    ----------
    path
        A JSON file, or a folder with JSON files in it or in its ``annotations/``.
    taxonomy
        The classes; by default (and with "declared") the categories, or the package's nine classes if the
        categories match them.
    labels
        Category name -> class of the data or of the nine, or "ignore"; also a new class with
        ``taxonomy="declared"``.
    clip
        Cut boxes at the image's border, instead of rejecting boxes that leave the image.
    images_root
        A folder or zip with the images; by default ``images/`` beside the JSON or ``annotations/``, if it
        exists.

    Raises
    ------
    DataNotFound
        If there is no JSON file.
    InvalidExport
        If a file is invalid: every problem is listed.
    ValueError
        If `labels` maps a category to something other than a class or "ignore".

    Warns
    -----
    DataWarning
        If boxes were left out, or only the box of an outline was kept.
    """
    path = Path(path)
    files = _files(path)
    reader = _Reader(taxonomy, labels or {}, clip=clip)
    for part, file in files.items():
        reader.read(file, part)
    root = reader.find_images(path, images_root)
    if reader.problems:
        only_labels = len(reader.problems) == reader.unknown_labels
        raise (UnknownLabel if only_labels else InvalidExport)(reader.problems)
    reader.warn()
    return reader.dataset(path, root, [part for part in files if part != "all"])


def json_files(folder: Path) -> list[Path]:
    """The JSON files in ``annotations/`` of a folder; if there are none, those in the folder itself."""
    inside = folder / "annotations" if any(folder.glob("annotations/*.json")) else folder
    return [file for file in sorted(inside.glob("*.json")) if file.name != MARKER]


def _files(path: Path) -> dict[str, Path]:
    """The JSON files by part, in the parts' order."""
    if path.is_file():
        return {"all": path}
    found: dict[str, Path] = {}
    for file in json_files(path):
        part = re.sub(r"^instances_|_?\d+$", "", file.stem) or file.stem
        found[part if part not in found else file.stem] = file
    if not found:
        raise DataNotFound(f"{path}: no COCO file in it or in its annotations/; give a .json file")
    return dict(
        sorted(
            found.items(),
            key=lambda item: (item[0] not in PARTS, PARTS.index(item[0]) if item[0] in PARTS else 0),
        )
    )


class _Reader:
    """Collects the tables of a data set from its files."""

    def __init__(
        self, taxonomy: Taxonomy | Literal["declared"] | None, mapping: Mapping[str, str], *, clip: bool
    ) -> None:
        self.taxonomy, self.mapping, self.clip = taxonomy, mapping, clip
        self.given = taxonomy if isinstance(taxonomy, Taxonomy) else None
        self.classes: Mapping[str, str] = {}
        self.labels: tuple[str, ...] | None = None
        self.info: CocoRow = {}
        self.problems: list[Problem] = []
        self.unknown_labels = 0
        self.images: dict[ImageId, Image] = {}
        self.part_of: dict[ImageId, str] = {}
        self.cells: list[Cell] = []
        self.patients: dict[str, str | None] = {}
        self.left: Counter[str] = Counter()

    def read(self, file: Path, part: str) -> None:
        """Read one file into the tables."""
        try:
            content = msgspec.json.decode(file.read_bytes())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
            self._problem(file.name, f"is not valid JSON, or is truncated ({error})", "write it again")
            return
        if not isinstance(content, dict) or not all(
            isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
        ):
            self._problem(
                file.name,
                "is not COCO: it has no list of images, annotations or categories",
                "give a COCO instances file",
            )
            return
        labels = self._categories(file.name, content["categories"])
        if not self.info and isinstance(content.get("info"), dict):
            self.info = content["info"]
        images: dict[object, Image] = {}
        for index, row in enumerate(content["images"]):
            self._guarded(
                f"{file.name} images[{index}]", row, lambda row, where: self._image(row, where, part, images)
            )
        numbers: Counter[str] = Counter()
        for index, row in enumerate(content["annotations"]):
            self._guarded(
                f"{file.name} annotations[{index}]",
                row,
                lambda row, where: self._cell(row, where, images, labels, numbers),
            )

    def warn(self) -> None:
        """Warn of what was left out."""
        if self.left:
            warnings.warn(
                some(f"{count:,} {kind}" for kind, count in self.left.items()), DataWarning, stacklevel=3
            )

    def find_images(self, path: Path, images_root: str | Path | None) -> Path | None:
        """Set `Image.file` of images whose file exists; return the root of the files, if there are any."""
        if images_root is not None:
            from pcm_leukemia.images import find_at

            images, root, problems = find_at(self.images.values(), images_root)
            self.problems += problems
        else:
            top = path.absolute() if path.is_dir() else path.absolute().parent
            root = (top.parent if top.name == "annotations" else top) / "images"
            images = tuple(_with_file(image, root) for image in self.images.values())
        self.images = {image.id: image for image in images}
        return root.absolute() if any(image.file for image in images) else None

    def dataset(self, path: Path, root: Path | None, parts: list[str]) -> Dataset:
        """The tables as a data set."""
        labels = tuple(dict.fromkeys(label for label in self.classes.values() if label != IGNORE))
        taxonomy = self.given or known(labels)
        if (
            taxonomy.name == "declared"
            and labels == self.labels
            and isinstance(self.info.get("taxonomy"), str)
        ):
            taxonomy = Taxonomy(self.info["taxonomy"], labels)
        patients = tuple(
            Patient(PatientId(patient), diagnosis) for patient, diagnosis in self.patients.items()
        )
        name = self.info.get("description")
        split, made = self.info.get("split"), self.info.get("made")
        return Dataset(
            name if isinstance(name, str) and name else path.stem,
            taxonomy,
            tuple(self.images.values()),
            tuple(self.cells),
            patients,
            Split.from_record(
                split if isinstance(split, str) else "official",
                self.part_of,
                made if isinstance(made, dict) else {"method": "read from COCO"},
                {image.id: image.patient for image in self.images.values() if image.patient is not None},
            )
            if parts
            else None,
            root,
        )

    def _problem(self, where: str, what: str, fix: str) -> None:
        self.problems.append(Problem(where, what, fix))

    def _guarded(self, where: str, row: object, read: Callable[[CocoRow, str], None]) -> None:
        """Run `read` on a row; record its exceptions as problems."""
        try:
            if not isinstance(row, dict):
                raise TypeError("not an object")  # noqa: TRY301
            read(row, where)
        except KeyError as error:
            self._problem(where, f"lacks {error}", "write the file again")
        except (TypeError, ValueError, OverflowError) as error:
            self._problem(where, f"cannot be read ({error})", "write the file again")

    def _categories(self, file: str, rows: list[Any]) -> dict[object, str]:
        """Category id -> label, in the order of the ids."""
        try:
            ordered = sorted((int(row["id"]), str(row["name"])) for row in rows)
        except (KeyError, TypeError, ValueError) as error:
            self._problem(file, f"has a category that cannot be read ({error})", "give each an id and a name")
            return {}
        names = tuple(name for _, name in ordered)
        if len(set(names)) < len(names) or len({number for number, _ in ordered}) < len(names):
            self._problem(file, "has two categories with the same id or name", "give each its own")
        if self.labels not in (None, names):
            self._problem(
                file,
                "has different categories from the files before it",
                "write all parts with the same categories",
            )
        if self.labels is None:
            self.classes = label_map(names, self.taxonomy, self.mapping)
        self.labels = names
        for name in names:
            if self.given and self.classes.get(name) not in (*self.given.labels, IGNORE):
                self.unknown_labels += 1
                self.problems.append(not_a_class(file, "category", name, self.given))
        return {number: self.classes.get(name, name) for number, name in ordered}

    def _image(self, row: CocoRow, where: str, part: str, images: dict[object, Image]) -> None:
        name = row["file_name"]
        if not isinstance(name, str) or not name:
            raise ValueError(f"file_name {name!r}")
        if row["id"] in images or name in self.images:
            what = f'image "{name}" occurs twice, by its id or its file_name'
            self._problem(where, what, "give every image its own")
            return
        image = image_of(row)
        if image.patient is not None:
            self.patients[image.patient] = row.get("diagnosis")
        images[row["id"]] = self.images[image.id] = image
        self.part_of[image.id] = part

    def _cell(
        self,
        row: CocoRow,
        where: str,
        images: Mapping[object, Image],
        labels: Mapping[object, str],
        numbers: Counter[str],
    ) -> None:
        image, label = images.get(row["image_id"]), labels.get(row["category_id"])
        if image is None or label is None:
            kind, number = ("image", row["image_id"]) if image is None else ("category", row["category_id"])
            self._problem(where, f"its {kind} {number} is not in the file", "add it, or drop the annotation")
            return
        box = self._box(row, image, f'{where} image "{image.id}"')
        if box is None:
            return
        number = row.get("cell", numbers[image.id])
        numbers[image.id] = max(numbers[image.id], number) + 1
        cell = cell_of(row, image.id, int(number), label, box)
        if cell.shape is None and row.get("segmentation"):
            self.left["outlines in several pieces or as run lengths: their boxes are kept"] += 1
        self.cells.append(cell)

    def _box(self, row: CocoRow, image: Image, where: str) -> Box | None:
        """The box of a row; None if it is left out or a problem."""
        x, y, width, height = map(float, row["bbox"])
        if width == 0 or height == 0:
            self.left[f"boxes without area, the first {where}: left out"] += 1
            return None
        # writing may have rounded by 0.001 px
        x2, y2 = _snap(x + width, image.width), _snap(y + height, image.height)
        box = Box(x, y, x2, y2)
        if box.inside(image.width, image.height):
            return box
        if not self.clip:
            what = f"its box {row['bbox']} leaves the image of {image.width} x {image.height}"
            self._problem(where, what, f"correct it, or pass {option('clip', value=True)}")
            return None
        inside = box.clip(image.width, image.height)
        if inside is None:
            self.left[f"boxes outside their image, the first {where}: left out"] += 1
        return inside


def _snap(value: float, border: int) -> float:
    """A side in pixels, moved to the image's border if it is at most 0.001 px beyond it."""
    value = round(value, 3)
    return float(border) if border < value <= border + 0.001 else value


def _with_file(image: Image, root: Path) -> Image:
    there = not leads_outside(image.id) and (root / image.id).is_file()
    return replace(image, file=str(image.id)) if there else image
