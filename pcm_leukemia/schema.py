"""The rows of a data set, each frozen and checked when it is made.

A data set has many `Image`, `Cell` and `Box` objects, so they are msgspec Structs: dataclasses built in C.
Change one with `msgspec.structs.replace`; for an `Image`, `dataclasses.replace` works as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, make_dataclass
from functools import cache
from operator import attrgetter
from typing import Literal, NewType, TypeAlias

import msgspec
from msgspec.structs import force_setattr

from pcm_leukemia.errors import ImpossibleValue, counted, some
from pcm_leukemia.shapes import Box, Shape

__all__ = [
    "AUTO",
    "IGNORE",
    "LONGEST",
    "NOT_COMPARED",
    "PARTS",
    "STATES",
    "UNTYPED",
    "AnnotationState",
    "Attributes",
    "Cell",
    "Image",
    "ImageId",
    "Patient",
    "PatientId",
    "Split",
    "Tag",
    "Task",
    "Taxonomy",
    "letters",
    "part_named",
]

PatientId = NewType("PatientId", str)
ImageId = NewType("ImageId", str)
Attributes = tuple[tuple[str, str], ...]

IGNORE = "ignore"
"""The label of a cell that is neither of a class nor background, and so is never a target."""

UNTYPED = "WBC"
"""How label maps and label columns write a white cell of unknown type, unless the taxonomy has a class of this name.

In a data set, such a cell has the label `IGNORE`, and `Cell.untyped` is true. It becomes a WBC in a taxonomy that has this
class, as in the task wbc.
"""

AUTO = "auto"
"""The source of a cell or tag that a model drew; CVAT uses the same word for its own automatic annotations."""

PARTS = ("train", "val", "test")
"""The order in which parts are listed; other names follow, sorted."""

_PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def part_named(name: str) -> str | None:
    """The part that a folder, subset, file or key is named after, in upper or lower case; None for any other name.

    Every reader goes by these spellings: those of CVAT's subsets, ultralytics, Roboflow and Hugging Face.

    Examples
    --------
    >>> part_named("Validation"), part_named("valid"), part_named("TRAINING"), part_named("default")
    ('val', 'val', 'train', None)
    """
    return _PART_NAMES.get(name.casefold())


LONGEST = 2**31 - 1
"""The longest side of an image in pixels that other libraries can hold."""

AnnotationState: TypeAlias = Literal["complete", "partial", "none", "unknown"]
STATES: tuple[AnnotationState, ...] = ("complete", "partial", "none", "unknown")
"""How many cells of an image are annotated: all, some, none, or unknown."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A person: the given id, and the diagnosis (Normal, ALL, AML, APL) if known."""

    id: PatientId
    diagnosis: str | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ImpossibleValue(
                "patient: its id is empty; give an id, or leave the image without a patient"
            )
        if self.diagnosis == "":
            object.__setattr__(self, "diagnosis", None)


@dataclass(frozen=True, slots=True)
class Tag:
    """A label on a whole image, like a tag in CVAT."""

    label: str
    attributes: Attributes = ()
    source: str = ""
    group: int = 0


NOT_COMPARED = ("file", "digest")
"""The fields of an image that do not count when it is compared: where its file is, and which file."""


