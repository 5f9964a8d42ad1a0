"""The formats: one folder each, found by being here.

A format's `__init__` offers `write`; where the format can be read back, also `read`, `recognises`, `TITLE` and
`PRECEDENCE`, as `Readable` describes.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Protocol, cast

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import Report

__all__ = ["Format", "Readable", "get", "names", "readable", "recognise"]


class Format(Protocol):
    """What the module of every format offers."""

    @staticmethod
    def write(ds: Dataset, out: str | Path, **options: Any) -> Report:
        """Write `ds` into a new folder or file. The format's options are keyword-only parameters."""


class Readable(Protocol):
    """What the module of a format offers besides, where `load_dataset` takes the format.

    `TITLE` is the format's name in messages. Formats are asked in the order of `PRECEDENCE` whether a path is one
    of theirs: 0 for a format that has a file of its own name, such as ``data.yaml``; 1 for one that has any file of
    a suffix, such as ``.json``; 2 for one that looks into the folders below.
    """

    TITLE: str
    PRECEDENCE: int

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether `path` is of this format, by the names of files alone; False where nothing is."""

    @staticmethod
    def read(path: str | Path, **options: Any) -> Dataset:
        """Read it. The format's options are keyword-only parameters."""


def names() -> list[str]:
    """The formats that can be written.

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
        If there is no format of that name.
    """
    if name not in names():
        raise ValueError(f'format "{name}": there is none; use one of {", ".join(names())}')
    return cast("Format", import_module(f"{__name__}.{name}"))


def readable() -> list[Readable]:
    """The modules of the formats that can be read, the canonical folder's among them, in the order in which they are asked."""
    from pcm_leukemia import store

    modules = [store, *map(get, names())]
    found = [cast("Readable", module) for module in modules if hasattr(module, "recognises")]
    return sorted(found, key=lambda module: module.PRECEDENCE)


def recognise(path: str | Path) -> Readable | None:
    """The module of the format that is at a path, by the names of files alone; None if no format has it.

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
    """Import a format's module when it is first asked for: `converters.yolo`, ..."""
    if name in names():
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})
