"""One module per format, found by being here: each has `write`, and `read` where the format can be read back."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

__all__ = ["names"]


def names() -> list[str]:
    """The formats that there are.

    Examples
    --------
    >>> "coco" in names()
    True
    """
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def __getattr__(name: str) -> ModuleType:
    """Import a format's module when it is first asked for: `converters.yolo`, ..."""
    if name in names():
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
