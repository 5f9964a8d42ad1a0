"""`load_dataset`: from a path, whatever it holds, to a `Dataset`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Literal

from pcm_leukemia import converters, sources
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound
from pcm_leukemia.schema import Taxonomy

__all__ = ["load_dataset", "with_patients"]


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
    options = {
        "taxonomy": taxonomy,
        "labels": labels or None,
        "clip": clip or None,
        "images_root": images_root,
        "split_name": split_name,
        "variant": variant,
    }
    given: dict[str, object] = {option: value for option, value in options.items() if value is not None}
    ds = _read(path, given, check_images=check_images)
    if name is not None:
        ds = replace(ds, name=name)
    ds = with_patients(ds, patients, patients_csv, patients_tag, patients_attribute)
    ds = ds if task is None else ds.task(task)
    return ds if split is None else ds.part(split)


def _read(path: str | Path, options: dict[str, object], *, check_images: bool) -> Dataset:
    """Read by the format's own reader, which must take every option that is given."""
    if source := sources.split_name(path):
        name, place = source
        reader, title = sources.module(name).read, "this public data set"
    else:
        form = converters.recognise(path)
        if form is None:
            raise _not_found(Path(path))
        place, reader, title = str(path), form.read, form.TITLE
    accepted = signature(reader).parameters
    if options.get("taxonomy") == "declared" and "labels" not in accepted:
        del options["taxonomy"]  # only a CVAT export declares labels; other data say what their classes are
    for option in options:
        if option not in accepted:
            raise ValueError(f"{path}: {option} is of no use for {title}; leave it out")
    if "check_images" in accepted:
        options["check_images"] = check_images
    ds: Dataset = reader(place, **options)
    return ds


def _not_found(path: Path) -> DataNotFound:
    """What to say of a path that no format has."""
    titles = [*(form.TITLE for form in reversed(converters.readable())), "NAME:ROOT of a public data set"]
    known = f"give {', '.join(titles[:-1])}, or {titles[-1]} (see pcm-leukemia sources)"
    if path.is_file():
        return DataNotFound(f"{path}: is no data set; {known}")
    if not path.is_dir():
        return DataNotFound(f"{path}: no such file or folder; {known}")
    zips = sorted(path.glob("*.zip"))
    hint = f"; unzip {zips[0].name}, or give its path" if zips else ""
    return DataNotFound(f"{path}: holds no data set{hint}; {known}")


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
