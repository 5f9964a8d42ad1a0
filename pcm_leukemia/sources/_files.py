"""Files on disk, for all readers: finding the root, listing files, reading image sizes, and warning.

Nothing here decodes pixels.
"""

from __future__ import annotations

import csv
import inspect
import io
import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidExport,
    PcmError,
    Problem,
    counted,
    some,
)
from pcm_leukemia.files import IMAGE_SUFFIXES, is_hidden, read_text
from pcm_leukemia.sources._source import Source

__all__ = [
    "find_root",
    "is_folder",
    "listing",
    "not_found",
    "require_files",
    "sizes",
    "table_rows",
    "warn",
]

_DEPTH = 4
"""How many levels are searched for the data: archives often unpack into nested folders."""


_MOST_FILES = 10_000
"""How many files of a wrong root are counted, for the message."""


def not_found(source: Source, root: str | Path, what: str) -> DataNotFound:
    """Return the error for a wrong root: what is missing, what is there instead, and how to get the data."""
    return DataNotFound(f"{root}: {what}; to get {source.title}: {source.how_to_get}{_instead(Path(root))}")


def _instead(root: Path) -> str:
    """What a folder holds, by suffix; "" if it does not exist."""
    if not root.is_dir():
        return ""
    files = (Path(file) for _, _, files in os.walk(root) for file in files if not is_hidden(file))
    found = Counter(file.suffix.lower() or file.name for file in islice(files, _MOST_FILES))
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in found.most_common(3))
    zipped = "; unzip it first" if found[".zip"] and not found.keys() & IMAGE_SUFFIXES else ""
    return f" (this folder has {kinds}{zipped})" if found else " (this folder is empty)"


def find_root(source: Source, root: str | Path, fits: Callable[[Path], bool], what: str) -> Path:
    """Find the data's folder: the root itself, or the first match below it, by level and then by name.

    Parameters
    ----------
    source
        The data set; its `how_to_get` becomes part of the error.
    root
        The folder that the user gave.
    fits
        Returns True for the data's folder.
    what
        The expected contents, for the error: "the 15 folders BAS, EBO, ...".

    Raises
    ------
    DataNotFound
        If no folder fits.
    """
    path = Path(root)
    if not path.is_dir():
        raise not_found(source, root, "no such folder")
    level = [path]
    for _ in range(_DEPTH):
        for folder in level:
            with _readable(folder):
                if fits(folder):
                    return folder.absolute()
        level = [inner for folder in level for inner in _folders(folder)]
    raise not_found(source, root, f"neither this folder nor one below it has {what}")


def _folders(path: Path) -> list[Path]:
    with _readable(path):
        return sorted(
            Path(entry) for entry in os.scandir(path) if is_folder(entry) and not is_hidden(entry.name)
        )


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; False for a link that leads nowhere or to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


@contextmanager
def _readable(folder: str | Path) -> Iterator[None]:
    """Turn the errors of listing a folder into a `CorruptFile`."""
    try:
        yield
    except PcmError:
        raise
    except OSError as error:
        where = error.filename or folder
        raise CorruptFile(
            f"{where}: cannot be read ({error.strerror}); check the folder and its permissions"
        ) from error


def listing(root: Path, suffixes: Collection[str] | None = IMAGE_SUFFIXES) -> list[str]:
    """List all files below `root` with one of the suffixes, or with any, as sorted POSIX paths relative to `root`.

    Names that begin with a dot, and ``__MACOSX`` folders, are skipped.
    """
    found: list[str] = []
    folders = [("", os.fspath(root))]
    while folders:
        inner, path = folders.pop()
        with _readable(path), os.scandir(path) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if is_folder(entry):
                    folders.append((f"{inner}{entry.name}/", entry.path))
                elif suffixes is None or os.path.splitext(entry.name)[1].lower() in suffixes:  # noqa: PTH122 - faster, and called for every file
                    found.append(inner + entry.name)
    return sorted(found)


