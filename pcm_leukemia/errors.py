"""The exceptions and warnings of the package, and the one-line problems that they carry.

::

    PcmError
    ├── InvalidExport(problems)     an export as a whole: every problem in it
    │   └── UnknownLabel            ... whose only problems are labels outside the taxonomy
    ├── InvalidDataset(problems)    the invariants between the tables of a data set
    ├── ImpossibleValue             a value in a row that cannot be: an empty id, a box without area
    ├── MissingPatients             a patient-level split without patient ids
    ├── LeakySplit                  a patient in two parts
    ├── UnfitForTask(problems)      data that a task cannot use: points instead of boxes, unannotated cells
    ├── UnknownPart                 a part (or a split) that the data set does not have
    │   └── MissingPart             ... though a task needs it: images in no part, no part to train on
    ├── ExportError                 the output folder, or a label that the format cannot write
    │   ├── WrongTarget             ... because that path must not, or cannot, be written
    │   │   └── ProtectedTarget     ... for lack of a permission
    │   ├── DataLoss                ... because a data set there would lose images, patients or placed images
    │   └── DiskError               ... because the disk is full, or does not permit it
    ├── DataNotFound                a path that does not exist, or holds nothing readable
    │   └── DownloadError           ... because it cannot be downloaded
    ├── CorruptFile                 a file that exists but cannot be trusted
    ├── ServerError                 a server that refuses, or answers something else
    │   └── ServerUnavailable       ... because it cannot be reached, fails, or lets nobody in
    └── MachineError                the computer or its network, and nothing else: so are ProtectedTarget, DiskError, ...
        └── MissingExtra            an optional library that is not installed

Each one also inherits the builtin exception that a caller would catch.

A message names what its reader can type: `option` and `either` use the Python spelling, or inside
`for_the_command_line` that of the command line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

__all__ = [
    "AbsentLabel",
    "CorruptFile",
    "DataLoss",
    "DataNotFound",
    "DataWarning",
    "DiskError",
    "DownloadError",
    "ExportError",
    "ImpossibleValue",
    "IncompleteSplit",
    "InvalidDataset",
    "InvalidExport",
    "LeakySplit",
    "MachineError",
    "MissingExtra",
    "MissingPart",
    "MissingPatients",
    "PcmError",
    "Problem",
    "ProtectedTarget",
    "ServerError",
    "ServerUnavailable",
    "UnfitForTask",
    "UnknownLabel",
    "UnknownPart",
    "WrongTarget",
    "closest",
    "counted",
    "counted_kind",
    "either",
    "for_the_command_line",
    "nearest",
    "option",
    "readers_type_commands",
    "some",
    "write_for",
]

SHOWN = 20
_LONGEST_NAME = 200
"""Longer names are compared with none: difflib takes a time that grows with the square of their length."""
_READER = SimpleNamespace(
    types_commands=False
)  # not a context variable: threads that read images write messages, too


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: where it is, what is wrong, and how to fix it.

    Examples
    --------
    >>> print(Problem("a.xml:7", "not CVAT", "export as 'CVAT for images 1.1'"))
    a.xml:7: not CVAT; export as 'CVAT for images 1.1'
    """

    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.fix}"


class PcmError(Exception):
    """Everything that this package raises on purpose."""


