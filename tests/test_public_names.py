"""One list of public names: `pcm.__all__` and what its modules list, docs/api.md, and the names that the docs use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import pcm_leukemia as pcm
from pcm_leukemia.errors import MissingExtra

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pcm_leukemia"
COLLECTIONS = (
    "",
    ".converters",
    ".sources",
    ".baselines",
    *(f".baselines.{name}" for name in ("classifiers", "metrics", "experiments")),
)
"""The packages whose modules are all public; every other package is a room, of which the face alone is."""
MODULES = sorted(
    name for name in pcm.__all__ if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def listed(name: str) -> list[str]:
    """The `__all__` of a module, read from its text, so that no extra need be installed."""
    path = ROOT / name.replace(".", "/").replace("pcm_leukemia/converters", "converters").replace(
        "pcm_leukemia/baselines", "baselines"
    )
    tree = ast.parse(
        (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    )
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{name} has no __all__")


def documented() -> dict[str, set[str] | None]:
    """Module -> its names in docs/api.md; None for all of its `__all__`."""
    found: dict[str, set[str] | None] = {}
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name, members in re.findall(r"automodule:: (\S+)\n((?:   :.*\n)*)", text):
        (chosen,) = re.findall(r":members:(.*)", members)
        found[name] = {each.strip() for each in chosen.split(",")} if chosen.strip() else None
        assert "exclude-members" not in members, name
    for name in re.findall(r"autofunction:: (\S+)\.(\w+)\n", text):
        found.setdefault(name[0], set())
        found[name[0]] |= {name[1]}  # type: ignore[operator]
    return found


def public_modules() -> list[str]:
    formats = [f"converters.{name}" for name in pcm.converters.names()]
    return [f"pcm_leukemia.{name}" for name in (*MODULES, *formats)]


@pytest.mark.parametrize("name", public_modules())
def test_every_public_name_is_in_the_api_page(name: str) -> None:
    pages = documented()
    assert name in pages
    chosen = pages[name]
    assert chosen is None or chosen >= set(listed(name))


def test_every_name_of_the_package_is_in_the_api_page() -> None:
    pages = documented()
    for name in set(pcm.__all__) - set(MODULES) - {"__version__"}:
        homes = [module for module, chosen in pages.items() if name in (chosen or listed(module))]
        assert homes, name


@pytest.mark.parametrize("name", documented())
def test_the_api_page_names_what_is_there(name: str) -> None:
    chosen = documented()[name]
    try:
        module = import_module(name)
    except MissingExtra as error:
        pytest.skip(str(error))
    assert all(hasattr(module, each) for each in chosen or ())
    if name != "pcm_leukemia":
        assert (chosen or set()) <= set(listed(name))


def test_the_api_page_has_nothing_else() -> None:
    for name, chosen in documented().items():
        public = name in public_modules() or name.startswith("pcm_leukemia.baselines.")
        assert public or set(chosen or listed(name)) <= set(pcm.__all__), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_docs_use_is_public(page: Path) -> None:
    for path in set(re.findall(r"\bpcm\.([A-Za-z_][\w.]*\w)", page.read_text(encoding="utf-8"))):
        _follow(path.split("."))


def _follow(steps: list[str]) -> None:
    """Go from the package to a name, each step of which must be public."""
    here, there = "pcm_leukemia", pcm.__all__
    for step in steps:
        collection = here.removeprefix("pcm_leukemia") in COLLECTIONS
        assert step in there or (collection and step in dir(import_module(here))), ".".join(steps)
        here = f"{here}.{step}"
        try:
            there = listed(here)
        except FileNotFoundError:
            return  # a name, and what it has


def test_dir_shows_what_a_collection_holds() -> None:
    for collection in (pcm.converters, pcm.sources, pcm.baselines):
        assert set(collection.names()) <= set(dir(collection))
        assert set(collection.__all__) <= set(dir(collection))
    assert dir(pcm) == sorted(pcm.__all__)


def imports() -> Iterator[tuple[str, str, str]]:
    """(importing module, imported module, name) of every import of the package in it."""
    for folder in ("pcm_leukemia", "converters", "baselines"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            if parts[:2] in (("pcm_leukemia", "converters"), ("pcm_leukemia", "baselines")):
                continue  # the links
            parts = parts if folder == "pcm_leukemia" else ("pcm_leukemia", *parts)
            module = ".".join(parts).removesuffix(".__init__")
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pcm_leukemia"):
                    yield from ((module, str(node.module), alias.name) for alias in node.names)
                if isinstance(node, ast.Import):
                    steps = (alias.name.rpartition(".") for alias in node.names)
                    yield from ((module, above, name) for above, _, name in steps if above)


def test_only_the_face_of_a_room_is_imported_from_outside() -> None:
    rooms = {
        ".".join(("pcm_leukemia", *file.parent.relative_to(PACKAGE).parts))
        for file in PACKAGE.rglob("*/__init__.py")
    }
    rooms |= {
        f"pcm_leukemia.{'.'.join(file.parent.relative_to(ROOT).parts)}"
        for folder in ("converters", "baselines")
        for file in (ROOT / folder).rglob("__init__.py")
    }
    rooms -= {f"pcm_leukemia{name}" for name in COLLECTIONS}
    wrong = []
    for importer, module, name in imports():
        for room in rooms:
            inside = importer == room or importer.startswith(f"{room}.")
            if inside:
                continue
            if module.startswith(f"{room}.") or (module == room and name not in listed(room)):
                wrong.append(f"{importer}: from {module} import {name}")
    private = [
        f"{importer}: from {module} import {name}"
        for importer, module, name in imports()
        if any(step.startswith("_") for step in module.split("."))
        and not importer.startswith(module.split("._")[0])
    ]
    assert sorted({*wrong, *private}) == []