def table_rows(table: Path, columns: Sequence[str], fix: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the values of each row of a CSV, by column.

    Raises
    ------
    DataNotFound
        If there is no such table.
    CorruptFile
        If it is not a CSV in UTF-8, lacks one of the columns, or a row has no value there; `fix` ends the message.
    """
    rows = csv.DictReader(io.StringIO(read_text(table), newline=""))
    try:
        lacking = [name for name in columns if name not in (rows.fieldnames or ())]
        if lacking:
            raise CorruptFile(f"{table}: lacks the columns {', '.join(lacking)}; {fix}")
        for row in rows:
            if any(row[name] is None for name in columns):
                raise CorruptFile(f"{table}:{rows.line_num}: has too few values; {fix}")
            yield rows.line_num, {name: row[name] for name in columns}
    except csv.Error as error:
        raise CorruptFile(f"{table}:{rows.line_num}: is not a CSV ({error}); {fix}") from error


def require_files(source: Source, root: Path, files: Iterable[str], listed_in: str) -> None:
    """Reject a root without the files that one of its own tables or folders requires.

    Raises
    ------
    InvalidExport
        If files are missing; lists each one, and where it is listed.
    """
    problems = [
        Problem(
            f"{root}", f"has no {file}, which {listed_in} lists", f"download {source.title} again in full"
        )
        for file in files
        if not (root / file).is_file()
    ]
    if problems:
        raise InvalidExport(problems)


def sizes(root: Path, files: Sequence[str], workers: int | None = None) -> dict[str, tuple[int, int]]:
    """Read the width and height of each image, in pixels, from its header; skip unreadable files if they are few.

    Raises
    ------
    InvalidExport
        If more than half of the files cannot be read: each cause is named with its first file.

    Warns
    -----
    DataWarning
        If files are skipped; lists the first ones, with the reason.
    """
    from pcm_leukemia import images

    folder = f"{root}{os.sep}"

    def look(chunk: Sequence[str]) -> list[tuple[int, int] | str]:
        found: list[tuple[int, int] | str] = []
        for file in chunk:
            try:
                with open(folder + file, "rb") as stream:  # noqa: PTH123 - faster, and called for every file
                    found.append(images.size(stream, file))
            except PcmError as error:
                found.append(str(error))
            except OSError as error:
                found.append(
                    f"{file}: cannot be opened ({error.strerror}); check the disk and the permissions"
                )
        return found

    chunks = [files[start : start + 256] for start in range(0, len(files), 256)]
    with ThreadPoolExecutor(workers) as pool:
        looked = [each for chunk in pool.map(look, chunks) for each in chunk]
    bad = [each for each in looked if isinstance(each, str)]
    if len(bad) > len(files) / 2:
        raise _unreadable(root, len(files), bad)
    if bad:
        warn(
            f"{root}: {counted(len(bad), 'unreadable file is', 'unreadable files are')} left out:\n{some(bad)}"
        )
    return {file: each for file, each in zip(files, looked, strict=True) if not isinstance(each, str)}


def _unreadable(root: Path, files: int, bad: Sequence[str]) -> InvalidExport:
    """The error for a root most of whose images cannot be read; `bad` are "file: what; fix"."""
    causes: dict[tuple[str, str], list[str]] = {}
    for line in bad:
        file, _, cause = line.partition(": ")
        what, _, fix = cause.rpartition("; ")
        causes.setdefault((what, fix), []).append(file)
    return InvalidExport(
        Problem(f"{root}", f"of {files:,} images, {len(of_it):,} cannot be read: {of_it[0]} {what}", fix)
        for (what, fix), of_it in sorted(causes.items(), key=lambda item: -len(item[1]))
    )


def warn(text: str) -> None:
    """Emit a `DataWarning` that points to the caller's line: the first one outside this package."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("pcm_leukemia."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, DataWarning, stacklevel=level)
