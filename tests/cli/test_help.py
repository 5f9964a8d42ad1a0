"""What the help shows on a terminal of 80 columns, and that an option means one thing in all commands."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from typing import Any

import pytest

from pcm_leukemia import cli
from pcm_leukemia.cli import commands
from pcm_leukemia.cli.reading import spellings

COMMANDS: dict[str, Any] = {name: commands.declared(name) for name in commands.COMMANDS}
COLUMNS = 80


def shown(*words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setattr(sys, "argv", ["pcm-leukemia", *words, "-h"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert not left.value.code
    return capsys.readouterr().out


def test_every_command_has_its_whole_summary_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(monkeypatch=monkeypatch, capsys=capsys).partition("Commands:\n")[2].splitlines()
    summaries = dict(line.split(maxsplit=1) for line in lines)
    assert summaries == {
        name: command.help.partition("\n\n")[0].replace("\n", " ") for name, command in COMMANDS.items()
    }
    assert all(summary.endswith(".") and "..." not in summary for summary in summaries.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_is_explained_within_80_columns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all(param.help for param in COMMANDS[name].params)
    text = shown(name, monkeypatch=monkeypatch, capsys=capsys)
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert ("How the data are read:" in text) == ("\n  --map " in text or "\n  --max-pixels " in text)
    assert not re.search(r"\nOptions:\n(  .*\n)*  --map ", text)
    several = [param.opts[0] for param in COMMANDS[name].params if getattr(param, "multiple", False)]
    for option in several:
        assert re.search(rf"  {option} \S+\.\.\.\s", text)
    assert ("several values after the arguments" in " ".join(text.split())) == bool(several)


def test_an_option_means_the_same_in_every_command() -> None:
    takes = defaultdict(set)
    for command in COMMANDS.values():
        for param in command.params:
            for option in param.opts if param.param_type_name == "option" else ():
                takes[option].add((param.is_flag, param.metavar))
    differing = {option for option, kinds in takes.items() if len({is_flag for is_flag, _ in kinds}) > 1}
    assert not differing
    metavars = {option: {name for _, name in kinds} for option, kinds in takes.items()}
    # NAME is of a data set or split that is written; PART and PART... are one part that is scored, or several
    assert {option for option, names in metavars.items() if len(names) > 1} <= {"--part"}


READS_DATA = re.compile(r"\b(DATA|BEFORE|TARGET|IMAGES)\b")
"""What the arguments are called that name data of any format."""


def test_every_command_that_reads_data_has_the_same_options_for_it() -> None:
    reading = set(spellings().values())
    assert {"--map", "--taxonomy", "--variant", "--images-root", "--clip", "--rows", "--patients"} <= reading
    takes = {
        name: {option for param in command.params for option in param.opts}
        for name, command in COMMANDS.items()
        if any(
            param.param_type_name == "argument" and READS_DATA.search(param.metavar or param.name)
            for param in command.params
        )
    }
    # a split is written into its canonical folder, whose tables are taken as they are
    assert takes.pop("split").isdisjoint(reading)
    assert len(takes) > 15
    assert {name: reading - options for name, options in takes.items() if reading - options} == {}
    assert reading <= {option for param in COMMANDS["cross"].params for option in param.opts}
