"""The commands: they read arguments, call the package, and print; nothing is decided here.

Exit status: 0 done, 1 problems in the data, 2 wrong usage, 3 trouble with the machine (a library that is not installed,
a full disk, a missing permission, no network), 130 stopped (Ctrl-C).
"""

from __future__ import annotations

from pcm_leukemia.cli.stopping import handle_ctrl_c, ignore_ctrl_c

__all__ = ["handle_ctrl_c", "ignore_ctrl_c", "main"]


def main() -> None:
    """Run the command line."""
    from pcm_leukemia.cli.command_line import run  # not at the top: `__main__` handles Ctrl-C before this

    run()
