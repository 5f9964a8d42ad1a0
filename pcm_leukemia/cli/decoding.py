"""The option of every command that decodes images."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from pcm_leukemia.images import MAX_PIXELS

__all__ = ["decodes_images"]

MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        envvar=MAX_PIXELS,
        help="The largest image to decode, in pixels.",
        show_default="178956970",
    ),
]


def decodes_images(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --max-pixels, which sets the environment variable, also for worker processes."""

    @wraps(command)
    def run(*args: Any, max_pixels: int | None = None, **given: Any) -> None:
        before = os.environ.get(MAX_PIXELS)
        if max_pixels is not None:
            os.environ[MAX_PIXELS] = str(max_pixels)
        try:
            command(*args, **given)
        finally:
            if before is None:
                os.environ.pop(MAX_PIXELS, None)
            else:
                os.environ[MAX_PIXELS] = before

    signature = inspect.signature(command, eval_str=True)
    added = inspect.Parameter(
        "max_pixels", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=MaxPixels
    )
    parameters = [*signature.parameters.values(), added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
