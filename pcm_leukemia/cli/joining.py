"""The command that joins data sets; nothing is decided here."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from pcm_leukemia import store
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import DATA_HELP, SplitName, WrongUsage, all_there
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.files import CANONICAL, check_target
from pcm_leukemia.joining import concat
from pcm_leukemia.splits import leaks

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command()(decodes_images(join))


@reads_data
def join(
    data: Annotated[list[Path], typer.Argument(metavar="DATA", callback=all_there, help=DATA_HELP)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The canonical folder to write.")],
    *,
    shared_patients: Annotated[
        bool,
        typer.Option(
            "--shared-patients", help="Equal ids of patients are one patient, as in data of one hospital."
        ),
    ] = False,
    extend: Annotated[
        bool,
        typer.Option(
            "--extend", help="Place the images of data without a split; patients already placed stay."
        ),
    ] = False,
    no_splits: Annotated[bool, typer.Option("--no-splits", help="Leave out the splits of the data.")] = False,
    copies: Annotated[
        bool,
        typer.Option(
            "--pixels/--no-pixels", help="Decode every image to look for copies that were saved again."
        ),
    ] = False,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The data set's name; by default that of OUT.")
    ] = None,
    replace_it: Annotated[
        bool, typer.Option("--replace", help="Replace the data set in OUT, even if it has more.")
    ] = False,
    reading: Reading,
    split_name: SplitName = None,
) -> None:
    """Join data sets into one, also into a split that is there.

    The ids of images, patients and groups get the name of their data set. An image that is in several data sets is kept
    together with its copies in every split.
    """
    if extend and no_splits:
        raise WrongUsage(
            "--extend places images in a split, and --no-splits leaves splits out; give one of them"
        )
    if len(data) < 2:
        raise WrongUsage(
            f"join takes two data sets or more, and then OUT; {data[0]} alone is to be joined into {out}"
        )
    check_target(out, CANONICAL)  # before the work
    require_outside(out, *data, reading.images_root)
    if any(out.resolve() == each.resolve() for each in data):
        raise WrongUsage(f"{out}: is one of the data sets to join; name a new folder")
    loaded = reading.load_all(*data, split_name=split_name, progress=True, allow_incomplete_split=True)
    if no_splits:
        loaded = [ds.with_split(None) for ds in loaded]
    elif stale := [each for each, ds in zip(data, loaded, strict=True) if ds.split is None and _splits(each)]:
        raise WrongUsage(
            f"{stale[0]}: its split does not place all images; run first: pcm-leukemia split {stale[0]} --extend, or give "
            "--no-splits"
        )
    ds = concat(
        loaded,
        name or out.absolute().name,
        copies_by="pixels" if copies else "files",
        shared_patients=shared_patients,
        extend=extend,
    )
    store.write(ds, out, replace=replace_it)
    print(f"{out}: {ds!r}")
    _say_shared(loaded, shared_patients=shared_patients)
    if len({each.pseudonym_keys for each in loaded if each.pseudonym_keys}) > 1:
        print(
            "  the data sets have pseudonyms of different keys, so nobody can tell whether they have patients in common"
        )
    _say_split(loaded, ds, out)
    for each, one in zip(data, loaded, strict=True):
        if left := [other for other in _splits(each) if one.split is None or other != one.split.name]:
            print(f"  left out: {'the splits' if left[1:] else 'the split'} {', '.join(left)} of {each}")


def _splits(data: Path) -> list[str]:
    return store.split_names(data) if store.recognises(data) else []


def _say_shared(loaded: list[Dataset], *, shared_patients: bool) -> None:
    people = Counter(patient.id for each in loaded for patient in each.patients)
    both = sum(number > 1 for number in people.values())
    if not both:
        return
    if shared_patients:
        print(f"  {counted(both, 'patient is', 'patients are')} in several data sets")
    else:
        first = min(patient for patient, number in people.items() if number > 1)
        print(
            f'  {counted(both, "id", "ids")} of patients, the first "{first}", are in several data sets, and count as different '
            "patients; if they are not, give --shared-patients"
        )


def _say_split(loaded: list[Dataset], ds: Dataset, out: Path) -> None:
    if ds.split is None:
        return
    counts = Counter(ds.split.part_of.values())
    parts = ", ".join(f"{part} {counts[part]:,}" for part in ds.split.parts)
    placed = sum(len(each.images) for each in loaded if each.split is None)
    new = f"; {counted(placed, 'image was', 'images were')} placed, and none was moved" if placed else ""
    print(f'  split "{ds.split.name}": {parts} images{new}')
    if found := leaks(ds, ds.split):
        print(
            f"  {counted(len(found), 'leak')}, the first: {found[0].problem.where} {found[0].problem.what}; make a split "
            f"without any: pcm-leukemia split {out} --name {ds.split.name} --replace"
        )
