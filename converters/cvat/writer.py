"""CVAT: a zip in "CVAT for images 1.1", in which experts can review and correct the annotations.

::

    images/<name>, images/<subset>/<name>   the images, unless images="none"
    annotations.xml                         a task, or a project with subsets
    labels.txt                              the labels, for the Raw tab of CVAT's label editor
    patients.csv                            path, patient, diagnosis: CVAT cannot store them
    pcm-leukemia.json                       a record of the export and its source data

Coordinates have two decimals, as CVAT writes them, or more if two would lose precision. All shapes,
rotations, occlusions, z-orders, groups, sources, attributes and tags are kept: ``read(write(ds)) == ds`` for
data from CVAT. Declared losses: track numbers (video frames become images); the cells' numbers, since CVAT
numbers cells by position; raw labels, unless ``labels="raw"``; a split, unless it is written as subsets;
rotations by 0 degrees.

Ignored cells are written under the annotator's label, or "ignore" if that label names a class. The other
converters leave them out, because models must not be trained on them. Reviewers need to see them, and an
export without them would look as if they had been deleted.

Sources: CVAT's documentation of its XML format, and the code of its exporter and importers
(cvat/apps/dataset_manager/formats/cvat.py).
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal

from pcm_leukemia.converters.cvat.document import header, image_element
from pcm_leukemia.converters.cvat.labels import CvatLabel, LabelChoice, LabelText, declare, for_cvat, spell
from pcm_leukemia.converters.cvat.layout import ANNOTATIONS, LABELS, PATIENTS, Layout, Subsets, lay_out
from pcm_leukemia.converters.cvat.losses import lost, notes
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, ExportError, PcmError, either, option
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import MARKER, Files, Report, check_placing, check_zip, counts, new_zip, zip_name
from pcm_leukemia.patients import has_pseudonyms
from pcm_leukemia.progress import track
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import Image, ImageId

__all__ = ["check_out", "write"]

ImageFiles = Literal["copy", "none"]

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can store, so that the same input gives the same bytes."""
_SEALED = b"pcm-leukemia: written for CVAT"


def write(
    ds: Dataset,
    out: str | Path,
    *,
    task: str | None = None,
    images: ImageFiles = "copy",
    subsets: Subsets = "as given",
    labels: LabelText = "class",
    colours: Mapping[str, str] | None = None,
    include_patients: bool = True,
    strip_metadata: bool = False,
    progress: bool = False,
) -> Report:
    """Write `ds` as a zip that CVAT can import.

    Parameters
    ----------
    ds
        The data; written as a task if all images came from one task, otherwise as a project with subsets.
    out
        A new zip, or the output of an earlier run, which is replaced. The suffix .zip is added if missing.
    task
        "detection", "wbc" or "classification"; by default the classes of the data.
    images
        "copy" the images into the zip, or "none" for annotations only.
    subsets
        "as given" keeps the subsets of the images; "split" writes the parts of the split as subsets (Train,
        Validation, Test). Such subsets become a split again with `splits.from_subsets`.
    labels
        "class" writes the classes; "raw" writes the annotators' labels if they map to the same class.
    colours
        Label -> "#rrggbb"; by default those of `pcm_leukemia.colours`.
    include_patients
        Put patients and diagnoses into the zip as `patients.csv`. Everybody who has the zip can see them.
    strip_metadata
        Copy images without EXIF, comments and other metadata (JPEG and PNG). `update` does not recognise such files, so
        bring annotations back without images.
    progress
        Show a progress bar.

    Raises
    ------
    LeakySplit
        If a patient or a group of images is in two parts.
    ExportError
        If `out` is another file or cannot be written, images are missing, two images would get the same
        path, or a text contains a character that XML cannot represent.
    UnknownPart
        If `subsets` is "split" and there is no split.
    ValueError
        If an option has an unknown value, or `strip_metadata` is used without "copy".

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia.cvat import read
    >>> from pcm_leukemia.schema import Cell, Image, ImageId
    >>> from pcm_leukemia.shapes import Box
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("P01/a.jpg"), 200, 100)
    >>> cell = Cell(image.id, 0, "Other", Box(50, 20, 150.25, 60), "Other", source="manual")
    >>> ds = Dataset("demo", NINE, (image,), (cell,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = write(ds, Path(folder, "demo.zip"))
    ...     read(Path(folder, "demo.zip")) == ds
    True
    """
    _check_options(images, subsets, labels)
    check_placing(images, strip=strip_metadata)
    ds = ds.task(task) if task else ds
    require(ds)
    path = check_out(out)
    copied = _to_copy(ds) if images == "copy" else []
    layout, spelling = lay_out(ds, subsets), spell(ds, labels)
    declared = declare(ds, spelling, colours or {})
    in_part = Counter(ds.part_of(image) for image in ds.images)
    people = include_patients and any(image.patient for image in ds.images)
    report = Report(
        "cvat",
        zip_name(out),
        {part: in_part[part] for part in ds.parts},
        counts((ds.part_of(ds.image(cell.image)), cell.written_label) for cell in ds.cells),
        lost(ds, spelling, layout, patients=include_patients),
        tuple(
            notes(
                ds,
                layout,
                spelling,
                copied=bool(copied),
                stripped=strip_metadata,
                patients=include_patients,
                split=subsets == "split",
            )
        ),
    )
    with new_zip(path, _SEALED) as archive:
        _add_images(archive, ds, copied, layout, strip=strip_metadata, progress=progress)
        _add_annotations(archive, ds, layout, spelling, declared)
        _add(archive, LABELS, for_cvat(declared))
        if people:
            _add(archive, PATIENTS, _patients(ds, layout))
        _add(archive, MARKER, _mark(ds, report, {"task": task, "subsets": subsets, "labels": labels}))
    return report


