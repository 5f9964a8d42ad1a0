"""The help of a command: its arguments and options, and in a section of their own the options that say how data are read."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

__all__ = ["READING", "Explained", "Sections"]

READING = "How the data are read"
"""The `rich_help_panel` of the options that say so."""

Sections = dict[str, list[tuple[str, str]]]
"""Title -> the two columns of each line."""


class Explained(TyperCommand):
    """A command whose help has a section for each `rich_help_panel`, below its other options."""

    def sections(self, ctx: Any) -> Sections:
        """The sections of the help."""
        found: Sections = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                title = "Arguments" if param.param_type_name == "argument" else "Options"
                found.setdefault(getattr(param, "rich_help_panel", None) or title, []).append(record)
        return found

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections that have a line."""
        for title, records in self.sections(ctx).items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
