"""Finds images that a model has already learned from, in a data set that may have another name or have been joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import astuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem
from pcm_leukemia.splits import leakage
from pcm_leukemia.splits.leakage import LEARNED_FROM, Leak

__all__ = ["seen"]


def seen(learned: Dataset, scored: Dataset, where: str) -> Iterator[Leak]:
    """Find each image of `scored` that was learned from, or that is tied to one that was.

    Ids are compared within data sets of the same name, since others may use the same ids for something else. Data sets
    that `concat` joined are known by the names they had, on both sides. The same data under another name is known by
    its cells: an image of the same id and size with the same boxes.

    Parameters
    ----------
    learned
        The whole data set that a model was trained on, with its split.
    scored
        What the model is to be scored on.
    where
        What the messages begin with: the run's folder.
    """
    from_these = [image for image in learned.images if learned.part_of(image) in LEARNED_FROM]
    images = _Known(learned.name, [image.id for image in from_these])
    learned_ties = [tie for image in from_these for tie in leakage.ties(image)]
    tied = {
        kind: _Known(learned.name, [tie.id for tie in learned_ties if tie.kind == kind])
        for kind in {tie.kind for tie in learned_ties}
    }
    name = learned.name if _same_data(learned, scored) else scored.name
    for image in scored.images:
        known = [tie for tie in leakage.ties(image) if tie.kind in tied and tied[tie.kind].has(name, tie.id)]
        if images.has(name, image.id):
            what = "it"
        elif known:
            what = f'{known[0].kind} "{known[0].id}"'
        else:
            continue
        problem = Problem(
            f'{where} image "{image.id}"',
            f"the model has learned from {what}",
            "score it on a part, or a data set, that it was not trained on",
        )
        yield Leak("learned-from", (image.id,), (), problem, image.patient, image.group)


class _Known:
    """Ids by their data set's name before them, however often `concat` has put another name before that."""

    def __init__(self, name: str, ids: Iterable[str]) -> None:
        self._whole = {f"{name}/{each}" for each in ids}
        self._ends = {end for whole in self._whole for end in _ends(whole)}
        self._single = {_single(whole) for whole in self._whole}

    def has(self, name: str, each: str) -> bool:
        """Whether an id of a data set of that name is one of them."""
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
