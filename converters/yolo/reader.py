"""Reading YOLO: folders that `write` wrote, with their images.csv, and folders of other tools."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from pcm_leukemia.converters.yolo.labels import read_cells
from pcm_leukemia.converters.yolo.listing import (
    Issues,
    at_images_root,
    from_data_yaml,
    from_table,
    marker,
    warn_of_strays,
)
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidExport,
    Problem,
    UnknownLabel,
    some,
)
from pcm_leukemia.schema import IGNORE, Patient, Split, Taxonomy
from pcm_leukemia.taxonomy import known, label_map, not_a_class

__all__ = ["read"]


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Path | None = None,
) -> Dataset:
    """Read a YOLO folder: one that `write` wrote, or any other that ultralytics can train on.

    Cells are numbered from 0 in the order of the rows. A row with more than five columns is an outline,
    kept as a `Polygon`. In folders of other tools, image ids are paths below the folder, sizes come
    from the images' headers, and boxes that leave their image by up to 1 px are cut at its border.

    Parameters
    ----------
    path
        The folder, or its data.yaml.
    taxonomy
        The classes; by default (and with "declared") the names in data.yaml, in their order.
    labels
        Name in data.yaml -> class of the data or of the nine, or "ignore"; also a new class with
        ``taxonomy="declared"``.
    clip
        Cut boxes at the image's border, however far they leave it, instead of rejecting them.
    images_root
        A folder or zip with the images, if they are elsewhere. For a folder of another tool: the folder that
        ``train``, ``val`` and ``test`` in data.yaml are relative to.

    Raises
    ------
    DataNotFound
        If there is no data.yaml, or a folder or file that it names does not exist.
    CorruptFile
        If data.yaml or images.csv cannot be read.
    UnknownLabel
        If a name is not a class of `taxonomy`.
    InvalidExport
        If a row, an image or a part is invalid: every problem is listed.
    ValueError
        If `labels` maps a name to something other than a class or "ignore".

    Warns
    -----
    DataWarning
        If images have no label file (they are kept, without cells), label files have no image,
        boxes were cut, or all parts contain the same images.
    """
    path = Path(path)
    file = path / "data.yaml" if path.is_dir() else path
    content = _read_yaml(file)
    issues = Issues()
    classes_of, classes = _classes(content.get("names"), file, taxonomy, labels)
    mark = marker(file.parent)
    if mark:
        root, listed = file.parent.absolute() / "images", list(from_table(file.parent, issues))
        if images_root is not None:
            root, listed = at_images_root(images_root, listed, issues)
        split, name = mark.get("split"), str(mark.get("name"))
    else:
        base = content.get("path") if images_root is None else Path(images_root).absolute()
        root, listed = from_data_yaml(content, file, base, issues)
        split = "given" if {each.part for each in listed} - {"all"} else None
        name = file.parent.absolute().name
    cells = [
        cell
        for each in listed
        for cell in read_cells(each, classes_of, issues, must_exist=bool(mark), clip=clip)
    ]
    if issues.problems:
        raise InvalidExport(issues.problems)
    if not mark:
        warn_of_strays(listed)
    _warn(issues)
    diagnoses = {e.image.patient: e.diagnosis or None for e in listed if e.image.patient is not None}
    return Dataset(
        name,
        classes,
        tuple(each.image for each in listed),
        tuple(cells),
        tuple(Patient(patient, diagnosis) for patient, diagnosis in diagnoses.items()),
        Split.from_record(
            split,
            {each.image.id: each.part for each in listed},
            mark.get("made") or {"method": "yolo"},
            {each.image.id: each.image.patient for each in listed if each.image.patient is not None},
        )
        if split
        else None,
        root if any(each.image.file for each in listed) else None,
    )


def _read_yaml(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataNotFound(f"{file}: no such file; give a YOLO folder that has a data.yaml, or that file")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = file if line is None else f"{file}:{line + 1}"
        raise CorruptFile(f"{place}: is not valid YAML; write train, val and names") from error
    if not isinstance(content, dict):
        raise CorruptFile(f"{file}: has no keys; write train, val and names")
    return content


def _classes(
    names: object,
    file: Path,
    taxonomy: Taxonomy | Literal["declared"] | None,
    mapping: Mapping[str, str] | None,
) -> tuple[list[tuple[str, str]], Taxonomy]:
    """The class and the name in the file of each class id, and the classes of the data set."""
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
    if not isinstance(taxonomy, Taxonomy):
        try:
            once = dict.fromkeys(label for label, _ in labels if label != IGNORE) if mapping else raw
            return labels, known(tuple(once))
        except ValueError as error:
            raise InvalidExport([Problem(str(file), "names", str(error))]) from error
    unknown = [
        not_a_class(str(file), "name", name, taxonomy)
        for label, name in labels
        if label not in (*taxonomy.labels, IGNORE)
    ]
    if unknown:
        raise UnknownLabel(unknown)
    return labels, taxonomy


def _warn(issues: Issues) -> None:
    if issues.unlabelled:
        text = f"{len(issues.unlabelled):,} images have no label file and are read without cells:\n"
        warnings.warn(text + some(issues.unlabelled, 5), DataWarning, stacklevel=3)
    if issues.cut:
        warnings.warn(f"{issues.cut:,} boxes were cut at their image's border", DataWarning, stacklevel=3)
