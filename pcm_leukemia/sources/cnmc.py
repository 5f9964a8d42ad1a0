"""C-NMC 2019: single cells of patients with ALL and of healthy subjects, cut out on black.

::

    C-NMC_training_data/fold_{0,1,2}/{all,hem}/UID_<subject>_<image>_<cell>_<all|hem>.bmp
    C-NMC_test_prelim_phase_data/1.bmp ...                 (some copies nest the folder once more)
    C-NMC_test_prelim_phase_data_labels.csv                Patient_ID, new_names, labels
    C-NMC_test_final_phase_data/...                        without labels

The subject is the second field of a name, "21" with ALL and "H21" without; mirrors write "h21". In the CSV
the column `Patient_ID` holds the original file names, which give the subjects of the preliminary test.
Images of the final test have no label, so they have no cell and are not annotated.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, InvalidExport, Problem, counted
from pcm_leukemia.files import read_text
from pcm_leukemia.schema import Image, ImageId, PatientId
from pcm_leukemia.sources._files import find_root, listing, not_found, sizes
from pcm_leukemia.sources._labels import read_map
from pcm_leukemia.sources._parts import patients, whole, with_parts
from pcm_leukemia.sources._source import Source

__all__ = ["SOURCE", "expected_counts", "read"]

PRELIM_CSV = "C-NMC_test_prelim_phase_data_labels.csv"

_COUNTS = {
    "fold_0": {"all": 2_397, "hem": 1_130},
    "fold_1": {"all": 2_418, "hem": 1_163},
    "fold_2": {"all": 2_457, "hem": 1_096},
    "prelim": {"all": 1_219, "hem": 648},
}

SOURCE = Source(
    name="cnmc",
    title="C-NMC 2019",
    what="Single cells of subjects with ALL (blasts) and without (normal B-lymphoid precursors), cut out on black.",
    cell_types="ALL",
    total_images="15,114 (the paper, as TCIA's page: 15,135)",
    annotations="Cropped Single Cell (Segmentation)",
    in_table_1=True,
    patients="118 subjects, 69 with ALL and 49 without, by the name of the file; none for the final test",
    licence="TCIA's terms, with attribution (to be confirmed there)",
    redistributable=False,
    citation=(
        "Gupta A, Gupta R. ALL Challenge dataset of ISBI 2019 (C-NMC 2019). The Cancer Imaging Archive, 2019. "
        "doi:10.7937/tcia.2019.dc64i46r"
    ),
    home="https://doi.org/10.7937/tcia.2019.dc64i46r",
    how_to_get=(
        "on the home page, download the training data, the preliminary and the final test data and the labels of the "
        "preliminary test (C-NMC_test_prelim_phase_data_labels.csv), and unpack them into one folder, which is ROOT"
    ),
    image_size="450 x 450, 24-bit BMP, the cell on black",
    stain="not stated",
    defects=(
        "15,114 files are known, but TCIA's page gives 15,135; the other 21 are unexplained",
        "each cell is cut out on black, so a model can learn the edge of the mask",
        "hem is a normal precursor of B cells (haematogone), not a mature lymphocyte",
        "near-identical cells appear under different subjects",
        "the final test has no labels",
    ),
    counts={"all": 8_491, "hem": 4_037},
    variants={
        "default": "hem is Other: a normal precursor is not one of the eight classes",
        "hem_as_lymphocyte": "hem is Lymphocyte, the nearest class, though it is immature",
    },
)

_NAME = re.compile(r"UID_([^_]+)_(\d+)_(\d+)_(all|hem)\.bmp", re.IGNORECASE)
_LABELS = {"1": "all", "0": "hem"}
_FINAL = "final"


@dataclass(frozen=True, slots=True)
class _NamedImage:
    """An image: its file, its part, and its parsed original name; None if that is unknown."""

    file: str
    part: str
    name: re.Match[str] | None


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the folds, and the two tests if they are present.

    The parts are fold_0, fold_1, fold_2, prelim and final.

    Parameters
    ----------
    root
        The folder that holds all parts.
    variant
        "default" or "hem_as_lymphocyte".
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If the folds are missing.
    CorruptFile
        If the CSV lacks a published column, or a row is too short.
    InvalidExport
        If names contain no subject, or the CSV is missing or does not match the images; all are listed.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files are not images and are left out.
    """
    labels = read_map(SOURCE, variant)
    find_root(SOURCE, root, _holds_fold, "the folders fold_0, fold_1, fold_2 in it")
    folder = Path(root).absolute()  # the tests are beside the folds' folder
    files = listing(folder, (".bmp",))
    problems: list[Problem] = []
    rows = [*_folds(files, problems), *_prelim(folder, files, problems)]
    rows += [_NamedImage(file, _FINAL, None) for file in files if "final" in file.lower().rpartition("/")[0]]
    if problems:
        raise InvalidExport(problems)
    if not rows:
        raise not_found(SOURCE, root, "holds no .bmp image below fold_0, fold_1, fold_2")
    known = sizes(folder, [row.file for row in rows], workers)
    images, cells, people = [], [], []
    part_of = {}
    for row in rows:
        if row.file not in known:
            continue
        subject = row.name[1].upper() if row.name else None
        image = Image(
            ImageId(row.file),
            *known[row.file],
            PatientId(subject) if subject else None,
            file=row.file,
            annotation_state="complete" if row.name else "none",
        )
        images.append(image)
        part_of[image.id] = row.part
        if row.name:
            raw = row.name[4].lower()
            numbers = (("image", row.name[2]), ("cell", row.name[3]))
            cells.append(whole(image, labels.label(raw), raw, numbers))
            people.append((subject, "Normal" if str(subject).startswith("H") else "ALL"))
    ds = Dataset(SOURCE.name, labels.taxonomy, tuple(images), tuple(cells), patients(people), root=folder)
    return with_parts(ds, part_of)


