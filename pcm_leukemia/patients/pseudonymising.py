"""A data set with pseudonyms for the ids of its patients, in everything but the paths of its image files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from msgspec import structs

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidDataset, Problem
from pcm_leukemia.patients.assigning import DIAGNOSES
from pcm_leukemia.patients.key_file import KeyFile, is_pseudonym
from pcm_leukemia.patients.located import Located
from pcm_leukemia.patients.origins import Attribute, Table, Tag
from pcm_leukemia.patients.pseudonym_checks import (
    require_one_name_each,
    require_one_text_each,
    require_patients,
    warn_of_names_beside_ids,
    warn_of_other_spellings,
    warn_of_rests,
)
from pcm_leukemia.patients.replacing import Replacing
from pcm_leukemia.patients.spelling import alike
from pcm_leukemia.schema import Attributes, Cell, Image, ImageId, Patient, PatientId, Split, letters
from pcm_leukemia.schema import Tag as ImageTag

__all__ = ["Pseudonymiser", "has_pseudonym", "has_pseudonyms", "pseudonymise"]

_PERSON = re.compile("patient|subject|person|case|name")
"""What the name of an attribute says that holds an id of a patient."""


def pseudonymise(
    ds: Dataset,
    file: str | Path,
    *,
    patients: str | Table | Tag | Attribute | None = None,
    same: Mapping[str, str] | None = None,
) -> Dataset:
    """Replace the ids of patients by pseudonyms that only a file of yours leads back from.

    A pseudonym depends on the id and on the secret key in the file. So a patient has the same one in every data set that is
    made with this file, and another one with another file. Ids that are pseudonyms of the file stay.

    The ids are also replaced in the ids, names, subsets and groups of images, in tags, attributes and raw labels, and in the
    split. `Image.file` remains the real path, so a canonical folder still contains it; what other writers write does not.
    Pixels and the metadata in image files are not changed.

    Parameters
    ----------
    ds
        The data set. Every image needs a patient.
    file
        A CSV file with the key and a table of patients and pseudonyms. It is made if it does not exist, and new
        patients are added to it. Keep it, and a backup of it, where the patients are known.
    patients
        Where the ids were found, as for `assign`: a pattern finds ids that are only a part of a word, as 12 is in
        "case12b.png".
    same
        Spelling of an id -> the id that was kept, as for `merge`: these spellings are replaced, too.

    Raises
    ------
    MissingPatients
        If an image has no patient: its path may contain an id that nobody knows.
    CorruptFile, DataNotFound, WrongTarget
        If the file cannot be read or written, is damaged, was edited, or is something else.
    InvalidDataset
        If two images would have the same id, or an id that is written in two ways has two diagnoses.
    ImpossibleValue
        If two patients get the same pseudonym, a chance of 1 in 200,000 for 100,000 patients.
    ExportError
        If the file cannot be written.

    Warns
    -----
    DataWarning
        If an id may be that of a patient in the file in another spelling, or is still in a text, inside of a longer word; or if
        most patients have a word of their own beside it, which may be a name.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("4711007/frame_17.png"), 64, 64, PatientId("4711007"))
    >>> ds = Dataset("demo", NINE, (image,), patients=(Patient(PatientId("4711007")),))
    >>> with TemporaryDirectory() as folder:
    ...     hidden = pseudonymise(ds, f"{folder}/pseudonyms.csv")
    ...     again = pseudonymise(ds, f"{folder}/pseudonyms.csv")
    >>> pseudonym = hidden.patients[0].id
    >>> hidden.images[0].id == f"{pseudonym}/frame_17.png", hidden == again
    (True, True)
    """
    keys = KeyFile(file)
    hidden = Pseudonymiser(ds, keys, patients=patients, same=same).dataset()
    keys.save()
    return hidden


def has_pseudonym(image: Image) -> bool:
    """Whether the patient of an image has a pseudonym, maybe with the name of a data set before it as `concat` writes it.

    Then the path of its file may say what must not be passed on.

    Examples
    --------
    >>> has_pseudonym(Image(ImageId("a.png"), 64, 64, PatientId("ward/P-7K3M9QX4TZ")))
    True
    """
    return image.patient is not None and is_pseudonym(image.patient.rpartition("/")[2])


def has_pseudonyms(ds: Dataset) -> bool:
    """Whether any patient of a data set has a pseudonym, as for `has_pseudonym`."""
    return any(is_pseudonym(patient.id.rpartition("/")[2]) for patient in ds.patients)


class Pseudonymiser:
    """Gives the patients of a data set, and of its splits, their pseudonyms.

    Parameters
    ----------
    ds, patients, same
        As for `pseudonymise`.
    keys
        The file, to which new patients are added; it is not saved here.
    splits
        Further splits of the data, for `split`.

    Raises
    ------
    MissingPatients
        If an image has no patient.
    ImpossibleValue
        If two patients get the same pseudonym.

    Warns
    -----
    DataWarning
        If an id may be that of a patient in the file in another spelling.
    """

    def __init__(
        self,
        ds: Dataset,
        keys: KeyFile,
        *,
        patients: str | Table | Tag | Attribute | None = None,
        same: Mapping[str, str] | None = None,
        splits: Iterable[Split] = (),
    ) -> None:
        require_patients(ds)
        warn_of_other_spellings(ds, keys)
        self._ds = ds
        self._key = keys.id
        every = (*([ds.split] if ds.split else []), *splits)
        people = {patient.id for patient in ds.patients}.union(*(each.patient_of.values() for each in every))
        self._pseudonym_of: dict[str, PatientId] = {
            each: keys.pseudonym(each) for each in sorted(people - {PatientId("")})
        }
        spelled = {patient: pseudonym for pseudonym, patient in keys.patient_of.items()} | self._pseudonym_of
        merged = {spelling: spelled[kept] for spelling, kept in (same or {}).items() if kept in spelled}
        spelled |= merged
        shown_as = {spelling: keys.of_spelling(own, spelling) for spelling, own in merged.items()}
        self._texts = Replacing(spelled, shown_as)
        numbers = {pseudonym for each, pseudonym in spelled.items() if each.isdecimal()}
        self._with_letters = {*self._pseudonym_of.values()} - numbers
        self._paths = Located(self._texts, spelled, patients if isinstance(patients, str) else None)
        self._tags = Located(self._texts, spelled, patients.pattern if isinstance(patients, Tag) else None)
        self._attribute = patients.name if isinstance(patients, Attribute) else None
        groups = _pseudonyms_by_group(ds, self._pseudonym_of)
        self._groups = {group: self._texts(group, own) for group, own in groups.items()}

    @cached_property
    def _images(self) -> dict[ImageId, Image]:
        """Id -> the image with pseudonyms."""
        return {image.id: self._image(image) for image in self._ds.images}

    def dataset(self) -> Dataset:
        """The data set with pseudonyms.

        Raises
        ------
        InvalidDataset
            If two images would have the same id, or an id that is written in two ways has two diagnoses.

        Warns
        -----
        DataWarning
            If an id is still in a text, inside of a longer word or number, or most patients have a word of their own beside it.
        """
        ds = self._ds
        require_one_name_each(self._images)
        require_one_text_each(self._groups)
        hidden = Dataset(
            self._texts(ds.name),
            ds.taxonomy,
            tuple(self._images.values()),
            tuple(self._cell(cell, self._images[cell.image]) for cell in ds.cells),
            self._patients(),
            self.split(ds.split) if ds.split else None,
            ds.root,
            (self._key,),
        )
        warn_of_rests(hidden, self._texts)
        warn_of_names_beside_ids(hidden)
        return hidden

    def split(self, split: Split) -> Split:
        """A split of the data with pseudonyms; it may place images that the data set lacks."""
        now = {image.id: image for image in self._ds.images}
        patient_of: dict[ImageId, PatientId] = {}
        new_id: dict[ImageId, ImageId] = {}
        for image in {**split.part_of, **split.patient_of, **split.digest_of}:
            known, before = now.get(image), split.patient_of.get(image)
            own = self._pseudonym_of[before] if before else None
            if known and known.patient and (before is None or alike([before, known.patient])):
                own = self._pseudonym_of[known.patient]  # the same patient in another spelling
            new_id[image] = self._images[image].id if known else ImageId(self._paths(image, own))
            if own and before:
                patient_of[new_id[image]] = own
        made = {self._texts(key): self._texts(text) for key, text in split.made.items()}
        return replace(
            split,
            name=self._texts(split.name),
            part_of={new_id[image]: self._texts(part) for image, part in split.part_of.items()},
            made=made,
            patient_of=patient_of,
            digest_of={new_id[image]: digest for image, digest in split.digest_of.items()},
        )

    def _patients(self) -> tuple[Patient, ...]:
        """The patients; ids that differ in the form of their characters alone are one patient."""
        diagnoses: dict[PatientId, set[str]] = {}
        for patient in self._ds.patients:
            known = {patient.diagnosis} if patient.diagnosis else set()
            diagnoses.setdefault(self._pseudonym_of[patient.id], set()).update(known)
        problems = [
            Problem(
                f'patient "{pseudonym}"',
                f"has the diagnoses {' and '.join(sorted(each))} under two spellings of its id",
                "correct the diagnoses",
            )
            for pseudonym, each in diagnoses.items()
            if len(each) > 1
        ]
        if problems:
            raise InvalidDataset(problems)
        return tuple(
            Patient(patient, self._diagnosis(next(iter(each), None), patient))
            for patient, each in diagnoses.items()
        )

    def _diagnosis(self, text: str | None, own: PatientId) -> str | None:
        return text if text is None or text in DIAGNOSES else self._texts(text, self._unless_number(own))

    def _unless_number(self, own: PatientId | None) -> PatientId | None:
        """The patient, if its id cannot be a count or a measurement where it is short."""
        return own if own in self._with_letters else None

    def _image(self, image: Image) -> Image:
        own = self._pseudonym_of[str(image.patient)]
        word = self._paths.word(own, image.name, image.id)
        subset, name = (self._paths(text, own, word) for text in (image.subset, image.name))
        # an id is composed of subset and name, as CVAT's converter does, if it was
        if image.id == image.name:
            new = name
        elif image.id == f"{image.subset}/{image.name}":
            new = f"{subset}/{name}"
        elif image.id.endswith(f"/{image.name}"):
            new = self._paths(image.id.removesuffix(image.name), own, word) + name
        else:
            new = self._paths(image.id, own, word)
        return structs.replace(
            image,
            id=ImageId(new),
            patient=own,
            name=name,
            subset=subset,
            tags=tuple(self._image_tag(tag, own) for tag in image.tags),
            diagnosis=self._diagnosis(image.diagnosis, own),
            group=image.group and self._groups[image.group],
        )

    def _image_tag(self, tag: ImageTag, own: PatientId) -> ImageTag:
        return replace(
            tag,
            label=self._tags(tag.label, own),
            attributes=self._attributes(tag.attributes, own),
            source=self._texts(tag.source, self._unless_number(own)),
        )

    def _cell(self, cell: Cell, image: Image) -> Cell:
        return structs.replace(
            cell,
            image=image.id,
            raw_label=self._texts(cell.raw_label, self._unless_number(image.patient)),
            source=self._texts(cell.source, self._unless_number(image.patient)),
            attributes=self._attributes(cell.attributes, image.patient),
        )

    def _attributes(self, attributes: Attributes, own: PatientId | None) -> Attributes:
        """Attributes; a short number in them is an id only if the name of the attribute says so: it may be a measurement."""

        def patient_in(name: str) -> PatientId | None:
            says_so = name == self._attribute or _PERSON.search(letters(name))
            return own if says_so else self._unless_number(own)

        return tuple(
            (self._texts(name, self._unless_number(own)), self._texts(value, patient_in(name)))
            for name, value in attributes
        )


def _pseudonyms_by_group(ds: Dataset, pseudonym_of: Mapping[str, PatientId]) -> dict[str, PatientId | None]:
    """Group -> the pseudonym of its patient; None if it has several, since its name must remain one."""
    found: dict[str, set[PatientId]] = defaultdict(set)
    for image in ds.images:
        if image.group is not None:
            found[image.group].add(pseudonym_of[str(image.patient)])
    return {group: next(iter(each)) if len(each) == 1 else None for group, each in found.items()}
