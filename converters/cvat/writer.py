"""CVAT: a zip in "CVAT for images 1.1", so that experts can look at the data and correct it there.

::

    images/<name>, images/<subset>/<name>   the images, unless images="none"
    annotations.xml                         a task, or a project with subsets
    labels.txt                              the labels, for the Raw tab of CVAT's label editor
    patients.csv                            path, patient, diagnosis: CVAT has no place for them
    pcm-leukemia.json                       what was written, from which data

Coordinates have two decimals, as CVAT writes them, or all that they need where two would lose
something. Every shape, rotation, occlusion, z-order, group, source, attribute and tag survives:
``read(write(ds)) == ds`` for data that came from CVAT. Declared losses: the numbers of tracks
(frames of a video become images); the cells' own numbers, since CVAT numbers them by their place;
raw labels, unless ``labels="raw"``; a split, unless it becomes the subsets; a turn by 0 degrees.

Cells to be ignored are written, under the annotator's own label, or "ignore" where that spells a
class. No other converter does so, since training on them would be wrong; but they are what a
reviewer has to see, and an export without them would come back as if they had been deleted.

Sources: CVAT's documentation of its XML format, and its exporter and importers
(cvat/apps/dataset_manager/formats/cvat.py).
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich.progress import track

from pcm_leukemia.converters.cvat.document import header, image_element
from pcm_leukemia.converters.cvat.labels import Declared, Labels, Spelling, declare, for_cvat, spell
from pcm_leukemia.converters.cvat.layout import ANNOTATIONS, LABELS, PATIENTS, Layout, Subsets, lay_out
from pcm_leukemia.converters.cvat.losses import lost, notes
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, ExportError, either, option, some
from pcm_leukemia.files import MARKER, Report, check_zip, counts, new_zip, zip_name
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import Image

__all__ = ["check_out", "write"]

Images = Literal["copy", "none"]

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can hold: the same input gives the same bytes."""
_SEALED = b"pcm-leukemia: written for CVAT"


def write(
    ds: Dataset,
    out: str | Path,
    *,
    task: str | None = None,
    images: Images = "copy",
    subsets: Subsets = "as given",
    labels: Labels = "class",
    colours: Mapping[str, str] | None = None,
    include_patients: bool = True,
    progress: bool = False,
) -> Report:
    """Write `ds` as a zip that CVAT imports.

    Parameters
    ----------
    ds
        With subsets, a project; with none, or where all images came from one task, a task.
    out
        A new zip, or one that an earlier run wrote; the suffix .zip is added if it is missing.
    task
        "detection", "wbc" or "classification"; by default the classes as they are.
    images
        "copy" them into the zip, or "none": annotations only.
    subsets
        "split" makes the parts of the split the subsets, Train, Validation and Test; by default the
        images' own subsets stay. `splits.from_subsets` reads them back as a split.
    labels
        "class" shows the classes in CVAT; "raw" what the annotators wrote, wherever that reads back as
        the same class, so that nothing is lost.
    colours
        Label -> "#rrggbb"; by default colours far from each other.
    include_patients
        Put patients and diagnoses into the zip, as `patients.csv`. Whoever has the zip has them.
    progress
        Show a bar.

    Raises
    ------
    LeakySplit
        If a patient stands in two parts.
    ExportError
        If `out` must not be replaced or cannot be written, images are missing, two images would get
        one path, or a text holds a character that XML cannot.
    UnknownPart
        If the parts are to be the subsets and there is no split.
    ValueError
        If an option has no such value.

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
        counts((ds.part_of(ds.image(cell.image)), cell.label) for cell in ds.cells),
        lost(ds, spelling, layout, patients=include_patients),
        tuple(
            notes(
                ds,
                layout,
                spelling,
                copied=bool(copied),
                patients=include_patients,
                split=subsets == "split",
            )
        ),
    )
    with new_zip(path, _SEALED) as archive:
        _add_images(archive, ds, copied, layout, progress=progress)
        _add_annotations(archive, ds, layout, spelling, declared)
        _add(archive, LABELS, for_cvat(declared))
        if people:
            _add(archive, PATIENTS, _patients(ds, layout))
        _add(archive, MARKER, _mark(ds, report, {"task": task, "subsets": subsets, "labels": labels}))
    return report


def check_out(out: str | Path) -> Path:
    """Refuse a target that `write` must not replace; gives its absolute path, with the suffix .zip.

    Raises
    ------
    ExportError
        If something is there that `write` did not write.
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
    """The images that have a file: all of them or none, since CVAT and `read` refuse anything between."""
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
    archive: zipfile.ZipFile, ds: Dataset, images: list[Image], layout: Layout, *, progress: bool
) -> None:
    if not images or ds.root is None:
        return
    from pcm_leukemia.images import Files

    files = Files(ds.root)
    missing = []
    for image in track(images, "images", disable=not progress, transient=True):
        try:
            archive.writestr(_member(layout.places[image.id].file), files.read(str(image.file)))
        except (DataNotFound, CorruptFile) as error:
            missing.append(f'image "{image.id}": {error}')
    if missing:
        raise ExportError(some(missing))


def _add_annotations(
    archive: zipfile.ZipFile, ds: Dataset, layout: Layout, spelling: Spelling, declared: list[Declared]
) -> None:
    """Write the XML image by image, so that memory stays flat."""
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
    """The table that `patients.from_csv` reads, by the ids that the images have when read back."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream)  # lines end as RFC 4180 says
    table.writerow(("path", "patient", "diagnosis"))
    table.writerows(
        (layout.places[image.id].id, patient.id, patient.diagnosis or "")
        for image in ds.images
        if (patient := ds.patient_of(image))
    )
    return stream.getvalue()


def _mark(ds: Dataset, report: Report, options: Mapping[str, str | None]) -> str:
    """What was written, from which data, and with which options."""
    made = {"written_by": "pcm-leukemia", "name": ds.name, "fingerprint": ds.fingerprint, **options}
    return json.dumps({**made, **report.to_json()}, indent=1, ensure_ascii=False) + "\n"
