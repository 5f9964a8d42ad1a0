"""How DATA is read: the options that every command with DATA has, and the data set that they lead to."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

from pcm_leukemia import errors
from pcm_leukemia.cli.options import (
    ClipOption,
    ImagesRoot,
    MapFile,
    MapOption,
    PatientsAttribute,
    PatientsCsv,
    PatientsPattern,
    PatientsSame,
    PatientsTag,
    RowsOption,
    TaxonomyOption,
    Variant,
    WrongUsage,
    all_labels,
    patients_of,
    same_patients_of,
    taxonomy_of,
)
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.loading import load_dataset, options_of
from pcm_leukemia.patients import Attribute, Table, Tag, assign

__all__ = ["Reading", "reads_data", "spellings"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The options that say how DATA is read. A command takes them as its parameter `reading`; see `reads_data`."""

    taxonomy: TaxonomyOption = None
    label_map: MapOption = None
    map_file: MapFile = None
    variant: Variant = None
    images_root: ImagesRoot = None
    clip: ClipOption = False
    rows: RowsOption = None
    patients: PatientsPattern = None
    patients_csv: PatientsCsv = None
    patients_tag: PatientsTag = None
    patients_attribute: PatientsAttribute = None
    patients_same: PatientsSame = None

    @property
    def people(self) -> str | Table | Tag | Attribute | None:
        """Where the patients are, as `load_dataset` takes it."""
        return patients_of(self.patients, self.patients_csv, self.patients_tag, self.patients_attribute)

    @property
    def diagnoses(self) -> Path | None:
        """The table with the diagnosis of each patient: --patients-csv, if the patients of the images are elsewhere."""
        return None if isinstance(self.people, Table) else self.patients_csv

    @property
    def same_people(self) -> dict[str, str]:
        """The spellings of patients that are one, and the id that is kept."""
        return same_patients_of(self.patients_same)

    @property
    def arguments(self) -> dict[str, Any]:
        """What was typed, as the arguments of `load_dataset`."""
        given = {
            "labels": all_labels(self.map_file, self.label_map, self.taxonomy),
            "variant": self.variant,
            "images_root": self.images_root,
            "clip": self.clip,
            "rows": self.rows and self.rows.value,
            "patients": self.people,
            "patients_same": self.same_people,
            "diagnoses": self.diagnoses,
        }
        return taxonomy_of(self.taxonomy) | {name: value for name, value in given.items() if value}

    @property
    def typed(self) -> list[str]:
        """The options that were typed, as they are spelled: --map."""
        return [
            option for name, option in spellings().items() if getattr(self, name) not in (None, False, [])
        ]

    def with_people(self, ds: Dataset) -> Dataset:
        """The data set with the patients and diagnoses that were given, or with its own."""
        return assign(ds, self.people, same=self.same_people, diagnoses=self.diagnoses)

    def load(self, data: Path, **options: Any) -> Dataset:
        """Load data with these options and further ones of `load_dataset`."""
        return load_dataset(data, **self.arguments, **options)

    def load_all(self, *data: Path, split_name: str | None = None, **options: Any) -> list[Dataset]:
        """Load several data sets, whose warnings name them; an option is for those that take it, and at least one must."""
        taken = {each: options_of(each) for each in data}
        arguments = self.arguments | ({"split_name": split_name} if split_name else {})
        for option in arguments:
            if not any(option in names for names in taken.values()):
                said = ", whose boxes were checked before" * (option == "clip")
                raise WrongUsage(f"{errors.option(option)} does not apply to these data{said}; leave it out")
        loaded: list[Dataset] = []
        told: list[tuple[Path, Warning | str]] = []
        for each in data:
            given = {name: value for name, value in arguments.items() if name in taken[each]}
            with warnings.catch_warnings(record=True) as caught:
                loaded.append(load_dataset(each, **given, **options))
            told += [(each, warning.message) for warning in caught]
        absent = Counter(message.label for _, message in told if isinstance(message, errors.AbsentLabel))
        for each, message in told:
            # a label of the map that one data set has need not be in the others
            if not isinstance(message, errors.AbsentLabel) or absent[message.label] == len(data):
                warnings.warn(f"{each}: {message}", errors.DataWarning, stacklevel=2)
        return loaded


def spellings() -> dict[str, str]:
    """The name of each field of `Reading` -> its option as it is typed."""
    parameters = inspect.signature(Reading, eval_str=True).parameters.values()
    # in Annotated, typer keeps the first name of an option as its default
    return {each.name: each.annotation.__metadata__[0].default for each in parameters}


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Reading` in place of its parameter `reading`."""

    @wraps(command)
    def run(*args: Any, **given: Any) -> None:
        reading = Reading(**{each.name: given.pop(each.name) for each in fields(Reading)})
        command(*args, reading=reading, **given)

    signature = inspect.signature(command, eval_str=True)
    options = [
        option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for option in inspect.signature(Reading, eval_str=True).parameters.values()
    ]
    parameters = [
        option
        for parameter in signature.parameters.values()
        for option in (options if parameter.name == "reading" else [parameter])
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
