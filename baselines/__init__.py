"""The paper's reference models: one module each, with its numbers in a .toml beside it.

Importing this package asks for the extra `baselines`, so that its modules can import their libraries
plainly.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from pcm_leukemia.errors import MissingExtra

__all__ = ["module", "names", "settings_file"]

_MODELS = {file.stem: file for file in Path(__path__[0]).rglob("*.toml")}

for _library in (
    "torch",
    "torchvision",
    "lightning",
    "timm",
    "transformers",
    "ultralytics",
    "hotcoco",
    "matplotlib",
):
    if find_spec(_library) is None:
        raise MissingExtra(_library, "baselines")


def names() -> list[str]:
    """The models that there are: every module or folder with a .toml of its name.

    Examples
    --------
    >>> "resnet50" in names()
    True
    """
    return sorted(_MODELS)


def settings_file(name: str) -> Path:
    """The .toml of a model."""
    return _MODELS[name]


def module(name: str) -> ModuleType:
    """The code of a model; brings its libraries."""
    folder = _MODELS[name].relative_to(Path(__path__[0])).parent
    parts = folder.parts if folder.name == name else (*folder.parts, name)
    return import_module(".".join((__name__, *parts)))


def __getattr__(name: str) -> ModuleType:
    """Import a module of this package when it is first asked for: `baselines.dinobloom`, ..."""
    if name in _MODELS:
        return module(name)
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *names(), *(each.name for each in iter_modules(__path__))})
