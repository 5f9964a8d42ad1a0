"""Patient ids and diagnoses of the images: given, never guessed.

They come from a pattern over image paths, a CSV, or CVAT's tags or attributes. Each function returns the
data set with a patient for every image, or raises an error that lists the images without a patient.
An id stays the given string, without blanks around it: "007" never becomes 7.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport, Problem, some
from pcm_leukemia.patients.table import PatientTable
from pcm_leukemia.schema import ImageId, Patient, PatientId

__all__ = [
    "DIAGNOSES",
    "Attribute",
    "Table",
    "Tag",
    "assign",
    "from_attribute",
    "from_csv",
    "from_pattern",
    "from_tags",
]

DIAGNOSES = ("Normal", "ALL", "AML", "APL")
"""The diagnoses in section 2.2 of the paper; other texts stay as they are."""

_EXAMPLE = "(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


@dataclass(frozen=True, slots=True)
class Table:
    """Patients are in a CSV file; see `from_csv`."""

    path: str | Path


@dataclass(frozen=True, slots=True)
class Tag:
    """Patients are in the labels of CVAT's image tags, found by a pattern; see `from_tags`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """Patients are in a CVAT attribute; see `from_attribute`."""

    name: str = "patient"
    diagnosis: str = "diagnosis"


def assign(ds: Dataset, patients: str | Table | Tag | Attribute) -> Dataset:
    """Assign a patient to every image, from any source of patients.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    patients
        A pattern over image paths, as for `from_pattern`; or a `Table`, a `Tag` or an `Attribute`.

    Raises
    ------
    TypeError
        If `patients` is something else.
    ValueError
        If a pattern is not a regular expression or lacks the group `patient`.
    InvalidExport
        If an image has no patient, or the table cannot be read: every problem is listed.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("aml/007/a.png"), 64, 64),))
    >>> assign(ds, r"/(?P<patient>[^/]+)/").patients
    (Patient(id='007', diagnosis=None),)
    """
    if isinstance(patients, str):
        return from_pattern(ds, patients)
    if isinstance(patients, Table):
        return from_csv(ds, patients.path)
    if isinstance(patients, Tag):
        return from_tags(ds, patients.pattern)
    if isinstance(patients, Attribute):
        return from_attribute(ds, patients.name, patients.diagnosis)
    raise TypeError(
        f"patients: {patients!r} must be a pattern (text), a Table, a Tag or an Attribute; "
        'for a CSV file pass patients.Table("FILE.csv")'
    )


@dataclass(slots=True)
class _Candidates:
    """The patients and diagnoses found for one image."""

    patients: set[str] = field(default_factory=set)
    diagnoses: set[str] = field(default_factory=set)

    def add(self, patient: str | None, diagnosis: str | None) -> None:
        """Add the values that are not blank."""
        self.patients |= {patient.strip()} - {""} if patient else set()
        self.diagnoses |= {diagnosis.strip()} - {""} if diagnosis else set()


def from_pattern(ds: Dataset, pattern: str) -> Dataset:
    """Take the ids from the image paths, by a regular expression with named groups.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    pattern
        Searched in the image's name (the path as CVAT shows it) and, failing that, in its id.
        The group `patient` is required, `diagnosis` is optional.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    ValueError
        If the pattern is not a regular expression or lacks the group `patient`.
    InvalidExport
        If an image does not match: every such image is listed.

    Warns
    -----
    DataWarning
        If a patient has two diagnoses (the one on most images is kept), or two ids differ in
        case, blanks or punctuation alone.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("aml/007/a.png"), 64, 64),))
    >>> from_pattern(ds, r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/").patients
    (Patient(id='007', diagnosis='AML'),)
    """
    compiled = _compiled(pattern)
    found: dict[ImageId, _Candidates] = {}
    for image in ds.images:
        found[image.id] = _Candidates()
        for path in dict.fromkeys((image.name, image.id)):
            match = compiled.search(path)
            if match and (match["patient"] or "").strip():
                found[image.id].add(match["patient"], match.groupdict().get("diagnosis"))
                break
    return _with_patients(
        ds, found, f"the pattern {pattern} finds no patient in its path", "widen the pattern, or use a CSV"
    )


