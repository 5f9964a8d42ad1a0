"""Reading YOLO: a folder of ours with its images.csv, and anybody else's, with every problem named."""

from __future__ import annotations

import csv
import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from pcm_leukemia.converters.yolo.names import labels_file
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidExport,
    PcmError,
    Problem,
    UnknownLabel,
    some,
)
from pcm_leukemia.files import IMAGE_SUFFIXES, MARKER
from pcm_leukemia.schema import IGNORE, Cell, Image, ImageId, Patient, PatientId, Split, Taxonomy
from pcm_leukemia.shapes import Box, Polygon
from pcm_leukemia.taxonomy import known, label_map

__all__ = ["TABLE", "read"]

TABLE = ("file", "image", "part", "width", "height", "patient", "diagnosis")
"""The columns of images.csv."""
_ROUNDING = 1.0
"""Pixels that a box of another tool may leave its image by, being rounded."""


@dataclass
class _Found:
    """What reading gathers as it goes."""

    problems: list[Problem] = field(default_factory=list)
    cut: int = 0
    unlabelled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An image, its part and the file with its labels."""

    image: Image
    part: str
    labels: Path
    diagnosis: str = ""


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Path | None = None,
) -> Dataset:
    """Read a YOLO folder: one that `write` wrote, or any that ultralytics could train on.

    Cells are numbered from 0 in the order of the rows. A row with more than five columns is an outline,
    kept as `Polygon`. In folders of other tools image ids are paths below the folder, sizes come
    from the images' headers, and boxes that leave their image by up to 1 px are cut at its border.

    Parameters
    ----------
    path
        The folder, or its data.yaml.
    taxonomy
        The classes; by default, and with "declared", the names in data.yaml, in that order.
    labels
        Name in data.yaml -> class, or "ignore".
    clip
        Cut boxes at the image's border however far they leave it, instead of refusing them.
    images_root
        A folder or zip with the images, where they are not below the folder. In a folder of another tool, the
        folder that its ``train``, ``val`` and ``test`` are relative to.

    Raises
    ------
    DataNotFound
        If there is no data.yaml, or what it names is not there.
    CorruptFile
        If data.yaml or images.csv cannot be read.
    UnknownLabel
        If a name is no class of `taxonomy`.
    InvalidExport
        If any row, image or part is wrong: every problem is listed.
    ValueError
        If `labels` maps to something that is no class.

    Warns
    -----
    DataWarning
        If images have no label file (they stay, without cells), label files have no image,
        boxes were cut, or all parts are the same images.
    """
    path = Path(path)
    file = path / "data.yaml" if path.is_dir() else path
    content = _read_yaml(file)
    found = _Found()
    given = None if taxonomy == "declared" else taxonomy
    classes_of, classes = _classes(content.get("names"), file, given, labels)
    mark = _mark(file.parent)
    if mark:
        root, entries = file.parent.absolute() / "images", list(_listed(file.parent, found))
        if images_root is not None:
            root, entries = _found_at(images_root, entries, found)
        split, name = mark.get("split"), str(mark.get("name"))
    else:
        base = content.get("path") if images_root is None else Path(images_root).absolute()
        root, entries = _foreign(content, file, base, found)
        split = "given" if {entry.part for entry in entries} - {"all"} else None
        name = file.parent.absolute().name
    cells = [
        cell
        for entry in entries
        for cell in _cells(entry, classes_of, found, must_exist=bool(mark), clip=clip)
    ]
    if found.problems:
        raise InvalidExport(found.problems)
    if not mark:
        _warn_of_strays(entries)
    _warn(found)
    people = {e.image.patient: e.diagnosis or None for e in entries if e.image.patient is not None}
    return Dataset(
        name,
        classes,
        tuple(entry.image for entry in entries),
        tuple(cells),
        tuple(Patient(patient, diagnosis) for patient, diagnosis in people.items()),
        Split.from_record(
            split,
            {entry.image.id: entry.part for entry in entries},
            mark.get("made") or {"method": "yolo"},
            {e.image.id: e.image.patient for e in entries if e.image.patient is not None},
        )
        if split
        else None,
        root if any(entry.image.file for entry in entries) else None,
    )


def _read_yaml(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataNotFound(f"{file}: no such file; give a YOLO folder that has a data.yaml, or that file")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = file if line is None else f"{file}:{line + 1}"
        raise CorruptFile(f"{place}: is no YAML that can be read; write train, val and names") from error
    if not isinstance(content, dict):
        raise CorruptFile(f"{file}: holds no keys; write train, val and names")
    return content


def _classes(
    names: object, file: Path, taxonomy: Taxonomy | None, mapping: Mapping[str, str] | None
) -> tuple[list[tuple[str, str]], Taxonomy]:
    """The label of each class id with its name in the file, and the classes of the data set."""
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            what = f"names have the ids {', '.join(map(str, names))}"
            raise InvalidExport([Problem(str(file), what, "number them from 0 without a gap")])
        by_id = {int(number): name for number, name in names.items()}
        names = [by_id[number] for number in range(len(by_id))]
    if not isinstance(names, list) or not names:
        raise InvalidExport([Problem(str(file), "has no names", "list the classes below names")])
    raw = [str(name) for name in names]
    classes = label_map(raw, taxonomy, mapping)
    labels = [(classes[name], name) for name in raw]
    if taxonomy is None:
        try:
            once = dict.fromkeys(label for label, _ in labels if label != IGNORE) if mapping else raw
            return labels, known(tuple(once))
        except ValueError as error:
            raise InvalidExport([Problem(str(file), "names", str(error))]) from error
    unknown = [
        Problem(
            str(file), f'name "{name}" is no class of {taxonomy.name}', "rename it, or give another taxonomy"
        )
        for label, name in labels
        if label not in (*taxonomy.labels, IGNORE)
    ]
    if unknown:
        raise UnknownLabel(unknown)
    return labels, taxonomy


def _mark(folder: Path) -> dict[str, Any]:
    """What `write` left in the folder; nothing if another tool made it."""
    try:
        mark = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(mark, dict) and mark.get("format") == "yolo" and (folder / "images.csv").is_file()
    return mark if ours else {}


def _listed(folder: Path, found: _Found) -> Iterator[_Entry]:
    """The images of a folder that `write` wrote, which nobody may have added to since."""
    table = folder / "images.csv"
    here = {kind: set(_walk(folder / kind)) for kind in ("images", "labels")}
    expected = set()
    with table.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        if tuple(next(rows, ())) != TABLE:
            raise CorruptFile(f"{table}: its columns are not {', '.join(TABLE)}; convert the data again")
        for row in rows:
            try:
                file, name, part, width, height, patient, diagnosis = row
                image = Image(
                    ImageId(name),
                    int(width),
                    int(height),
                    PatientId(patient) if patient else None,
                    file=file if file in here["images"] else None,
                    diagnosis=diagnosis if not patient else None,
                )
            except ValueError as error:
                problem = Problem(
                    f"{table}:{rows.line_num}", f"cannot be read ({error})", "convert the data again"
                )
                found.problems.append(problem)
                continue
            expected.add(file)
            yield _Entry(image, part, folder / "labels" / labels_file(file), diagnosis)
    strays = [f"images/{file}" for file in here["images"] - expected if _is_image(file)]
    labels = {labels_file(file) for file in expected}
    strays += [f"labels/{file}" for file in here["labels"] - labels if file.endswith(".txt")]
    for file in sorted(strays):
        found.problems.append(
            Problem(
                f"{folder}/{file}", "is not in images.csv", "add images to the export and convert it again"
            )
        )


def _walk(folder: Path) -> Iterator[str]:
    """The POSIX paths of all files below a folder."""
    for above, _, files in os.walk(folder):
        inside = Path(above).relative_to(folder).as_posix()
        yield from files if inside == "." else (f"{inside}/{file}" for file in files)


def _is_image(file: str) -> bool:
    return PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES


def _found_at(images_root: str | Path, entries: list[_Entry], found: _Found) -> tuple[Path, list[_Entry]]:
    """The folder or zip with the images, and the entries with the images' files in it."""
    from pcm_leukemia.images import find_at

    images, root, problems = find_at([entry.image for entry in entries], images_root)
    found.problems += problems
    return root, [replace(entry, image=image) for entry, image in zip(entries, images, strict=True)]


