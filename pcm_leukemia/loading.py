"""`load_dataset`: from a path, whatever it holds, to a `Dataset`."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Literal

from pcm_leukemia import sources
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound
from pcm_leukemia.files import MARKER
from pcm_leukemia.schema import Taxonomy

__all__ = ["kind_of", "load_dataset", "with_patients"]

Kind = Literal["canonical", "yolo", "coco", "huggingface", "cvat", "source"]

_SHOWN: dict[Kind, str] = {
    "canonical": "a canonical folder, whose classes are settled",
    "yolo": "a YOLO folder",
    "coco": "COCO",
    "huggingface": "a Hugging Face folder of ours",
    "cvat": "a CVAT export",
    "source": "this public data set",
}
_FORMS = "a CVAT export (.xml, .zip or a folder), a canonical folder, a YOLO folder (data.yaml), a COCO file or folder (.json), a Hugging Face folder of ours, or NAME:ROOT of a public data set (see pcm-leukemia sources)"


def load_dataset(
    path: str | Path,
    split: str | None = None,
    task: str | None = None,
    *,
    split_name: str | None = None,
    patients: str | None = None,
    patients_csv: str | Path | None = None,
    patients_tag: str | None = None,
    patients_attribute: str | None = None,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Path | None = None,
    check_images: bool = True,
    variant: str | None = None,
    name: str | None = None,
) -> Dataset:
    """Load a data set from a path.

    Parameters
    ----------
    path
        A CVAT export (XML, zip or folder), a canonical folder, a YOLO folder, a COCO file or
        folder, a Hugging Face folder that this package wrote, or ``NAME:ROOT`` of a public data set,
        such as "lmu:/data/LMU", where `sources.names` has NAME.
    split
        The part to give: "train", "val" or "test"; by default everything.
    task
        "detection" (the classes as they are), "wbc" (WBC against Other) or "classification"
        (without Other).
    split_name
        The split to use, where a canonical folder has several.
    patients
        A regular expression over image paths whose group `patient` is the patient's id and, if
        there is one, whose group `diagnosis` is the diagnosis.
    patients_csv
        A CSV with the columns path, patient and (optional) diagnosis.
    patients_tag
        A regular expression with the same groups, over the labels of CVAT's image tags.
    patients_attribute
        The name of a CVAT attribute, on an image's tag or its cells, that is the patient's id.
    taxonomy
        The classes: by default the nine of PCM-Leukemia for CVAT, and what the data says for
        other formats; "declared" takes the labels that a CVAT export declares.
    labels
        CVAT, image_folder: label in the export, or a folder's name -> class, or "ignore".
    clip
        CVAT, COCO, YOLO: cut boxes that leave their image at its border, instead of refusing them.
    images_root
        CVAT, COCO, canonical: a folder or zip with the images, where they are not where they were
        or not with the annotations.
    check_images
        CVAT: open every image's header and compare its size with the annotated one.
    variant
        A public data set: the reading of its labels; see ``sources.get(NAME).variants``.
    name
        The data set's name.

    Raises
    ------
    DataNotFound
        If nothing that can be read is at `path`.
    InvalidExport
        If anything in it is wrong: every problem is listed.
    CorruptFile, InvalidDataset
        If a canonical folder is not what was written.
    UnknownPart
        If there is no such part or split.
    ValueError
        If an option is given that the form of the data has no use for, or patients in two ways.
    """
    path = Path(path)
    kind = kind_of(path)
    options = {
        "taxonomy": None if taxonomy == "declared" and kind != "cvat" else taxonomy,
        "labels": labels or None,
        "clip": clip or None,
        "images_root": images_root,
        "split_name": split_name,
        "variant": variant,
    }
    given: dict[str, object] = {option: value for option, value in options.items() if value is not None}
    ds = _read(path, kind, given, check_images=check_images)
    if name is not None:
        ds = replace(ds, name=name)
    ds = with_patients(ds, patients, patients_csv, patients_tag, patients_attribute)
    ds = ds if task is None else ds.task(task)
    return ds if split is None else ds.part(split)


def _read(path: Path, kind: Kind, options: dict[str, object], *, check_images: bool) -> Dataset:
    """Read by the form's own reader, which must take every option that is given."""
    names = {"canonical": "pcm_leukemia.store", "cvat": "pcm_leukemia.cvat"}
    place: str | Path = path
    if source := sources.split_name(path):
        name, place = source
        reader = sources.module(name).read
    else:
        reader = import_module(names.get(kind, f"pcm_leukemia.converters.{kind}")).read
    accepted = signature(reader).parameters
    for option in options:
        if option not in accepted:
            raise ValueError(f"{path}: {option} is of no use for {_SHOWN[kind]}; leave it out")
    if "check_images" in accepted:
        options["check_images"] = check_images
    ds: Dataset = reader(place, **options)
    return ds


def kind_of(path: str | Path) -> Kind:
    """What is at `path`, by its files' names alone; ``NAME:ROOT`` is a public data set.

    Raises
    ------
    DataNotFound
        If nothing is there, or nothing that can be read.
    """
    if sources.split_name(path):
        return "source"
    path = Path(path)
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix == ".json":
            return "coco"
        if suffix in (".yaml", ".yml"):
            return "yolo"
        if suffix in (".xml", ".zip") or zipfile.is_zipfile(path):
            return "cvat"
        raise DataNotFound(f"{path}: is no data set; give {_FORMS}")
    if not path.is_dir():
        raise DataNotFound(f"{path}: no such file or folder; give {_FORMS}")
    if (path / "dataset.json").is_file():
        return "canonical"
    if (path / "data.yaml").is_file():
        return "yolo"
    if any(path.glob("detection/*.parquet")):  # before COCO: there is a croissant.json
        return "huggingface"
    if any(path.glob("*.[xX][mM][lL]")):  # before COCO: a JSON file with notes may lie beside it
        return "cvat"
    if any(file.name != MARKER for file in (*path.glob("*.json"), *path.glob("annotations/*.json"))):
        return "coco"
    if next(path.rglob("*.[xX][mM][lL]"), None):
        return "cvat"
    zips = sorted(path.glob("*.zip"))
    hint = f"; unzip {zips[0].name}, or give its path" if zips else ""
    raise DataNotFound(f"{path}: holds no data set{hint}; give {_FORMS}")


def with_patients(
    ds: Dataset, pattern: str | None, csv: str | Path | None, tags: str | None, attribute: str | None
) -> Dataset:
    """Give the images their patients in the one way that was asked for; see `load_dataset`.

    Raises
    ------
    ValueError
        If more than one way is given.
    """
    given = [way for way in (pattern, csv, tags, attribute) if way is not None]
    if not given:
        return ds
    if len(given) > 1:
        raise ValueError(
            "patients: given in more than one way; choose a pattern, a CSV, tags or an attribute"
        )
    from pcm_leukemia import patients

    if pattern is not None:
        return patients.from_pattern(ds, pattern)
    if csv is not None:
        return patients.from_csv(ds, csv)
    if tags is not None:
        return patients.from_tags(ds, tags)
    return patients.from_attribute(ds, str(attribute))
