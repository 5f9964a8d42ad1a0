"""LeukemiaAttri: boxes of 13 cell types with seven attributes; the same cells appear in up to 12 subsets.

::

    <subset>/Images/{train,test}/<patient>_<image>_1000_<DIAGNOSIS>.png     640 x 640
    <subset>/json_labels/{train,test}.json                                  COCO with attributes

A subset is ``{H,L}_{10X,40X,100X}_{C1,C2}``: costly or cheap microscope, magnification, camera. All subsets
show the same cells of the same patients, so only a split by patient keeps cells apart. The published parts
keep them apart within a subset, but not between subsets.

Categories are matched by name, since their numbers differ between the JSON files. Images are only partly
annotated, and "None" does not mean a negative. The images were squeezed to a square, so cells are elliptical.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, InvalidExport, Problem, counted, some
from pcm_leukemia.files import BAD_CONTENT, read_text
from pcm_leukemia.schema import Attributes, Cell, Image, ImageId, PatientId, letters
from pcm_leukemia.shapes import Box
from pcm_leukemia.sources._files import find_root, listing, not_found, sizes, warn
from pcm_leukemia.sources._labels import LabelMap, read_map
from pcm_leukemia.sources._parts import patients, with_parts
from pcm_leukemia.sources._source import Source

__all__ = ["ATTRIBUTES", "SOURCE", "read"]

SOURCE = Source(
    name="leukemia_attri",
    title="LeukemiaAttri",
    what="Fields of leukaemic smears with boxes of 13 cell types and seven attributes, through 12 optics.",
    cell_types="ALL, AML, APL, CLL, CML",
    total_images="about 28,900",
    annotations="Full Frame (Bboxes/Cell Attributes)",
    in_table_1=True,
    patients="47 or 48, by the name of the file",
    licence="CC BY-NC-SA 4.0 (reported by a third party)",
    redistributable=False,
    citation=(
        "Rehman A et al. A large-scale multi domain leukemia dataset for the white blood cells detection with "
        "morphological attributes for explainability. MICCAI 2024. arXiv:2405.10803"
    ),
    home="https://github.com/intelligentMachines-ITU/Blood-Cancer-Dataset-Lukemia-Attri-MICCAI-2024",
    how_to_get=(
        "on the home page, follow the links to Google Drive, one for each subset, and unpack each into a folder of its name "
        "(H_100X_C1, ...); ROOT is the folder that holds them, or one of them"
    ),
    image_size="640 x 640, squeezed to about 0.60 of the width",
    magnification="10x, 40x and 100x",
    defects=(
        "one cell is in several subsets: keep patients apart across all of them",
        "the train and test of different subsets share patients",
        "annotation is incomplete, and None does not mean a negative",
        "the images are squeezed, so cells are elliptical",
        "the JSON spells a key nuclear_chromatio, and the documented numbers of the classes are wrong in places",
        "some boxes are on red cells",
        "not every subset is linked; L_10X_C1 is reportedly empty",
        "non-commercial: keep it apart from data under other terms",
    ),
    variants={
        "default": "promonocytes are monocytes",
        "promonocyte_as_blast": "promonocytes are AML blasts, as the WHO counts them",
    },
)

_CODES = ("inconspicuous", "prominent")
ATTRIBUTES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cell_size": ("cell size", ("small", "medium", "large")),
    "nuclear_chromatio": ("nuclear chromatin", ("open", "coarse")),
    "nuclear_chromatin": ("nuclear chromatin", ("open", "coarse")),
    "nuclear_shape": ("nuclear shape", ("regular", "irregular")),
    "nucleolus": ("nucleolus", _CODES),
    "cytoplasm": ("cytoplasm", ("scanty", "abundant")),
    "cytoplasmic_basophilia": ("cytoplasmic basophilia", ("slight", "moderate")),
    "cytoplasmic_vacuoles": ("cytoplasmic vacuoles", ("absent", "prominent")),
}
"""Key in the JSON -> the attribute here, and the meaning of its values 0, 1, 2; 4 is "not applicable"."""

_SUBSET = re.compile(r"[HL]_(10|40|100)X_C[12]", re.IGNORECASE)
_NAME = re.compile(r"([^_]+)_.+_([A-Za-z]+)")
_DIAGNOSES = {"APML": "APL"}
_PARTS = ("train", "test")


class _ImageRow(msgspec.Struct):
    id: int | str
    file_name: str


class _Category(msgspec.Struct):
    id: int | str
    name: str


class _Coco(msgspec.Struct):
    """One file; its annotations are checked one by one."""

    images: list[_ImageRow]
    categories: list[_Category]
    annotations: list[Any]


@dataclass
class _Contents:
    """The images and cells of all subsets and parts, with problems and left-out boxes."""

    labels: LabelMap
    problems: list[Problem] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    part_of: dict[ImageId, str] = field(default_factory=dict)


def read(
    root: str | Path,
    *,
    variant: str | None = None,
    subsets: Collection[str] | None = None,
    workers: int | None = None,
) -> Dataset:
    """Read all subsets that are present, or the requested ones.

    Parameters
    ----------
    root
        The folder that holds the subsets, or one of them.
    variant
        "default" or "promonocyte_as_blast".
    subsets
        Such as ``["H_100X_C1"]``, in any case; by default all that are present.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If no subset is present, or a requested one is missing.
    CorruptFile
        If a JSON file is not a COCO file.
    InvalidExport
        If a JSON file names missing images, or annotations cannot be read; all are listed.
    UnknownLabel
        If a category is not one of the 14.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If boxes have no area, images cannot be read or are in neither train nor test, or the parts share patients and are left out.
    """
    labels = read_map(SOURCE, variant)
    folder = find_root(
        SOURCE, root, lambda f: bool(_subsets(f)), "a folder such as H_100X_C1 with Images in it"
    )
    there = _subsets(folder)
    wanted = [name.upper() for name in subsets] if subsets is not None else list(there)
    if lost := [name for name in wanted if name not in there]:
        raise not_found(SOURCE, root, f"has no {', '.join(lost)}, but {', '.join(there)}")
    found = _Contents(labels)
    for name in sorted(wanted):
        _read_subset(folder, name, there[name], found, workers)
    if found.problems:
        raise InvalidExport(found.problems)
    if not found.images:
        raise not_found(SOURCE, root, "holds no image in train or test")
    if found.left:
        warn(
            f"{counted(len(found.left), 'box has no area in its image and is', 'boxes have no area in their image and are')} left out:\n{some(found.left)}"
        )
    strange = [image.id for image in found.images if image.patient is None]
    if strange:
        warn(
            f'{counted(len(strange), "image has a name", "images have names")} without a patient, the first "{strange[0]}"'
        )
    ds = Dataset(
        SOURCE.name,
        labels.taxonomy,
        tuple(found.images),
        tuple(found.cells),
        patients((image.patient, image.diagnosis) for image in found.images),
        root=folder,
    )
    return with_parts(ds, found.part_of)


def _subsets(folder: Path) -> dict[str, Path]:
    """Return the subsets in a folder, or the folder itself if it is one: name in capitals -> path below the folder."""
    found = {
        entry.name.upper(): Path(entry.name)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and _SUBSET.fullmatch(entry.name)
    }
    if not found and _SUBSET.fullmatch(folder.absolute().name):
        found = {folder.absolute().name.upper(): Path()}
    return found


def _read_subset(folder: Path, name: str, path: Path, found: _Contents, workers: int | None) -> None:
    """Read both parts of a subset."""
    prefix = "" if path == Path() else f"{path.as_posix()}/"
    files = [prefix + file for file in listing(folder / path)]
    outside = [file for file in files if not set(_PARTS) & set(file.lower().split("/")[:-1])]
    if outside:
        warn(
            f"{name}: {counted(len(outside), 'image is', 'images are')} in neither train nor test and left out:\n{some(outside, 3)}"
        )
    tables = {file.rpartition("/")[2].lower(): prefix + file for file in listing(folder / path, (".json",))}
    for part in _PARTS:
        inside = {file.rpartition("/")[2]: file for file in files if part in file.lower().split("/")[:-1]}
        table = tables.get(f"{part}.json")
        if table is None:
            if inside:
                what = f"has images in {part} and no {part}.json"
                found.problems.append(
                    Problem(f"{folder / path}", what, "get the subset again, with its labels")
                )
            continue
        content = _json(folder / table)
        rows = {Path(row.file_name).name: row for row in content.images}
        lost = sorted(rows.keys() - inside.keys())
        found.problems += [
            Problem(table, f"names {file}, which is not in {name}'s {part}", "get the subset again, whole")
            for file in lost
        ]
        known = sizes(folder, [inside[file] for file in sorted(inside)], workers)
        images = {
            file: _image(inside[file], name, known[inside[file]], listed=file in rows)
            for file in sorted(inside)
            if inside[file] in known
        }
        found.images += images.values()
        found.part_of |= dict.fromkeys((image.id for image in images.values()), part)
        by_number = {row.id: images[file] for file, row in rows.items() if file in images}
        found.cells += _cells(table, content, by_number, found)


def _json(path: Path) -> _Coco:
    try:
        return msgspec.json.decode(read_text(path), type=_Coco)
    except BAD_CONTENT as error:
        if isinstance(error, CorruptFile):
            raise
        raise CorruptFile(
            f"{path}: is not a COCO file with images, annotations and categories ({error}); get it again"
        ) from error


def _image(file: str, subset: str, size: tuple[int, int], *, listed: bool) -> Image:
    name = _NAME.fullmatch(Path(file).stem)
    diagnosis = _DIAGNOSES.get(name[2].upper(), name[2].upper()) if name else None
    return Image(
        ImageId(file),
        *size,
        PatientId(name[1]) if name else None,
        subset=subset,
        file=file,
        annotation_state="partial" if listed else "none",
        diagnosis=diagnosis,
    )


def _cells(where: str, content: _Coco, images: Mapping[int | str, Image], found: _Contents) -> Iterator[Cell]:
    """Yield the cells of one file, without those of unreadable images."""
    codes = {letters(raw): raw for raw in found.labels.rules}
    names = {row.id: row.name for row in content.categories}
    used = Counter(str(row.get("category_id")) for row in content.annotations if isinstance(row, dict))
    found.labels.require({codes.get(letters(name), name): used[str(key)] for key, name in names.items()})
    listed = {row.id for row in content.images}
    numbers: dict[ImageId, int] = {}
    for index, row in enumerate(content.annotations):
        place = f"{where} annotations[{index}]"
        try:
            image, raw = images.get(row["image_id"]), names[row["category_id"]]
            x, y, width, height = map(float, row["bbox"])
            if not all(map(math.isfinite, (x, y, width, height))):
                raise ValueError("a side of its box is not finite")
        except BAD_CONTENT as error:
            found.problems.append(Problem(place, f"cannot be read ({error})", "get the subset again"))
            continue
        said = row.get("category_name")
        if row["image_id"] not in listed or (said is not None and letters(str(said)) != letters(raw)):
            what = f'gives image {row["image_id"]} and "{said}", unlike the lists of images and categories'
            found.problems.append(Problem(place, what, "get the subset again"))
        elif image is not None:
            number = numbers[image.id] = numbers.get(image.id, -1) + 1
            box = _box(x, y, width, height, image)
            if box is None:
                found.left.append(f'image "{image.id}": {raw} at {row["bbox"]}')
            else:
                label = found.labels.rules[codes[letters(raw)]].label
                yield Cell(image.id, number, label, box, raw, attributes=_attributes(row))


def _box(x: float, y: float, width: float, height: float, image: Image) -> Box | None:
    """Return the part of the box inside the image; None if it is outside."""
    if width <= 0 or height <= 0:
        return None
    return Box(x, y, x + width, y + height).clip(image.width, image.height)


def _attributes(row: Mapping[str, Any]) -> Attributes:
    """Return the attributes in words; an undocumented value stays a number."""
    pairs = []
    for key, (name, words) in ATTRIBUTES.items():
        if row.get(key) is not None:
            value = str(row[key])
            meaning = {str(code): word for code, word in enumerate(words)} | {"4": "not applicable"}
            pairs.append((name, meaning.get(value, value)))
    return tuple(pairs)
