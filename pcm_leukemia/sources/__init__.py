"""The other public data sets, one module each, found by being here: each has `SOURCE` and `read`.

`read(root)` gives a `Dataset` in the nine classes (or, for sets that are for detection alone, their own),
with the raw label of every cell kept. Nothing is bundled or mirrored: `SOURCE.how_to_get` says what to
fetch and where to put it.
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
    """The data sets that there are readers for.

    Examples
    --------
    >>> "lmu" in names()
    True
    """
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str) -> Source:
    """What is known of a data set.

    Raises
    ------
    ValueError
        If there is no reader of that name.

    Examples
    --------
    >>> get("lmu").licence
    'CC BY 3.0 (told by third parties)'
    """
    return module(name).SOURCE  # type: ignore[no-any-return]


def module(name: str) -> ModuleType:
    """The module of a data set, with its `SOURCE` and `read`.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in names():
        raise ValueError(f'source "{name}": there is none; use one of {", ".join(names())}')
    return import_module(f"{__name__}.{name}")


def split_name(path: object) -> tuple[str, str] | None:
    """`NAME:ROOT` as (name, root), where NAME is a data set's; None for any other path.

    Examples
    --------
    >>> split_name("lmu:/data/LMU"), split_name("/data/LMU"), split_name("C:/data")
    (('lmu', '/data/LMU'), None, None)
    """
    name, colon, root = str(path).partition(":")
    return (name, root) if colon and root and name in names() else None


def validate(name: str, ds: Dataset, *, pixels: bool = False, workers: int | None = None) -> Validation:
    """Compare what was read with what was published, class by class and file by file.

    Parameters
    ----------
    name
        The data set's name among `names`.
    ds
        What its reader gave, whole.
    pixels
        Decode every image, which finds files that are cut short.
    workers
        Threads; by default as many as Python's pool takes.

    Raises
    ------
    ValueError
        If there is no reader of that name.
    """
    from pcm_leukemia.sources import _validate

    return _validate.validate(module(name), ds, pixels=pixels, workers=workers)


def __getattr__(name: str) -> ModuleType:
    """Import a data set's module when it is first asked for: `sources.lmu`, ..."""
    if name in names():
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})
