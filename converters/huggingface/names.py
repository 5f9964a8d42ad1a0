"""Split names for the parts of a data set that `datasets` and every file system accept."""

from __future__ import annotations

import re

from pcm_leukemia.dataset import Dataset

__all__ = ["split_names"]

_RESERVED = ("all",)
"""The name that `datasets` reserves for all splits together."""


def split_names(ds: Dataset) -> dict[str, str]:
    """Part -> split name: "val" becomes "validation"; data without a split become "train".

    In other names, characters except letters, digits and underscores become "_"; a number is added if two
    names are then equal.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId, Split
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, tuple(Image(ImageId(f"{n}.png"), 64, 64) for n in "abc"))
    >>> split_names(ds)
    {'all': 'train'}
    >>> parts = {ImageId("a.png"): "val", ImageId("b.png"): "fold-1", ImageId("c.png"): "fold 1"}
    >>> split_names(ds.with_split(Split("demo", parts)))
    {'val': 'validation', 'fold 1': 'fold_1', 'fold-1': 'fold_1_2'}
    """
    if ds.split is None:
        return dict.fromkeys(ds.parts, "train")
    names: dict[str, str] = {}
    taken = {name.casefold() for name in _RESERVED}
    for part in ds.parts:
        name = "validation" if part == "val" else re.sub(r"[^A-Za-z0-9_]", "_", part)
        number, free = 1, name
        while free.casefold() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.casefold())
        names[part] = free
    return names
