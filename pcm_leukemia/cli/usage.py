"""The error for what was typed wrong."""

from __future__ import annotations

import typer

__all__ = ["WrongUsage"]


class WrongUsage(typer.BadParameter):
    """A mistake of whoever typed the command: status 2, and one sentence that names the option itself."""

    def format_message(self) -> str:
        """Give the sentence alone; the class above would say "Invalid value" before it."""
        return self.message
