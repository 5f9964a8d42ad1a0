"""Readers for other public data sets, one module each, with `SOURCE` and `read`.

A module in this folder is registered by being here. `read(root)` returns a `Dataset` in the nine classes (or in
its own classes, for pure detection sets) and keeps the raw label of every cell. No data is bundled or mirrored:
`SOURCE.how_to_get` says what to download and where to put it.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.sources._fetch import fetch
from pcm_leukemia.sources._labels import LabelMap, read_map, readings_of
from pcm_leukemia.sources._source import Download, Source
from pcm_leukemia.sources._validate import Validation

__all__ = [
    "Download",
    "LabelMap",
    "Source",
    "Validation",
    "fetch",
    "get",
    "names",
    "read_map",
    "readings_of",
    "split_name",
    "validate",
]


def names() -> list[str]:
    """Return the names of all supported data sets, sorted.

    Examples
    --------
    >>> "lmu" in names()
    True
    """
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str) -> Source:
    """Return the description of a data set.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> get("lmu").licence
    'CC BY 3.0 (according to third parties)'
    """
    return module(name).SOURCE  # type: ignore[no-any-return]


def module(name: str) -> ModuleType:
    """Return the module of a data set, with its `SOURCE` and `read`.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in names():
        raise ValueError(f'source "{name}": unknown data set; use one of {", ".join(names())}')
    return import_module(f"{__name__}.{name}")


def split_name(path: object) -> tuple[str, str] | None:
    """Split `NAME:ROOT` into (name, root) if NAME is a data set; return None for any other path.

    Examples
    --------
    >>> split_name("lmu:/data/LMU"), split_name("/data/LMU"), split_name("C:/data")
    (('lmu', '/data/LMU'), None, None)
    """
    name, colon, root = str(path).partition(":")
    return (name, root) if colon and root and name in names() else None


def validate(name: str, ds: Dataset, *, pixels: bool = False, workers: int | None = None) -> Validation:
    """Compare a copy of a data set with the published one: counts by class, and files by name.

    Parameters
    ----------
    name
        A name from `names`.
    ds
        The complete data set, as its reader returned it.
    pixels
        Decode every image, to find truncated files.
    workers
        Number of threads; by default that of Python's thread pool.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    from pcm_leukemia.sources import _validate

    return _validate.validate(module(name), ds, pixels=pixels, workers=workers)


def __getattr__(name: str) -> ModuleType:
    """Import a data set's module on first access: `sources.lmu`, ..."""
    if name in names():
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})
