"""Finds images that a model has already learned from, in a data set that may have another name or have been joined.

An image is known by its file: equal digests are the same image, whatever its name, and different digests are different
images, even under one name. Names decide only where a digest is missing.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import astuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, Problem, counted, either
from pcm_leukemia.files import Files, path_ends
from pcm_leukemia.schema import Image
from pcm_leukemia.splits import leakage
from pcm_leukemia.splits.leakage import LEARNED_FROM, Leak, Tie

__all__ = ["seen"]

_ENOUGH = 10
"""So many pairs of files are compared whole; if they are equal, digests are trusted for the others."""

_ELSEWHERE = "score it on a part, or a data set, that it was not trained on"


def seen(learned: Dataset, scored: Dataset, where: str) -> Iterator[Leak]:
    """Find each image of `scored` that was learned from, or that is tied to one that was.

    An image with the digest of one that was learned from is the same image. Where one of them has no digest, ids are
    compared, within data sets of the same name, since others may use the same ids for something else. Data sets that
    `concat` joined are known by the names they had, on both sides. Where images of the same id have the same boxes in
    both and other files, the data were saved again, and ids decide.

    Patients and groups are compared by their ids within data sets of the same name. Data sets of other names are of one
    source if they share an image: then the ids of patients are compared if the shared images have the same ones in
    both, and two ids of the patient of one image are one patient.

    Parameters
    ----------
    learned
        The whole data set that a model was trained on, with its split.
    scored
        What the model is to be scored on.
    where
        What the messages begin with: the run's folder.

    Warns
    -----
    DataWarning
        If images have no digest of their file, so that renamed ones are not recognised; or if a file is both among those
        that were learned from and among those that the split of `learned` has held out.
    """
    known = _Comparison(learned, scored)
    for image in scored.images:
        found = known.learned_from(image)
        if found is not None:
            what, fix = found
            problem = Problem(f'{where} image "{image.id}"', f"the model has learned from {what}", fix)
            yield Leak("learned-from", (image.id,), (), problem, image.patient, image.group)
    for line in known.doubts(where):
        warnings.warn(line, DataWarning, stacklevel=3)


class _Comparison:
    """What a model has learned from, beside what it is to be scored on."""

    def __init__(self, learned: Dataset, scored: Dataset) -> None:
        self._learned, self._scored = learned, scored
        self._images = [image for image in learned.images if learned.part_of(image) in LEARNED_FROM]
        self._ids = _Known(learned.name, [image.id for image in self._images])
        self._ties = {tie for image in self._images for tie in leakage.ties(image)}
        self._tied: dict[str, _Known] = {
            kind: _Known(learned.name, [tie.id for tie in self._ties if tie.kind == kind])
            for kind in {tie.kind for tie in self._ties}
        }
        self._files = _Files(learned, scored)
        self._aliases = _aliases(self._files.shared())
        same = list(_with_same_boxes(learned, scored))
        self._name = learned.name if same else _source(learned.name, self._aliases) or scored.name
        self._saved_again = any(one.digest != other.digest for one, other in same)
        self._held_out = 0

    def learned_from(self, image: Image) -> tuple[str, str] | None:
        """What was learned from that this image is or tells of, and what to do; None if it is unseen."""
        named = [self._learned.image(each) for each in self._ids.find(self._name, image.id)]
        twin = self._twin(image)
        tie = self._tie(image)
        if twin in named or any(each.digest and each.digest == image.digest for each in named):
            return "it", _ELSEWHERE
        if twin is not None:
            as_other = f'as "{twin.id}"'
            return (f"{tie}, and from this image {as_other}" if tie else f"it, {as_other}"), _ELSEWHERE
        if any(each.digest is None or image.digest is None for each in named):
            what = "it, judged by its name because a digest of its file is missing"
            return what, f"{_ELSEWHERE}; if it is another image, {_name_it()}"
        if self._saved_again and any(
            (each.width, each.height) == (image.width, image.height) for each in named
        ):
            return "it, saved again: names and boxes of these data are the same", _ELSEWHERE
        if tie:
            return (
                tie,
                f"{_ELSEWHERE}; if it is another one of that name, {_name_it()}" if named else _ELSEWHERE,
            )
        return None

    def _twin(self, image: Image) -> Image | None:
        """An image that was learned from and has the same file, unless the split has held out that file, too."""
        twins = self._files.twins(image)
        learned = [twin for twin in twins if self._learned.part_of(twin) in LEARNED_FROM]
        if len(learned) < len(twins):
            self._held_out += bool(learned)
            return None
        return learned[0] if learned else None

    def _tie(self, image: Image) -> str | None:
        """A patient or a group that was learned from and that this image shows."""
        for tie in leakage.ties(image):
            if tie.kind in self._tied and self._tied[tie.kind].find(self._name, tie.id):
                return f'{tie.kind} "{tie.id}"'
            if others := self._aliases.get(tie, set()) & self._ties:
                return f'{tie.kind} "{tie.id}", as "{min(others).id}"'
        return None

    def doubts(self, where: str) -> Iterator[str]:
        """What could not be compared by files, and files on both sides of the split."""
        for images, whose, when in (
            (self._images, f"{where}: of the images that the model has learned from,", " before you train"),
            (self._scored.images, f"{self._scored.name}: of the images to be scored,", ""),
        ):
            lacking = sum(image.digest is None and image.file is not None for image in images)
            if lacking:
                yield (
                    f"{whose} {lacking:,} of {len(images):,} have no digest of their file and are compared by name; "
                    f"a renamed image is not recognised: import the data again{when}"
                )
        if self._held_out:
            yield (
                f"{where}: {counted(self._held_out, 'image to be scored has', 'images to be scored have')} the file of an image that the model has learned "
                "from, and the split that it was trained with holds them out; look at them: "
                + either("checks.check", "pcm-leukemia check")
            )


def _name_it() -> str:
    way = either("load_dataset(..., name=...)", "pcm-leukemia import DATA NEW --name NAME")
    return f"give the data set a name of its own: {way}"


class _Known:
    """Ids by their data set's name before them, however often `concat` has put another name before that."""

    def __init__(self, name: str, ids: Iterable[str]) -> None:
        self._whole = {f"{name}/{each}": each for each in ids}
        self._ending: dict[str, list[str]] = defaultdict(list)
        self._single: dict[str, list[str]] = defaultdict(list)
        for whole, each in self._whole.items():
            self._single[_single(whole)].append(each)
            for end in path_ends(whole):
                self._ending[end].append(each)

    def find(self, name: str, each: str) -> list[str]:
        """Those that an id of a data set of that name means."""
        whole = f"{name}/{each}"
        found = (
            *self._ending.get(whole, ()),  # "lmu/a.png" was learned as "here+lmu/lmu/a.png"
            *(self._whole[end] for end in path_ends(whole) if end in self._whole),  # and the other way round
            *self._single.get(_single(whole), ()),  # "here+lmu/lmu/a.png" as "there+lmu/lmu/a.png"
        )
        return list(dict.fromkeys(found))