class _Problems(PcmError):
    """An error made of several problems; its message shows the first 20."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(some(self.problems))

    def __reduce__(self) -> tuple[type[_Problems], tuple[tuple[Problem, ...]]]:
        """Pickle the problems, not the message, so that the error may come from another process."""
        return type(self), (self.problems,)


class InvalidExport(_Problems, ValueError):
    """An export that cannot be read; `problems` lists every reason."""


class UnknownLabel(InvalidExport):
    """An export whose only problems are labels outside the taxonomy."""


class InvalidDataset(_Problems, ValueError):
    """Tables that contradict each other; `problems` lists every contradiction."""


class ImpossibleValue(PcmError, ValueError):
    """A value in a row that cannot be: an empty id, a box without area, two classes of one name."""


class MissingPatients(PcmError, ValueError):
    """A task that needs patient ids on a data set without them."""


class LeakySplit(_Problems, ValueError):
    """A patient or an image that is in more than one part."""


class UnfitForTask(_Problems, ValueError):
    """Data that a task cannot use in its present form; `problems` says why, and what to leave out."""


class UnknownPart(PcmError, KeyError):
    """A part or a split that the data set does not have."""

    def __str__(self) -> str:  # KeyError would print the repr of the sentence
        return str(self.args[0]) if self.args else ""


class MissingPart(UnknownPart):
    """Images that are in no part of a split, or data without the parts that a task needs."""


class MachineError(PcmError):
    """Something is wrong with this computer or its network, and neither with the data nor with what was asked for."""


class ExportError(PcmError, OSError):
    """An output that cannot be written to the requested place or in the requested form."""


class WrongTarget(ExportError):
    """A path that must not, or cannot, be written: it holds something else, is read from, or is below a file."""


class ProtectedTarget(WrongTarget, MachineError):
    """A path that must not be written to, as its permissions say."""


class DiskError(ExportError, MachineError):
    """A disk that is full, or does not permit to write there."""


class DataLoss(ExportError):
    """A data set on disk would lose images, patients, diagnoses, groups or a split to what is written in its place."""


class DataNotFound(PcmError, FileNotFoundError):
    """A path that does not exist, or holds nothing readable."""


class DownloadError(DataNotFound, MachineError):
    """A file that cannot be downloaded."""


class CorruptFile(PcmError, ValueError):
    """A file that exists, but whose content cannot be trusted."""


class ServerError(PcmError, ConnectionError):
    """A server that cannot be reached, refuses a request, or answers what was not asked for."""


class ServerUnavailable(ServerError, MachineError):
    """A server that cannot be reached, fails, or does not accept the access token."""


class MissingExtra(MachineError, ImportError):
    """An optional library is missing; the extra that brings it, if one does."""

    def __init__(self, library: str, extra: str = "") -> None:
        self._missing = library, extra
        what = f"'pcm-leukemia[{extra}]'" if extra else library
        super().__init__(f"{library}: not installed; run: pip install {what}")

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """Pickle the names, not the message, so that the error may come from another process."""
        return type(self), self._missing


class DataWarning(UserWarning):
    """Something in readable data that a person should look at."""


class AbsentLabel(DataWarning):
    """A label of a map that the data do not have: `label`."""

    def __init__(self, label: str, message: str) -> None:
        self.label = label
        super().__init__(message)


class IncompleteSplit(DataWarning):
    """A split that does not place every image, and is left out."""


def some(lines: Iterable[object], shown: int = SHOWN) -> str:
    """Join the first `shown` lines, and say how many more there are.

    Examples
    --------
    >>> print(some(["a", "b", "c"], shown=2))
    a
    b
    ... and 1 more
    """
    texts = [str(line) for line in lines]
    if len(texts) > shown:
        texts[shown:] = [f"... and {len(texts) - shown:,} more"]
    return "\n".join(texts)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number and its noun; the plural ends in "s" unless it is given.

    Examples
    --------
    >>> counted(1, "image"), counted(1200, "image"), counted(2, "box", "boxes")
    ('1 image', '1,200 images', '2 boxes')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def counted_kind(number: int, kind: str) -> str:
    """Write a number and what it counts; `kind` is in the plural, such as the kinds in `Report.skipped`.

    Examples
    --------
    >>> counted_kind(2, "boxes without area"), counted_kind(1, "boxes without area"), counted_kind(1, "ignored cells")
    ('2 boxes without area', '1 box without area', '1 ignored cell')
    >>> counted_kind(1, "images that have cells")
    '1 image that has cells'
    """
    if number != 1:
        return f"{number:,} {kind}"
    one = re.sub(r"\b(box|class|diagnos)es\b|\b(\w+[^is\W])s\b", _singular, kind, count=1)
    return "1 " + re.sub(
        r"^([^,]*? that) (are|have|leave)\b", lambda found: f"{found[1]} {_ONE[found[2]]}", one
    )


def _singular(plural: re.Match[str]) -> str:
    return "diagnosis" if plural[1] == "diagnos" else plural[1] or plural[2]


_ONE = {"are": "is", "have": "has", "leave": "leaves"}


def closest(name: str, names: Iterable[str]) -> str | None:
    """Find the most similar of some names, for a name that is not one of them; None if none is similar.

    Three quarters of the letters must be the same, since another class (Thrombocyte, Monocyte) is worse than none; of up to five
    letters, 60 %. Names are compared with their case first, and then without.

    Examples
    --------
    >>> closest("Lymfoblast", ["Lymphoblast", "Other"]), closest("WCB", ["WBC", "RBC"])
    ('Lymphoblast', 'WBC')
    >>> [closest(name, ["Lymphoblast", "Monocyte"]) for name in ("Cat", "Platelets", "Thrombocyte", "Erythroblast")]
    [None, None, None, None]
    """
    if len(name) > _LONGEST_NAME:
        return None
    share = 0.6 if len(name) <= 5 else 0.75
    by_small = {each.casefold(): each for each in names}
    near = difflib.get_close_matches(name, by_small.values(), n=1, cutoff=share) or [
        by_small[small] for small in difflib.get_close_matches(name.casefold(), by_small, n=1, cutoff=share)
    ]
    return near[0] if near else None


def nearest(name: str, names: Iterable[str]) -> str:
    """Name the `closest` of some names in a message; empty if none is similar.

    Examples
    --------
    >>> nearest("Lymfoblast", ["Lymphoblast", "Other"]), nearest("RBC", ["Lymphoblast", "Other"])
    (', the nearest is "Lymphoblast"', '')
    """
    near = closest(name, names)
    return f', the nearest is "{near}"' if near else ""


_TYPED = {"labels": "map", "split_name": "split"}
"""Python name -> name on the command line, for the options where they differ."""


def either(python: str, command_line: str) -> str:
    """Choose the text for the reader of a message: `python`, or `command_line` for a reader who types commands.

    Examples
    --------
    >>> either('pass labels={"Blob": "ignore"}', "pass --map Blob=ignore")
    'pass labels={"Blob": "ignore"}'
    >>> with for_the_command_line():
    ...     either('pass labels={"Blob": "ignore"}', "pass --map Blob=ignore")
    'pass --map Blob=ignore'
    """
    return command_line if _READER.types_commands else python


def option(name: str, value: object = None) -> str:
    """Spell an option, and its value if there is one, as the reader of a message types it.

    Examples
    --------
    >>> option("images_root"), option("images", "copy"), option("clip", value=True)
    ('images_root', 'images="copy"', 'clip=True')
    >>> with for_the_command_line():
    ...     option("images_root"), option("images", "copy"), option("clip", value=True)
    ('--images-root', '--images copy', '--clip')
    """
    typed = f"--{_TYPED.get(name, name).replace('_', '-')}"
    if value is None:
        return either(name, typed)
    quoted = f'"{value}"' if isinstance(value, str) else repr(value)
    return either(f"{name}={quoted}", typed if value is True else f"{typed} {value}")


@contextmanager
def for_the_command_line() -> Iterator[None]:
    """Make messages that are written inside the block name commands and their options."""
    write_for(types_commands=True)
    try:
        yield
    finally:
        write_for(types_commands=False)


def write_for(*, types_commands: bool) -> None:
    """Say for whom this process writes its messages from now on; a worker of a cluster is told it with each piece of work."""
    _READER.types_commands = types_commands


def readers_type_commands() -> bool:
    """Whether messages name commands and their options, as inside `for_the_command_line`."""
    return bool(_READER.types_commands)
