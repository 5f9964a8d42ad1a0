"""Writes a canonical folder, and refuses to overwrite a data set that has more."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pcm_leukemia import splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataLoss, PcmError, either
from pcm_leukemia.files import CACHE, CANONICAL, HEADER, Report, counts, new_folder
from pcm_leukemia.schema import Split
from pcm_leukemia.store.header import header_of, recognises
from pcm_leukemia.store.losses import require_no_loss
from pcm_leukemia.store.reader import read
from pcm_leukemia.store.split_files import read_split, split_file, split_names
from pcm_leukemia.store.tables import cell_row, image_row, write_table

__all__ = ["check_losses", "write"]


def write(
    ds: Dataset,
    out: str | Path,
    *,
    replace: bool = False,
    splits_of: str | Path | None = None,
    more_splits: Iterable[Split] = (),
) -> Report:
    """Write `ds` as a canonical folder.

    When a folder is overwritten, its splits are kept, except those that `ds` and `splits_of` bring under the same
    name. To bring corrected images into a data set, write what `update` returns.

    Parameters
    ----------
    ds
        The data set; its split, if it has one, becomes ``splits/<name>.csv``.
    out
        A new folder, or a canonical folder to overwrite.
    replace
        Whether a data set in `out` may lose what `ds` lacks: images, patients, diagnoses, groups, and images that its
        splits place.
    splits_of
        A canonical folder whose splits are copied.
    more_splits
        Further splits of `ds`.

    Raises
    ------
    DataLoss
        If the data set in `out` would lose anything and `replace` is false.
    ExportError
        If `out` holds something else, or cannot be written.
    """
    out, more_splits = Path(out), list(more_splits)
    copied = _copied_splits(splits_of, out)
    if not replace:
        check_losses(ds, out, splits_of=splits_of, more_splits=more_splits)
    with new_folder(out, CANONICAL) as folder:
        write_table(folder, "patients.csv", ((p.id, p.diagnosis or "") for p in ds.patients))
        write_table(folder, "images.csv", map(image_row, ds.images))
        write_table(folder, "cells.csv", map(cell_row, ds.cells))
        if (out / "splits").is_dir():
            shutil.copytree(out / "splits", folder / "splits")
        (folder / "splits").mkdir(exist_ok=True)
        _take_cache_along(out, folder)
        for name in copied:
            shutil.copyfile(split_file(Path(str(splits_of)), name), split_file(folder, name))
        for split in (*more_splits, *([ds.split] if ds.split else [])):
            splits.write(split, split_file(folder, split.name), ds)
        header = header_of(ds, folder, out)
        text = json.dumps(header, indent=1, ensure_ascii=False) + "\n"
        (folder / HEADER).write_text(text, encoding="utf-8")
    return _report(ds, out)


def check_losses(
    ds: Dataset,
    out: str | Path,
    *,
    splits_of: str | Path | None = None,
    more_splits: Iterable[Split] = (),
) -> None:
    """Refuse to write `ds` over a data set that would lose anything, as `write` does; nothing is written.

    Parameters
    ----------
    ds
        The data set.
    out
        A folder; there is nothing to lose in one that holds no data set.
    splits_of
        A canonical folder whose splits would be copied.
    more_splits
        Further splits of `ds` that would be written.

    Raises
    ------
    DataLoss
        If the data set in `out` has what `ds` lacks, or a split that would become another.
    """
    out = Path(out)
    if not recognises(out):
        return
    brought = {name: read_split(str(splits_of), name) for name in _copied_splits(splits_of, out)}
    brought |= {split.name: split for split in more_splits}
    try:
        before = read(out, with_split=False, verify=False)
        there = {name: read_split(out, name) for name in split_names(out)}
    except PcmError as error:
        first = str(error).splitlines()[0]
        raise DataLoss(
            f"{out}: holds a data set that cannot be read, so what would be lost is unknown ({first}); "
            + either("pass replace=True to replace it", "--replace replaces it")
        ) from error
    require_no_loss(str(out), before, ds, there, brought)


def _copied_splits(splits_of: str | Path | None, out: Path) -> list[str]:
    """The names of the splits to be copied; those of `out` itself stay where they are."""
    return [] if splits_of is None or Path(splits_of).resolve() == out.resolve() else split_names(splits_of)


def _take_cache_along(out: Path, folder: Path) -> None:
    """Keep what `check` knows of image files; those that it cannot take along are read again by the next check."""
    there = out / CACHE
    if there.is_dir() and not there.is_symlink():
        with suppress(OSError):
            shutil.copytree(there, folder / CACHE, ignore=shutil.ignore_patterns("*.writing-*"))


def _report(ds: Dataset, out: Path) -> Report:
    parts = {image.id: ds.part_of(image) for image in ds.images}
    cells = counts((parts[cell.image], cell.written_label) for cell in ds.cells)
    return Report(CANONICAL, out, dict(Counter(parts.values())), cells)