def expected_counts(ds: Dataset) -> dict[str, int]:
    """Return the published number of cells in the parts of `ds`."""
    there = [_COUNTS[part] for part in ds.parts if part in _COUNTS] or list(_COUNTS.values())
    return {raw: sum(counts[raw] for counts in there) for raw in ("all", "hem")}


def _holds_fold(folder: Path) -> bool:
    return any((folder / f"fold_{number}").is_dir() for number in range(3))


def _folds(files: Iterable[str], problems: list[Problem]) -> list[_NamedImage]:
    rows = []
    for file in files:
        steps = file.lower().split("/")
        fold = next((step for step in steps[:-1] if re.fullmatch(r"fold_\d", step)), None)
        if fold is None:
            continue
        name = _NAME.fullmatch(file.rpartition("/")[2])
        if name is None or steps[-2] != name[4].lower():
            what = (
                "its name is not UID_<subject>_<image>_<cell>_<all or hem>.bmp, or is in the other's folder"
            )
            problems.append(Problem(file, what, "get it again under its own name"))
        else:
            rows.append(_NamedImage(file, fold, name))
    return rows


def _prelim(folder: Path, files: list[str], problems: list[Problem]) -> list[_NamedImage]:
    """Return the images of the preliminary test, as listed in the CSV."""
    there = {file.rpartition("/")[2]: file for file in files if "prelim" in file.lower().rpartition("/")[0]}
    tables = [file for file in listing(folder, (".csv",)) if "prelim" in file.lower()]
    if not tables:
        if there:
            what = f"has {counted(len(there), 'image')} of the preliminary test and no {PRELIM_CSV}"
            problems.append(Problem(str(folder), what, "get it from the home page and put it there"))
        return []
    rows = []
    for line, original, new, label in _table(folder / tables[0]):
        where = f"{tables[0]}:{line}"
        name = _NAME.fullmatch(original)
        file = there.pop(new, None)
        if name is None or _LABELS.get(label) != name[4].lower():
            what = f'calls "{original}" {label}, where 1 is all and 0 is hem'
            problems.append(Problem(where, what, "get the table again"))
        elif file is None:
            problems.append(Problem(where, f"names {new}, which is not there", "get the images again, whole"))
        else:
            rows.append(_NamedImage(file, "prelim", name))
    problems += [Problem(file, f"is not in {tables[0]}", "get the table again") for file in there.values()]
    return sorted(rows, key=lambda row: row.file)


def _table(path: Path) -> list[tuple[int, str, str, str]]:
    """(line, original name, new name, label) of each row; the column Patient_ID holds the original name."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        columns = [header.index(name) for name in ("patient_id", "new_names", "labels")]
        return [(rows.line_num, *(row[column].strip() for column in columns)) for row in rows if row]  # type: ignore[misc]
    except (ValueError, IndexError, csv.Error) as error:
        raise CorruptFile(
            f"{path}:{rows.line_num}: must have the columns Patient_ID, new_names and labels; get it again"
        ) from error
