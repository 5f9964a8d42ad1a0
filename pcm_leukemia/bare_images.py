"""Images without annotations as a `Dataset`: the input of a model."""

from __future__ import annotations

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, InvalidExport, PcmError, Problem
from pcm_leukemia.files import IMAGE_SUFFIXES, Files, is_image_file, open_zip
from pcm_leukemia.images import measure
from pcm_leukemia.schema import Image, Taxonomy
from pcm_leukemia.taxonomy import NINE

__all__ = ["read"]


def read(path: str | Path, taxonomy: Taxonomy = NINE, name: str | None = None) -> Dataset:
    """Read the images in a folder and its subfolders, or in a zip, or a single image file.

    The id of an image is its path below `path`. Hidden files, and files without an image suffix, are
    skipped.

    Parameters
    ----------
    path
        A folder, a zip or an image.
    taxonomy
        The classes that a model predicts.
    name
        The name of the data set; by default that of the folder or file.

    Raises
    ------
    DataNotFound
        If there are no images.
    InvalidExport
        If a file cannot be opened as an image: every one is listed.

    Examples
    --------
    >>> import tempfile
    >>> import PIL.Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     PIL.Image.new("RGB", (64, 48)).save(f"{folder}/a.png")
    ...     ds = read(folder, name="new")
    >>> ds, ds.images[0].width
    (Dataset(new: no patients, 1 image, 0 cells, 9 labels), 64)
    """
    path = Path(path)
    root = path.parent if path.is_file() and not zipfile.is_zipfile(path) else path
    paths = sorted(file for file in _listed(path) if is_image_file(file))
    if not paths:
        raise DataNotFound(
            f"{path}: contains no images ({', '.join(sorted(IMAGE_SUFFIXES))}); name the folder with the images"
        )
    files = Files(root)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda file: _image(files, file), paths))
    problems = [each for each in found if isinstance(each, Problem)]
    if problems:
        raise InvalidExport(problems)
    images = tuple(each for each in found if isinstance(each, Image))
    return Dataset(name or path.stem or "images", taxonomy, images, root=root.absolute())


def _listed(path: Path) -> list[str]:
    if path.is_file():
        if not zipfile.is_zipfile(path):
            return [path.name]
        with open_zip(path) as archive:
            return [member for member in archive.namelist() if not member.endswith("/")]
    if not path.is_dir():
        raise DataNotFound(f"{path}: no such file or folder; name the folder with the images")
    return [
        Path(folder, file).relative_to(path).as_posix()
        for folder, _, files in os.walk(path, followlinks=False)
        for file in files
    ]


def _image(files: Files, file: str) -> Image | Problem:
    try:
        return measure(files, file)
    except PcmError as error:
        return Problem(f'image "{file}"', str(error), "or take it out")
