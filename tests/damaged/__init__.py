"""Damaged inputs: every reader must return or raise a `PcmError`, soon, and warn with a `DataWarning` only.

`Damaged` makes the input of one reader in a folder; each `attempt` damages one file of it, reads, and puts the file
back. A seed gives the same damage again.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from damaged.mutations import damaged
from damaged.specimens import MAKERS, WEIGHTS
from pcm_leukemia import Dataset, store
from pcm_leukemia.errors import DataWarning, PcmError
from pcm_leukemia.files import IMAGE_SUFFIXES

__all__ = ["MAKERS", "WEIGHTS", "Damaged", "chosen"]

SECONDS = 20
"""How long one reading may take."""

UNREAD = ("README.md", "croissant.json")
"""Files for people and the Hub."""

HOSTILE_NAMES = (
    b"\xff\xfe.png",
    b"a\nb.png",
    b" .png",
    b"a\\b.png",
    b"a'\".png",
    b"x" * 200 + b".png",
    b".png",
    "é.png".encode(),
)


class TookTooLong(BaseException):
    """A reading did not end in time; no reader may catch this."""


def chosen(seed: int, number: int, names: list[str]) -> tuple[str, str]:
    """The reader and the seed of one of many inputs."""
    key = f"{seed}/{number}"
    return Random(f"reader of {key}").choices(names, [WEIGHTS[name] for name in names])[0], key


class Damaged:
    """The input of one reader, whole between two attempts."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder / name.replace(" ", "-")
        self.folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.read = MAKERS[name](self.folder)
        files = sorted(file for file in self.folder.rglob("*") if file.is_file())
        self.content = {file: file.read_bytes() for file in files}
        pictures = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        tables = [file for file in files if file not in pictures and file.name not in UNREAD]
        # tables hold most of what can be wrong, and there are many images
        self.files = [*tables * 4, *pictures[:4]]

    def read_whole(self) -> object:
        """Read without damage."""
        with _quiet():
            return self.read(Random(0))

    def attempt(self, seed: str) -> str:
        """Damage, read and mend once; returns "read" or the name of the error. Other exceptions are let through."""
        rng = Random(seed)
        file = rng.choice(self.files)
        with _quiet(), self._damaged(file, rng), _in_time():
            try:
                found = self.read(rng)
                if isinstance(found, Dataset) and rng.random() < 0.1:
                    _used(found)
            except PcmError as error:
                return type(error).__name__
        return "read"

    @contextmanager
    def _damaged(self, file: Path, rng: Random) -> Iterator[None]:
        elsewhere = None
        if rng.random() < 0.9:
            file.write_bytes(damaged(file.name, self.content[file], rng))
        else:
            elsewhere = _replaced(file, rng)
        try:
            yield
        finally:
            if elsewhere is not None:
                _remove(elsewhere)
                _remove(file)
                file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.content[file])


def _replaced(file: Path, rng: Random) -> Path:
    """Put something else in the place of a file; returns the path of what was made."""
    file.unlink()
    made = file
    match rng.randrange(7):
        case 0:
            pass
        case 1:
            file.mkdir()
        case 2:
            file.symlink_to("nothing")
        case 3:
            file.symlink_to(file.name)
        case 4:
            file.symlink_to("/etc/passwd")
        case 5:
            file.write_bytes(b"")
            file.chmod(0)
        case _:
            made = Path(os.fsdecode(os.fsencode(file.parent) + b"/" + rng.choice(HOSTILE_NAMES)))
            made.write_bytes(b"")
    return made


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _used(ds: Dataset) -> None:
    """What was read can be written, and reads back the same."""
    with tempfile.TemporaryDirectory() as folder:
        store.write(ds, Path(folder) / "out")
        again = store.read(Path(folder) / "out", with_split=False)
    if again.fingerprint != ds.fingerprint:
        raise AssertionError("what was written reads back otherwise")


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DataWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # Pillow's own, about the tags of an image
        yield


@contextmanager
def _in_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TookTooLong(f"more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
