"""The diagnosis of each patient from a table of patients, for data whose images have their patients already."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport, Problem, nearest, some
from pcm_leukemia.patients.assigning import spelled
from pcm_leukemia.patients.spelling import alike
from pcm_leukemia.patients.table_file import PatientRow, read_diagnoses
from pcm_leukemia.schema import Patient

__all__ = ["with_diagnoses"]


def with_diagnoses(ds: Dataset, path: str | Path, *, same: Mapping[str, str] | None = None) -> Dataset:
    r"""Give each patient the diagnosis that a table has for it.

    Parameters
    ----------
    ds
        The data set, whose images have their patients.
    path
        A CSV or .xlsx with the columns patient and diagnosis, and no path. A diagnosis may be empty.
    same
        Spelling of a patient's id -> the id that is kept, which holds for the table, too; see `merge`.

    Returns
    -------
    Dataset
        The same data with the diagnoses of the table. Where it has none, that of `ds` is kept.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If the file is not a table with these columns.
    InvalidExport
        If a patient of the data is not in the table, or has two diagnoses: each is named.
    MissingExtra
        If it is an .xlsx and openpyxl is not installed.

    Warns
    -----
    DataWarning
        If a patient of the table is not in the data, or an id of the table has lost its leading zeros.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia.schema import Image, ImageId, PatientId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("P7/a.png"), 64, 64, PatientId("P7"))
    >>> file = Path(tempfile.mkdtemp()) / "patients.csv"
    >>> _ = file.write_text("patient;diagnosis\nP7;ALL\n")
    >>> with_diagnoses(Dataset("demo", NINE, (image,), patients=(Patient(PatientId("P7")),)), file).patients
    (Patient(id='P7', diagnosis='ALL'),)
    """
    table = _Table(
        str(path),
        [replace(row, patient=(same or {}).get(row.patient, row.patient)) for row in read_diagnoses(path)],
    )
    here = {patient.id for patient in ds.patients}
    shortened = _without_zeros(here - table.patients, table.patients - here)
    given = {patient.id: table.rows_of[shortened.get(patient.id, patient.id)] for patient in ds.patients}
    problems = [problem for patient in ds.patients for problem in table.problems(patient, given[patient.id])]
    if problems:
        raise InvalidExport(problems)
    if shortened:
        lines = some(f'"{short}" is taken for "{whole}"' for whole, short in sorted(shortened.items()))
        what = "a spreadsheet has removed the zeros; format the column as text"
        warnings.warn(f"{path}: {lines}: {what}", DataWarning, stacklevel=2)
    if idle := sorted(table.patients - here - {*shortened.values()}):
        lines = some(f'"{patient}"{nearest(patient, here)}' for patient in idle)
        warnings.warn(f"{path}: no image of {lines}; check the ids", DataWarning, stacklevel=2)
    people = (
        replace(
            patient,
            diagnosis=next((row.diagnosis for row in given[patient.id] if row.diagnosis), None)
            or patient.diagnosis,
        )
        for patient in ds.patients
    )
    return replace(ds, patients=tuple(people))


def _without_zeros(lacking: Iterable[str], idle: Iterable[str]) -> dict[str, str]:
    """Id in the data -> id in the table, where only leading zeros differ, and no third id is like them."""
    lacking, idle = set(lacking), set(idle)
    found = {}
    for ids in alike(lacking | idle):
        whole, short = [each for each in ids if each in lacking], [each for each in ids if each in idle]
        if len(whole) == len(short) == 1 and whole[0].lstrip("0") == short[0].lstrip("0"):
            found[whole[0]] = short[0]
    return found


@dataclass
class _Table:
    """The rows of each patient."""

    path: str
    rows: list[PatientRow]

    def __post_init__(self) -> None:
        self.rows_of: defaultdict[str, list[PatientRow]] = defaultdict(list)
        for row in self.rows:
            self.rows_of[row.patient].append(row)
        self.patients = {*self.rows_of}

    def problems(self, patient: Patient, rows: list[PatientRow]) -> Iterator[Problem]:
        """What is wrong with the rows of a patient of the data."""
        if not rows:
            near = nearest(patient.id, self.patients)
            yield Problem(f'patient "{patient.id}"', f"is not in {self.path}{near}", "add a row for it")
        told = {spelled(row.diagnosis): row for row in reversed(rows) if row.diagnosis}
        if len(told) > 1:
            both = " and ".join(f"{diagnosis} in line {row.line}" for diagnosis, row in told.items())
            yield Problem(
                f'patient "{patient.id}"', f"has the diagnoses {both} of {self.path}", "keep one of them"
            )
        elif told and patient.diagnosis and spelled(patient.diagnosis) not in told:
            ((diagnosis, row),) = told.items()
            what = f"has the diagnosis {patient.diagnosis} by its images, and {diagnosis} in {self.path}:{row.line}"
            yield Problem(f'patient "{patient.id}"', what, "correct one of them")
