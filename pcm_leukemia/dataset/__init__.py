"""`Dataset`, the one noun of the package.

Its verbs (`task`, `relabel`, `select`, `with_split`, `part`) return a `Dataset`, so everything that
takes a data set also takes their results. `show`, `gallery` and `compare` return pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise
from operator import attrgetter, gt
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from pcm_leukemia.dataset.fingerprinting import fingerprint
from pcm_leukemia.dataset.rules import contradictions, require_classes
from pcm_leukemia.errors import (
    InvalidDataset,
    MissingExtra,
    MissingPart,
    UnknownPart,
    counted,
    either,
    nearest,
)
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import IGNORE, UNTYPED, Cell, Image, Patient, Split, Taxonomy
from pcm_leukemia.taxonomy import check_classes, classes_among

if TYPE_CHECKING:
    import pandas as pd
    import PIL.Image

__all__ = ["Dataset", "of_checked_rows"]


@dataclass(frozen=True, repr=False)
class Dataset:
    """Images, the cells in them, the patients they come from, the classes, and at most one split.

    Images are kept in the order of their ids and cells in the order of (image, id). `root` is
    the folder, zip file or URL that holds the pixels; it does not count when data sets are compared. Nor do
    `pseudonym_keys`, the ids of the keys (`patients.KeyFile.id`) that pseudonyms of its patients are known to come from.

    A cell that is given the label `UNTYPED`, or has `Cell.untyped`, gets the class of that name if `taxonomy` has it;
    otherwise it gets the label `IGNORE` and is `untyped`.

    Raises
    ------
    InvalidDataset
        If the rows contradict each other: every contradiction is listed.
    """

    name: str
    taxonomy: Taxonomy
    images: tuple[Image, ...]
    cells: tuple[Cell, ...] = ()
    patients: tuple[Patient, ...] = ()
    split: Split | None = None
    root: Place | None = field(default=None, compare=False)
    pseudonym_keys: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        # one key after the other: single texts and numbers are compared several times faster than pairs of them
        by_image = sorted(sorted(self.cells, key=attrgetter("id")), key=attrgetter("image"))
        object.__setattr__(self, "images", tuple(sorted(self.images, key=attrgetter("id"))))
        object.__setattr__(self, "cells", tuple(_with_untyped(by_image, self.taxonomy)))
        object.__setattr__(self, "patients", tuple(sorted(self.patients, key=attrgetter("id"))))
        problems = list(contradictions(self))
        if problems:
            raise InvalidDataset(problems)

    def __repr__(self) -> str:
        patients = counted(len(self.patients), "patient") if self.patients else "no patients"
        return (
            f"Dataset({self.name}: {patients}, {counted(len(self.images), 'image')}, "
            f"{counted(len(self.cells), 'cell')}, {counted(len(self.taxonomy.labels), 'label')})"
        )

    def _repr_html_(self) -> str:
        from pcm_leukemia import notebook

        return notebook.of_dataset(self)

    # What it holds

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __bool__(self) -> bool:
        """Always true, even without images."""
        return True

    @property
    def counts(self) -> dict[str, int]:
        """The number of cells of each class, in the taxonomy's order; then of `UNTYPED` and `IGNORE`, if there are any.

        Examples
        --------
        >>> from pcm_leukemia import NINE, Box
        >>> from pcm_leukemia.schema import ImageId
        >>> images = (Image(ImageId("a.png"), 200, 100),)
        >>> ds = Dataset("demo", NINE, images, (Cell(ImageId("a.png"), 0, "Monocyte", Box(10, 20, 50, 60)),))
        >>> len(ds), ds.counts["Monocyte"], ds.counts["Basophil"]
        (1, 1, 0)
        """
        found: Counter[str] = Counter()
        for (label, untyped), count in self._kinds.items():
            found[UNTYPED if untyped else label] += count
        labels = self.taxonomy.labels
        return {
            label: found[label] for label in self.taxonomy.written_labels if label in labels or found[label]
        }

    @cached_property
    def _kinds(self) -> Counter[tuple[str, bool]]:
        """The number of cells by label and `untyped`."""
        return Counter(map(attrgetter("label", "untyped"), self.cells))

    @cached_property
    def _image_index(self) -> dict[str, Image]:
        return {image.id: image for image in self.images}

    @cached_property
    def _cell_spans(self) -> dict[str, tuple[int, int]]:
        counts = Counter(map(attrgetter("image"), self.cells))
        return dict(zip(counts, pairwise(accumulate(counts.values(), initial=0)), strict=True))

    def image(self, image: str) -> Image:
        """The image with this id; KeyError if it does not exist."""
        return self._image_index[image]

    def cells_of(self, image: Image | str) -> tuple[Cell, ...]:
        """The cells of one image, in the order of their ids; () if it has no cells."""
        start, end = self._cell_spans.get(image.id if isinstance(image, Image) else image, (0, 0))
        return self.cells[start:end]

    @cached_property
    def _patient_index(self) -> dict[str, Patient]:
        return {patient.id: patient for patient in self.patients}

    def patient_of(self, image: Image) -> Patient | None:
        """The image's patient; None if unknown."""
        return self._patient_index[image.patient] if image.patient else None

    def diagnosis_of(self, image: Image) -> str | None:
        """The diagnosis of the image's patient, or else the image's own; None if both are unknown."""
        patient = self.patient_of(image)
        return (patient and patient.diagnosis) or image.diagnosis

    def part_of(self, image: Image) -> str:
        """The part that the image is in; "all" where the data set has no split."""
        return self.split.part_of[image.id] if self.split else "all"

    @property
    def ignored(self) -> int:
        """The number of cells labelled `IGNORE`, without those that are `untyped`."""
        return self._kinds[IGNORE, False]

    @property
    def untyped(self) -> int:
        """The number of white cells of unknown type: ignored, except where WBC is a class, as in the task wbc."""
        return sum(count for (_, untyped), count in self._kinds.items() if untyped)

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts; ("all",) where the data set has no split."""
        return self.split.parts if self.split else ("all",)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: classes, patients, images and cells, without split and pixels."""
        return fingerprint(self)

    def to_pandas(self) -> pd.DataFrame:
        """A table with one row for each cell, with its image's size, patient, diagnosis and part; needs pandas."""
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("pandas", "scale") from error
        rows = [
            {
                "image": cell.image,
                "cell": cell.id,
                "label": cell.written_label,
                "raw_label": cell.raw_label,
                "x1": cell.box.x1,
                "y1": cell.box.y1,
                "x2": cell.box.x2,
                "y2": cell.box.y2,
                "rotation": cell.rotation,
                "occluded": cell.occluded,
                "width": image.width,
                "height": image.height,
                "patient": image.patient,
                "diagnosis": self.diagnosis_of(image),
                "part": self.part_of(image),
            }
            for image in self.images
            for cell in self.cells_of(image)
        ]
        return pd.DataFrame(rows)

    # Its pictures; pcm_leukemia.drawing draws them

    def show(self, image: Image | str, *, cells: bool = True, width: int | None = None) -> PIL.Image.Image:
        """A frame with its cells: an outline and a tag in the colour of its class for each.

        A tag that would hide most of a cell wherever it is put is left out.

        Parameters
        ----------
        image
            The image, its id, or the end of its path if no other image has the same.
        cells
            Whether to draw the cells.
        width
            Shrink the frame to this width in pixels before drawing, if it is wider.

        Raises
        ------
        DataNotFound
            If the data set has no image files, or this one is missing.
        CorruptFile
            If the file cannot be decoded, or has another size than recorded.
        ValueError
            If no image of the data can be meant, or several; or the width is not 1 or more.

        Examples
        --------
        >>> import pcm_leukemia as pcm
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     ds = pcm.load_dataset(pcm.sample.write(f"{folder}/export.zip", patients=1, images=1))
        ...     ds.show(ds.images[0], width=400).size
        (400, 225)
        """
        from pcm_leukemia import drawing

        return drawing.show(self, image, cells=cells, width=width)

    def gallery(
        self, label: str | None = None, *, n: int = 24, seed: int = 0, padding: int = 10
    ) -> PIL.Image.Image:
        """A sheet of crops with their classes, drawn evenly over classes and patients.

        Parameters
        ----------
        label
            The class; by default all classes.
        n
            The most crops on the sheet.
        seed
            The same seed chooses the same cells.
        padding
            Pixels around each box, 0 or more. Cells that are points get 40 at least.

        Raises
        ------
        DataNotFound
            If the data set has no image files, or one of them is missing.
        CorruptFile
            If a file cannot be decoded, or has another size than recorded.
        ValueError
            If the label is not a class, the data have no such cells, or a number is too small.

        Examples
        --------
        >>> import pcm_leukemia as pcm
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     ds = pcm.load_dataset(pcm.sample.write(f"{folder}/export.zip", patients=1, images=1))
        ...     ds.gallery(n=2).size
        (338, 192)
        """
        from pcm_leukemia import drawing

        return drawing.gallery(self, label, n=n, seed=seed, padding=padding)

    def compare(
        self, other: Dataset, image: Image | str | None = None, *, iou: float = 0.5, width: int | None = None
    ) -> PIL.Image.Image:
        """Two annotations of one frame: cells on which both agree are thin, the others are marked.

        Cells are matched as `review.diff` matches them. A legend is below the frame.

        Parameters
        ----------
        other
            The same images with the same classes, annotated again.
        image
            The image, as in `show`; by default the one in which most cells differ.
        iou
            The lowest IoU at which two boxes are one cell.
        width
            As in `show`.

        Raises
        ------
        InvalidDataset
            If the two have different classes, no image in common, or images with the same id but different sizes.
        DataNotFound
            If neither data set has image files, or this one is missing.
        CorruptFile
            If the file cannot be decoded, or has another size than recorded.
        ValueError
            If the image is not in both, or a number is out of its range.

        Examples
        --------
        >>> import pcm_leukemia as pcm
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     ds = pcm.load_dataset(pcm.sample.write(f"{folder}/export.zip", patients=1, images=1))
        ...     ds.compare(ds.select(labels=["Other"]), width=400).width
        400
        """
        from pcm_leukemia import drawing

        return drawing.compare(self, other, image, iou=iou, width=width)

    # Its verbs: each returns a new Dataset

    def task(self, name: str) -> Dataset:
        """The data set as one of its taxonomy's tasks sees it.

        "detection" keeps the classes as they are and works with any taxonomy.

        Raises
        ------
        ValueError
            If the taxonomy does not have the task.
        """
        for task in self.taxonomy.tasks:
            if task.name == name and task.labels != self.taxonomy.labels:
                taxonomy = Taxonomy(f"{self.taxonomy.name}/{name}", task.labels)
                here = {old: new for old, new in task.relabel.items() if old in self.taxonomy.labels}
                return self.relabel(here, taxonomy)
        if name == "detection" or self.taxonomy.name.endswith(f"/{name}"):
            return self
        known = ", ".join(dict.fromkeys(["detection", *(task.name for task in self.taxonomy.tasks)]))
        nine = either("taxonomy=NINE, with labels", "--taxonomy pcm-leukemia, with --map")
        way = (
            "" if self.taxonomy.tasks else f", or read the data into the nine classes: {nine} for other names"
        )
        raise ValueError(
            f'task "{name}": the classes {", ".join(self.taxonomy.labels)} have no such task; use one of: {known}{way}'
        )

    def relabel(
        self, mapping: Mapping[str, str | None], taxonomy: Taxonomy | Literal["declared"] | None = None
    ) -> Dataset:
        """Change labels: to another class, to `UNTYPED`, to `IGNORE`, or to None, which leaves the cells out.

        Parameters
        ----------
        mapping
            Label -> class. Labels that are not in it stay as they are. That of a white cell of unknown type is "WBC".
        taxonomy
            The new classes. By default those of the data that are left, in their old order; classes that become one take
            the place of the first of them. "declared" does the same, but `mapping` may also name new classes.

        Raises
        ------
        ValueError
            If `mapping` has a label that is not a class of the data, or gives one that is not a class of the result.
        InvalidDataset
            If cells keep a label that is not a class of `taxonomy`: each such label is counted.

        Examples
        --------
        >>> from pcm_leukemia import NINE
        >>> ds = Dataset("demo", NINE, ())
        >>> ds.relabel({"Basophil": "Other", "Eosinophil": "Other"}).taxonomy.labels[:3]
        ('Lymphocyte', 'Neutrophil', 'Other')
        >>> ds.relabel({"Basophil": "othr"})
        Traceback (most recent call last):
        ValueError: relabel: "othr" is not a class of demo, the nearest is "Other"; use one of Lymphocyte, Neutrophil, \
Basophil, Eosinophil, Lymphoblast, Monocyte, Myeloblast_AML, Myeloblast_APL, Other, WBC (a white cell of unknown type) or \
ignore, or pass taxonomy="declared" for a new class
        """
        old = self.taxonomy.labels
        check_classes(mapping, old, self.name, where="relabel")
        new = [label for before, label in mapping.items() if label is not None and label != before]
        if isinstance(taxonomy, Taxonomy):
            check_classes(new, taxonomy.labels, taxonomy.name, where="relabel")
        else:
            if taxonomy is None:
                more = ', or pass taxonomy="declared" for a new class'
                check_classes(new, old, self.name, more, where="relabel")
            labels = (label for before in old if (label := mapping.get(before, before)))
            left = classes_among(labels, old, taxonomy)
            taxonomy = self.taxonomy if left == old else Taxonomy(self.taxonomy.name, left)
        cells = tuple(
            cell if before not in mapping else _labelled(cell, label, taxonomy)
            for cell in self.cells
            if (label := mapping.get(before := cell.written_label, before)) is not None
        )
        require_classes(self.name, cells, taxonomy)
        return replace(self, taxonomy=taxonomy, cells=cells)

    def select(
        self,
        *,
        images: Collection[str] | Callable[[Image], bool] | None = None,
        patients: Collection[str] | None = None,
        labels: Collection[str] | None = None,
    ) -> Dataset:
        """Keep some images, patients and labels.

        Parameters
        ----------
        images
            The ids of the images to keep, or a test on each image.
        patients
            The ids of the patients whose images are kept.
        labels
            The labels of the cells that are kept. Images stay, even without cells. "WBC" keeps white cells of unknown
            type.

        Raises
        ------
        ValueError
            If an image, a patient or a label is not in the data.

        Examples
        --------
        >>> from pcm_leukemia import NINE
        >>> Dataset("demo", NINE, ()).select(labels={"Limphoblast"})
        Traceback (most recent call last):
        ValueError: select: "Limphoblast" is not a class of demo, the nearest is "Lymphoblast"; use one of Lymphocyte, \
Neutrophil, Basophil, Eosinophil, Lymphoblast, Monocyte, Myeloblast_AML, Myeloblast_APL, Other, WBC (a white cell of \
unknown type) or ignore
        """
        named = (
            None if images is None or callable(images) else _among(images, self._image_index, "image", self)
        )
        people_named = None if patients is None else _among(patients, self._patient_index, "patient", self)
        wanted = None if labels is None else _ids(labels)
        check_classes(sorted(wanted or ()), self.taxonomy.labels, self.name, where="select")
        kept = tuple(
            image
            for image in self.images
            if (named is None or image.id in named)
            and (not callable(images) or images(image))
            and (people_named is None or image.patient in people_named)
        )
        ids = {image.id for image in kept}
        cells = (c for c in self.cells if c.image in ids and (wanted is None or c.written_label in wanted))
        people = {image.patient for image in kept}
        split = self.split and replace(
            self.split, part_of={image: part for image, part in self.split.part_of.items() if image in ids}
        )
        return replace(
            self,
            images=kept,
            cells=tuple(cells),
            patients=tuple(patient for patient in self.patients if patient.id in people),
            split=split,
        )

    def with_split(self, split: Split | None) -> Dataset:
        """The same data with a split, which must place every image. It may also place other images.

        Raises
        ------
        MissingPart
            If the split does not place an image.
        """
        if split is None:
            return replace(self, split=None)
        lost = [image.id for image in self.images if image.id not in split.part_of]
        if lost:
            raise MissingPart(
                f'split "{split.name}": {len(lost):,} of {len(self.images):,} images are in no part, the first '
                f'"{lost[0]}"; make the split again, or place them: '
                + either("splits.extend", "pcm-leukemia split DATA --extend")
            )
        here = {image.id: split.part_of[image.id] for image in self.images}
        return replace(self, split=replace(split, part_of=here))

    def part(self, name: str) -> Dataset:
        """The images and cells of one part of the split.

        Raises
        ------
        UnknownPart
            If the data set has no split, or its split does not have the part.
        """
        if self.split is None:
            raise UnknownPart(
                f'part "{name}": {self!r} has no split; make one with splits.by_patient or `pcm-leukemia split`'
            )
        if name not in self.split.parts:
            raise UnknownPart(
                f'part "{name}": split "{self.split.name}" has {", ".join(self.split.parts)}; use one of them'
            )
        part_of = self.split.part_of
        return self.select(images=lambda image: part_of[image.id] == name)


