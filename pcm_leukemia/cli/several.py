"""How the words of a command are read: repeated options, and options that have another name now; and how it is stopped.

`--tables 4 5` means `--tables 4 --tables 5`.

The words after such an option are its values up to the next option, but only once all positional arguments have
been given: before that, a word may be one of them, and the option takes one word as any other does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from pcm_leukemia.cli.commands import ListedCommands
from pcm_leukemia.cli.stopping import STOPPED, interruptible, is_stop, what_is_left
from pcm_leukemia.cli.usage import WrongUsage

__all__ = ["Commands", "at_home", "repeated"]


_GONE = {
    ("reproduce", "--pcm"): "give DATA and OUT as arguments, without --pcm and --out",
}
"""Command and option of an earlier version -> what to type now, where the nearest name would mislead."""
_HOME = re.compile(r"((?:--[\w-]+=)?(?:\w+:)?)~((?:/.*)?)", re.DOTALL)
"""A word with a path in the home folder."""
_AFTER = "give options with several values after the arguments"
_WORDS, _TYPED = f"{__name__}.words", f"{__name__}.typed"
"""Keys of the context's `meta`: the words after the command, and the options that were typed."""


class Commands(ListedCommands):
    """The commands, whose repeated options take several values."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. A wrong value is refused without the prefix that typer adds; Ctrl-C gives one line."""
        try:
            with interruptible():
                return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            # a value after the first was read as an argument
            if _is_argument(error.param) and any(map(_repeats, ctx.meta.get(_TYPED, ()))):
                error.message = f"{error.message.removesuffix('.')}; {_AFTER}."
            raise
        except BaseException as error:
            if not is_stop(error):
                raise
            print(what_is_left(ctx.invoked_subcommand, ctx.meta.get(_WORDS, ())), file=sys.stderr)
            raise typer.Exit(STOPPED) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command, and spell out its repeated options."""
        name, command, rest = super().resolve_command(ctx, [at_home(word) for word in args])
        if command is None:
            return name, command, rest
        ctx.meta[_WORDS] = rest
        ctx.meta[_TYPED] = [param for param in command.params if {*param.opts} & {*rest}]
        for word in rest:
            option = word.partition("=")[0]
            if fix := _GONE.get((str(name), option)):
                raise WrongUsage(f"{name} has no option {option}; {fix}")
        if names := [param.opts[0] for param in command.params if _repeats(param)]:
            several = f"{', '.join(names[:-1])} and {names[-1]} take" if names[1:] else f"{names[0]} takes"
            command.epilog = f"{several} several values after the arguments, or can be repeated."
        return name, command, repeated(rest, command.params)


def at_home(word: str) -> str:
    """A word whose path begins with "~", where shells leave it: after ``--option=`` and ``NAME:``, and in quotes.

    Examples
    --------
    >>> at_home("--images-root=~/smears") == f"--images-root={Path.home()}/smears"
    True
    >>> at_home("lmu:~/LMU") == f"lmu:{Path.home()}/LMU"
    True
    >>> at_home("a~/b"), at_home("~x=Other")
    ('a~/b', '~x=Other')
    """
    found = _HOME.fullmatch(word)
    return f"{found[1]}{Path.home()}{found[2]}" if found else word


def repeated(words: list[str], params: Iterable[Any]) -> list[str]:
    """Write a repeated option before each of its values.

    Parameters
    ----------
    words
        What was typed after the command's name.
    params
        The command's arguments and options.
    """
    params = list(params)
    wanted = sum(max(param.nargs, 1) for param in params if _is_argument(param) and param.required)
    options = {name: param for param in params for name in param.opts if param.param_type_name == "option"}
    written: list[str] = []
    left = list(reversed(words))
    given = 0
    while left:
        word = left.pop()
        written.append(word)
        if word == "--":
            break
        if not _names_an_option(word):
            given += 1
            continue
        option = options.get(word)  # None for --name=value, which takes no further word, and for a wrong name
        if option is None or option.is_flag or not left:
            continue
        written.append(left.pop())
        while _repeats(option) and given >= wanted and left and not _names_an_option(left[-1]):
            written += [word, left.pop()]
    return written + left[::-1]


def _is_argument(param: Any) -> bool:
    return getattr(param, "param_type_name", None) == "argument"


def _repeats(param: Any) -> bool:
    return bool(param.param_type_name == "option" and param.multiple)


def _names_an_option(word: str) -> bool:
    return word.startswith("-") and word != "-"