class _Files:
    """The files of two data sets, compared by their digests."""

    def __init__(self, learned: Dataset, scored: Dataset) -> None:
        self._learned: dict[str, list[Image]] = defaultdict(list)
        for image in learned.images:
            if image.digest is not None:
                self._learned[image.digest].append(image)
        self._scored = scored.images
        self._roots = [Files(ds.root) if ds.root else None for ds in (scored, learned)]
        self._confirmed = 0
        self._known: dict[tuple[int, str], str | None] = {}

    def twins(self, image: Image) -> list[Image]:
        """The images of the first data set that are the file of this image of the second one."""
        if image.digest is None:
            return []
        return [each for each in self._learned.get(image.digest, ()) if self._equal(image, each)]

    def shared(self) -> Iterator[tuple[Image, Image]]:
        """Images of the second data set, each with the one of the first that is its file.

        A file that occurs again within a data set, such as an empty field, does not identify an image.
        """
        times = Counter(image.digest for image in self._scored)
        for image in self._scored:
            twins = self.twins(image)
            if len(twins) == 1 == times[image.digest]:
                yield image, twins[0]

    def _equal(self, image: Image, other: Image) -> bool:
        """Whether files of one digest are the same to the last byte, as far as they can be read."""
        if self._confirmed >= _ENOUGH:
            return True
        one, two = self._content(0, image), self._content(1, other)
        if one is None or two is None:
            return True
        self._confirmed += one == two
        return one == two

    def _content(self, side: int, image: Image) -> str | None:
        """The SHA-256 of the whole file; None if it cannot be read."""
        root, file = self._roots[side], image.file
        if root is None or file is None:
            return None
        if (side, file) not in self._known:
            try:
                self._known[side, file] = root.sha256(file)
            except (DataNotFound, CorruptFile):
                self._known[side, file] = None
        return self._known[side, file]


def _aliases(shared: Iterable[tuple[Image, Image]]) -> dict[Tie, set[Tie]]:
    """The patients and groups that shared images have in the second data set, and what the first one calls them."""
    aliases: dict[Tie, set[Tie]] = defaultdict(set)
    for image, twin in shared:
        for tie in leakage.ties(image):
            aliases[tie] |= {other for other in leakage.ties(twin) if other.kind == tie.kind}
    return aliases


def _source(learned: str, aliases: Mapping[Tie, set[Tie]]) -> str | None:
    """What the first data set writes before all ids of the second one; None if the ids are others.

    It is the name of the first data set, and after it the name that `concat` has put before the ids.
    """
    pairs = [(f"{learned}/{other.id}", tie.id) for tie, others in aliases.items() for other in others]
    names = {whole.removesuffix(f"/{ident}") if whole.endswith(f"/{ident}") else "" for whole, ident in pairs}
    return next(iter(names)) or None if len(names) == 1 else None


def _with_same_boxes(one: Dataset, other: Dataset) -> Iterator[tuple[Image, Image]]:
    """The images of one id and size that have the same boxes in both; a box that is the whole image says nothing."""
    theirs = {image.id: image for image in other.images}
    for image in one.images:
        twin = theirs.get(image.id)
        if twin is None or (image.width, image.height) != (twin.width, twin.height):
            continue
        whole = (0, 0, image.width, image.height)
        here, there = (sorted(astuple(cell.box) for cell in ds.cells_of(image.id)) for ds in (one, other))
        if here == there and any(box != whole for box in here):
            yield image, twin


def _single(path: str) -> str:
    """The path without the names that `concat` gives to what it joins: "a+b/a/1.png" is "a/1.png"."""
    while "+" in path.partition("/")[0]:
        path = path.partition("/")[2]
    return path