class Image(msgspec.Struct, frozen=True, gc=False):
    """A smear image: everything known about it without opening the file.

    `id` is unique and is its POSIX path inside the export; `name` is the path that CVAT shows,
    which is the id without the leading subset (or task). `file` is the path of the image file below
    `Dataset.root`, or None if there is no file. `digest` tells this file from every other (see `files.digest`), or is
    None if the file was not opened. Sizes are in pixels. `white_level` is the value that is white in a file of more than 8
    bits a channel, if it is not the largest possible one.

    Everything outside the annotations is background only if `annotation_state` is "complete". `diagnosis`
    is the image's own, for images without a known patient. Images with the same `group` may not be separated by a
    split, whatever their patients: images of one slide, or of one cell that was photographed twice.

    Raises
    ------
    ImpossibleValue
        If the id is empty, a size or the white level is not positive, or the annotation state is unknown.
    """

    id: ImageId
    width: int
    height: int
    patient: PatientId | None = None
    name: str = ""
    subset: str = ""
    file: str | None = None
    tags: tuple[Tag, ...] = ()
    annotation_state: AnnotationState = "complete"
    diagnosis: str | None = None
    group: str | None = None
    digest: str | None = None
    white_level: float | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ImpossibleValue("image: its id is empty; give its path inside the export")
        if self.width < 1 or self.height < 1:
            raise ImpossibleValue(
                f'image "{self.id}": size {self.width} x {self.height}; give pixels, 1 or more'
            )
        if self.width > LONGEST or self.height > LONGEST:
            raise ImpossibleValue(
                f'image "{self.id}": a side has more than {LONGEST:,} pixels; correct its size'
            )
        if not self.name:
            force_setattr(self, "name", str(self.id))
        if self.annotation_state not in STATES:
            raise ImpossibleValue(
                f'image "{self.id}": annotation_state "{self.annotation_state}"; use one of {", ".join(STATES)}'
            )
        if self.white_level is not None and not 0 < self.white_level < float("inf"):
            raise ImpossibleValue(f'image "{self.id}": white_level {self.white_level}; give a number above 0')
        if "" in (self.diagnosis, self.group, self.digest):
            for name in ("diagnosis", "group", "digest"):
                force_setattr(self, name, getattr(self, name) or None)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        compared = _compared(type(self))
        return compared(self) == compared(other)

    def __ne__(self, other: object) -> bool:  # that of Structs compares every field
        return not self == other

    def __hash__(self) -> int:
        return hash(_compared(type(self))(self))

    def has_other_file_than(self, other: Image) -> bool:
        """Whether the files of two images are known to differ: both have a digest, and not the same."""
        return None not in (self.digest, other.digest) and self.digest != other.digest


@cache
def _compared(kind: type[Image]) -> Callable[[object], tuple[object, ...]]:
    """The values of an image that count when it is compared."""
    return attrgetter(*(name for name in kind.__struct_fields__ if name not in NOT_COMPARED))


def _let_dataclasses_know(kind: type[Image]) -> None:
    """Let `dataclasses.replace`, `fields` and `asdict` work on a Struct; images were dataclasses before."""
    defaults = dict(zip(reversed(kind.__struct_fields__), reversed(kind.__struct_defaults__), strict=False))
    rows = [
        (name, object, field(default=defaults.get(name, MISSING), compare=name not in NOT_COMPARED))
        for name in kind.__struct_fields__
    ]
    alike = make_dataclass(kind.__name__, rows, frozen=True)
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        setattr(kind, name, getattr(alike, name))


_let_dataclasses_know(Image)


class Cell(msgspec.Struct, frozen=True, gc=False):
    """One annotated cell.

    `id` numbers the cells of one image and never changes, not even in a selection. `label` is a
    class of the data set's taxonomy or `IGNORE`; `raw_label` is the label in the annotation tool.
    `untyped` says that an ignored cell is a white cell of unknown type.
    `box` is the axis-aligned envelope in pixels. `shape` is the drawn shape, or None for an upright box; for a
    `shapes.Point`, `box` is its pixel. Attribute values are the strings that CVAT wrote.
    """

    image: ImageId
    id: int
    label: str
    box: Box
    raw_label: str = ""
    shape: Shape | None = None
    occluded: bool = False
    source: str = ""
    z_order: int = 0
    group: int = 0
    track: int | None = None
    attributes: Attributes = ()
    untyped: bool = False

    @property
    def written_label(self) -> str:
        """The label as maps and label columns write it: `UNTYPED` for a white cell of unknown type."""
        return UNTYPED if self.untyped else self.label

    @property
    def rotation(self) -> float:
        """The rotation of the drawn shape in degrees, clockwise; 0 for an upright one."""
        return float(getattr(self.shape, "rotation", 0.0))


