"""Reading YOLO: folders that `write` wrote, with their images.csv, and folders of other tools."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pcm_leukemia.converters.yolo import description
from pcm_leukemia.converters.yolo.classes import contradictions, read_classes
from pcm_leukemia.converters.yolo.labels import read_cells, read_file, rows_to_judge
from pcm_leukemia.converters.yolo.listing import Issues, ListedImage, compared, from_description
from pcm_leukemia.converters.yolo.places import Places
from pcm_leukemia.converters.yolo.rows import Meaning, Rows, declared, meaning_of
from pcm_leukemia.converters.yolo.table import at_images_root, from_table, marker, refuse_missing
from pcm_leukemia.converters.yolo.unread import Tree, none_labelled, refuse_unread, shared, strays
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport, counted, some
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Patient, Split, Taxonomy

__all__ = ["read"]


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Place | None = None,
    rows: Rows | None = None,
    check_images: bool = True,
) -> Dataset:
    """Read a YOLO folder: one that `write` wrote, or one of another tool.

    Cells are numbered from 0 in the order of the rows. A row of five columns is a box; longer rows are what `rows` or
    data.yaml says, otherwise outlines if they can be nothing else. Outlines are kept as a `Polygon`, four corners as a
    `RotatedBox`; key points and other columns behind a box are not read.

    In folders of other tools, image ids are paths below the folder, sizes come from the images' headers, and boxes that
    leave their image by up to 1 px are cut at its border. Instead of data.yaml, a folder may have obj.data (Darknet,
    CVAT's "YOLO 1.1") or classes.txt (Label Studio, labelImg).

    Parameters
    ----------
    path
        The folder, or its data.yaml.
    taxonomy
        The classes; by default (and with "declared") the names in data.yaml, in their order.
    labels
        Name in data.yaml -> class of the data or of the nine, "WBC" (a white cell of unknown type) or "ignore"; also a new class with
        ``taxonomy="declared"``.
    clip
        Cut boxes at the image's border, however far they leave it, instead of rejecting them.
    images_root
        A folder or zip with the images, if they are elsewhere. For a folder of another tool: the folder that
        ``train``, ``val`` and ``test`` in data.yaml are relative to.
    rows
        The meaning of the label files' rows: "box", "outline", "obb" (four corners), or "pose" (a box and key points).
    check_images
        Whether to compare each image file with the size in images.csv and with its EXIF orientation, and to record its
        digest.

    Raises
    ------
    DataNotFound
        If there is no data.yaml, a folder or file that it names does not exist, or `path` is a zip.
    CorruptFile
        If data.yaml, images.csv or a list of images cannot be read.
    UnknownLabel
        If a name is not a class of `taxonomy`.
    InvalidExport
        If a row, an image or a part is invalid, rows can be read in several ways, images are not read, or none has a
        label file: every problem is listed.
    ValueError
        If `labels` maps a name to something other than a class or "ignore", or `rows` has an unknown value.

    Warns
    -----
    DataWarning
        If images have no label file (they are kept, without cells), label files have no image, image files are not
        named, columns are not read, boxes were cut, or all parts contain the same images.
    """
    said = description.read(Path(path))
    issues = Issues()
    classes_of, classes = read_classes(said, taxonomy, labels)
    known = declared(said.content, rows, str(said.file))
    mark = marker(said.folder)
    if mark:
        root, listed = _ours(said.folder, mark, images_root, issues, check_images=check_images)
        split, name = mark.get("split"), str(mark.get("name"))
    else:
        root, listed, tree = _others(said, images_root, issues, check_images=check_images)
        split = "given" if {each.part for each in listed} - {"all"} else None
        name = said.folder.absolute().name
    files = [read_file(each, issues, must_exist=bool(mark)) for each in listed]
    if not mark and listed and len(issues.unlabelled) == len(listed):
        raise InvalidExport([*issues.problems, none_labelled(tree, listed, said.file)])
    meaning, problems = meaning_of(rows_to_judge(files, known), known)
    issues.problems += problems
    cells = [cell for file in files for cell in read_cells(file, classes_of, meaning, issues, clip=clip)]
    if issues.problems:
        raise InvalidExport(issues.problems)
    if not mark:
        issues.notes += [*strays(tree, listed), *shared(listed)]
        issues.notes += contradictions(said, {each.labels.parent for each in listed})
    _warn(issues, meaning, listed)
    made = mark.get("made")
    diagnoses = {e.image.patient: e.diagnosis or None for e in listed if e.image.patient is not None}
    return Dataset(
        name,
        classes,
        tuple(each.image for each in listed),
        tuple(cells),
        tuple(Patient(patient, diagnosis) for patient, diagnosis in diagnoses.items()),
        Split.from_record(
            str(split),
            {each.image.id: each.part for each in listed},
            made if isinstance(made, dict) and made else {"method": "yolo"},
            {each.image.id: each.image.patient for each in listed if each.image.patient is not None},
        )
        if split
        else None,
        root if any(each.image.file for each in listed) else None,
    )


def _ours(
    folder: Path,
    mark: Mapping[str, Any],
    images_root: str | Place | None,
    issues: Issues,
    *,
    check_images: bool,
) -> tuple[Place, list[ListedImage]]:
    """The root and the images of a folder that `write` wrote."""
    root, listed = folder.absolute() / "images", from_table(folder, issues)
    if images_root is not None:
        return at_images_root(images_root, listed, issues)
    if not check_images:
        return root, listed
    refuse_missing(listed, root, mark, issues)
    return root, compared(listed, root, issues)


def _others(
    said: description.Description, images_root: str | Place | None, issues: Issues, *, check_images: bool
) -> tuple[Path, list[ListedImage], Tree]:
    """The root, the images and the files of a folder of another tool."""
    places = Places(said.folder, said.content.get("path"), images_root)
    root, listed, part_of = from_description(said, places, issues, check_images=check_images)
    tree = Tree(places, part_of)
    refuse_unread(tree, places, part_of, said.file, issues)
    return root, listed, tree


def _warn(issues: Issues, meaning: Meaning, listed: Sequence[ListedImage]) -> None:
    """Warn of images without labels, boxes that were cut, and columns that were left out."""
    texts = list(issues.notes)
    if issues.unlabelled:
        total, without = (Counter(each.part for each in each_of) for each_of in (listed, issues.unlabelled))
        whole = [part for part in without if without[part] == total[part]]
        among = f" (all of {' and '.join(whole)})" if whole else ""
        text = f"{counted(len(issues.unlabelled), 'image has no label file and is', 'images have no label file and are')} read without cells{among}:\n"
        texts.append(text + some((each.image.id for each in issues.unlabelled), 5))
    if issues.cut:
        texts.append(f"{counted(issues.cut, 'box was', 'boxes were')} cut at their image's border")
    texts += meaning.left_out(issues.columns)
    for text in texts:
        warnings.warn(text, DataWarning, stacklevel=3)
