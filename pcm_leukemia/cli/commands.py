"""The table of the commands: what the help says of each, and the module that is imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from pcm_leukemia.cli.explaining import Explained

__all__ = ["COMMANDS", "ListedCommands", "declared", "list_in"]


class Entry(NamedTuple):
    """A command in the table: the module in this folder that declares it, and the first sentence of its help."""

    module: str
    summary: str


COMMANDS = {
    "demo": Entry("data", "Run the main job on a small synthetic sample."),
    "sample": Entry("data", "Draw synthetic smears and write them as a CVAT export."),
    "inspect": Entry("data", "Count everything in a CVAT export and list every problem."),
    "import": Entry("importing", "Read an export or a public data set into a canonical folder."),
    "split": Entry("data", "Split a canonical folder by patient into train, val, test."),
    "join": Entry("joining", "Join data sets into one, also into a split that is there."),
    "info": Entry("data", "Count images, patients, and cells by class and part."),
    "convert": Entry("convert", "Write the data set in another format."),
    "check": Entry("data", "Look for leaks, copies, odd boxes and identifiers."),
    "diff": Entry("data", "Show what a reviewer changed between two exports."),
    "pull": Entry("server", "Bring what has changed on a CVAT server into a folder."),
    "push": Entry("server", "Send cells and tags to a CVAT server, to be corrected there."),
    "report": Entry("showing", "Write a page that shows a data set, or a run's mistakes."),
    "show": Entry("showing", "Draw an image with its cells."),
    "sources": Entry("sources", "List the public data sets that can be read."),
    "fetch": Entry("sources", "Download the files that a public data set publishes."),
    "validate": Entry("sources", "Compare a copy of a public data set with what was published."),
    "train": Entry("models", "Train a reference model on the parts train and val."),
    "predict": Entry("models", "Find and classify the cells in images."),
    "differential": Entry("differentials", "Count each patient's white cells, with exact intervals."),
    "evaluate": Entry("scoring", "Score a model on a part that it has not learned from."),
    "compare": Entry("scoring", "Compare two models on a part that neither has learned from."),
    "figures": Entry("scoring", "Draw the paper's figures of data and runs."),
    "suspects": Entry("correcting", "List annotations that are probably wrong."),
    "next": Entry("correcting", "Choose the frames to annotate next."),
    "adapt": Entry("experiments", "Adapt a model to another hospital with some of its labels."),
    "cross": Entry("experiments", "Score every model on every data set."),
    "reproduce": Entry("experiments", "Run the paper's experiments, and compare with its numbers."),
    "embed": Entry("embeddings", "Write the features of every cell to a parquet file."),
    "probe": Entry("embeddings", "Compare embeddings by nearest neighbours and a linear probe."),
}
"""Name -> entry, in the order in which the help lists the commands."""


class Listed(TyperCommand):
    """A command in the lists, whose module is not imported yet."""


class ListedCommands(TyperGroup):
    """The commands of the table: lists and completions show the table, and a call imports one module."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that is called, and import its module."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, declared(str(name)) if isinstance(command, Listed) else command, rest


def list_in(app: typer.Typer) -> None:
    """List all commands in a command line, whose class must be `ListedCommands`."""
    for name, entry in COMMANDS.items():
        app.command(name, cls=Listed, help=entry.summary)(lambda: None)


def declared(name: str) -> Any:
    """The command of this name, as its module declares it."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.callback()(lambda: None)  # with a callback, a single command is a group, too
    import_module(f"{__package__}.{COMMANDS[name].module}").add_to(alone)
    for command in alone.registered_commands:
        command.cls = Explained if command.cls is TyperCommand else command.cls
    group: Any = typer.main.get_command(alone)
    return group.commands[name]
