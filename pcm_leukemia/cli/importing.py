"""The command that reads data into a canonical folder: a new one, or one that is there."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import Data, PseudonymsFile, Taxonomies, WrongUsage
from pcm_leukemia.cli.pseudonyms import (
    open_keys,
    require_no_ids_beside_pseudonyms,
    say_pseudonyms,
    warn_of_ids_instead_of_pseudonyms,
    with_pseudonyms,
)
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, counted, some
from pcm_leukemia.files import CANONICAL, check_target, count_unlisted, unlisted
from pcm_leukemia.joining import update
from pcm_leukemia.loading import load_dataset
from pcm_leukemia.progress import bars_of_readers
from pcm_leukemia.schema import Image, Split
from pcm_leukemia.sources import split_name
from pcm_leukemia.splits import leaks

__all__ = ["add_to"]

_SHOWN = 12
"""At most this many patients are printed."""


def add_to(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command("import")(decodes_images(import_))


@reads_data
def import_(
    export: Data,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The canonical folder to write.")],
    *,
    reading: Reading,
    pseudonyms: PseudonymsFile = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The data set's name; by default that of OUT, or of the public data set."
        ),
    ] = None,
    update_it: Annotated[
        bool,
        typer.Option("--update", help="Bring corrected images into the data set in OUT, and keep the rest."),
    ] = False,
    replace_it: Annotated[
        bool,
        typer.Option("--replace", help="Replace the data set in OUT, even if it has more than DATA."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the patients and everything else that is printed, and write nothing."
        ),
    ] = False,
) -> None:
    """Read an export or a public data set into a canonical folder.

    The data are checked first. Another canonical folder is copied with its splits, and its tables are taken as they
    are, even if they were edited by hand. A data set that is in OUT already keeps its splits, and must not lose images,
    patients or diagnoses, unless --replace says so.
    """
    from pcm_leukemia import store
    from pcm_leukemia.checks import find_personal_data
    from pcm_leukemia.patients import merge, warn_of_doubts, with_diagnoses

    if update_it and replace_it:
        raise WrongUsage("--update keeps what --replace gives up; give one of them")
    if update_it and not store.recognises(out):
        raise WrongUsage(f"{out}: holds no data set to update; leave out --update")
    check_target(out, CANONICAL)  # before the work
    keys = open_keys(pseudonyms, out, replace=replace_it) if pseudonyms else None
    before = store.read(out, with_split=False) if update_it else None
    options = reading.arguments
    if before:
        options = {"taxonomy": before.taxonomy} | options
        for later in ("patients_same", "diagnoses"):  # below, also with the patients that are there
            options.pop(later, None)
    read = ds = _read(export, before.name if before else out.absolute().name, options, name=name)
    if before:
        known = [*keys.patient_of.values(), *keys.patient_of] if keys else before
        ds = merge(ds, reading.same_people, known=known)
        if reading.diagnoses:
            ds = with_diagnoses(ds, reading.diagnoses, same=reading.same_people)
        read = ds
    copied = export if store.recognises(export) and not update_it else None
    splits: dict[str, Any] = {"splits_of": copied}
    if keys:
        ds, brought = with_pseudonyms(ds, keys, reading, splits_of=copied)
        splits = {"more_splits": brought}
    elif replace_it:
        warn_of_ids_instead_of_pseudonyms(ds, out)
    else:
        require_no_ids_beside_pseudonyms(ds, out)
    if before:
        declared = reading.taxonomy is Taxonomies.declared
        ds = replace(update(before, ds, taxonomy="declared" if declared else None), name=name or before.name)
    if before or not (reading.people or keys):  # otherwise whoever assigned the patients has warned
        warn_of_doubts(ds)
    if (keys or dry_run) and not (replace_it or update_it):
        store.check_losses(ds, out, **splits)
    new_key = keys is not None and keys.is_new
    if not dry_run:
        if keys:
            keys.save()  # before the data that need it
        store.write(ds, out, replace=replace_it or update_it, **splits)
    for found in find_personal_data(ds):
        warnings.warn(f"{ds.name}: {found}", DataWarning, stacklevel=2)
    _say_imported(read, ds, out, before=before, splits_of=copied, public=bool(split_name(export)))
    if keys:
        say_pseudonyms(keys, out, new_key=new_key, dry_run=dry_run)
    if dry_run:
        print("nothing was written; leave out --dry-run to write it")


def _read(export: Path, usual_name: str, options: dict[str, Any], *, name: str | None) -> Dataset:
    """Read what is imported; a canonical folder is taken as it is, and the options of other formats are refused for it."""
    from pcm_leukemia import store
    from pcm_leukemia.patients import assign

    if not store.recognises(export):
        usual = None if split_name(export) else usual_name
        return load_dataset(export, name=name or usual, progress=True, **options)
    if options.keys() & {"clip", "variant", "rows"}:
        raise WrongUsage(f"{export}: is a canonical folder; --clip, --variant and --rows are for other data")
    people, same, diagnoses = (options.pop(each, None) for each in ("patients", "patients_same", "diagnoses"))
    with bars_of_readers(shown=True):
        ds = store.read(export, with_split=False, verify=False, check_images=True, **options)
    ds = replace(ds, name=name or ds.name)
    return assign(ds, people, same=same, diagnoses=diagnoses)


def _say_imported(
    read: Dataset, ds: Dataset, out: Path, *, before: Dataset | None, splits_of: Path | None, public: bool
) -> None:
    """Print what is in `out` now; `read` is what was read, before an update."""
    from pcm_leukemia import store

    print(f"{out}: {ds!r}")
    _say_patients(ds, public=public)
    if before:
        _say_updated(before, read, ds, out)
    if not any(image.file for image in ds.images):
        print("  annotations only: no image file was found; name their folder with --images-root")
    elif read.root and not public:  # a public data set has files that its authors left out
        _say_unlisted(read)
    if splits_of and splits_of.resolve() != out.resolve():
        print(f"  splits: {', '.join(store.split_names(splits_of)) or 'none'}")
    elif ds.split and not before:
        _say_split(ds, ds.split, out)
    _say_ignored(ds)


def _say_patients(ds: Dataset, *, public: bool) -> None:
    """Print each patient with its images and diagnosis, or the first ones: a wrong pattern shows here at a glance."""
    if not ds.patients:
        if not public:  # of which no more is known
            print(
                "  no patients, which a split needs: import again with --patients, --patients-csv, --patients-tag or "
                "--patients-attribute, which say where their ids are"
            )
        return
    images = Counter(image.patient for image in ds.images)
    unknown = f", and {counted(images[None], 'image')} of unknown patients" if images[None] else ""
    print(f"  {counted(len(ds.patients), 'patient')}{unknown}:")
    lines = (
        f'    "{patient.id}": {counted(images[patient.id], "image")}, {patient.diagnosis or "no diagnosis"}'
        for patient in ds.patients
    )
    print(some(lines, _SHOWN).replace("\n...", "\n    ..."))


def _say_updated(before: Dataset, read: Dataset, after: Dataset, out: Path) -> None:
    """Print what the images that were read changed in the data set, and what they say of patients."""

    def content(ds: Dataset, image: Image) -> object:
        one = ds.image(image.id)
        return ds.cells_of(image), one.tags, one.patient, one.diagnosis, one.group, one.annotation_state

    changed = sum(content(before, image) != content(after, image) for image in before.images)
    added = len(after.images) - len(before.images)
    same = len(read.images) - changed - added
    print(
        f"  {counted(len(read.images), 'image')} read: {changed:,} changed, {added:,} new, {same:,} the same"
    )
    known = {patient.id: patient.diagnosis for patient in before.patients}
    diagnoses = sum(patient.diagnosis != known.get(patient.id) for patient in after.patients)
    print(
        f"  {counted(len(after.patients) - len(known), 'new patient')}, "
        f"{counted(diagnoses, 'new diagnosis', 'new diagnoses')}"
    )
    if added:
        print(f"  place the new images in a split: pcm-leukemia split {out} --extend")


def _say_split(ds: Dataset, split: Split, out: Path) -> None:
    images = Counter(split.part_of.values())
    counts = ", ".join(f"{part} {images[part]:,}" for part in split.parts)
    said = f'split "{split.name}" came with the data: {counts} images'
    apart = {leak.patient for leak in leaks(ds, split)} - {None}
    if apart:
        are = "patients are" if len(apart) > 1 else "patient is"
        said += f"; {len(apart):,} {are} in several parts, so make one by patient: pcm-leukemia split {out} --replace"
    print(f"  {said}")


def _say_unlisted(ds: Dataset) -> None:
    assert ds.root is not None
    files = unlisted(ds.root, [image.file for image in ds.images if image.file])
    if files:
        print(f"  {count_unlisted(files)}")


def _say_ignored(ds: Dataset) -> None:
    if ds.untyped:
        cells = counted(ds.untyped, "white cell is", "white cells are")
        print(f"  {cells} of unknown type: WBC in the task wbc, and otherwise ignored")
    if ds.ignored:
        print(
            f"  {counted(ds.ignored, 'cell is', 'cells are')} to be ignored: they are kept, and written for CVAT alone"
        )
