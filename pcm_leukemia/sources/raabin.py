"""Raabin-WBC: crops on which two experts agree, and the full frames with the boxes and labels of both.

The cropped release has the folders Train, TestA and TestB, each with one folder per class. The full release has a
folder for each microscope, a folder in it for each slide or album, and ``images`` and ``jsons`` in that; see
`_raabin_frames`.

The crops are cut from the frames, and some slides are in both Train and TestA. `Image.group` is the slide in both
releases, so that no split separates images of one slide.

Sources: the split files of IPMI-ICNS-UKE/Haematological-Single-Cell-Image-Classification for names and counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, InvalidExport, Problem
from pcm_leukemia.sources import _raabin_frames
from pcm_leukemia.sources._files import find_root, listing
from pcm_leukemia.sources._labels import LabelMap, read_map
from pcm_leukemia.sources._parts import Crop, crops
from pcm_leukemia.sources._raabin_frames import Experts, Rotation
from pcm_leukemia.sources._source import Source

__all__ = ["BY_PART", "SOURCE", "Release", "expected_counts", "read"]

Release: TypeAlias = Literal["crops", "frames"]

BY_PART = {
    "Train": {"Basophil": 212, "Eosinophil": 744, "Lymphocyte": 2427, "Monocyte": 561, "Neutrophil": 6231},
    "TestA": {"Basophil": 89, "Eosinophil": 322, "Lymphocyte": 1034, "Monocyte": 234, "Neutrophil": 2660},
    # TestB's numbers are not confirmed; the others were counted from lists of files
    "TestB": {"Lymphocyte": 148, "Neutrophil": 1971},
}
"""The number of crops of each class in the three folders of the cropped release."""

SOURCE = Source(
    name="raabin",
    title="Raabin-WBC",
    what="White cells of 72 normal smears photographed with two microscopes and two phones: crops and full frames",
    cell_types="Normal",
    total_images="about 40,000",
    annotations="Full Frame (Bboxes), Cropped Single Cell",
    in_table_1=True,
    patients="not published; the slide is known from names of files and folders and is the images' group",
    licence="free data, citation requested; no licence text was found",
    redistributable=False,
    citation="Mousavi Kouzehkanan et al., A large dataset of white blood cells containing cell locations and types, "
    "along with segmented nuclei and cytoplasm, Scientific Reports 12, 2022, 1123, doi:10.1038/s41598-021-04426-x",
    home="https://raabindata.com/free-data/",
    how_to_get="for crops, download Train.rar, TestA.rar and TestB.zip of the double-labelled crops from the home "
    "page and unpack them side by side; for frames, download folders below First_microscope or Second_microscope and "
    "unpack them to <microscope>/<slide>/images and <microscope>/<slide>/jsons; give the folder above as ROOT",
    size="55.8 GB for all frames",
    image_size="crops 575 x 575 and down to about 475; frames as the phones take them",
    stain="Giemsa",
    magnification="100x",
    defects=(
        "some slides are in both Train and TestA, so these folders become the images' subset and are not used as a split",
        "TestB, of the second microscope and camera, has only lymphocytes and neutrophils",
        "some basophils are from a patient with leukaemia; they are named by date and time, and are kept together",
        "TestB's numbers, 1,971 and 148 (2,119 in all), were not counted on files, nor read again in the article",
        "the paper's Table 1 counts the cells, about 40,000, as images",
        "boxes refer to the frame turned by 90 degrees in the folders of at least one microscope",
        "whether every white cell of a frame has a box is not stated",
    ),
    counts={
        raw: sum(part.get(raw, 0) for part in BY_PART.values())
        for raw in ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")
    },
    variants={
        "default": "artefacts, burst cells and cut-off cells are ignored",
        "literal": "they are Other, as the paper's class of that name includes them",
    },
)

_SLIDE = re.compile(r"\d+(-\d+)+(?=_)")
"""The start of a crop's name: ``95-8-10-1_527_1.jpg`` is cell 1 of frame 527 of slide 95-8-10-1."""
_TAKEN = re.compile(r"\d{8}_\d{6}(?=_)")
"""The other start of a crop's name, the date and time at which the frame was taken: ``20190526_163055_0.jpg``."""
_BASOPHILS_OF_ONE = "basophils of one patient"


