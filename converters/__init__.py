"""The formats: one folder each; a new folder here is a new format.

The `__init__` of a format has `write`. If the format can be read, it also has `read`, `recognises`, `TITLE` and
`PRECEDENCE`; see `Readable`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Protocol, cast

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import Report, check_target
from pcm_leukemia.remote import Place

__all__ = ["Format", "Readable", "check_out", "get", "names", "readable", "recognise"]


class Format(Protocol):
    """The interface of every format's module."""

    @staticmethod
    def write(ds: Dataset, out: str | Path, **options: Any) -> Report:
        """Write `ds` to a new folder or file. The format's options are keyword-only parameters."""


class Readable(Protocol):
    """The additional interface of a format that `load_dataset` can read.

    `TITLE` is the format's name in messages. `recognises` is called in the order of `PRECEDENCE`: 0 for formats
    with a file of a fixed name (``data.yaml``), 1 for formats with any file of one suffix (``.json``), 2 for
    formats that search subfolders.
    """

    TITLE: str
    PRECEDENCE: int

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether `path` has this format, judged by file names only; False if it does not exist."""

    @staticmethod
    def read(path: str | Path, **options: Any) -> Dataset:
        """Read `path`. The format's options are keyword-only parameters."""


def names() -> list[str]:
    """The names of the formats that can be written.

    Examples
    --------
    >>> "coco" in names()
    True
    """
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str) -> Format:
    """The module of a format.

    Raises
    ------
    ValueError
        If the format is unknown.
    """
    if name not in names():
        raise ValueError(f'format "{name}": unknown; use one of {", ".join(names())}')
    return cast("Format", import_module(f"{__name__}.{name}"))


def check_out(name: str, out: str | Place) -> None:
    """Refuse a target that the writer of a format would refuse, before the work.

    Raises
    ------
    ValueError
        If the format is unknown.
    WrongTarget
        If `out` must not, or cannot, be written.

    Examples
    --------
    >>> check_out("yolo", "demo.zip")
    Traceback (most recent call last):
    pcm_leukemia.errors.WrongTarget: demo.zip: would be a folder with the name of a file; leave out .zip
    """
    refuse = getattr(get(name), "check_out", None)
    if refuse:
        refuse(out)
    else:
        check_target(str(out), name)


def readable() -> list[Readable]:
    """The modules of the formats that can be read, including the canonical folder, in order of precedence."""
    from pcm_leukemia import store

    modules = [store, *map(get, names())]
    found = [cast("Readable", module) for module in modules if hasattr(module, "recognises")]
    return sorted(found, key=lambda module: module.PRECEDENCE)


def recognise(path: str | Path) -> Readable | None:
    """The module of the format at a path, judged by file names only; None if no format matches.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "data.yaml").write_text("names: [Other]")
    ...     recognise(folder).TITLE
    'a YOLO folder (data.yaml)'
    """
    return next((module for module in readable() if module.recognises(Path(path))), None)


def __getattr__(name: str) -> ModuleType:
    """Import a format's module on first use: `converters.yolo`, ..."""
    if name in names():
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})
