"""Reads a canonical folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pcm_leukemia.classes import in_classes
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, InvalidDataset, Problem
from pcm_leukemia.files import HEADER, no_images
from pcm_leukemia.remote import Place, is_url, place_of
from pcm_leukemia.schema import Patient, PatientId, Taxonomy
from pcm_leukemia.store.header import read_header, require_unchanged
from pcm_leukemia.store.split_files import with_chosen_split
from pcm_leukemia.store.tables import Tables, cell_of, image_of

__all__ = ["read"]


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    images_root: str | Place | None = None,
    check_images: bool = False,
    split_name: str | None = None,
    with_split: bool = True,
    allow_incomplete_split: bool = False,
    verify: bool = True,
) -> Dataset:
    """Read a canonical folder.

    Parameters
    ----------
    path
        The folder.
    taxonomy
        The classes; by default, and with "declared", those of the folder.
    labels
        Class of the folder -> class of the data or of the nine, "WBC" (a white cell of unknown type) or "ignore"; also a new class with
        ``taxonomy="declared"``.
    images_root
        The folder or zip with the images, or its URL, if they have moved.
    check_images
        Whether to compare every image file with its row, as for `images_root`, and to record its digest.
    split_name
        The split to use; by default the only one, or the one called "official".
    with_split
        Whether to read a split at all.
    allow_incomplete_split
        Whether a split that does not place every image is left out, with a warning, if `split_name` does not name it.
    verify
        Whether to compare the tables with their checksums. Otherwise, tables that were edited by hand are
        accepted if they still fit together.

    Raises
    ------
    DataNotFound
        If `path` is not a canonical folder, or the images are compared and their folder or zip does not exist.
    CorruptFile
        If a table was changed after it was written, or its version is newer than this package.
    InvalidDataset
        If rows cannot be read, or contradict each other, or images are not at `images_root`.
    UnknownLabel
        If cells have a label that is not a class of `taxonomy`.
    UnknownPart
        If the named split does not exist; or if there are several splits, no name is given and none is called "official".
    MissingPart
        If the split does not place every image.

    Warns
    -----
    IncompleteSplit
        If a split that does not place every image is left out.
    """
    path = Path(path)
    header = read_header(path)
    if verify:
        require_unchanged(path, header)
    rows = Tables(path, header.schema_version)
    ds = Dataset(
        header.name,
        header.taxonomy,
        tuple(rows.read("images.csv", image_of)),
        tuple(rows.read("cells.csv", cell_of)),
        tuple(rows.read("patients.csv", lambda row: Patient(PatientId(row[0]), row[1] or None))),
        root=_root(path, header.images_root) if header.images_root else None,
        pseudonym_keys=header.pseudonym_keys,
    )
    if images_root is not None or check_images:
        from pcm_leukemia.images import compare_files, find_at

        images, root, problems = ds.images, ds.root, list[Problem]()
        if images_root is not None:
            images, root, problems = find_at(ds.images, images_root)
        elif root is not None:
            if not root.exists():
                raise no_images(root)
            images, problems = compare_files(ds.images, root)
        if problems:
            raise InvalidDataset(problems)
        ds = dataclasses.replace(ds, images=images, root=root)
    ds = in_classes(ds, taxonomy, labels)
    if not with_split:
        return ds
    return with_chosen_split(ds, path, split_name, allow_incomplete=allow_incomplete_split)


def _root(path: Path, images_root: str) -> Place:
    """The folder, zip or URL with the images; it may have moved, but its path must be one."""
    if is_url(images_root):
        return place_of(images_root)
    root = Path(os.path.normpath(path.resolve() / images_root))
    try:
        root.exists()
    except (OSError, ValueError) as error:
        what = f"its images_root is not a path ({getattr(error, 'strerror', None) or error})"
        raise CorruptFile(f"{path / HEADER}: {what}; import the export again") from error
    return root
