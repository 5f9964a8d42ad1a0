"""Whether results are about the images of a data set: `images.json`, beside the results, lists what they were predicted on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pcm_leukemia.converters.coco.numbers import category_numbers, image_numbers
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, InvalidExport, Problem, counted
from pcm_leukemia.files import path_ends
from pcm_leukemia.schema import Image

__all__ = ["IMAGES", "require_images"]

IMAGES = "images.json"


class _Row(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int
    digest: str | None = None


class _Category(msgspec.Struct):
    id: int
    name: str


class _Listed(msgspec.Struct):
    images: list[_Row]
    categories: list[_Category] = []


def require_images(results: Path, ds: Dataset, *, first_category: int) -> bool:
    """Refuse the results of other images, or with other classes, than the numbers in them mean in a data set.

    An image is the same if its file has the same digest; where a digest is missing, if it has the same size and either path
    ends with the other.

    Returns
    -------
    bool
        Whether there is an ``images.json`` beside the results.

    Raises
    ------
    InvalidExport
        If an image or a category that ``images.json`` lists is another one in the data set.
    CorruptFile
        If ``images.json`` does not list images.
    DataNotFound
        If it must not be read.
    """
    listed = _read(results.with_name(IMAGES))
    if listed is None:
        return False
    numbered = {number: ds.image(image) for image, number in image_numbers(ds).items()}
    others = [row for row in listed.images if not _same(row, numbered.get(row.id))]
    if others:
        here = numbered.get(others[0].id)
        found = f"{_shown(here.id, here)} in {ds.name}" if here else f"not in {ds.name}"
        what = f"{len(others):,} of its {counted(len(listed.images), 'image')} are others: number {others[0].id:,} is "
        what += f"{_shown(others[0].file_name, others[0])}, and {found}"
        raise InvalidExport([Problem(str(results), what, "give the data that were predicted")])
    labels = {number: label for label, number in category_numbers(ds.taxonomy, first_category).items()}
    for category in listed.categories:
        if labels.get(category.id) != category.name:
            found = f'"{labels[category.id]}"' if category.id in labels else "no class"
            what = f'its class {category.id} is "{category.name}", and {found} in {ds.name}'
            fix = "read the data with the classes that were predicted"
            raise InvalidExport([Problem(str(results), what, fix)])
    return True


def _read(path: Path) -> _Listed | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Listed)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataNotFound(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptFile(
            f"{path}: does not list images ({error}); predict again, or move it away from the results"
        ) from error


def _same(row: _Row, image: Image | None) -> bool:
    if image is None:
        return False
    if row.digest and image.digest:
        return row.digest == image.digest
    names = {row.file_name, image.id}
    ends = names <= set(path_ends(row.file_name)) or names <= set(path_ends(image.id))
    return ends and (row.width, row.height) == (image.width, image.height)


def _shown(name: str, sized: _Row | Image) -> str:
    return f'"{name}" ({sized.width} x {sized.height})'
