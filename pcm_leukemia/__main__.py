"""The process of a command: `pcm-leukemia`, or `python -m pcm_leukemia` where the command is not on the path.

This file and what it imports at the top stay small, because a Ctrl-C is handled only from here on. While Python itself is
starting, for about the first 20 ms, it ends the process with Python's own traceback.
"""

from pcm_leukemia.cli import handle_ctrl_c, ignore_ctrl_c
from pcm_leukemia.cli import main as run

__all__ = ["main"]


def main() -> None:
    """Run the command line as a process, which Ctrl-C stops with one line and status 130."""
    handle_ctrl_c()
    try:
        run()
    finally:
        ignore_ctrl_c()


if __name__ == "__main__":
    main()
