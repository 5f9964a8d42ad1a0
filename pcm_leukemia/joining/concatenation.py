"""`concat`: joins several data sets without confusing their images, patients and groups."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, TypeAlias

from msgspec import structs

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidDataset,
    Problem,
    counted,
    either,
    some,
)
from pcm_leukemia.files import Files, common_root, way_below
from pcm_leukemia.grouping import groups
from pcm_leukemia.joining.parts import joined_split, with_parts
from pcm_leukemia.joining.pseudonyms import keys_of, require_one_kind_of_ids
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Image, ImageId, Patient, PatientId

__all__ = ["CopySearch", "concat"]

CopySearch: TypeAlias = Literal["files", "pixels"]
"""How to find images that are in several data sets: by equal bytes, or by what they show."""


def concat(
    datasets: Iterable[Dataset],
    name: str | None = None,
    *,
    copies_by: CopySearch = "files",
    shared_patients: bool = False,
    extend: bool = False,
) -> Dataset:
    """Join data sets. Every id of an image, patient or group gets the name of its data set as a prefix.

    Image "P01/a.png" of the data set "lmu" becomes "lmu/P01/a.png", its patient "P01" becomes "lmu/P01". So the
    first patients of two hospitals remain two patients. The images stay where they are, also in zips.

    If every data set has a split, each image stays in its part; if no data set has one, the result has none. With
    `extend`, images of data sets without a split are placed, and no other is moved. Images that are in more than one data
    set become one group, which no split may separate: `splits.by_patient` keeps it together, and writers and trainers refuse
    a split that does not.

    Parameters
    ----------
    datasets
        Data sets with the same classes in the same order, each with a name of its own. `Dataset.relabel` and
        `Dataset.task` bring data sets to the same classes.
    name
        The name of the result; by default the names joined by "+".
    copies_by
        "files" finds images whose files are equal byte for byte, whatever their names, at almost no cost: by the digests
        that were recorded at import, and where these agree by the whole files, if they can be read. "pixels" decodes every image
        (13 ms each) and also finds images that were compressed again, scaled, turned or mirrored, and cells that were
        cropped from another image (see docs/trust.md).
    shared_patients
        Whether equal ids of patients are one patient, as in data sets of one hospital. Then these ids get no prefix.
    extend
        Whether to place the images of data sets without a split, as `splits.extend` does: those of a patient who has a part
        go into that part, and new patients are placed so that the parts come near their shares. The split keeps its name if
        only one data set has one.

    Warns
    -----
    DataWarning
        If images are in more than one data set: their number, and the first of them. If some images have neither a file
        nor the digest of one, and so cannot be compared. If some data sets have pseudonyms of patients and others other ids.

    Raises
    ------
    ValueError
        If `datasets` is empty, names repeat, classes differ, only some data sets have a split and `extend` is false,
        patients are shared and have pseudonyms in some data sets only or of different keys, or the images are on different drives.
    LeakySplit
        If validation shares patients with training in one data set, and the split of another leaks; if a shared patient is in
        two parts; or if the split to be extended leaks.
    InvalidDataset
        If a shared patient has two diagnoses: each is named.
    MissingPatients
        If an image that `extend` has to place has no patient.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("a.png"), 64, 64)
    >>> both = concat([Dataset("here", NINE, (image,)), Dataset("there", NINE, (image,))])
    >>> both.name, [image.id for image in both.images]
    ('here+there', ['here/a.png', 'there/a.png'])
    """
    sources = list(datasets)
    _require_fit(sources, extend=extend)
    require_one_kind_of_ids(sources, shared_patients=shared_patients)
    root = _common_root(sources)
    joined = [_named(ds, root, shared_patients=shared_patients) for ds in sources]
    split = joined_split(joined)
    result = Dataset(
        name or "+".join(ds.name for ds in sources),
        sources[0].taxonomy,
        tuple(image for ds in joined for image in ds.images),
        tuple(cell for ds in joined for cell in ds.cells),
        _patients(joined),
        root=root,
        pseudonym_keys=keys_of(sources),
    )
    same = list(_same_files(result) if copies_by == "files" else _same_pictures(result))
    source_of = {image.id: ds.name for ds in joined for image in ds.images}
    across = [images for images in same if len({source_of[image] for image in images}) > 1]
    result = _kept_together(result, across) if across else result
    return with_parts(result, split, shared_patients=shared_patients) if split else result


def _require_fit(sources: Sequence[Dataset], *, extend: bool) -> None:
    if not sources:
        raise ValueError("concat: no data set to join; give one or more")
    repeated = [name for name, count in Counter(ds.name for ds in sources).items() if count > 1]
    if repeated:
        raise ValueError(
            f'concat: several data sets are called "{repeated[0]}"; give each a name '
            "of its own: " + either("load_dataset(..., name=...)", "pcm-leukemia import DATA NEW --name NAME")
        )
    first = sources[0]
    for ds in sources[1:]:
        if ds.taxonomy.labels != first.taxonomy.labels:
            raise ValueError(
                f"concat: {first.name} has the classes {', '.join(first.taxonomy.labels)}, {ds.name} has "
                f"{', '.join(ds.taxonomy.labels)}; bring them to the same classes: "
                + either("Dataset.relabel, Dataset.task", "--taxonomy, --map")
            )
    without = [ds.name for ds in sources if ds.split is None]
    if without and len(without) < len(sources) and not extend:
        raise ValueError(
            f"concat: {', '.join(without)} has no split and the others have one; split it first, place its images "
            + either(
                "in the split of the others: extend=True, or remove all splits: Dataset.with_split(None)",
                "in the split of the others: --extend, or leave all splits out: --no-splits",
            )
        )


def _common_root(sources: Sequence[Dataset]) -> Place | None:
    """The folder that holds the images of all data sets."""
    roots = [ds.root for ds in sources if ds.root is not None]
    try:
        return common_root(roots) if roots else None
    except ValueError as error:
        raise ValueError(f"concat: {error}") from error


def _named(ds: Dataset, root: Place | None, *, shared_patients: bool) -> Dataset:
    """The data set with its name before every id, and with its files relative to `root`."""
    prefix = way_below(ds.root, root) if ds.root and root else ""

    def person(patient: str) -> PatientId:
        return PatientId(patient if shared_patients else f"{ds.name}/{patient}")

    images = {
        image.id: replace(
            image,
            id=ImageId(f"{ds.name}/{image.id}"),
            patient=image.patient and person(image.patient),
            file=image.file and f"{prefix}{image.file}",
            group=image.group and f"{ds.name}/{image.group}",
        )
        for image in ds.images
    }
    split = ds.split and replace(
        ds.split,
        part_of={images[image].id: part for image, part in ds.split.part_of.items()},
        patient_of={images[i].id: person(p) for i, p in ds.split.patient_of.items() if i in images},
        digest_of={images[i].id: digest for i, digest in ds.split.digest_of.items() if i in images},
    )
    return Dataset(
        ds.name,
        ds.taxonomy,
        tuple(images.values()),
        tuple(structs.replace(cell, image=images[cell.image].id) for cell in ds.cells),
        tuple(Patient(person(patient.id), patient.diagnosis) for patient in ds.patients),
        split=split,
        root=root,
    )


def _patients(joined: Sequence[Dataset]) -> tuple[Patient, ...]:
    """All patients; one whom several data sets know has the diagnosis that any of them knows."""
    known: dict[PatientId, tuple[str, str | None]] = {}
    problems = []
    for ds in joined:
        for patient in ds.patients:
            whose, diagnosis = known.get(patient.id, (ds.name, None))
            if diagnosis and patient.diagnosis and diagnosis != patient.diagnosis:
                problems.append(
                    Problem(
                        f'patient "{patient.id}"',
                        f"has the diagnosis {diagnosis} in {whose}, and {patient.diagnosis} in {ds.name}",
                        "correct one of them, or join the data sets without shared patients",
                    )
                )
            known[patient.id] = (whose, diagnosis) if diagnosis else (ds.name, patient.diagnosis)
    if problems:
        raise InvalidDataset(problems)
    return tuple(Patient(patient, diagnosis) for patient, (_, diagnosis) in known.items())


def _same_files(ds: Dataset) -> Iterator[Sequence[ImageId]]:
    """Images with identical files, by their digests; a file whose digest was not recorded is opened for it."""
    files = Files(ds.root) if ds.root is not None else None
    by_digest: dict[str, list[Image]] = defaultdict(list)
    unknown = []
    for image in ds.images:
        digest = image.digest
        if digest is None and image.file is not None and files is not None:
            digest = files.digest_of(image.file)
        if digest is None:
            unknown.append(image.id)
        else:
            by_digest[digest].append(image)
    if unknown and by_digest:
        warnings.warn(
            f'{ds.name}: {len(unknown):,} of {len(ds.images):,} images, the first "{unknown[0]}", have neither a file '
            "nor the digest of one, so it is not known whether they are in more than one data set, and equal names say "
            "nothing; import them again with their images",
            DataWarning,
            stacklevel=4,
        )
    for images in by_digest.values():
        if len(images) > 1:
            by_content: dict[str, list[ImageId]] = defaultdict(list)
            for image, content in zip(images, _contents(images, files), strict=True):
                by_content[content].append(image.id)
            yield from (same for same in by_content.values() if len(same) > 1)


def _contents(images: Sequence[Image], files: Files | None) -> list[str]:
    """The SHA-256 of each whole file; "" for all of them if one cannot be read: then the digests decide."""
    try:
        if files is not None and all(image.file is not None for image in images):
            return [files.sha256(str(image.file)) for image in images]
    except (DataNotFound, CorruptFile):
        pass
    return [""] * len(images)


def _same_pictures(ds: Dataset) -> Iterator[Sequence[ImageId]]:
    """Images that look the same or show the same cell."""
    from pcm_leukemia.checks import (
        find_copies,
        read_files,
    )  # numpy and Pillow, which `import pcm_leukemia` does without

    for found in find_copies(ds, read_files(ds)):
        yield tuple(dict.fromkeys([*found.images, *(image for image, _ in found.cells)]))


def _kept_together(ds: Dataset, same: Sequence[Sequence[ImageId]]) -> Dataset:
    """Put images of one content into one group, together with all images of their former groups."""
    lines = [" = ".join(images) for images in same]
    warnings.warn(
        f"{ds.name}: {counted(len(same), 'image is', 'images are')} in more than one data set; they are kept together in every split:\n"
        + some(lines, 5),
        DataWarning,
        stacklevel=3,
    )
    number = {image.id: index for index, image in enumerate(ds.images)}
    links = [(number[one], number[other]) for images in same for one, other in pairwise(images)]
    found = {member for link in links for member in link}
    by_group: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(ds.images):
        if image.group is not None:
            by_group[image.group].append(index)
    links += [link for members in by_group.values() for link in pairwise(members)]
    images = list(ds.images)
    for members in groups(links):
        if found.intersection(members):
            for member in members:
                images[member] = replace(images[member], group=f"same as {images[members[0]].id}")
    return replace(ds, images=tuple(images))
