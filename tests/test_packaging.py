"""What an installation holds. Runs in the source tree and against the wheel alike."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import pcm_leukemia
from pcm_leukemia.errors import MissingExtra

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "pcm_leukemia": ROOT / "pcm_leukemia",
    "pcm_leukemia.converters": ROOT / "converters",
    "pcm_leukemia.baselines": ROOT / "baselines",
}


def modules() -> list[str]:
    names = []
    for package, folder in FOLDERS.items():
        for file in sorted(folder.rglob("*.py")):
            path = file.relative_to(folder)
            if package == "pcm_leukemia" and path.parts[0] in ("converters", "baselines"):
                continue  # the links
            parts = path.with_suffix("").parts
            names.append(".".join((package, *parts[: -1 if parts[-1] == "__init__" else None])))
    return names


def imported(name: str) -> ModuleType:
    """The module; the wheel's tests run without extras, which some modules are nothing without."""
    try:
        return import_module(name)
    except MissingExtra as error:
        pytest.skip(str(error))
    except ModuleNotFoundError as error:
        if str(error.name).startswith("pcm_leukemia"):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("name", modules())
def test_every_file_is_a_module_under_its_installed_name(name: str) -> None:
    assert imported(name).__name__ == name


def test_every_folder_with_an_init_is_listed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    there = {
        ".".join((package, *file.parent.relative_to(folder).parts))
        for package, folder in FOLDERS.items()
        for file in folder.rglob("__init__.py")
    }
    assert set(settings["tool"]["setuptools"]["packages"]) == there


@pytest.mark.parametrize("folder", ["converters", "baselines"])
def test_the_links(folder: str) -> None:
    link = ROOT / "pcm_leukemia" / folder
    assert link.is_symlink()
    assert link.readlink() == Path("..") / folder


def has(module: ModuleType, name: str) -> bool:
    """Whether it is there, or says which extra brings it."""
    try:
        return hasattr(module, name)
    except MissingExtra:
        return True


@pytest.mark.parametrize("name", modules())
def test_public_names_are_sorted_and_there(name: str) -> None:
    module = imported(name)
    public = getattr(module, "__all__", None)
    assert public is not None, f"{name} has no __all__"
    assert all(has(module, each) for each in public)
    assert list(public) == sorted(public, key=lambda each: (not each.isupper(), not each[0].isupper(), each))


def test_import_is_light() -> None:
    heavy = "{'torch', 'torchvision', 'ultralytics', 'pandas', 'numpy', 'PIL', 'rich', 'typer', 'yaml'}"
    code = f"import sys, pcm_leukemia; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_version_is_the_same_everywhere() -> None:
    from importlib.metadata import version

    assert version("pcm-leukemia") == pcm_leukemia.__version__
    assert f"version: {pcm_leukemia.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_no_stray_packages_are_installed() -> None:
    from importlib.metadata import distribution

    assert (distribution("pcm-leukemia").read_text("top_level.txt") or "").split() == ["pcm_leukemia"]


def test_the_command_is_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["scripts"] == {"pcm-leukemia": "pcm_leukemia.__main__:main"}
    run = subprocess.run(
        [sys.executable, "-m", "pcm_leukemia", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == pcm_leukemia.__version__
