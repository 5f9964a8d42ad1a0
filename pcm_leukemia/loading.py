"""`load_dataset`: reads a `Dataset` from a path in any known format."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Literal

from pcm_leukemia import converters, sources
from pcm_leukemia.classes import in_classes
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, ImpossibleValue, InvalidExport, option
from pcm_leukemia.files import GIT_LFS, IMAGE_SUFFIXES, PULL
from pcm_leukemia.label_maps import read_label_map
from pcm_leukemia.not_data import no_data_at, require_no_output
from pcm_leukemia.patients import Attribute, Table, Tag, assign, pseudonymise
from pcm_leukemia.progress import bars_of_readers
from pcm_leukemia.remote import Place, was_url, without_secrets
from pcm_leukemia.schema import UNTYPED, Taxonomy
from pcm_leukemia.taxonomy import NINE

__all__ = ["load_dataset", "options_of"]

_POINTER = 1024
"""Bytes; Git LFS makes no longer pointers."""


def load_dataset(
    path: str | Path,
    split: str | None = None,
    task: str | None = None,
    *,
    split_name: str | None = None,
    allow_incomplete_split: bool = False,
    patients: str | Table | Tag | Attribute | None = None,
    patients_same: Mapping[str, str] | None = None,
    diagnoses: str | Path | None = None,
    pseudonyms: str | Path | None = None,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | str | Path | None = None,
    clip: bool = False,
    images_root: str | Place | None = None,
    check_images: bool | None = None,
    variant: str | None = None,
    rows: Literal["box", "outline", "obb", "pose"] | None = None,
    name: str | None = None,
    progress: bool = False,
) -> Dataset:
    """Load a data set from a path.

    Parameters
    ----------
    path
        A CVAT export (XML, zip or folder), a canonical folder, a YOLO folder, a COCO file or
        folder, a Hugging Face folder that this package wrote, or ``NAME:ROOT`` for a public data set,
        for example "lmu:/data/LMU"; `sources.names` lists the names.
    split
        The part to load: "train", "val" or "test"; by default everything.
    task
        "detection" (the classes as they are), "wbc" (WBC against Other) or "classification"
        (without Other).
    split_name
        The split to use, if a canonical folder has several.
    allow_incomplete_split
        Whether a split that does not place every image is left out, with a warning, instead of refused; a split that
        `split_name` names is always refused.
    patients
        Where to find the patients of the images: a regular expression over image paths, whose group `patient` is the
        patient's id and whose optional group `diagnosis` is the diagnosis; ``patients.Table("p.csv")``, a
        CSV file (or an .xlsx) with the columns path, patient and (optional) diagnosis; ``patients.Tag(pattern)``, over the labels
        of CVAT's image tags; or ``patients.Attribute(name)``, a CVAT attribute of an image's tag or its cells.
    patients_same
        Spelling of a patient's id -> the id that is kept, for patients that are one: {"007": "7"}; see `patients.merge`.
    diagnoses
        A table with the columns patient and diagnosis (.csv or .xlsx), if `patients` gives the ids alone.
    pseudonyms
        A file of yours with the pseudonyms that replace the ids of patients; see `patients.pseudonymise`. New patients are
        added to it.
    taxonomy
        The classes: by default the nine of PCM-Leukemia for a CVAT export and for image_folder, and those of the data
        for other formats; "declared" takes those of the data for these too, and new ones that `labels` names. The
        classes of any other public data set are those of its label map.
    labels
        Label in the data -> class, "WBC" or "ignore"; or the path of a table with the columns label and class (.csv or .xlsx).
        "WBC" is a white cell of unknown type: ignored, except in the task "wbc", unless WBC is one of the classes. For
        image_folder, a folder's name is the label; for any other public data set, it is a label of its authors or the class
        that it was read as.
    clip
        CVAT, COCO, YOLO: cut boxes at the border of their image, instead of refusing boxes that cross it.
    images_root
        A folder or zip with the images, or its URL (``s3://bucket/frames``), if they are not with the annotations.
    check_images
        Whether to open every image file, compare its size with the annotated one and record its digest. By default, this
        is done for every format except a canonical folder, whose files were compared when it was written.
    variant
        A public data set: the reading of its labels; see ``sources.get(NAME).variants``.
    rows
        YOLO: the meaning of the columns of its label files, if data.yaml does not say it. COCO: "box" or "outline", which
        of the two counts where an annotation's box is not that of its outline.
    name
        The data set's name.
    progress
        Whether to show a bar while image files are opened.

    Raises
    ------
    DataNotFound
        If `path` does not exist, no known format is there, or it holds no image.
    InvalidExport
        If anything in it is wrong: every problem is listed.
    ImpossibleValue
        If a value in it cannot be, such as two classes of one name.
    CorruptFile, InvalidDataset
        If a canonical folder was changed after it was written, or the file of pseudonyms was.
    MissingPatients
        If pseudonyms are asked for, and an image has no patient.
    UnknownPart
        If the part or split does not exist.
    MissingPart
        If the split does not place every image.
    MissingExtra
        If the table of `labels` or `patients` is an .xlsx and openpyxl is not installed.
    ValueError
        If an option does not apply to the format of the data.

    Warns
    -----
    DataWarning
        If `labels` reads one of the nine classes as white cells of unknown type; or as the reader of the format does.
    """
    if isinstance(labels, str | Path):
        labels = read_label_map(labels)
    options = {
        "taxonomy": taxonomy,
        "labels": labels or None,
        "clip": clip or None,
        "images_root": images_root,
        "split_name": split_name,
        "variant": variant,
        "rows": rows,
    }
    given: dict[str, object] = {option: value for option, value in options.items() if value is not None}
    with bars_of_readers(shown=progress):
        ds = _read(path, given, check_images=check_images, allow_incomplete_split=allow_incomplete_split)
    _warn_of_lost_types(str(path), ds, labels or {})
    if name is not None:
        ds = replace(ds, name=name)
    ds = assign(ds, patients, same=patients_same, diagnoses=diagnoses)
    if pseudonyms is not None:
        ds = pseudonymise(ds, pseudonyms, patients=patients, same=patients_same)
    ds = ds if task is None else ds.task(task)
    return ds if split is None else ds.part(split)


def _warn_of_lost_types(path: str, ds: Dataset, labels: Mapping[str, str]) -> None:
    """Warn of classes that a map reads as "WBC", which is not the way to data of one class."""
    lost = [raw for raw, label in labels.items() if label == UNTYPED and NINE.match(raw) is not None]
    if lost and UNTYPED not in ds.taxonomy.labels:
        warnings.warn(
            f"{path}: {', '.join(lost)} become white cells of unknown type, which are ignored except in the task wbc; "
            f"for WBC as the only class of white cells, give {option('task', 'wbc')} and no map",
            DataWarning,
            stacklevel=3,
        )


def _read(
    path: str | Path, options: dict[str, object], *, check_images: bool | None, allow_incomplete_split: bool
) -> Dataset:
    """Read with the format's own reader, which must accept every given option."""
    reader, place, title = _reader(path)
    accepted = signature(reader).parameters
    for given in options:
        if given not in accepted:
            raise ValueError(f"{path}: {option(given)} does not apply to {title}; leave it out")
    checked = check_images is not False
    if "check_images" in accepted:
        checked = accepted["check_images"].default if check_images is None else check_images
        options["check_images"] = checked
    if "allow_incomplete_split" in accepted:
        options["allow_incomplete_split"] = allow_incomplete_split
    try:
        ds: Dataset = reader(place, **options)
    except (InvalidExport, CorruptFile, DataNotFound) as error:
        if (pointer := _pointer(Path(place))) is None:
            raise
        raise CorruptFile(f"{pointer}: is a Git LFS pointer in place of the file; {PULL}") from error
    except ImpossibleValue as error:
        raise ImpossibleValue(f"{path}: {error}") from error
    if not ds.images:
        raise DataNotFound(f"{path}: was read as {title}, and holds no image; give data with images")
    return _with_digests(ds) if checked else ds


def _reader(path: str | Path) -> tuple[Callable[..., Dataset], str, str]:
    """The reader of the data at a path, what to give it as the path, and the name of their format."""
    source = sources.split_name(path)
    if was_url(source[1] if source else path):
        what = "is a URL, and annotations are read from disk"
        fix = f"download them, and give the URL of the images: {option('images_root')}"
        raise DataNotFound(f"{without_secrets(str(path))}: {what}; {fix}")
    if source:
        return _public(source[0]), source[1], "this public data set"
    require_no_output(Path(path))
    if form := converters.recognise(path):
        return form.read, str(path), form.TITLE
    raise no_data_at(Path(path))


def options_of(path: str | Path) -> frozenset[str]:
    """Return the parameters of `load_dataset` that apply to the data at a path.

    Raises
    ------
    DataNotFound
        If `path` does not exist, or no known format is there.

    Examples
    --------
    >>> import tempfile, pcm_leukemia as pcm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(options_of(pcm.sample.write(f"{folder}/export.zip", patients=1, images=1)) & {"clip", "rows", "variant"})
    ['clip']
    """
    own = {"taxonomy", "labels", "clip", "images_root", "split_name", "variant", "rows", "check_images"}
    every = signature(load_dataset).parameters.keys() - own
    return frozenset(every | own & signature(_reader(path)[0]).parameters.keys())


def _pointer(path: Path) -> Path | None:
    """The first table or archive at a path that is only a Git LFS pointer, or None."""
    files = (
        [path] if path.is_file() else [Path(top, file) for top, _, files in os.walk(path) for file in files]
    )
    for file in sorted(file for file in files if file.suffix.lower() not in IMAGE_SUFFIXES):
        with suppress(OSError):
            if file.is_file() and file.stat().st_size < _POINTER and file.read_bytes().startswith(GIT_LFS):
                return file
    return None


def _public(name: str) -> Callable[..., Dataset]:
    """The reader of a public data set, which takes `taxonomy` and `labels` whatever the data set is."""
    module = sources.module(name)
    if "labels" in signature(module.read).parameters:
        reader: Callable[..., Dataset] = module.read
        return reader

    def read(
        root: str,
        *,
        variant: str | None = None,
        taxonomy: Taxonomy | Literal["declared"] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Dataset:
        read_as = {raw: rule.label for raw, rule in sources.read_map(module.SOURCE, variant).rules.items()}
        return in_classes(module.read(root, variant=variant), taxonomy, labels, raw_labels=read_as)

    return read


def _with_digests(ds: Dataset) -> Dataset:
    """Record the digests of files whose sizes the reader took from the files themselves."""
    if ds.root is None or all(image.digest or image.file is None for image in ds.images):
        return ds
    from pcm_leukemia.images import compare_files

    images, problems = compare_files(ds.images, ds.root)
    if problems:
        raise InvalidExport(problems)
    return replace(ds, images=images)