def from_csv(ds: Dataset, path: str | Path) -> Dataset:
    r"""Take the ids from a table: a path, a folder or a glob to a patient, and a diagnosis.

    Its header needs a column `path` (or `image`, `folder`, `glob`, `file`, `filename`) and a column
    `patient` (or `patient_id`, `subject`). `diagnosis` is optional, and other columns are ignored.
    Case, blanks, underscores and dashes in these names do not count: `Patient ID` is `patient_id`.
    Commas, semicolons or tabs separate the values, and the file is in UTF-8. A path is compared with the ids and
    names of the images. A row that names the image itself has priority over a row that names a folder above it
    (the innermost folder first), and a folder has priority over a glob, for example ``*/P7_*.png``.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    path
        The CSV.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If the file is not a table with these columns.
    InvalidExport
        If a row lacks a value, no row fits an image, or two rows of equal rank give an image
        different patients: every such row and image is listed.

    Warns
    -----
    DataWarning
        If a row fits no image, a patient has two diagnoses (the one on most images is kept), two
        ids differ in case, blanks or punctuation alone, or a column may be a misspelt `diagnosis`.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia.schema import Image
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, tuple(Image(ImageId(f"slides/{n}.png"), 64, 64) for n in "ab"))
    >>> file = Path(tempfile.mkdtemp()) / "patients.csv"
    >>> _ = file.write_text("path,patient,diagnosis\nslides,007,ALL\nslides/b.png,P8,Normal\n")
    >>> [(image.id, image.patient) for image in from_csv(ds, file).images]
    [('slides/a.png', '007'), ('slides/b.png', 'P8')]
    """
    table = PatientTable.read(path)
    found: dict[ImageId, _Candidates] = {}
    problems = []
    for image in ds.images:
        rows = table.rows_for(image)
        found[image.id] = _Candidates()
        for row in rows:
            found[image.id].add(row.patient, row.diagnosis)
        if len(found[image.id].patients) > 1:
            lines = " and ".join(str(row.line) for row in rows)
            what = f"lines {lines} of {path} give it to {_and(found[image.id].patients)}"
            problems.append(Problem(f'image "{image.id}"', what, "keep one of them"))
    idle = [f'{path}:{row.line}: "{row.path}"' for row in table.idle(ds.images)]
    if idle:
        warnings.warn(
            f"{some(idle)}: no such image; write paths as CVAT shows them", DataWarning, stacklevel=2
        )
    return _with_patients(ds, found, f"no row of {path} fits it", "add a row for it or its folder", problems)


def from_tags(ds: Dataset, pattern: str) -> Dataset:
    """Take the ids from the labels of CVAT's image tags, by a regular expression.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    pattern
        Searched in the label of every tag. The group `patient` is required; `diagnosis` is
        optional and may match in another tag: ``patient (?P<patient>.+)|(?P<diagnosis>A[MP]L)``.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    ValueError
        If the pattern is not a regular expression or lacks the group `patient`.
    InvalidExport
        If the tags of an image name no patient, two patients or two diagnoses: every such image is
        listed.

    Warns
    -----
    DataWarning
        If a patient has two diagnoses (the one on most images is kept), or two ids differ in
        case, blanks or punctuation alone.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, Tag
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 64, 64, tags=(Tag("patient 007"),)),))
    >>> from_tags(ds, "patient (?P<patient>.+)").images[0].patient
    '007'
    """
    compiled = _compiled(pattern)
    found: dict[ImageId, _Candidates] = {}
    for image in ds.images:
        found[image.id] = _Candidates()
        for tag in image.tags:
            if match := compiled.search(tag.label):
                found[image.id].add(match["patient"], match.groupdict().get("diagnosis"))
    return _with_patients(
        ds,
        found,
        f"the pattern {pattern} finds no patient in its tags",
        "tag it in CVAT",
        _doubled(found, "tags"),
    )


def from_attribute(ds: Dataset, name: str = "patient", diagnosis: str = "diagnosis") -> Dataset:
    """Take the ids from an attribute in CVAT, of the image's tags or else of its cells.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    name
        The attribute that holds the patient's id.
    diagnosis
        The attribute that holds the diagnosis, if there is one.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    InvalidExport
        If an image has no such attribute, or its values disagree: every such image is listed.

    Warns
    -----
    DataWarning
        If a patient has two diagnoses (the one on most images is kept), or two ids differ in
        case, blanks or punctuation alone.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, Tag
    >>> from pcm_leukemia.taxonomy import NINE
    >>> tag = Tag("slide", (("patient", "007"), ("diagnosis", "APL")))
    >>> from_attribute(Dataset("demo", NINE, (Image(ImageId("a.png"), 64, 64, tags=(tag,)),))).patients
    (Patient(id='007', diagnosis='APL'),)
    """
    found: dict[ImageId, _Candidates] = {}
    for image in ds.images:
        found[image.id] = _Candidates()
        of_tags = [attribute for tag in image.tags for attribute in tag.attributes]
        of_cells = [attribute for cell in ds.cells_of(image) for attribute in cell.attributes]
        for key in (name, diagnosis):
            values = _values(of_tags, key) or _values(of_cells, key)
            for value in values:
                found[image.id].add(*((value, None) if key == name else (None, value)))
    return _with_patients(
        ds,
        found,
        f'neither its tags nor its cells have an attribute "{name}" with a value',
        "fill it in in CVAT, or name another attribute",
        _doubled(found, "attributes"),
    )