def of_checked_rows(
    name: str,
    taxonomy: Taxonomy,
    images: Collection[Image],
    cells: Collection[Cell],
    *,
    root: Place | None = None,
) -> Dataset:
    """The `Dataset` of rows that a reader has checked, without a second look at each of them.

    Parameters
    ----------
    name
        The data set's name.
    taxonomy
        The classes.
    images
        The images, without patients. No two have the same id.
    cells
        The cells, upright boxes inside these images, none of them `untyped`, in the order of the images and of their own
        ids.
    root
        The folder, zip file or URL that holds the pixels.

    Raises
    ------
    InvalidDataset
        If a name is not text, or cells have a label that is not a class.
    """
    ids = [image.id for image in images]
    labels = set(map(attrgetter("label"), cells))
    if not all(map(str.isascii, ids)) or not labels <= {*taxonomy.labels, IGNORE}:
        return Dataset(name, taxonomy, tuple(images), tuple(cells), root=root)
    if any(map(gt, ids, ids[1:])):
        images, cells = sorted(images, key=attrgetter("id")), sorted(cells, key=attrgetter("image"))
    ds = object.__new__(Dataset)
    vars(ds).update(
        name=name,
        taxonomy=taxonomy,
        images=tuple(images),
        cells=tuple(cells),
        patients=(),
        split=None,
        root=root,
        pseudonym_keys=(),
    )
    return ds