@dataclass(frozen=True, slots=True)
class Task:
    """The labels that a model predicts, and old label -> new label (None leaves the cells out)."""

    name: str
    labels: tuple[str, ...]
    relabel: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The classes, in the order of their ids, and the other spellings of each.

    Raises
    ------
    ImpossibleValue
        If a label is empty, repeated, the reserved word "ignore" or not text, or an alias has an unknown label.

    Examples
    --------
    >>> taxonomy = Taxonomy("demo", ("Lymphocyte", "Other"), aliases={"lymph": "Lymphocyte"})
    >>> taxonomy.match(" LYMPH "), taxonomy.match("lymphocyte"), taxonomy.match("Neutrophil")
    ('Lymphocyte', 'Lymphocyte', None)
    >>> taxonomy.ids["Other"]
    1
    """

    name: str
    labels: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()

    def __post_init__(self) -> None:
        wrong = [label for label in self.labels if not label.strip() or label == IGNORE]
        wrong += [label for label in self.labels if label.encode("utf-8", "replace").decode() != label]
        wrong += [label for label, count in Counter(self.labels).items() if count > 1]
        wrong += [alias for alias, label in self.aliases.items() if label not in self.labels]
        if wrong:
            raise ImpossibleValue(
                f'taxonomy "{self.name}": {some(wrong)!r}: empty, repeated, reserved, not text, or an alias of an '
                "unknown label; give every class one name"
            )

    @property
    def ids(self) -> dict[str, int]:
        """Label -> class id, from 0, in the taxonomy's order."""
        return {label: index for index, label in enumerate(self.labels)}

    @property
    def written_labels(self) -> tuple[str, ...]:
        """What `Cell.written_label` can be: the classes, then `UNTYPED` and `IGNORE`."""
        return tuple(dict.fromkeys((*self.labels, UNTYPED, IGNORE)))

    def match(self, raw: str) -> str | None:
        """The label that `raw` spells, exactly or by its letters and digits alone; None if no label matches."""
        if raw in self.labels:
            return raw
        spellings = {letters(label): label for label in self.labels}
        if len(spellings) < len(self.labels):  # declared labels may differ only in case
            spellings = {}
        spellings |= {letters(alias): label for alias, label in self.aliases.items()}
        return spellings.get(letters(raw))


def letters(label: str) -> str:
    """The letters and digits of a label in lower case, to compare spellings."""
    return "".join(character for character in label.casefold() if character.isalnum())


_SHARED = "val_shares_patients"
"""The key of `Split.record` for it."""


@dataclass(frozen=True, slots=True, repr=False)
class Split:
    """Which part each image belongs to, and how the split was made.

    `part_of` maps image ids to part names. `made` records the method and its numbers as text, for people. Only
    `splits.extend` depends on it, to place new images by the same method. `val_shares_patients` says that training and
    validation may have patients in common, for example because validation was drawn by image. `patient_of` is the patient of each
    image when the split was made, as far as known: images may be added, removed or renamed, and their patient stays in
    the same part. `digest_of` is the digest of each image's file (`Image.digest`), as far as known: an image that was
    renamed stays in its part.

    Examples
    --------
    >>> Split("official", {ImageId("a.png"): "train", ImageId("b.png"): "test", ImageId("c.png"): "train"})
    Split(official: 3 images, train 2, test 1)
    """

    name: str
    part_of: Mapping[ImageId, str]
    made: Mapping[str, str] = field(default_factory=dict)
    patient_of: Mapping[ImageId, PatientId] = field(default_factory=dict, compare=False)
    digest_of: Mapping[ImageId, str] = field(default_factory=dict, compare=False, kw_only=True)
    val_shares_patients: bool = field(default=False, kw_only=True)

    def __repr__(self) -> str:
        images = Counter(self.part_of.values())
        parts = "".join(f", {part} {images[part]:,}" for part in self.parts)
        return f"Split({self.name}: {counted(len(self.part_of), 'image')}{parts})"

    def _repr_html_(self) -> str:
        from pcm_leukemia import notebook

        return notebook.of_split(self)

    @classmethod
    def from_record(
        cls,
        name: str,
        part_of: Mapping[ImageId, str],
        record: Mapping[str, str],
        patient_of: Mapping[ImageId, PatientId] | None = None,
        digest_of: Mapping[ImageId, str] | None = None,
    ) -> Split:
        """The split that a file describes: `record` is a `Split.record`, or the `made` of an older version."""
        by_image = "yes" if record.get("val_unit") == "image" else "no"
        return cls(
            name,
            part_of,
            {str(key): str(text) for key, text in record.items() if key != _SHARED},
            patient_of or {},
            digest_of=digest_of or {},
            val_shares_patients=record.get(_SHARED, by_image) == "yes",
        )

    @property
    def record(self) -> dict[str, str]:
        """`made`, and whether validation shares patients if `made` alone does not say so."""
        by_image = self.made.get("val_unit") == "image"
        shared = {_SHARED: "yes" if self.val_shares_patients else "no"}
        return {**self.made, **(shared if self.val_shares_patients != by_image else {})}

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts: train, val, test, then others by name."""
        names = set(self.part_of.values())
        return (*(part for part in PARTS if part in names), *sorted(names - set(PARTS)))
