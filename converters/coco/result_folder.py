"""A folder with COCO results and the images that they are about, as `pcm-leukemia predict` writes it.

::

    results.json    the predictions
    images.json     the images and categories that their numbers refer to, with what is known of each image: patient,
                    diagnosis, group, and the digest of its file
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from pcm_leukemia.converters.coco.numbers import category_numbers, image_numbers
from pcm_leukemia.converters.coco.refused import BAD_ROW
from pcm_leukemia.converters.coco.result_images import IMAGES
from pcm_leukemia.converters.coco.results import Result, read_results, result_rows
from pcm_leukemia.converters.coco.rows import image_of
from pcm_leukemia.converters.coco.writer import image_row
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, PcmError
from pcm_leukemia.files import BAD_CONTENT
from pcm_leukemia.schema import Image, ImageId, Patient
from pcm_leukemia.taxonomy import taxonomy_with

__all__ = ["read_result_folder", "write_results"]

_RESULTS = "results.json"


class _Category(msgspec.Struct):
    id: int
    name: str


class _Listed(msgspec.Struct):
    """The content of images.json."""

    images: list[dict[str, Any]]
    categories: list[_Category]
    info: dict[str, Any] = {}


def write_results(results: Iterable[Result], ds: Dataset, folder: Path) -> None:
    """Write ``results.json``, and ``images.json`` with the images and categories that its ids refer to."""
    categories = [{"id": number, "name": label} for label, number in category_numbers(ds.taxonomy).items()]
    contents = {
        _RESULTS: result_rows(results, ds),
        IMAGES: {
            "info": {"description": ds.name},
            "images": [_row(ds, image, number) for number, image in enumerate(ds.images, 1)],
            "categories": categories,
            "annotations": [],
        },
    }
    for name, content in contents.items():
        text = json.dumps(content, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def _row(ds: Dataset, image: Image, number: int) -> dict[str, Any]:
    bare = replace(image, annotation_state="complete")  # it says something of annotations, not of predictions
    row: dict[str, Any] = msgspec.to_builtins(image_row(bare, number, ds.patient_of(image)))
    return {**row, "digest": image.digest} if image.digest else row


def read_result_folder(folder: str | Path) -> tuple[Dataset, list[Result]]:
    """Read the images, without cells, and the predictions that `write_results` wrote.

    Raises
    ------
    DataNotFound
        If a file is not there.
    CorruptFile
        If ``images.json`` is not what `write_results` wrote.
    InvalidExport
        If a prediction is invalid: every one is listed.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia import NINE, Patient
    >>> ds = Dataset("ward", NINE, (Image(ImageId("a.png"), 90, 60, "P1"),), patients=(Patient("P1", "ALL"),))
    >>> with tempfile.TemporaryDirectory() as out:
    ...     write_results([Result(ImageId("a.png"), "Monocyte", (1, 2, 30, 40), 0.9)], ds, Path(out))
    ...     again, results = read_result_folder(out)
    >>> again.patients[0].diagnosis, results[0].label
    ('ALL', 'Monocyte')
    """
    path = Path(folder) / IMAGES
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=_Listed)
        images = tuple(_image(row) for row in listed.images)
        patients = {
            image.patient: row.get("diagnosis")
            for image, row in zip(images, listed.images, strict=True)
            if image.patient is not None
        }
        ds = Dataset(
            str(listed.info.get("description") or Path(folder).name),
            taxonomy_with(tuple(each.name for each in listed.categories)),
            images,
            patients=tuple(Patient(patient, diagnosis) for patient, diagnosis in patients.items()),
        )
    except OSError as error:
        raise DataNotFound(
            f"{path}: cannot be read ({error.strerror}); give a folder that `pcm-leukemia predict` wrote"
        ) from error
    except (*BAD_ROW, *BAD_CONTENT, PcmError) as error:
        raise CorruptFile(
            f"{path}: is not what `pcm-leukemia predict` wrote ({error}); predict again"
        ) from error
    numbers = ([row.get("id") for row in listed.images], [each.id for each in listed.categories])
    if numbers != (list(image_numbers(ds).values()), list(category_numbers(ds.taxonomy).values())):
        raise CorruptFile(f"{path}: images or categories are not numbered from 1; predict again")
    return ds, read_results(Path(folder) / _RESULTS, ds)


def _image(row: dict[str, Any]) -> Image:
    image = image_of(row, ImageId(row["file_name"]), (row["width"], row["height"]))
    return replace(image, digest=row.get("digest"))