def _values(attributes: Iterable[tuple[str, str]], name: str) -> set[str]:
    return {value for key, value in attributes if key == name and value.strip()}


def _and(values: Iterable[str]) -> str:
    return " and ".join(f'"{value}"' for value in sorted(values))


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"pattern {pattern}: is not a regular expression ({error}); write one like {_EXAMPLE}"
        ) from error
    if "patient" not in compiled.groupindex:
        raise ValueError(f"pattern {pattern}: has no group (?P<patient>...); write one like {_EXAMPLE}")
    return compiled


def _doubled(found: Mapping[ImageId, _Candidates], source: str) -> list[Problem]:
    """The images whose own tags or attributes disagree."""
    return [
        Problem(
            f'image "{image}"',
            f"its {source} give the {kind} {_and(values)}",
            "keep one of them in CVAT",
        )
        for image, each in found.items()
        for kind, values in (("patients", each.patients), ("diagnoses", each.diagnoses))
        if len({_spelled(value) if kind == "diagnoses" else value for value in values}) > 1
    ]


def _with_patients(
    ds: Dataset,
    found: Mapping[ImageId, _Candidates],
    lacking: str,
    fix: str,
    problems: Iterable[Problem] = (),
) -> Dataset:
    """Assign to every image its one patient; `lacking` and `fix` describe an image without one."""
    none = [Problem(f'image "{image}"', lacking, fix) for image, each in found.items() if not each.patients]
    if len(none) == len(found) > 1:  # one mistake, not one for each image
        first = next(iter(found))
        none = [Problem(f'all {len(found):,} images, the first "{first}"', lacking, fix)]
    if problems := [*problems, *none]:
        raise InvalidExport(problems)
    patient_of = {image: PatientId(min(each.patients)) for image, each in found.items()}
    images_by: dict[PatientId, Counter[str]] = {patient: Counter() for patient in sorted(patient_of.values())}
    for image, each in found.items():
        images_by[patient_of[image]].update({_spelled(text) for text in each.diagnoses})
    _warn_of_alike(ds, images_by)
    _warn_of_two_diagnoses(ds, images_by)
    patients = (Patient(patient, _usual(images)) for patient, images in images_by.items())
    images = (replace(image, patient=patient_of[image.id]) for image in ds.images)
    return replace(ds, images=tuple(images), patients=tuple(patients))


def _spelled(text: str) -> str:
    """One of the four diagnoses in its own spelling; anything else as it is."""
    return next((diagnosis for diagnosis in DIAGNOSES if diagnosis.casefold() == text.casefold()), text)


def _usual(images: Counter[str]) -> str | None:
    """The diagnosis on most images; the first by name if several are equally frequent."""
    return min(images, key=lambda diagnosis: (-images[diagnosis], diagnosis), default=None)


def _warn_of_two_diagnoses(ds: Dataset, images_by: Mapping[PatientId, Counter[str]]) -> None:
    lines = [
        f'patient "{patient}": has the diagnoses '
        + " and ".join(f"{diagnosis} ({images[diagnosis]:,})" for diagnosis in sorted(images))
        + f" on its images; {_usual(images)} is kept"
        for patient, images in images_by.items()
        if len(images) > 1
    ]
    if lines:
        fix = "check whether these are two patients of one id"
        warnings.warn(f"{ds.name}: {some(lines)}; {fix}", DataWarning, stacklevel=4)


def _bare(patient: str) -> str:
    """The letters and digits of a patient's id, in a normal form."""
    plain = unicodedata.normalize("NFKC", patient).casefold()
    return "".join(character for character in plain if character.isalnum()) or plain


def _warn_of_alike(ds: Dataset, patients: Iterable[PatientId]) -> None:
    alike: dict[str, list[PatientId]] = {}
    for patient in patients:
        alike.setdefault(_bare(patient), []).append(patient)
    lines = [_and(ids) for ids in alike.values() if len(ids) > 1]
    if lines:
        fix = "if they are one, a split may put them into two parts: give them one id"
        warnings.warn(
            f"{ds.name}: patients that differ in case, blanks or punctuation alone count as different: "
            f"{some(lines)}; {fix}",
            DataWarning,
            stacklevel=4,
        )
