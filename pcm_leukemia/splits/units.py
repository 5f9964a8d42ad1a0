"""What stays together: `unit_of` for a split by patient, `draw_keys` for a draw of single images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.grouping import groups
from pcm_leukemia.schema import Image, ImageId, PatientId
from pcm_leukemia.splits import leakage
from pcm_leukemia.splits.leakage import Tie

__all__ = ["DrawKey", "draw_keys", "unit_of"]

_GROUP = "\0"


def unit_of(ds: Dataset, *, same_file: bool = False) -> dict[ImageId, PatientId]:
    """The unit of every image that has a tie: what no split may separate, named after a patient where it has one.

    Patients who share a group are one unit: separating them would separate the group. With `same_file`, so are patients
    who share a file (`Image.digest`).

    Examples
    --------
    >>> from pcm_leukemia.schema import Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = Patient(PatientId("P1")), Patient(PatientId("P2"))
    >>> images = (
    ...     Image(ImageId("a.png"), 64, 64, PatientId("P1"), group="cell 7"),
    ...     Image(ImageId("b.png"), 64, 64, PatientId("P2")),
    ...     Image(ImageId("c.png"), 64, 64, group="cell 7"),
    ... )
    >>> unit_of(Dataset("demo", NINE, images, patients=people))
    {'a.png': 'P1', 'b.png': 'P2', 'c.png': 'P1'}
    """
    more = _same_file(ds) if same_file else lambda _: ()
    return _units({image.id: (*leakage.ties(image), *more(image)) for image in ds.images})


class DrawKey(NamedTuple):
    """What decides the draw of an image: the name of what it is `tied` to, or else its own id."""

    key: str
    tied: bool


def draw_keys(ds: Dataset) -> dict[ImageId, DrawKey]:
    """What decides the draw of each image where single images are drawn: images of one key stay together.

    The patient does not count: this is for draws that may separate the images of a patient. Images with the same file
    (`Image.digest`) have one key.
    """
    same_file = _same_file(ds)
    closer = {
        image.id: (*(tie for tie in leakage.ties(image) if tie.kind != "patient"), *same_file(image))
        for image in ds.images
    }
    units = _units(closer)
    return {
        image: DrawKey(units[image].removeprefix(_GROUP), tied=True)
        if image in units
        else DrawKey(image, tied=False)
        for image in closer
    }


def _same_file(ds: Dataset) -> Callable[[Image], tuple[Tie, ...]]:
    """What ties an image to others with the same file; nothing if there are none."""
    times = Counter(image.digest for image in ds.images)
    return lambda image: (
        (Tie("group", f"file {image.digest}"),) if image.digest and times[image.digest] > 1 else ()
    )


def _units(ties_of: Mapping[ImageId, tuple[Tie, ...]]) -> dict[ImageId, PatientId]:
    """The unit of every image with a tie, named after the last of its ties; patients come after groups."""
    names = {image: [_unit_name(tie) for tie in tied] for image, tied in ties_of.items() if tied}
    unit: dict[str, str] = {}
    for together in groups(pair for tied in names.values() for pair in pairwise(tied)):
        unit |= dict.fromkeys(together, max(together))
    return {image: PatientId(unit.get(tied[0], tied[0])) for image, tied in names.items()}


def _unit_name(tie: Tie) -> str:
    """The patient's id, or a group's name after a character that no patient's id begins with and that sorts first."""
    return tie.id if tie.kind == "patient" else f"{_GROUP}{tie.id}"