def read(
    root: str | Path,
    *,
    variant: str | None = None,
    release: Release | None = None,
    rotation: Rotation = "auto",
    experts: Experts = "agree",
    workers: int | None = None,
) -> Dataset:
    """Read the crops, or the frames, below `root`.

    Crops are images with one cell that spans them, in the subsets Train, TestA and TestB. Cells of frames have
    both experts' labels as attributes `label1` and `label2` ("None" if the label is missing), whatever `experts` is.

    Parameters
    ----------
    root
        A folder that holds Train, TestA and TestB; or the microscopes' folders, or one above.
    variant
        "default" or "literal"; see ``SOURCE.variants``.
    release
        "crops" or "frames"; by default whichever is there.
    rotation
        Frames: the degrees, counter-clockwise, by which a frame is turned before its boxes fit: 0, 90, 180 or 270.
        By default 0 or 90, if all boxes of a microscope fit only one of them. The boxes of the data set are in
        pixels of the unturned frame.
    experts
        Frames: whose label counts: "agree" (both must say the same), "class" (both must lead to the same class),
        "first" or "second". Where experts do not agree, the cell is ignored.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If neither release is there.
    UnknownLabel
        If a label is unknown.
    InvalidExport
        If both are there and `release` is not given; or, for frames, if a JSON file cannot be read, or boxes fit
        neither or both orientations.
    ValueError
        If an option has an unknown value.

    Warns
    -----
    DataWarning
        If files cannot be read.
    """
    labels = read_map(SOURCE, variant)
    if release not in (None, "crops", "frames"):
        raise ValueError(f'release "{release}": must be crops or frames')
    _raabin_frames.check_options(rotation, experts)
    tops = _tops(root, release)
    if len(tops) > 1:
        both = "holds crops and frames, which show the same cells"
        raise InvalidExport(
            [Problem(str(root), both, 'read one of them: release="crops" or release="frames"')]
        )
    if "frames" in tops:
        return _raabin_frames.read(SOURCE, tops["frames"], labels, rotation, experts, workers)
    return _crops(tops["crops"], labels, workers)


def expected_counts(ds: Dataset) -> dict[str, int]:
    """The published counts of crops in the folders that are there; {} for frames."""
    counts = dict.fromkeys(SOURCE.counts, 0)
    parts = {image.subset for image in ds.images} & BY_PART.keys()
    for part in parts:
        for raw, count in BY_PART[part].items():
            counts[raw] += count
    return counts if parts else {}


def _tops(root: str | Path, release: Release | None) -> dict[Release, Path]:
    """The folder of each requested release that is there."""
    fits: dict[Release, Callable[[Path], bool]] = {
        "crops": lambda folder: any((folder / part).is_dir() for part in BY_PART),
        "frames": _raabin_frames.fits,
    }
    what = {"crops": "Train, TestA or TestB", "frames": "folders with images and jsons"}
    asked = list(fits) if release is None else [release]
    tops: dict[Release, Path] = {}
    for each in asked:
        try:
            tops[each] = find_root(SOURCE, root, fits[each], " or ".join(what[other] for other in asked))
        except DataNotFound:
            if each == asked[-1] and not tops:
                raise
    return tops


def _crops(top: Path, labels: LabelMap, workers: int | None) -> Dataset:
    rows = []
    for file in listing(top):
        part, _, rest = file.partition("/")
        if part in BY_PART:
            folder, _, name = rest.rpartition("/")
            rows.append(Crop(file, folder, group=_group(folder, name), subset=part))
    return crops(SOURCE, top, rows, labels, workers=workers)


def _group(label: str, name: str) -> str | None:
    """The group that a split keeps a crop in: its slide, its patient, or at least its frame."""
    if slide := _SLIDE.match(name):
        return slide[0]
    if taken := _TAKEN.match(name):
        return _BASOPHILS_OF_ONE if label == "Basophil" else taken[0]
    return None
