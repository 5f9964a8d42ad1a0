"""The command line as a whole: its own options, and what an error or a warning prints."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from pcm_leukemia import __version__
from pcm_leukemia.cli.commands import list_in
from pcm_leukemia.cli.several import Commands
from pcm_leukemia.errors import (
    DataLoss,
    MachineError,
    MissingPart,
    PcmError,
    UnknownPart,
    WrongTarget,
    for_the_command_line,
)

__all__ = ["app", "run"]

app = typer.Typer(
    name="pcm-leukemia",
    help="Blood-smear images annotated in CVAT: read, split by patient, converted for training.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _version(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


list_in(app)


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001 - the signature is Python's
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    print(f"warning: {message}", file=sys.stderr)


def run() -> None:
    """Run the command line."""
    # rows refer to no row that refers back, so the many scans for cycles while they pile up find nothing
    gc.set_threshold(500_000)
    warnings.showwarning = _show_warning
    try:
        with for_the_command_line(), _whole_output():
            app(prog_name="pcm-leukemia")
    except PcmError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_status_of(error))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output wants no more of it
        sys.exit(1)
    except OSError as error:
        place = error.filename or "disk"
        print(
            f"error: {place}: {error.strerror or error}; check the disk and the permissions", file=sys.stderr
        )
        sys.exit(3)


@contextmanager
def _whole_output() -> Iterator[None]:
    """Send out what was printed inside the block: at the end of the process, it is too late to report a full disk."""
    try:
        yield
    finally:
        try:
            print(end="", flush=True)  # which does nothing where there is no standard output
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is left
            raise


def _status_of(error: PcmError) -> int:
    """The exit status for an error: 3 for the machine, 2 for what was typed, 1 for the data."""
    if isinstance(error, MachineError) or isinstance(error.__cause__, PermissionError):
        return 3
    typed_wrong = isinstance(error, (DataLoss, WrongTarget, UnknownPart))
    return 2 if typed_wrong and not isinstance(error, MissingPart) else 1
