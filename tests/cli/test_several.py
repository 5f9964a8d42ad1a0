"""Options that take several values, and positional arguments that stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer
from commands import Run

from pcm_leukemia.cli.several import Commands

app = typer.Typer(cls=Commands)


@app.command()
def one(
    data: str,
    out: str,
    *,
    part: Annotated[list[str] | None, typer.Option()] = None,
    table: Annotated[list[int] | None, typer.Option()] = None,
    to: str = "",
    flag: bool = False,
) -> None:
    typer.echo(f"{data} {out} {part or []} {table or []} {to} {flag}")


@app.command()
def many(
    runs: list[Path], out: Path, *, targets: Annotated[list[str], typer.Option()], device: str = ""
) -> None:
    typer.echo(f"{[str(run) for run in runs]} {out} {targets} {device}")


@app.command()
def perhaps(
    data: str,
    runs: Annotated[list[str], typer.Argument(default_factory=list)],
    out: str,
    *,
    beside: Annotated[list[str] | None, typer.Option()] = None,
) -> None:
    typer.echo(f"{data} {runs} {out} {beside}")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("one a b --part train val", "a b ['train', 'val'] []  False"),
        ("one a b --part train val --table 4 5 --to x", "a b ['train', 'val'] [4, 5] x False"),
        ("one a b --part train --part val", "a b ['train', 'val'] []  False"),
        ("one --to x a b --flag --part train val --flag", "a b ['train', 'val'] [] x True"),
        ("one a b --part=train --table 4", "a b ['train'] [4]  False"),
        ("many r s out --targets x y --device cpu", "['r', 's'] out ['x', 'y'] cpu"),
        ("many r out --targets x --targets y", "['r'] out ['x', 'y'] "),
        # arguments that may be left out are not waited for
        ("perhaps a out --beside x y", "a [] out ['x', 'y']"),
        ("perhaps a r s out --beside x y", "a ['r', 's'] out ['x', 'y']"),
        ("perhaps a --beside x r out", "a ['r'] out ['x']"),
        # before the positional arguments an option takes one value
        ("one --part train a b", "a b ['train'] []  False"),
        ("one a --part train b", "a b ['train'] []  False"),
        ("one --part train --part val a b --table 4 5", "a b ['train', 'val'] [4, 5]  False"),
        ("many --targets x r s out", "['r', 's'] out ['x'] "),
        ("many r --targets x s out", "['r', 's'] out ['x'] "),
        # what follows -- is positional
        ("one a --part train -- b", "a b ['train'] []  False"),
        ("one -- a b", "a b [] []  False"),
        ("one a - --part train", "a - ['train'] []  False"),
    ],
)
def test_the_words_after_an_option(typed: str, read: str, capsys: pytest.CaptureFixture[str]) -> None:
    app(typed.split(), standalone_mode=False)
    assert capsys.readouterr().out == f"{read}\n"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("one a b c --part train", "unexpected extra argument"),
        ("one a b --to x y", "unexpected extra argument"),  # an option that takes one value
        ("one a b --part=train val", "unexpected extra argument"),
        ("one a --part train val out", "unexpected extra argument"),  # OUT was to come first
        ("one a b --part", "requires an argument"),
        ("one a b --table 4 five", "'--table'"),
        ("one a b --parts train val", "No such option"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    typed: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        app(typed.split())
    assert left.value.code == 2
    assert sentence in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_path_in_the_home_folder_is_found_where_the_shell_leaves_it(
    run: Run, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(export.parent))
    assert run("inspect", f"~/{export.name}").status == 0
    assert run("import", f"~/{export.name}", "~/data", "--images-root=~/export.zip").status == 0
    assert (export.parent / "data" / "dataset.json").exists()
