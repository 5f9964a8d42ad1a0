"""The options of `convert` that belong to a format: those that its `write` takes, described by its docstring.

An option is a keyword-only parameter whose values can be typed: text, a number, a flag, one of several words
(`Literal`), several words (`Iterable`) or pairs of words (`Mapping`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import typer

from pcm_leukemia import converters
from pcm_leukemia.cli.explaining import Explained, Sections
from pcm_leukemia.cli.options import WrongUsage

__all__ = ["Convert", "FormatOption", "chosen", "options_of", "with_format_options"]

_SHARED = ("task", "progress")
"""Parameters of every writer, which `convert` offers by itself."""


class FormatOption(NamedTuple):
    """One option of a format: its name, what may be typed, and what the docstring says about it."""

    name: str
    kind: Literal["flag", "word", "words", "pairs"]
    type: type
    choices: str
    default: Any
    help: str

    @property
    def spelled(self) -> str:
        """The option as it is typed: --first-category."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def record(self) -> tuple[str, str]:
        """The option's two columns in the help."""
        off = f"/--no-{self.spelled[2:]}" if self.default is True else ""
        several = "..." if self.kind in ("words", "pairs") else ""
        typed = "" if self.kind == "flag" else f" {self.choices}{several}"
        default = (
            f"  [default: {self.default}]" if self.kind == "word" and self.default not in (None, "") else ""
        )
        return f"{self.spelled}{off}{typed}", f"{self.help}{default}"

    def value(self, typed: Any) -> Any:
        """What was typed, as the writer takes it."""
        return _pairs(self.spelled, typed) if self.kind == "pairs" else typed


def options_of(name: str) -> list[FormatOption]:
    """The options of a format, in the order of its writer's parameters."""
    write = converters.get(name).write
    described = _parameters(inspect.getdoc(write) or "")
    return [
        option
        for parameter in inspect.signature(write, eval_str=True).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in _SHARED
        for option in [_option(parameter, described.get(parameter.name, ""))]
        if option is not None
    ]


def _option(parameter: inspect.Parameter, text: str) -> FormatOption | None:
    """The option for a parameter; None for one whose values cannot be typed, such as an `Executor`."""

    def option(kind: Literal["flag", "word", "words", "pairs"], plain: type, choices: str) -> FormatOption:
        return FormatOption(parameter.name, kind, plain, choices, parameter.default, text)

    annotation = parameter.annotation
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not NoneType)
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is bool:
        return option("flag", bool, "")
    if annotation in (int, float):
        return option("word", annotation, "N")
    if annotation is str:
        return option("word", str, "TEXT")
    if origin is Literal:
        return option("word", str, _choices(inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return option("pairs", str, "KEY=VALUE")
    if isinstance(origin, type) and issubclass(origin, Iterable):
        words = get_args(inner[0]) if get_origin(inner[0]) is Literal else ()
        return option("words", str, _choices(words) if words else "TEXT")
    return None


def _choices(words: Iterable[str]) -> str:
    return "|".join(f'"{word}"' if " " in word else word for word in words)


def _parameters(doc: str) -> dict[str, str]:
    """The first sentence that a numpydoc docstring says about each parameter."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", doc, re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    for names, text in re.findall(
        r"^(\w[^\n:]*).*\n((?:[ ]+.*\n?|\n)+)", section[1] if section else "", re.MULTILINE
    ):
        sentence = re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(text.replace("`", "").split()))[0]
        found |= dict.fromkeys((name.strip() for name in names.split(",")), sentence)
    return found


def _pairs(option: str, words: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.rpartition("=")
        if not equals or not key or not value:
            raise WrongUsage(f'{option} "{word}": must be KEY=VALUE')
        pairs[key] = value
    return pairs


def chosen(name: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for the writer of a format, from the options that were typed; `task` may be among them.

    Raises
    ------
    WrongUsage
        If an option is of other formats only.
    """
    given = {option: value for option, value in typed.items() if value not in (None, [])}
    known = {option.name: option for option in options_of(name)}
    for option in given:
        if option not in known:
            spelled = ", ".join(each.spelled for each in known.values()) or "none"
            raise WrongUsage(f"{name} has no option --{option.replace('_', '-')}; its options are: {spelled}")
    return {option: known[option].value(value) for option, value in given.items()}


def with_format_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``**typed`` a parameter for each option of every format."""
    signature = inspect.signature(command, eval_str=True)
    shared = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    added: dict[str, inspect.Parameter] = {}
    for form in converters.names():
        for option in options_of(form):
            plain: Any = list[str] if option.kind in ("words", "pairs") else option.type
            off = f"/--no-{option.spelled[2:]}" if option.default is True else ""
            made = typer.Option(
                f"{option.spelled}{off}",
                help=option.help,
                show_default=False,
                rich_help_panel=f"With --to {form}",
            )
            added.setdefault(
                option.name,
                inspect.Parameter(
                    option.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=Annotated[plain | None, made],
                ),
            )

    @wraps(command)
    def run(**given: Any) -> None:
        command(**given)

    parameters = [*shared, *added.values()]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


class Convert(Explained):
    """`convert`, whose help lists the options of each format by themselves."""

    def sections(self, ctx: Any) -> Sections:
        """The sections of the help: each format has one."""
        formats = {f"With --to {form}": options_of(form) for form in converters.names()}
        return super().sections(ctx) | {
            title: [option.record for option in options] for title, options in formats.items()
        }
