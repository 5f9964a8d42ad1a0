"""COCO ids of images and categories, for data sets and for the results that refer to them."""

from __future__ import annotations

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import ImageId, Taxonomy

__all__ = ["category_numbers", "image_numbers"]


def image_numbers(ds: Dataset) -> dict[ImageId, int]:
    """Image -> its COCO id, from 1 in the order of the data set, over all parts."""
    return {image.id: number for number, image in enumerate(ds.images, 1)}


def category_numbers(taxonomy: Taxonomy, first_category: int = 1) -> dict[str, int]:
    """Label -> its COCO id, from `first_category` in the order of the taxonomy.

    Raises
    ------
    ValueError
        If `first_category` is neither 1 nor 0.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> category_numbers(NINE)["Other"], category_numbers(NINE, 0)["Other"]
    (9, 8)
    """
    if first_category not in (0, 1):
        raise ValueError(f"first_category {first_category}: must be 1 (COCO) or 0")
    return {label: first_category + index for label, index in taxonomy.ids.items()}
