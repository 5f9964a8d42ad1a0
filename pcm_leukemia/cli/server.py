"""The commands for a CVAT server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["add_to"]

Profile = Annotated[
    str | None,
    typer.Option(
        metavar="PROFILE",
        help="The profile of cvat-cli with the access token.",
        show_default="CVAT_ACCESS_TOKEN, or a profile of this server",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order in which the help lists them."""
    app.command()(pull)


def pull(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="A project, task or job, as the browser shows it.")
    ],
    out: Annotated[Path, typer.Argument(metavar="EXPORT", help="A new folder, or that of an earlier pull.")],
    *,
    profile: Profile = None,
) -> None:
    """Bring what has changed on a CVAT server into a folder.

    The folder reads as the zip that CVAT exports: give it to any command that takes an export.
    """
    from pcm_leukemia import cvat_server

    pulled = cvat_server.pull(url, out, profile=profile, progress=True)
    print(pulled)
    if pulled.changed:
        print(f"  read it into a data set: pcm-leukemia import {out} DATA, or later with --update")
