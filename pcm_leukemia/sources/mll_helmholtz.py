"""AML-Cytomorphology_MLL_Helmholtz: single cells of 189 patients with a known genetic group.

::

    data/<group>/<patient>/image_<n>.tif
    metadata.csv                                patient_id, bag_label, instance_count, age, sex and counts of cells

Cells have no labels, and not every cell of a patient with leukaemia is leukaemic. The images therefore have a
patient but no cells. The table is used only to check the folders; age, sex and blood counts are not read.

Sources: marrlab/SCEMILA for the layout; the published numbers of images differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidExport, Problem, counted
from pcm_leukemia.schema import Image, ImageId, PatientId, Tag
from pcm_leukemia.sources._files import find_root, listing, not_found, sizes, table_rows, warn
from pcm_leukemia.sources._parts import patients
from pcm_leukemia.sources._source import Source

__all__ = ["DIAGNOSES", "SOURCE", "read"]

DIAGNOSES = {
    "CBFB_MYH11": "AML",
    "NPM1": "AML",
    "PML_RARA": "APL",
    "RUNX1_RUNX1T1": "AML",
    "control": "Normal",
}
"""The folders, which are the genetic groups, and their diagnoses (PML::RARA means APL)."""

SOURCE = Source(
    name="mll_helmholtz",
    title="AML-Cytomorphology_MLL_Helmholtz",
    what="Single white cells of 129 patients with four genetic subtypes of AML and of 60 controls, without cell labels",
    cell_types="AML, APL, normal",
    total_images="81,214 or 101,949, depending on the source",
    annotations="Cropped Single Cell (only the diagnosis of the patient)",
    patients="189, by the folder",
    licence="terms of The Cancer Imaging Archive; see its page",
    redistributable=False,
    citation="Hehr et al., Explainable AI identifies diagnostic cells of genetic AML subtypes, PLOS Digital Health 2, "
    "2023, e0000187. Data: doi:10.7937/6ppe-4020",
    home="https://doi.org/10.7937/6ppe-4020",
    how_to_get="download images and table from the home page, and give the folder that holds data and metadata.csv "
    "as ROOT",
    image_size="144 x 144",
    defects=(
        "a patient's diagnosis is not a cell label: most cells of a patient with leukaemia may be normal",
        "sources disagree on the number of images",
    ),
)

_COLUMNS = ("patient_id", "bag_label", "instance_count")


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the images below `root`, each with its patient, a tag for the genetic group, and no cells.

    Parameters
    ----------
    root
        The folder that holds ``data``, or the groups' folders.
    variant
        Only "default" exists, since there are no labels.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If the groups' folders are missing or hold no image.
    CorruptFile
        If the table lacks a column.
    InvalidExport
        If other folders are present, or the table contradicts the folders; all are listed.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files cannot be read, or the number of images of a patient differs from the table.
    """
    SOURCE.variant(variant)
    top = find_root(
        SOURCE, root, _fits, "most of the folders CBFB_MYH11, NPM1, PML_RARA, RUNX1_RUNX1T1, control"
    )
    files = listing(top)
    if not files:
        raise not_found(SOURCE, top, "holds no image")
    problems = [
        Problem(str(top / file), "is not below <group>/<patient>", "put it where it was")
        for file in files
        if file.count("/") < 2 or file.partition("/")[0] not in DIAGNOSES
    ]
    if problems:
        raise InvalidExport(problems)
    group_of = {file.split("/")[1]: file.split("/")[0] for file in files}
    _compare(_table(Path(root), top), group_of, Counter(file.split("/")[1] for file in files))
    images = []
    for file, (width, height) in sizes(top, files, workers).items():
        group, patient = file.split("/")[:2]
        images.append(
            Image(
                ImageId(file),
                width,
                height,
                PatientId(patient),
                file=file,
                tags=(Tag(group),),
                annotation_state="none",
            )
        )
    people = patients((str(i.patient), DIAGNOSES[i.tags[0].label]) for i in images)
    return Dataset(SOURCE.name, SOURCE.taxonomy, tuple(images), patients=people, root=top)


def _fits(folder: Path) -> bool:
    return sum((folder / name).is_dir() for name in DIAGNOSES) >= 3


def _table(root: Path, top: Path) -> Path | None:
    """Find ``metadata.csv``, also called ``metadata_with_data_dictionary.csv_metadata.csv``."""
    for folder in dict.fromkeys((top, top.parent, root.absolute())):
        found = sorted(folder.glob("metadata*.csv"))
        if found:
            return found[0]
    return None


def _compare(table: Path | None, group_of: Mapping[str, str], counts: Mapping[str, int]) -> None:
    if table is None:
        return
    problems, differ = [], []
    listed = set()
    for line, (patient, group, count) in _rows(table):
        listed.add(patient)
        if patient not in group_of:
            what = f"patient {patient} has no image below {group}/"
            problems.append(Problem(f"{table}:{line}", what, f"get {SOURCE.title} again, whole"))
        elif group_of[patient] != group:
            what = f"patient {patient} is {group}, the folder is {group_of[patient]}"
            problems.append(Problem(f"{table}:{line}", what, "find out which is right"))
        elif count != str(counts[patient]):
            differ.append(f"{patient} ({count}, {counts[patient]:,})")
    problems += [
        Problem(str(table), f"does not list patient {patient}", "find out who it is")
        for patient in sorted(group_of.keys() - listed)
    ]
    if problems:
        raise InvalidExport(problems)
    if differ:
        warn(
            f"{table}: {counted(len(differ), 'patient has', 'patients have')} another number of images than it says: {', '.join(differ[:5])}"
        )


def _rows(table: Path) -> list[tuple[int, Sequence[str]]]:
    return [
        (line, [row[name].strip() for name in _COLUMNS])
        for line, row in table_rows(table, _COLUMNS, "get it again")
    ]