def _foreign(content: dict[str, Any], file: Path, base: object, found: _Found) -> tuple[Path, list[_Entry]]:
    """The folder that holds all images, and those that data.yaml names, as ultralytics finds them."""
    from pcm_leukemia.images import size

    keys = {"train": "train", "val": "val" if "val" in content else "validation", "test": "test"}
    parts = {
        part: sorted(set(_image_files(content[key], file, base)))
        for part, key in keys.items()
        if content.get(key)
    }
    if not parts:
        raise InvalidExport([Problem(str(file), "names no images", "write train, val and test")])
    if len(parts) > 1 and len({tuple(images) for images in parts.values()}) == 1:
        warnings.warn(
            f"{file}: {' and '.join(parts)} are the same images; read without a split",
            DataWarning,
            stacklevel=3,
        )
        parts = {"all": next(iter(parts.values()))}
    root = _root(file, parts.values())
    seen: dict[Path, str] = {}
    entries = []
    for part, images in parts.items():
        for path in images:
            name = path.relative_to(root).as_posix()
            if path in seen:
                what = f"is in {seen[path]} and in {part}"
                found.problems.append(Problem(f'{file} image "{name}"', what, "leave it in one part"))
                continue
            seen[path] = part
            try:
                with path.open("rb") as stream:
                    width, height = size(stream, str(path))
                image = Image(ImageId(name), width, height, file=name)
            except (PcmError, OSError) as error:
                found.problems.append(Problem(f'image "{name}"', str(error), "then read the folder again"))
                continue
            entries.append(_Entry(image, part, _labels_of(path)))
    return root, entries


