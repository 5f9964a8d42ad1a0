"""Reading COCO: files that `write` wrote, without loss, and files of other tools."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pcm_leukemia.converters.coco.annotations import REFUSED, Annotations
from pcm_leukemia.converters.coco.categories import Classes, classes_of
from pcm_leukemia.converters.coco.documents import Document, read_documents, refuse_unread_lists
from pcm_leukemia.converters.coco.ids import id_of
from pcm_leukemia.converters.coco.layout import Layout, layout_of, parts_without_file
from pcm_leukemia.converters.coco.pictures import (
    Listed,
    find_files,
    measured,
    named_apart,
    refuse_unread_files,
)
from pcm_leukemia.converters.coco.refused import BAD_ROW, Refused, problem_of
from pcm_leukemia.converters.coco.rows import image_of, size_of
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport, Problem, UnknownLabel, counted_kind, some
from pcm_leukemia.files import Files
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId, Split, Taxonomy
from pcm_leukemia.taxonomy import classes_among, taxonomy_with

__all__ = ["read"]

_MADE = {"method": "read from COCO"}


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Place | None = None,
    rows: Literal["box", "outline"] | None = None,
    check_images: bool = True,
) -> Dataset:
    """Read a COCO file, or a folder or zip with one file for each part of a split.

    Categories are read in the order of their ids, which may be any numbers. A crowd (``iscrowd`` 1) becomes
    an ignored cell. If an outline has several pieces or is given as run lengths, only its box is kept; a
    warning counts these outlines. ``attributes.rotation`` turns a box, as in CVAT.

    Parameters
    ----------
    path
        A JSON file; or a folder or zip with JSON files in ``annotations/``, at its top, or one folder below.
    taxonomy
        The classes; by default (and with "declared") the categories, or the package's nine classes if the
        categories match them.
    labels
        Category name -> class of the data or of the nine, "WBC" (a white cell of unknown type) or "ignore"; also a new class with
        ``taxonomy="declared"``.
    clip
        Cut boxes at the image's border, instead of rejecting boxes that leave the image.
    images_root
        A folder or zip with the images; by default they are looked for around the JSON file: in ``images/``, in the
        folder of the part, and beside the file.
    rows
        "box" or "outline": what counts in annotations whose box and outline contradict each other by more than 2 px,
        instead of rejecting them.
    check_images
        Whether every image must have its file, if any has one, and whether each file's size is compared with the
        annotated one.

    Raises
    ------
    DataNotFound
        If there is no JSON file.
    InvalidExport
        If a file is invalid: every problem is listed.
    ValueError
        If `labels` maps a category to something other than a class or "ignore", or `rows` has another value.

    Warns
    -----
    DataWarning
        If boxes were left out, only the box of an outline was kept, or the file of a part that `write` wrote is not there.
    """
    if rows not in (None, "box", "outline"):
        raise ValueError(f'rows "{rows}": must be box or outline for COCO')
    path = Path(path)
    reader = _Reader(layout_of(path), clip=clip, rows=rows)
    reader.read_categories(taxonomy, labels or {})
    reader.read_images(images_root, check=check_images)
    reader.read_annotations()
    reader.refuse_unread(elsewhere=images_root is not None)
    if reader.problems:
        only_labels = len(reader.problems) == reader.classes.unknown
        raise (UnknownLabel if only_labels else InvalidExport)(reader.problems)
    reader.warn()
    return reader.dataset(path, taxonomy)


class _Reader:
    """Collects the tables of a data set from its files."""

    def __init__(self, layout: Layout, *, clip: bool, rows: Literal["box", "outline"] | None) -> None:
        self.layout, self.clip, self.rows = layout, clip, rows
        self.read_files = read_documents(layout)
        self.documents, self.problems = self.read_files.all, self.read_files.problems
        self.ours = any(document.ours for document in self.documents)
        self.classes = Classes({}, (), [], 0)
        self.listed: list[Listed] = []
        self.images: dict[ImageId, Image] = {}
        self.cells: list[Cell] = []
        self.patients: dict[str, str | None] = {}
        self.left: Counter[str] = Counter()
        self.root: Place | None = None
        self.apart = False

    def _problem(self, where: str, what: str, fix: str) -> None:
        self.problems.append(Problem(where, what, fix))

    def read_categories(
        self, taxonomy: Taxonomy | Literal["declared"] | None, labels: Mapping[str, str]
    ) -> None:
        """Read the categories of all files."""
        tables = [
            (each.source.where, each.content["categories"], each.content["annotations"])
            for each in self.documents
        ]
        self.classes, by_id = classes_of(tables, taxonomy, labels)
        self.problems += self.classes.problems
        for document, names in zip(self.documents, by_id, strict=True):
            document.labels = names
            if len(self.classes.problems) > self.classes.unknown:
                document.complete.discard("category")

    # Images

    def read_images(self, images_root: str | Place | None, *, check: bool) -> None:
        """Read the images of all files, and find, measure and compare their image files."""
        listed = {id(document): self._list(document) for document in self.documents}
        self.listed = [each for document in self.documents for each in listed[id(document)]]
        self.apart = named_apart(self.listed)
        found = find_files(self.listed, self.layout, images_root, links=self.ours)
        self.problems += [*(found.missing if check else ()), *found.shared]
        files = Files(found.root)
        for document in self.documents:
            for each in listed[id(document)]:
                try:
                    image: Image | str = self._image(each, files, apart=self.apart)
                except BAD_ROW as error:
                    self.problems.append(problem_of(each.where, error))
                    image = REFUSED
                document.images.add(each.key, image)
        if self.documents and not self.listed and not self.ours and not self.problems:
            where = self.documents[0].source.where
            self._problem(where, "lists no images", "give the file with the images and annotations")
        if any(image.file for image in self.images.values()):
            self.root = found.root
            if check:
                self._compare()

    def _list(self, document: Document) -> list[Listed]:
        """The rows of ``images`` of a file that have a name and an id."""
        by_key: dict[object, Listed] = {}
        by_name: dict[str, Listed] = {}
        for index, row in enumerate(document.content["images"]):
            try:
                if not isinstance(row, dict):
                    raise Refused("is not an object")
                key, name = id_of(row["id"]), row["file_name"]
                if not isinstance(name, str) or not name:
                    raise Refused(f"its file_name is {name!r}")
                if name in by_name:
                    what = f'image "{name}" occurs twice, first as images[{by_name[name].index}]'
                    raise Refused(what, "list every image once")
                if key in by_key:
                    what = f'the id {key} of image "{name}" is also that of "{by_key[key].name}"'
                    raise Refused(what, "give every image its own id")
                listed = Listed(index, document.source, row, key, name, ImageId(name))
                by_key[key] = by_name[name] = listed
            except BAD_ROW as error:
                self.problems.append(problem_of(f"{document.source.where} images[{index}]", error))
                document.complete.discard("image")
        return list(by_key.values())

    def _image(self, listed: Listed, files: Files, *, apart: bool) -> Image:
        """The image of a row."""
        size = size_of(listed.row) or measured(listed, files)
        subset = listed.source.subset if apart else ""
        image = image_of(listed.row, listed.id, size, subset=subset, file=listed.file)
        if image.id in self.images or (apart and self.ours):  # `write` never writes an image twice
            raise Refused(f'image "{listed.name}" is also in another file', "list every image once")
        if image.patient is not None:
            self._patient(image.patient, listed)
        self.images[image.id] = image
        return image

    def _patient(self, patient: PatientId, listed: Listed) -> None:
        diagnosis = listed.row.get("diagnosis")
        diagnosis = None if diagnosis is None else str(diagnosis)
        known_as = self.patients.setdefault(patient, diagnosis)
        if diagnosis is not None and known_as is None:
            self.patients[patient] = diagnosis
        elif diagnosis is not None and diagnosis != known_as:
            what = f'the diagnosis of patient "{patient}" is "{diagnosis}", but "{known_as}" in a row before'
            self._problem(listed.where, what, "correct one of the two")

    def _compare(self) -> None:
        """Compare the headers of the image files with the sizes, and record the digests."""
        from pcm_leukemia.images import compare_files

        assert self.root is not None
        images, wrong = compare_files(self.images.values(), self.root)
        self.images = {image.id: image for image in images}
        self.problems += wrong

    # Cells

    def read_annotations(self) -> None:
        """Read the annotations of all files."""
        for document in self.documents:
            annotations = Annotations(
                document.source.where,
                document.images,
                document.labels,
                self.classes.of,
                self.left,
                complete=document.complete,
                clip=self.clip,
                rows=self.rows,
            )
            annotations.read(document.content["annotations"], ours=document.ours)
            self.cells += annotations.cells
            self.problems += annotations.problems

    # What is left

    def refuse_unread(self, *, elsewhere: bool) -> None:
        """Report images in the folder that are not read; their files only if these are not `elsewhere`."""
        names = {each.name for each in self.listed}
        self.problems += refuse_unread_lists(self.layout, self.read_files, names)
        if not self.ours and not elsewhere:
            self.problems += refuse_unread_files(self.layout, (each.file for each in self.listed))

    def warn(self) -> None:
        """Warn of what was left out."""
        lines = [counted_kind(count, kind) for kind, count in self.left.items()]
        if self.apart and self.root is None:
            lines.append(
                "files of several parts list images of the same names, which are read as different images"
            )
        if self.images and not self.ours and not any(each.content["annotations"] for each in self.documents):
            lines.append(f"{self.documents[0].source.where}: no image has an annotation")
        if parts := parts_without_file(self.layout):
            lines.append(
                f"{self.layout.container.root}: the files of {' and '.join(parts)} are not there; copy them, too, unless you left "
                "them out on purpose"
            )
        if lines:
            warnings.warn(some(lines), DataWarning, stacklevel=3)

    def dataset(self, path: Path, taxonomy: Taxonomy | Literal["declared"] | None) -> Dataset:
        """The tables as a data set."""
        info: dict[str, Any] = next((each.info for each in self.documents if each.info), {})
        labels = classes_among(self.classes.of.values(), self.classes.names, taxonomy)
        classes = taxonomy if isinstance(taxonomy, Taxonomy) else taxonomy_with(labels)
        if (
            classes.name == "declared"
            and labels == self.classes.names
            and isinstance(info.get("taxonomy"), str)
        ):
            classes = Taxonomy(info["taxonomy"], labels)
        name = info.get("description")
        return Dataset(
            name if isinstance(name, str) and name else path.stem,
            classes,
            tuple(self.images.values()),
            tuple(self.cells),
            tuple(Patient(PatientId(patient), diagnosis) for patient, diagnosis in self.patients.items()),
            self._split(info),
            self.root,
        )

    def _split(self, info: Mapping[str, Any]) -> Split | None:
        """The split, if the files are parts of one."""
        part_of = {each.id: each.source.part for each in self.listed if each.source.part is not None}
        if not part_of:
            return None
        name, made = info.get("split"), info.get("made")
        return Split.from_record(
            name if isinstance(name, str) else "official",
            part_of,
            {str(key): str(value) for key, value in made.items()} if isinstance(made, dict) else _MADE,
            {image.id: image.patient for image in self.images.values() if image.patient is not None},
        )
