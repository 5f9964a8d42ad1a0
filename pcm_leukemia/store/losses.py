"""`require_no_loss`: refuses to replace a data set by one that lacks some of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataLoss, counted, either
from pcm_leukemia.schema import Split

__all__ = ["losses", "require_no_loss"]


def require_no_loss(
    out: str, before: Dataset, after: Dataset, splits: Mapping[str, Split], brought: Mapping[str, Split]
) -> None:
    """Refuse to replace `before` by `after` if anything would be lost.

    Parameters
    ----------
    out
        The folder, for the message.
    before, after
        The data set that is there, and the one that would replace it.
    splits, brought
        The splits that are there, by name, and those that would be written there too.

    Raises
    ------
    DataLoss
        If `before` has what `after` lacks, or a split of the same name is another.
    """
    new = {**brought, **({after.split.name: after.split} if after.split else {})}
    here = {image.id for image in before.images}
    lost = losses(before, after, splits.values())
    for name in sorted(splits.keys() & new.keys()):
        placed = {image: part for image, part in splits[name].part_of.items() if image in here}
        if any(new[name].part_of.get(image, part) != part for image, part in placed.items()):
            lost.append(f'split "{name}", which has other parts in the new data')
    if not lost:
        return
    ways_out = either(
        "write what pcm.update returns to change the images that are in both and keep the rest, pass replace=True to "
        "replace it",
        "--update changes the images of the new data and keeps the rest, --replace replaces it",
    )
    sentence = f"{out}: would lose {', '.join(lost)}; {ways_out}, or name another folder"
    if before.patients and not after.patients:
        sentence += (
            f"\n{out}: has patient ids, and without them nothing keeps a patient in one part; give them again "
            + either("(patients=...)", "(--patients, --patients-csv, --patients-tag or --patients-attribute)")
        )
    raise DataLoss(sentence)


def losses(before: Dataset, after: Dataset, splits: Iterable[Split] = ()) -> list[str]:
    """List what would be lost if `after` replaced `before`, with the counts.

    Changed cells, labels and patient ids are no loss, nor are new images.

    Parameters
    ----------
    before, after
        The data set that is there, and the one that would replace it.
    splits
        The splits of `before`, which stay in its folder.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> images = tuple(Image(f"{name}.png", 64, 64) for name in "abc")
    >>> losses(Dataset("demo", NINE, images), Dataset("demo", NINE, images[:1]))
    ['2 of 3 images (3 -> 1)']
    """
    return list(_losses(before, after, splits))


def _losses(before: Dataset, after: Dataset, splits: Iterable[Split]) -> Iterator[str]:
    now = {image.id: image for image in after.images}
    gone = [image for image in before.images if image.id not in now]
    if gone:
        yield _of(len(gone), len(before.images), "image", len(after.images))
    kept = [image for image in before.images if image.id in now]
    other = sum(image.has_other_file_than(now[image.id]) for image in kept)
    if other:
        yield f"the file of {counted(other, 'image')}, whose name another file has now"
    lost_patient = [
        image for image in before.images if image.patient and not (image.id in now and now[image.id].patient)
    ]
    with_images = {image.patient for image in before.images}
    people = {image.patient for image in lost_patient}
    people |= {patient.id for patient in before.patients if patient.id not in with_images}
    people -= {patient.id for patient in after.patients}
    if people:
        yield _of(len(people), len(before.patients), "patient", len(after.patients))
    unnamed = sum(image.id in now and image.patient not in people for image in lost_patient)
    if unnamed:
        yield f"the patient of {counted(unnamed, 'image')}"
    undiagnosed = sum(
        before.diagnosis_of(image) is not None
        and after.diagnosis_of(now[image.id]) is None
        and image.patient not in people
        for image in kept
    )
    if undiagnosed:
        yield f"the diagnosis of {counted(undiagnosed, 'image')}"
    ungrouped = sum(image.group is not None and now[image.id].group is None for image in kept)
    if ungrouped:
        yield f"the group of {counted(ungrouped, 'image')}"
    if before.cells and not after.cells:
        yield _of(len(before.cells), len(before.cells), "cell", 0)
    for split in splits:
        placed = sum(image.id in split.part_of for image in gone)
        if placed:
            yield f'{counted(placed, "image")} that split "{split.name}" places'


def _of(lost: int, all_of_them: int, what: str, left: int) -> str:
    return f"{lost:,} of {counted(all_of_them, what)} ({all_of_them:,} -> {left:,})"