def _image_files(places: object, file: Path, base: object) -> Iterator[Path]:
    """The images in folders, or in text files that list them."""
    top = file.parent.absolute()
    root = top / str(base) if base and (top / str(base)).is_dir() else top
    for place in places if isinstance(places, list) else [places]:
        path = _normal(root / str(place))
        if not path.exists() and str(place).startswith("../"):
            path = _normal(root / str(place)[3:])  # as exports of Roboflow are laid out
        if path.is_dir():
            yield from (path / name for name in _walk(path) if _is_image(name) and "/." not in f"/{name}")
        elif path.is_file():
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            names = [line.strip() for line in lines if line.strip()]
            yield from (_normal((path.parent if name.startswith("./") else root) / name) for name in names)
        else:
            raise DataNotFound(
                f"{file}: names {place}, which is not at {path}; mend path, train, val or test"
            )


def _normal(path: Path) -> Path:
    """`path` without steps up, and with its links as they are."""
    return Path(os.path.normpath(path))


def _root(file: Path, parts: Iterable[list[Path]]) -> Path:
    """The folder of data.yaml, or the nearest one above that holds all images too."""
    folders = {str(image.parent) for images in parts for image in images}
    return Path(os.path.commonpath([str(file.parent.absolute()), *folders]))


def _labels_of(image: Path) -> Path:
    """Where ultralytics looks for the labels of an image."""
    above, images, below = image.as_posix().rpartition("/images/")
    return Path(f"{above}/labels/{below}" if images else below).with_suffix(".txt")


def _warn_of_strays(entries: list[_Entry]) -> None:
    """Say which label files beside those that were read belong to no image."""
    labels = {entry.labels for entry in entries}
    folders = sorted({path.parent for path in labels if path.parent.is_dir()})
    beside = (file for folder in folders for file in sorted(folder.glob("*.txt")))
    strays = [str(file) for file in beside if file not in labels and file.name != "classes.txt"]
    if strays:
        text = f"{len(strays):,} label files have no image among those that data.yaml names; not read:\n{some(strays, 5)}"
        warnings.warn(text, DataWarning, stacklevel=3)


