"""APL_AML: single cells of 34 patients with APL and 72 with other AML, one folder per patient.

::

    Patient_00/Signed slides/<class>/<PREFIX>_<number>.jpg
    Patient_00/Unsigned slides/...      as above, or without class folders
    master.csv                          Patient_ID, Diagnosis, Cohort, Age at Diagnosis, Gender

The labels of unsigned slides come from the machine and were never confirmed. A raw label is the patient's diagnosis
and the cell's folder, such as ``APL/Promyelocyte``: the class of a promyelocyte depends on whether the patient has
APL.

Sources: Leukopy's notebooks for paths and names; a third party's reader for the full list of classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from msgspec import structs

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidExport, Problem, counted
from pcm_leukemia.schema import IGNORE
from pcm_leukemia.sources._files import find_root, listing, not_found, table_rows, warn
from pcm_leukemia.sources._labels import read_map
from pcm_leukemia.sources._parts import Crop, crops
from pcm_leukemia.sources._source import Source

__all__ = ["PREFIXES", "SOURCE", "Unsigned", "read"]

Unsigned: TypeAlias = Literal["ignore", "keep", "leave out"]

SOURCE = Source(
    name="apl_aml",
    title="APL_AML (Sidhom 2021)",
    what="Single white cells of patients with acute promyelocytic leukaemia or another acute myeloid leukaemia",
    cell_types="APL, AML",
    total_images="25,915",
    annotations="Cropped Single Cell",
    patients="106 (34 APL, 72 AML), by the folder",
    licence="that of the Kaggle data set; see its page",
    redistributable=False,
    citation="Sidhom et al., Deep learning for diagnosis of acute promyelocytic leukemia via recognition of "
    "genomically imprinted morphologic features, npj Precision Oncology 5, 2021, 38, doi:10.1038/s41698-021-00179-y",
    home="https://www.kaggle.com/datasets/eugeneshenderov/acute-promyelocytic-leukemia-apl",
    how_to_get="download the data set from the home page (requires an account), unpack it, and give the folder with "
    "Patient_00 to Patient_105 and master.csv as ROOT",
    image_size="360 x 363",
    magnification="CellaVision",
    defects=(
        "labels of unsigned slides come from the machine: these cells are ignored unless asked for",
        "the folder of artefacts is called Arifact",
        "some files have the prefix of another class than their folder",
        "about seven files are truncated",
        "the number of signed cells differs between mirrors (15,632 and 8,297), so counts are not checked",
        "its classes and prefixes (PMO is promonocyte here, promyelocyte in LMU) are known from third-party code only",
        "whether a promyelocyte is abnormal is not published; it is inferred from the patient's diagnosis",
    ),
    variants={
        "by_diagnosis": "promyelocytes of APL patients are APL blasts; blasts of the other patients are myeloblasts",
        "by_cell": "the diagnosis is not used: promyelocytes are Other, blasts are white cells of unknown type",
        "literal": "as by_diagnosis, but artefacts and smudge cells are Other, since the paper's class Other "
        "includes them",
    },
)

PREFIXES = {
    "ART": "Arifact",
    "BA": "Basophil",
    "BL": "Blast, no lineage spec",
    "BNE": "Band neutrophils",
    "EO": "Eosinophil",
    "ERB": "Erythroblast",
    "GT": "Giant thrombocyte",
    "LY": "Lymphocyte",
    "MMY": "Metamyelocyte",
    "MO": "Monocyte",
    "MY": "Myelocyte",
    "PC": "Plasma cells",
    "PLY": "Prolymphocyte",
    "PMO": "Promonocyte",
    "PMY": "Promyelocyte",
    "SMU": "Smudge cells",
    "SNE": "Segmented neutrophils",
    "VLY": "Lymphocyte, variant",
}
"""File name prefix -> class folder; not all prefixes are known."""

_SLIDES = {"signed slides": "yes", "unsigned slides": "no"}


def read(
    root: str | Path, *, variant: str | None = None, unsigned: Unsigned = "ignore", workers: int | None = None
) -> Dataset:
    """Read the crops below `root`, each with one cell that spans it.

    A cell's attributes are `signed` ("yes" or "no") and `prefix` (of its file name). The split has the two cohorts
    as its parts, discovery and validation.

    Parameters
    ----------
    root
        The folder with the patient folders and master.csv, or one above.
    variant
        "by_diagnosis", "by_cell" or "literal"; see ``SOURCE.variants``.
    unsigned
        How to treat cells of unsigned slides: "ignore" them (they stay, but are not targets), "keep" their
        labels, or "leave out" their images.
    workers
        Threads that read image headers; by default that of Python's thread pool.

    Raises
    ------
    DataNotFound
        If the folders or master.csv are missing.
    CorruptFile
        If master.csv lacks a column.
    UnknownLabel
        If a class folder, or a prefix of a file without a class folder, is unknown.
    InvalidExport
        If a file is in neither signed nor unsigned slides, or a patient's diagnosis is missing or not APL or AML.
    ValueError
        If `variant` or `unsigned` is unknown.

    Warns
    -----
    DataWarning
        If files cannot be read, or file name prefixes contradict the class folder.
    """
    labels = read_map(SOURCE, variant)
    if unsigned not in get_args(Unsigned):
        raise ValueError(f'unsigned "{unsigned}": must be ignore, keep or leave out')
    top = find_root(SOURCE, root, _fits, "folders Patient_00, Patient_01, ...")
    table = top / "master.csv"
    if not table.is_file():
        raise not_found(SOURCE, top, "has no master.csv with the patients' diagnoses")
    known = {letters.split("/", 1)[1] for letters in labels.rules}
    rows = list(_rows(top, _people(table), {name.casefold(): name for name in known}))
    if unsigned == "leave out":
        rows = [row for row in rows if ("signed", "yes") in row.attributes]
    ds = crops(SOURCE, top, rows, labels, workers=workers)
    _warn_of_prefixes(top, rows)
    if unsigned == "keep":
        return ds
    return replace(
        ds,
        cells=tuple(
            structs.replace(cell, label=IGNORE, untyped=False)
            if ("signed", "no") in cell.attributes
            else cell
            for cell in ds.cells
        ),
    )


def _fits(folder: Path) -> bool:
    return any(path.name.startswith("Patient_") and path.is_dir() for path in folder.iterdir())


def _people(table: Path) -> dict[str, tuple[str, str]]:
    """Read the diagnosis and cohort of each patient."""
    rows = table_rows(table, ("Patient_ID", "Diagnosis", "Cohort"), "download it again")
    return {
        row["Patient_ID"].strip(): (row["Diagnosis"].strip(), row["Cohort"].strip().lower())
        for _, row in rows
    }


def _rows(top: Path, people: Mapping[str, tuple[str, str]], names: Mapping[str, str]) -> Iterator[Crop]:
    problems = []
    for file in listing(top):
        patient, *folders, name = file.split("/")
        if not patient.startswith("Patient_"):
            continue
        signed = _SLIDES.get(folders[0].replace("_", " ").lower()) if folders else None
        diagnosis, cohort = people.get(patient, ("", ""))
        if signed is None:
            what = "is in neither Signed slides nor Unsigned slides"
            problems.append(Problem(str(top / file), what, "move it back to its folder"))
        elif diagnosis not in ("APL", "AML"):
            what = f'has the unknown diagnosis "{diagnosis}"' if patient in people else "is not listed"
            problems.append(Problem(f"{top / 'master.csv'} {patient}", what, "write AML or APL"))
        else:
            prefix = name.partition("_")[0]
            raw = folders[1].replace("_", " ") if len(folders) > 1 else PREFIXES.get(prefix, prefix)
            yield Crop(
                file,
                f"{diagnosis}/{names.get(raw.casefold(), raw)}",
                patient,
                diagnosis,
                part=cohort or None,
                subset=cohort,
                attributes=(("signed", signed), ("prefix", prefix)),
            )
    if problems:
        raise InvalidExport(dict.fromkeys(problems))


def _warn_of_prefixes(top: Path, rows: list[Crop]) -> None:
    differ = [
        row.file
        for row in rows
        if (named := PREFIXES.get(dict(row.attributes)["prefix"])) and named != row.raw.split("/", 1)[1]
    ]
    if differ:
        warn(
            f"{top}: {counted(len(differ), 'file has', 'files have')} the prefix of another class than the folder; the folder is used: "
            f"{', '.join(differ[:3])}"
        )