def _ids(given: Collection[str]) -> frozenset[str]:
    """The given ids; a text is one id, not its letters."""
    return frozenset([given] if isinstance(given, str) else given)


def _among(given: Collection[str], there: Mapping[str, object], kind: str, ds: Dataset) -> frozenset[str]:
    """The given ids; each must exist."""
    ids = _ids(given)
    unknown = sorted(ids - there.keys())
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if unknown[1:] else ""
        raise ValueError(
            f'select: {kind} "{unknown[0]}"{more} is not in {ds.name}{nearest(unknown[0], there)}; use ids of the data, '
            "or give a test: images=lambda image: ..."
        )
    return ids


def _labelled(cell: Cell, label: str, taxonomy: Taxonomy) -> Cell:
    """The cell with another label, which may be `UNTYPED`."""
    untyped = label == UNTYPED and UNTYPED not in taxonomy.labels
    return structs.replace(cell, label=IGNORE if untyped else label, untyped=untyped)


def _with_untyped(cells: Collection[Cell], taxonomy: Taxonomy) -> Iterable[Cell]:
    """The cells, with white cells of unknown type as `taxonomy` has them; see `Dataset`."""
    is_class = UNTYPED in taxonomy.labels
    if True not in map(attrgetter("untyped"), cells) and (
        is_class or UNTYPED not in map(attrgetter("label"), cells)
    ):
        return cells
    return (
        _labelled(cell, cell.written_label if cell.label == IGNORE else cell.label, taxonomy)
        if cell.untyped or cell.label == UNTYPED
        else cell
        for cell in cells
    )
