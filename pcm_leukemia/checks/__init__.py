"""All checks of a data set in one pass: split, copies, boxes, identifiers, personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from pcm_leukemia import patients, splits
from pcm_leukemia.checks.blank import find_blank
from pcm_leukemia.checks.boxes import annotated_twice, median_sides, unusual_boxes
from pcm_leukemia.checks.copies import find_copies, same_cells
from pcm_leukemia.checks.file_reading import FileReading, count_featureless
from pcm_leukemia.checks.findings import Finding, among
from pcm_leukemia.checks.personal import find_personal_data
from pcm_leukemia.checks.pictures import without_folders, write_pictures
from pcm_leukemia.checks.reading import read_files
from pcm_leukemia.checks.tiles import PICTURED, Outline, Tile, tiles_of
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted, either, option, some
from pcm_leukemia.files import count_unlisted, unlisted
from pcm_leukemia.paper import Comparison, compare
from pcm_leukemia.schema import AUTO, IGNORE, ImageId, Split

__all__ = [
    "KINDS",
    "PICTURED",
    "Checked",
    "Finding",
    "Outline",
    "Tile",
    "check",
    "find_copies",
    "find_personal_data",
    "median_sides",
    "read_files",
    "same_cells",
    "tiles_of",
    "unusual_boxes",
    "without_folders",
    "write_pictures",
]

KINDS: Mapping[str, str] = {
    "no-images": "problem",
    "patient-in-two-parts": "problem",
    "group-in-two-parts": "problem",
    "file-in-another-part": "problem",
    "in-no-part": "problem",
    "lost-patient": "problem",
    "unknown-patient": "warning",
    "patient-for-each-image": "warning",
    "one-patient": "warning",
    "patient-spelled-twice": "warning",
    "damaged-patient-id": "warning",
    "paper": "problem",
    "unreadable": "problem",
    "changed-file": "problem",
    "blank": "problem if the file holds more or is black, else warning",
    "same-pixels": "problem across parts or patients, else warning",
    "near-duplicate": "problem across parts or patients, else warning",
    "cell-again": "problem across parts or patients, else warning",
    "image-is-cell": "problem across parts or patients, else warning",
    "cell-twice": "problem with different labels, else warning",
    "unusual-box": "warning",
    "identifier": "warning",
    "personal-data": "warning",
}
"""Each kind of finding and its severity, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The findings of `check`, the most severe first, and counts of what it checked.

    `notes` say what was not checked, and why. `searched` are the kinds of findings that could have been found, in the
    order of `KINDS`: without a split no leak can be, and without image files that can be read no copy. `auto_cells` are the
    cells with the source "auto", which a model drew; cells to be ignored do not count.
    """

    name: str
    findings: tuple[Finding, ...]
    looked_at: Mapping[str, int]
    notes: tuple[str, ...] = ()
    comparison: Comparison | None = None
    searched: tuple[str, ...] = ()
    auto_cells: int = 0

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that can make scores or boxes wrong."""
        return tuple(found for found in self.findings if found.severity == "problem")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that a person should look at."""
        return tuple(found for found in self.findings if found.severity == "warning")

    def __str__(self) -> str:
        looked = ", ".join(f"{count:,} {what}" for what, count in self.looked_at.items())
        lines = [f"{self.name}: looked at {looked}"]
        for found in (self.problems, self.warnings):
            lines += some([f"{each.severity}: {each}" for each in found]).splitlines()
        lines += [str(self.comparison)] if self.comparison else []
        lines += [f"note: {note}" for note in self.notes]
        lines.append(f"{counted(len(self.problems), 'problem')}, {counted(len(self.warnings), 'warning')}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from pcm_leukemia import notebook

        return notebook.of_checked(self)

    def to_json(self) -> dict[str, object]:
        """Every finding, and the counts by kind."""
        return {
            "name": self.name,
            "looked_at": dict(self.looked_at),
            "auto_cells": self.auto_cells,
            "problems": len(self.problems),
            "warnings": len(self.warnings),
            "kinds": dict(Counter(found.kind for found in self.findings)),
            "findings": [found.to_json() for found in self.findings],
            "notes": list(self.notes),
            "paper": self.comparison.to_json() if self.comparison else None,
        }


def check(
    ds: Dataset,
    *,
    split: Split | None = None,
    pixels: bool = True,
    paper: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    cache: str | Path | None = None,
) -> Checked:
    """Look for everything that makes a data set, or scores on it, untrustworthy.

    docs/trust.md lists the checks, their thresholds, and what they cannot find. Nothing in the data raises: a missing or
    damaged file is a finding too.

    Parameters
    ----------
    ds
        The data set. Without image files, only its annotations are checked.
    split
        The split to check; by default the data set's own. It need not place every image.
    pixels
        Whether to decode the images and look for copies. Otherwise files are read only for sizes and identifiers.
    paper
        Whether to compare the counts with the paper's Tables 2 and 3; each difference is a problem.
    workers
        Threads; by default one for each core.
    executor
        Where the files are read instead of in threads here: `execution.Cluster`, or another `concurrent.futures.Executor`.
        What they hold is compared here.
    progress
        Whether to show a progress bar.
    cache
        The canonical folder of `ds`, in which to keep what was read of the image files, so that the next check with it
        opens only those that have changed. By default, every file is read and nothing is kept.

    Examples
    --------
    >>> from pcm_leukemia.schema import Cell, Image
    >>> from pcm_leukemia.shapes import Box
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("a.jpg"), 200, 100)
    >>> cells = [Cell(image.id, n, label, Box(10, 10, 60, 60)) for n, label in enumerate(("Monocyte", "Other"))]
    >>> print(check(Dataset("demo", NINE, (image,), tuple(cells))).problems[0])
    image "a.jpg" cell 0: "Monocyte" is annotated again as cell 1, as "Other": their boxes overlap by 1.00; decide on one label in CVAT
    """
    split = split or ds.split
    readings = read_files(
        ds, pixels=pixels, workers=workers, executor=executor, progress=progress, cache=cache
    )
    comparison = compare(ds, split) if paper else None
    findings = [
        *_emptiness(ds),
        *_split(ds, split),
        *_patients(ds, split),
        *(_paper(comparison) if comparison else ()),
        *_files(ds, split, readings),
        *find_blank(ds, [(each.image, each.blank) for each in readings], split),
        *find_copies(ds, readings, split, workers=workers, progress=progress),
        *annotated_twice(ds, split),
        *unusual_boxes(ds, split),
        *_identifiers(ds, split, readings),
        *find_personal_data(ds),
    ]
    order = {kind: number for number, kind in enumerate(KINDS)}
    findings.sort(
        key=lambda found: (found.severity != "problem", order[found.kind], found.images, found.cells)
    )
    decoded = sum(each.whole is not None for each in readings)
    looked_at = {
        "images": len(ds.images),
        "cells": len(ds.cells),
        "files": len(readings),
        "decoded files": decoded,
    }
    sources = [cell.source for cell in ds.cells if cell.label != IGNORE or cell.untyped]
    auto_cells = sources.count(AUTO)
    notes = (
        *_notes(ds, split, readings, pixels=pixels),
        *([_drawn_by_model(auto_cells, len(sources))] if auto_cells else []),
    )
    searched = _searched(ds, split, readings, paper=paper)
    return Checked(ds.name, tuple(findings), looked_at, notes, comparison, searched, auto_cells)


def _searched(
    ds: Dataset, split: Split | None, readings: Sequence[FileReading], *, paper: bool
) -> tuple[str, ...]:
    """The kinds of findings for which there was something to look at.

    What is in a file is searched only if it can be read: a list of what was not found must not promise more.
    """
    read = [each for each in readings if each.problem is None]
    decoded = any(each.whole is not None for each in read)
    possible = {
        "no-images": True,
        "patient-in-two-parts": split is not None,
        "group-in-two-parts": split is not None,
        "file-in-another-part": split is not None,
        "in-no-part": split is not None,
        "lost-patient": split is not None,
        "unknown-patient": split is not None,
        "patient-for-each-image": bool(ds.patients),
        "one-patient": bool(ds.patients),
        "patient-spelled-twice": bool(ds.patients),
        "damaged-patient-id": bool(ds.patients),
        "paper": paper,
        "unreadable": bool(readings),
        "changed-file": any(each.image.digest for each in read),
        "blank": decoded,
        "same-pixels": decoded,
        "near-duplicate": decoded,
        "cell-again": decoded,
        "image-is-cell": decoded,
        "cell-twice": bool(ds.cells),
        "unusual-box": bool(ds.cells),
        "identifier": bool(read),
        "personal-data": bool(ds.images),
    }
    assert possible.keys() == KINDS.keys()
    return tuple(kind for kind in KINDS if possible[kind])


def _emptiness(ds: Dataset) -> Iterator[Finding]:
    if not ds.images:
        place = f'data set "{ds.name}"'
        yield Finding(
            "no-images", (), (), (), None, "has no images", "import the data again", "problem", place=place
        )


def _split(ds: Dataset, split: Split | None) -> Iterator[Finding]:
    """The leaks of the split, and the images whose patient is unknown."""
    if split is None:
        return
    here = {image.id for image in ds.images}
    for leak in splits.leaks(ds, split):
        what, fix = leak.problem.what, leak.problem.fix
        images = [image for image in leak.images if image in here]
        yield among(ds, split, leak.kind, "problem", what, fix, images=images, place=leak.problem.where)
    unknown = [image.id for image in ds.images if image.patient is None]
    lost = [image for image in unknown if image in split.part_of and split.patient_of.get(image)]
    if lost:
        what = "had a patient when the split was made and has none now, so the split cannot be used"
        fix = "give the patients again, or make the split again"
        yield among(ds, split, "lost-patient", "problem", what, fix, images=lost)
    gone = set(lost)
    unknown = [image for image in unknown if image not in gone]
    if unknown:
        yield among(
            ds,
            split,
            "unknown-patient",
            "warning",
            "has no patient id, so its patient may be in another part",
            "give patient ids: "
            + either("patients=...", "--patients, --patients-csv, --patients-tag or --patients-attribute"),
            images=unknown,
        )


def _patients(ds: Dataset, split: Split | None) -> Iterator[Finding]:
    """Patients that look wrong: their number, their spelling, or ids that a spreadsheet has damaged."""
    images_of: dict[str, list[ImageId]] = {patient.id: [] for patient in ds.patients}
    for image in ds.images:
        if image.patient is not None:
            images_of[image.patient].append(image.id)
    for doubt in patients.doubts(ds):
        where, what, fix = doubt.problem.where, doubt.problem.what, doubt.problem.fix
        images = [image for patient in doubt.patients for image in images_of[patient]]
        yield among(ds, split, doubt.kind, "warning", what, fix, images=images, place=where)


def _paper(comparison: Comparison) -> Iterator[Finding]:
    for figure in comparison.differences:
        yield Finding(
            "paper",
            (),
            (),
            (),
            None,
            f"{figure.row} in {figure.column}: {figure.ours:,} here, {figure.paper or 0:,} in the paper",
            "use the paper's data and split, or report your own counts",
            "problem",
            place=f'data set "{comparison.name}"',
        )


def _files(ds: Dataset, split: Split | None, readings: Sequence[FileReading]) -> Iterator[Finding]:
    """One finding for each cause, with all its images: a zip that is gone takes every image with it.

    An image is in one of them: a file that cannot be read is not reported as changed, too.
    """
    having: dict[tuple[str, str], list[ImageId]] = {}
    for each in readings:
        if each.problem:
            having.setdefault((each.problem.what, each.problem.fix), []).append(each.image.id)
    for (what, fix), ids in having.items():
        yield among(ds, split, "unreadable", "problem", what, fix, images=ids)
    changed = [each.image.id for each in readings if each.changed]
    if changed:
        yield among(
            ds,
            split,
            "changed-file",
            "problem",
            "is not the file that was imported: its digest has changed, and its boxes may not fit",
            "put the imported file back, or import again and look at the boxes",
            images=changed,
        )


def _identifiers(ds: Dataset, split: Split | None, readings: Iterable[FileReading]) -> Iterator[Finding]:
    """One finding for each field, with all images that have it: a camera writes the same fields into every image."""
    having: dict[tuple[str, str], list[ImageId]] = {}
    for each in readings:
        for said in each.identifiers:
            having.setdefault((said.kind, said.field), []).append(each.image.id)
    for (kind, field), ids in sorted(having.items()):
        yield among(
            ds,
            split,
            "identifier",
            "warning",
            f"{field} may identify a person ({kind})",
            f"look at it, and write copies without it: {option('strip_metadata', value=True)}",
            images=ids,
        )


def _notes(
    ds: Dataset, split: Split | None, readings: Sequence[FileReading], *, pixels: bool
) -> Iterator[str]:
    """What was not checked, and why."""
    if split is None:
        yield "there is no split: leaks between parts were not checked"
    if not ds.patients:
        yield "there are no patient ids: copies across patients cannot be distinguished from others"
    if not readings:
        yield "there are no image files: only the annotations were checked"
    elif len(readings) < len(ds.images):
        yield (
            counted(
                len(ds.images) - len(readings), "image has no file and was", "images have no file and were"
            )
            + " not checked"
        )
    digests = [image.digest for image in ds.images if image.digest is not None]
    if doubles := len(digests) - len(set(digests)):
        yield f"{counted(doubles, 'image has', 'images have')} the same file as another image"
    lost = sum(each.problem is not None for each in readings)
    if lost:
        yield (
            f"{lost:,} of {len(readings):,} image files cannot be read or do not fit: not everything in them was checked, "
            "such as identifiers and copies"
        )
    if ds.root is not None and ds.root.exists() and readings:
        files = unlisted(ds.root, [image.file for image in ds.images if image.file])
        if files and patients.has_pseudonyms(ds):  # their names may be ids
            yield f"not checked: {counted(len(files), 'image file that is', 'image files that are')} not in the annotations"
        elif files:
            yield f"not checked: {count_unlisted(files)}"
    if readings and not pixels:
        yield "no image was decoded: copies were not searched for"
    featureless_images, featureless_cells = count_featureless(readings)
    if featureless_images or featureless_cells:
        yield (
            f"{counted(featureless_images, 'image')} and {counted(featureless_cells, 'cell')} show too little detail to distinguish a copy from any other; "
            "copies of these images are found only if their pixels are identical"
        )


def _drawn_by_model(auto_cells: int, cells: int) -> str:
    """The note on cells that a model drew; `evaluate` says the same of those that it scores."""
    have, them = ("have", "them") if auto_cells > 1 else ("has", "it")
    return (
        f'{auto_cells:,} of {counted(cells, "cell")} {have} the source "auto": a model drew {them}, so let a person look '
        f"at {them} before you train or score on {them}"
    )