def check_out(out: str | Path) -> Path:
    """Reject a target that `write` must not replace; return its absolute path, with the suffix .zip.

    Raises
    ------
    ExportError
        If `out` exists and was not written by `write`.
    """
    return check_zip(zip_name(out), _SEALED, ", and pcm-leukemia did not write it for CVAT")


def _check_options(images: str, subsets: str, labels: str) -> None:
    if images not in ("copy", "none"):
        raise ValueError(f'images "{images}": must be copy or none; a zip cannot hold links')
    if subsets not in ("as given", "split"):
        raise ValueError(f'subsets "{subsets}": must be "as given" or "split"')
    if labels not in ("class", "raw"):
        raise ValueError(f'labels "{labels}": must be class or raw')


def _to_copy(ds: Dataset) -> list[Image]:
    """The images to copy: all or none, since CVAT and `read` reject exports with some images missing."""
    there = [image for image in ds.images if image.file] if ds.root is not None else []
    if there and len(there) < len(ds.images):
        first = next(image.id for image in ds.images if not image.file)
        raise ExportError(
            f'{ds.name}: {len(ds.images) - len(there):,} of {len(ds.images):,} images have no file, the first "{first}"; '
            f"add the files, leave the images out{either(' with Dataset.select', '')}, or pass {option('images', 'none')}"
        )
    return there


# The members of the zip


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = 3  # the same bytes on every system
    member.external_attr = 0o644 << 16
    member.compress_type = zipfile.ZIP_STORED if name.startswith("images/") else zipfile.ZIP_DEFLATED
    return member


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(_member(name), text.encode("utf-8"))


def _add_images(
    archive: zipfile.ZipFile,
    ds: Dataset,
    images: list[Image],
    layout: Layout,
    *,
    strip: bool,
    progress: bool,
) -> None:
    if not images or ds.root is None:
        return
    from pcm_leukemia.images import (
        MetadataSeen,
        files_of,
        is_changed,
        reason,
        strip_identifiers,
        unfit,
        warn_of_changed,
        warn_of_changed_files,
    )

    files = files_of(ds)
    seen = MetadataSeen() if has_pseudonyms(ds) and not strip else None
    problems = dict[str, list[ImageId]]()
    changed = []
    read = partial(_read, files)
    threads = files.threads
    with closing(
        ahead(read, images, threads, threads) if files.remote else (read(image) for image in images)
    ) as done:
        for image, data in zip(images, track(done, "images", len(images), shown=progress), strict=True):
            if isinstance(data, PcmError):
                problems.setdefault(reason(image, data), []).append(image.id)
                continue
            written = strip_identifiers(data, str(image.file)) if strip else data
            archive.writestr(_member(layout.places[image.id].file), written)
            if seen is not None:
                seen.look(data)
            if files.remote and is_changed(data, image):
                changed.append(image.id)
    if problems:
        raise ExportError(unfit(problems))
    if files.remote:
        warn_of_changed(files.root, len(images), changed)
    else:
        warn_of_changed_files(images, files)
    if seen is not None:
        seen.warn(ds.name)


def _read(files: Files, image: Image) -> bytes | DataNotFound | CorruptFile:
    """The bytes of an image's file, or why it cannot be the annotated image."""
    from pcm_leukemia.images import load_bytes

    try:
        return load_bytes(files, image)
    except (DataNotFound, CorruptFile) as error:
        return error


def _add_annotations(
    archive: zipfile.ZipFile, ds: Dataset, layout: Layout, spelling: LabelChoice, declared: list[CvatLabel]
) -> None:
    """Write the XML image by image, which limits the use of memory."""
    sizes = layout.subsets
    tasks = {subset: number for number, subset in enumerate(sizes, 1)}
    seen: Counter[str] = Counter()
    with (
        archive.open(_member(ANNOTATIONS), "w", force_zip64=True) as member,
        io.TextIOWrapper(member, "utf-8", newline="\n") as stream,
    ):
        stream.writelines(header(ds.name, layout, declared, sizes))
        for image in ds.images:
            place = layout.places[image.id]
            task = tasks[place.subset] if layout.kind == "project" else None
            number = seen[place.subset]
            stream.write(image_element(image, place, number, task, ds.cells_of(image), spelling))
            seen[place.subset] += 1
        stream.write("</annotations>\n")


def _patients(ds: Dataset, layout: Layout) -> str:
    """The table for `patients.from_csv`, with the ids that the images have when read back."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream)  # line ends follow RFC 4180
    table.writerow(("path", "patient", "diagnosis"))
    table.writerows(
        (layout.places[image.id].id, patient.id, patient.diagnosis or "")
        for image in ds.images
        if (patient := ds.patient_of(image))
    )
    return stream.getvalue()


def _mark(ds: Dataset, report: Report, options: Mapping[str, str | None]) -> str:
    """The record of the export: source data, options and report."""
    made = {"written_by": "pcm-leukemia", "name": ds.name, "fingerprint": ds.fingerprint, **options}
    return json.dumps({**made, **report.to_json()}, indent=1, ensure_ascii=False) + "\n"
