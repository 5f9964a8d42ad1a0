"""Draws a frame of a data set with its cells."""

from __future__ import annotations

import PIL.Image

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing.boxes import draw, of_cells
from pcm_leukemia.errors import nearest
from pcm_leukemia.files import ImageNames
from pcm_leukemia.images import files_of, load
from pcm_leukemia.schema import Image

__all__ = ["image_named", "show"]


def show(ds: Dataset, image: Image | str, *, cells: bool = True, width: int | None = None) -> PIL.Image.Image:
    """Draw a frame; see `Dataset.show`."""
    frame = image_named(ds, image, "show")
    pixels = load(files_of(ds), frame)
    return draw(pixels, of_cells(ds.cells_of(frame)) if cells else (), width=width)


def image_named(ds: Dataset, image: Image | str, where: str) -> Image:
    """The image with this id, name, or end of its path.

    Raises
    ------
    ValueError
        If no image of the data can be meant, or several.
    """
    given = image.id if isinstance(image, Image) else image
    by_id = {each.id: each for each in ds.images}
    found = [given] if given in by_id else ImageNames(ds.images).find(given)
    if len(found) > 1:
        raise ValueError(
            f'{where}: "{given}" can be {len(found):,} images of {ds.name}, for example "{found[0]}"; '
            "give more of its path"
        )
    if not found:
        raise ValueError(
            f'{where}: image "{given}" is not in {ds.name}{nearest(given, by_id)}; give the id of an image'
        )
    return by_id[found[0]]  # type: ignore[index]
