"""What a worker of a cluster is sent: a function, some items, and the circumstances in which it must be called."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pcm_leukemia.environment import MAX_PIXELS, WHITE_LEVEL
from pcm_leukemia.errors import PcmError, ServerUnavailable, readers_type_commands, write_for
from pcm_leukemia.remote import Place

__all__ = ["Batch"]

_CARRIED = (MAX_PIXELS, WHITE_LEVEL)
"""Environment variables that decide what is decoded; each worker has a libjpeg-turbo of its own."""


@dataclass(frozen=True)
class Batch:
    """A function and items to call it with, on a worker as it would be called here.

    Parameters
    ----------
    work, items
        The function and the items.
    shared
        Paths that the worker must see.
    version
        The version of pcm-leukemia that sends the batch: a worker that came later may have another.
    environment
        Environment variables with their values; None if they are not set.
    types_commands
        Whether messages are for readers who type commands.
    """

    work: Callable[[Any], Any]
    items: tuple[Any, ...]
    shared: tuple[Place, ...]
    version: str
    environment: tuple[tuple[str, str | None], ...]
    types_commands: bool

    @classmethod
    def of(cls, work: Callable[[Any], Any], items: tuple[Any, ...], shared: Sequence[Place] = ()) -> Batch:
        """The batch, with the circumstances of this process."""
        environment = tuple((name, os.environ.get(name)) for name in _CARRIED)
        paths = tuple(path.absolute() for path in shared)
        return cls(work, items, paths, version("pcm-leukemia"), environment, readers_type_commands())

    def __call__(self) -> list[Any]:
        """Call the function with each item.

        Raises
        ------
        ServerUnavailable
            If the worker has another version of pcm-leukemia, or does not see a path.
        PcmError
            As the function raises it.
        """
        where = f"worker on {socket.gethostname()}"
        if (here := version("pcm-leukemia")) != self.version:
            raise ServerUnavailable(
                f"{where}: has pcm-leukemia {here}, not {self.version}; install the same version on every worker"
            )
        for path in self.shared:
            if not path.exists():
                raise ServerUnavailable(f"{where}: does not see {path}; {_SHARE}")
        for name, value in self.environment:
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        write_for(types_commands=self.types_commands)
        try:
            return [self.work(item) for item in self.items]
        except PcmError:
            raise
        except OSError as error:
            raise ServerUnavailable(
                f"{where}: {error.filename or 'a file'}: {error.strerror or error}; {_SHARE}"
            ) from error


_SHARE = "all workers need the same folders as the machine that sends the work, with the right to write there"
