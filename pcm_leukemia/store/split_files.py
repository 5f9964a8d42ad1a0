"""The split files of a canonical folder."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from pcm_leukemia import splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import IncompleteSplit, MissingPart, UnknownPart, WrongTarget, either, option
from pcm_leukemia.files import new_file
from pcm_leukemia.schema import Split

__all__ = ["add_split", "chosen_split", "read_split", "split_file", "split_names", "with_chosen_split"]

OFFICIAL = "official"
"""The split to read if a folder has several and no name is given."""


def split_names(path: str | Path) -> list[str]:
    """The names of the splits in a canonical folder."""
    return sorted(file.stem for file in (Path(path) / "splits").glob("*.csv"))


def read_split(path: str | Path, name: str) -> Split:
    """One split of a canonical folder; raises UnknownPart if it does not exist."""
    names = split_names(path)
    if name not in names:
        raise UnknownPart(f'{path}: has no split "{name}"; it has: {", ".join(names) or "none"}')
    return splits.read(split_file(Path(path), name), name)


def add_split(path: str | Path, split: Split, ds: Dataset) -> Path:
    """Write one split of `ds` into its canonical folder, in one step, and return the file's path."""
    file = split_file(Path(path), split.name)
    file.parent.mkdir(exist_ok=True)
    with new_file(file) as work:
        splits.write(split, work, ds)
    return file


def split_file(path: Path, name: str) -> Path:
    """The file of a split; raises WrongTarget if its name cannot be a file name."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise WrongTarget(f'split "{name}": cannot be a file name; use letters, digits, "-", "_" and "."')
    return path / "splits" / f"{name}.csv"


def chosen_split(path: Path, name: str | None) -> Split | None:
    """The named split of a canonical folder; without a name the only one, or the one called "official"; None if it has none."""
    names = split_names(path)
    if name is None:
        if not names:
            return None
        if OFFICIAL not in names and len(names) > 1:
            raise UnknownPart(
                f"{path}: has the splits {', '.join(names)}; choose one: {option('split_name')}, or name one {OFFICIAL}"
            )
        name = OFFICIAL if OFFICIAL in names else names[0]
    return read_split(path, name)


def with_chosen_split(ds: Dataset, path: Path, name: str | None, *, allow_incomplete: bool) -> Dataset:
    """Give `ds` its split; an incomplete one that nobody named is left out, with a warning, if `allow_incomplete` says so."""
    split = chosen_split(path, name)
    if split is None:
        return ds
    new = sum(image.id not in split.part_of for image in ds.images)
    if not new:
        return ds.with_split(split)
    what = f'{new:,} of {len(ds.images):,} images are in no part of split "{split.name}"'
    named = "" if split.name == OFFICIAL else f" --name {split.name}"
    fix = "place them" + either(" with splits.extend", f": pcm-leukemia split {path}{named} --extend")
    if name is not None or not allow_incomplete:
        raise MissingPart(f"{path}: {what}; {fix}")
    warnings.warn(f"{path}: {what}, so it is left out; {fix}", IncompleteSplit, stacklevel=3)
    return ds
