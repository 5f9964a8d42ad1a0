"""The options of every command that decodes images."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer

from pcm_leukemia.cli.explaining import READING
from pcm_leukemia.environment import MAX_PIXELS, WHITE_LEVEL

__all__ = ["decodes_images"]

MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        rich_help_panel=READING,
        min=1,
        metavar="N",
        envvar=MAX_PIXELS,
        help="The largest image to decode, in pixels.",
        show_default="178956970",
    ),
]
WhiteLevel = Annotated[
    float | None,
    typer.Option(
        "--white-level",
        rich_help_panel=READING,
        metavar="VALUE",
        envvar=WHITE_LEVEL,
        help="The value that is white in files of more than 8 bits a channel that do not say it.",
    ),
]


def decodes_images(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --max-pixels and --white-level, which set the environment variables, also for worker processes."""

    @wraps(command)
    def run(
        *args: Any, max_pixels: int | None = None, white_level: float | None = None, **given: Any
    ) -> None:
        with _environment({MAX_PIXELS: max_pixels, WHITE_LEVEL: white_level}):
            command(*args, **given)

    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in (("max_pixels", MaxPixels), ("white_level", WhiteLevel))
    ]
    parameters = [*signature.parameters.values(), *added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


@contextmanager
def _environment(values: dict[str, int | float | None]) -> Iterator[None]:
    """Set environment variables inside the block; None leaves one as it is."""
    given = {name: str(value) for name, value in values.items() if value is not None}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