def _cells(
    entry: _Entry, labels: list[tuple[str, str]], found: _Found, *, must_exist: bool, clip: bool
) -> Iterator[Cell]:
    """The cells of one image, one a row."""
    try:
        text = entry.labels.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if must_exist:
            what = f'the labels of image "{entry.image.id}" are missing'
            found.problems.append(Problem(str(entry.labels), what, "convert the data again"))
        found.unlabelled.append(entry.image.id)
        return
    except (OSError, UnicodeDecodeError) as error:
        found.problems.append(Problem(str(entry.labels), f"cannot be read ({error})", "replace the file"))
        return
    count = 0
    for line, row in enumerate(text.splitlines(), 1):
        columns = row.split()
        if not columns:
            continue
        try:
            number, box, outline, cut = _parse(columns, entry.image, len(labels), clip=clip)
        except _Wrong as error:
            found.problems.append(Problem(f"{entry.labels}:{line}", error.what, error.fix))
            continue
        found.cut += cut
        label, name = labels[number]
        yield Cell(entry.image.id, count, label, box, name, outline)
        count += 1


class _Wrong(Exception):
    """A row that is no cell."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def _parse(
    columns: list[str], image: Image, classes: int, *, clip: bool
) -> tuple[int, Box, Polygon | None, bool]:
    """The class id, box and outline of a row, and whether the box had to be cut."""
    form = "write class cx cy w h, or class x1 y1 x2 y2 x3 y3 ..."
    if len(columns) < 5 or len(columns) % 2 == 0:
        raise _Wrong(f"has {len(columns)} columns", form)
    try:
        number, *values = map(float, columns)
    except ValueError:
        raise _Wrong("has a column that is no number", form) from None
    if not all(map(math.isfinite, values)):
        raise _Wrong("has a number that is not finite", form)
    if not (number.is_integer() and 0 <= number < classes):
        raise _Wrong(f"class {columns[0]} is none of 0 to {classes - 1}", "give the class an id and a name")
    width, height = image.width, image.height
    outline = None
    if len(values) == 4:
        cx, cy, w, h = values
        if w <= 0 or h <= 0:
            raise _Wrong(
                f"the box is {columns[3]} wide and {columns[4]} high", "draw it again, or drop the row"
            )
        x1, x2 = (cx - w / 2) * width, (cx + w / 2) * width
        y1, y2 = (cy - h / 2) * height, (cy + h / 2) * height
    else:
        xs = [round(x * width, 3) for x in values[::2]]
        ys = [round(y * height, 3) for y in values[1::2]]
        outline = Polygon(tuple(zip(xs, ys, strict=True)))
        x1, y1, x2, y2 = outline.envelope()
        if x1 == x2 or y1 == y2:
            raise _Wrong("the outline has no area", "draw it again, or drop the row")
    leaves = max(-x1, -y1, x2 - width, y2 - height)
    if (leaves > _ROUNDING and not clip) or x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise _Wrong(
            f"the box leaves the image of {width} x {height} by {leaves:.2f} px",
            "mend it; coordinates are shares of the image, 0 to 1",
        )
    x1, x2 = _span(x1, x2, width)
    y1, y2 = _span(y1, y2, height)
    return int(number), Box(x1, y1, x2, y2), outline, leaves > 0.001


def _span(low: float, high: float, size: int) -> tuple[float, float]:
    """Two sides, cut at the image's border and rounded to 0.001 px, and at least that far apart."""
    low = min(max(round(low, 3), 0.0), size - 0.001)
    return low, max(min(round(high, 3), float(size)), round(low + 0.001, 3))


def _warn(found: _Found) -> None:
    if found.unlabelled:
        text = f"{len(found.unlabelled):,} images have no label file; read as images without cells:\n"
        warnings.warn(text + some(found.unlabelled, 5), DataWarning, stacklevel=3)
    if found.cut:
        warnings.warn(f"{found.cut:,} boxes were cut at their image's border", DataWarning, stacklevel=3)
