"""The share of another hospital that a model is adapted to: drawn at random, kept in a file, never scored on."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from pcm_leukemia import files, splits
from pcm_leukemia.baselines.run import is_run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem, UnfitForTask, WrongTarget, counted, option
from pcm_leukemia.schema import IGNORE, ImageId, Split
from pcm_leukemia.splits import draw_keys, unit_of

__all__ = ["TEST", "Share", "Size", "Unit", "draw", "drawn_of", "keep", "size", "to_learn_from"]

Unit = Literal["patient", "image"]

ADAPT, TEST = "adapt", "test"


class Share(NamedTuple):
    """How many units were drawn, of how many; `unit` is "patient", "image", or "image group" where some belong together."""

    drawn: int
    of: int
    unit: str

    @property
    def percent(self) -> float:
        """The share in per cent."""
        return 100 * self.drawn / self.of


class Size(NamedTuple):
    """How many images, and how many cells of the task in them."""

    images: int
    cells: int


def draw(
    ds: Dataset, fraction: float, seed: int = 0, *, unit: Unit = "image", stratified: bool = False
) -> Split:
    """Draw a share of a data set to adapt to (part "adapt"); the rest (part "test") is scored.

    Parameters
    ----------
    ds
        The target. Images without cells are drawn like any other.
    fraction
        The share, between 0 and 1; at least one image or patient is drawn, and at least one is left.
    seed
        The seed of the draw.
    unit
        "image" draws images, as in the paper: a patient may be on both sides, so the scores are an upper bound.
        "patient" draws whole patients. A group of images stays together either way, and so do images with the same
        file, with their patients: else the model would be scored on what it has learned from.
    stratified
        Whether to draw from every class separately, by the most frequent class of the image or patient.

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1, there are fewer than two units to draw from, or an image has no patient
        and patients are drawn.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> ds = Dataset("demo", NINE, tuple(Image(ImageId(f"{n}.png"), 8, 8) for n in range(10)))
    >>> split = draw(ds, 0.2)
    >>> sorted(split.part_of.values()).count("adapt")
    2
    """
    if not 0 < fraction < 1:
        raise ValueError(f"{option('fraction', fraction)}: must be between 0 and 1, such as 0.1")
    units = _units(ds, unit)
    if len(units) < 2:
        what = f"has {counted(len(units), unit)}"
        raise UnfitForTask(
            [Problem(ds.name, what, "at least two are needed, one to adapt to and one to score on")]
        )
    strata: dict[str, list[str]] = defaultdict(list)
    for name, images in units.items():
        strata[_class_of(ds, images) if stratified else ""].append(name)
    drawn: set[str] = set()
    for stratum, names in sorted(strata.items()):
        chance = random.Random(f"{seed}/{stratum}")  # noqa: S311 - to be repeated, not to be secret
        drawn.update(chance.sample(sorted(names), round(fraction * len(names))))
    chance = random.Random(f"{seed}/one")  # noqa: S311
    if not drawn:
        drawn = {chance.choice(sorted(units))}
    elif len(drawn) == len(units):
        drawn.remove(chance.choice(sorted(drawn)))
    part_of = {image: ADAPT if name in drawn else TEST for name, images in units.items() for image in images}
    made = {
        "method": f"{'stratified' if stratified else 'random'} draw by {unit}",
        "fraction": str(fraction),
        "seed": str(seed),
    }
    if unit == "image" and any(image.patient for image in ds.images):
        made["patients"] = "may be on both sides: scores are an upper bound"
    patient_of = {image.id: image.patient for image in ds.images if image.patient}
    return Split("adaptation", part_of, made, patient_of)


def drawn_of(ds: Dataset, split: Split, unit: Unit) -> Share:
    """How many units of a data set `draw` drew: a share of few units is rounded to whole ones, and is never empty.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> ds = Dataset("demo", NINE, tuple(Image(ImageId(f"{n}.png"), 8, 8) for n in range(10)))
    >>> drawn_of(ds, draw(ds, 0.01), "image")
    Share(drawn=1, of=10, unit='image')
    """
    units = _units(ds, unit)
    drawn = sum(split.part_of[images[0]] == ADAPT for images in units.values())
    together = unit == "image" and len(units) < len(ds.images)
    return Share(drawn, len(units), "image group" if together else unit)


def _units(ds: Dataset, unit: Unit) -> dict[str, list[ImageId]]:
    """The units to draw, by name: patients or images, each with everything in the same group and of the same file."""
    patients = {image.id for image in ds.images if image.patient is not None}
    lacking = next((image.id for image in ds.images if image.id not in patients), None)
    if unit == "patient" and lacking is not None:
        raise ValueError(
            f'{ds.name}: image "{lacking}" has no patient; draw by image: {option("unit", "image")}'
        )
    if unit == "patient":
        whole: Mapping[ImageId, str] = unit_of(ds, same_file=True)
    else:
        keys = draw_keys(ds)
        whole = {image.id: f"group {keys[image.id].key}" for image in ds.images if keys[image.id].tied}
    units: dict[str, list[ImageId]] = defaultdict(list)
    for image in ds.images:
        units[whole.get(image.id, f"image {image.id}")].append(image.id)
    return units


def _class_of(ds: Dataset, images: Sequence[ImageId]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for image in images:
        for cell in ds.cells_of(image):
            counts[cell.label] += cell.label != IGNORE
    return max(sorted(counts), key=counts.__getitem__, default="")


def to_learn_from(target: Dataset, seed: int, unit: Unit) -> Dataset:
    """The drawn share of the target, a fifth of it for validation."""
    drawn = replace(target.part(ADAPT), split=None)
    by_image = unit == "image"
    if len(_units(drawn, unit)) < 2:  # a single unit is for training; the source selects the epoch
        part_of = {image.id: "train" for image in drawn.images}
        return drawn.with_split(
            Split("adaptation", part_of, {"val_unit": unit}, val_shares_patients=by_image)
        )
    parts = draw(drawn, 0.2, seed, unit=unit).part_of
    names = {ADAPT: "val", TEST: "train"}
    made = {"val_unit": unit, "method": "a share of another data set, a fifth of it for validation"}
    part_of = {image: names[part] for image, part in parts.items()}
    return drawn.with_split(Split("adaptation", part_of, made, val_shares_patients=by_image))


def keep(split: Split, drawn: Dataset, folder: Path, target: Dataset) -> None:
    """Write which images train, choose the epoch and are scored.

    Raises
    ------
    ExportError
        If there is another draw beside a run, which has learned from it.
    """
    assert drawn.split is not None
    file = folder / "draw.csv"
    kept = replace(
        split,
        part_of={**split.part_of, **drawn.split.part_of},
        made={**split.made, "train": "trained on", "val": "chooses the epoch", "test": "scored"},
    )
    if is_run(folder / "run") and file.exists():
        before = splits.read(file, split.name)
        # earlier versions wrote "adapt" for both train and val
        same = kept if ADAPT not in before.parts else split
        if before.part_of != same.part_of:
            raise WrongTarget(
                f"{file}: holds another draw, which the run beside it has learned from; name another folder"
            )
        return
    with files.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with files.new_file(file) as work:
            splits.write(kept, work, target)


def size(drawn: Dataset, part: str, task: str) -> Size:
    """The size of a part of what was drawn."""
    images = [image.id for image in drawn.images if drawn.part_of(image) == part]
    view = drawn.select(images=images).task(task)
    return Size(len(images), sum(cell.label != IGNORE for cell in view.cells))
