"""The table of the commands says what their modules declare, and a command imports its own module alone."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer
from typer.models import CommandInfo

from pcm_leukemia import cli
from pcm_leukemia.cli.commands import COMMANDS


def name_of(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__.replace("_", "-")


def test_the_table_lists_every_command_under_its_module_with_its_summary() -> None:
    declared = {}
    for found in iter_modules(cli.__path__, f"{cli.__name__}."):
        module = import_module(found.name)
        if hasattr(module, "add_to"):
            app = typer.Typer()
            module.add_to(app)
            for command in app.registered_commands:
                help_text = (command.callback.__doc__ or "").strip()
                summary = " ".join(help_text.partition("\n\n")[0].split())
                declared[name_of(command)] = (found.name.rpartition(".")[2], summary)
    assert {name: tuple(entry) for name, entry in COMMANDS.items()} == declared


def imported_by(*words: object) -> set[str]:
    code = "import sys; from pcm_leukemia.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_what_needs_no_command_imports_none(words: list[str]) -> None:
    modules = imported_by(*words)
    assert not {f"pcm_leukemia.cli.{entry.module}" for entry in COMMANDS.values()} & modules
    assert not {"numpy", "PIL", "msgspec", "jinja2", "yaml", "pcm_leukemia.dataset"} & modules


def test_a_command_imports_its_own_module_alone(tmp_path: Path) -> None:
    modules = imported_by("sample", tmp_path / "sample.zip", "--n-patients", 1, "--n-images", 1)
    assert {f"pcm_leukemia.cli.{entry.module}" for entry in COMMANDS.values()} & modules == {
        "pcm_leukemia.cli.data"
    }
