"""The split of joined data sets: the parts that images had, and parts for the images of data sets without a split."""

from __future__ import annotations

from collections.abc import Sequence

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Split

__all__ = ["joined_split", "with_parts"]


def joined_split(joined: Sequence[Dataset]) -> Split | None:
    """The parts of all images that have one; training and validation may share patients if they may in any data set.

    Then every data set is checked here, since its leaks could not be detected afterwards.
    """
    with_split = [ds for ds in joined if ds.split is not None]
    splits = [ds.split for ds in joined if ds.split is not None]
    if not splits:
        return None
    shares = any(split.val_shares_patients for split in splits)
    if shares:
        from pcm_leukemia.splits import require_sound  # numpy, which `import pcm_leukemia` does without

        for ds in with_split:
            require_sound(ds)
    if len(splits) == 1 < len(joined):  # the split of one data set is going to be extended: by its own shares
        return splits[0]
    return Split(
        "joined",
        {image: part for split in splits for image, part in split.part_of.items()},
        {"method": "joined", **{f"of {ds.name}": ds.split.name for ds in joined if ds.split}},
        {image: patient for split in splits for image, patient in split.patient_of.items()},
        digest_of={image: digest for split in splits for image, digest in split.digest_of.items()},
        val_shares_patients=shares,
    )


def with_parts(ds: Dataset, split: Split, *, shared_patients: bool) -> Dataset:
    """Give the joined images their split; images that it does not place get a part, and none that it places is moved.

    Raises
    ------
    LeakySplit
        If the data sets share patients, and one of them is in two parts, or images have to be placed and the split leaks.
    MissingPatients
        If an image that has to be placed has no patient.
    """
    from pcm_leukemia.splits import extend, require_sound  # numpy, which `import pcm_leukemia` does without

    if any(image.id not in split.part_of for image in ds.images):
        return ds.with_split(extend(split, ds))
    placed = ds.with_split(split)
    if shared_patients:
        require_sound(placed)
    return placed
