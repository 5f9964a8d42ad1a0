"""Whether a model has learned from what it is to be scored on, under whatever names data sets were joined since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import astuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem

__all__ = ["LEARNED_FROM", "problems"]

LEARNED_FROM = ("train", "val")
"""The parts that training looks at."""


def problems(learned: Dataset, scored: Dataset, where: str) -> Iterator[Problem]:
    """Name each image of `scored` that was learned from, or whose patient or group was.

    `learned` is the whole data set of the run that `where` names, with its split.
    """
    seen = [image for image in learned.images if learned.part_of(image) in LEARNED_FROM]
    images = _Known(learned.name, [image.id for image in seen])
    patients = _Known(learned.name, [image.patient for image in seen])
    groups = _Known(learned.name, [image.group for image in seen])
    name = learned.name if _same_data(learned, scored) else scored.name
    for image in scored.images:
        if images.has(name, image.id):
            what = "it"
        elif patients.has(name, image.patient):
            what = f'patient "{image.patient}"'
        elif groups.has(name, image.group):
            what = f'group "{image.group}"'
        else:
            continue
        yield Problem(
            f'{where} image "{image.id}"',
            f"the model has learned from {what}",
            "score it on a part, or a data set, that it was not trained on",
        )


class _Known:
    """Ids by their data set's name before them, however often `concat` has put another name before that."""

    def __init__(self, name: str, ids: Iterable[str | None]) -> None:
        self._whole = {f"{name}/{each}" for each in ids if each is not None}
        self._ends = {end for whole in self._whole for end in _ends(whole)}
        self._single = {_single(whole) for whole in self._whole}

    def has(self, name: str, each: str | None) -> bool:
        """Whether an id of a data set of that name is one of them."""
        if each is None:
            return False
        whole = f"{name}/{each}"
        return (
            whole in self._ends  # "lmu/a.png" was learned as "here+lmu/lmu/a.png"
            or not self._whole.isdisjoint(_ends(whole))  # and the other way round
            or _single(whole) in self._single  # "here+lmu/lmu/a.png" as "there+lmu/lmu/a.png"
        )


def _same_data(one: Dataset, other: Dataset) -> bool:
    """Whether an image of both has the same cells in it; a box that is the whole image says nothing."""
    theirs = {image.id: image for image in other.images}
    for image in one.images:
        twin = theirs.get(image.id)
        if twin is None or (image.width, image.height) != (twin.width, twin.height):
            continue
        whole = (0, 0, image.width, image.height)
        here, there = (sorted(astuple(cell.box) for cell in ds.cells_of(image.id)) for ds in (one, other))
        if here == there and any(box != whole for box in here):
            return True
    return False


def _ends(path: str) -> Iterator[str]:
    """The path, and what is left of it after each slash."""
    while path:
        yield path
        path = path.partition("/")[2]


def _single(path: str) -> str:
    """The path without the names that `concat` gives to what it joins: "a+b/a/1.png" is "a/1.png"."""
    while "+" in path.partition("/")[0]:
        path = path.partition("/")[2]
    return path
