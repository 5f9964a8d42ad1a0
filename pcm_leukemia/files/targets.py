"""Refuses targets before the work: paths that must not be written to, or cannot be.

A folder is only replaced by one of the same form, and only if this package wrote everything in it, according to
its `pcm-leukemia.json`. Missing folders above a target are made when it is written.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from pcm_leukemia.errors import ProtectedTarget, ServerError, WrongTarget, counted, option
from pcm_leukemia.files.leftovers import is_leftover
from pcm_leukemia.remote import Place, was_url, without_secrets

__all__ = [
    "CACHE",
    "CANONICAL",
    "HEADER",
    "MARKER",
    "UNFINISHED",
    "check_file",
    "check_folder",
    "check_outside",
    "check_place",
    "check_placing",
    "check_suffix",
    "check_target",
    "check_zip",
    "count_files",
    "mark_of",
    "on_disk",
    "require_ours",
    "written_as",
    "zip_name",
]

MARKER = "pcm-leukemia.json"
HEADER = "dataset.json"
"""The file that identifies a canonical folder; it is also its mark."""
CANONICAL = "canonical"
CACHE = ".check_cache"
"""The folder in a canonical folder with what `check` keeps of the image files; it does not belong to the data."""
UNFINISHED = "pcm-leukemia-unfinished.json"
"""The mark of an output at a URL that is being written; it is removed when the output is whole."""
_OF_FILES = (".csv", ".jpeg", ".jpg", ".json", ".parquet", ".pdf", ".png", ".xml", ".yaml", ".zip")
"""Suffixes that suggest a file. An existing folder with such a suffix may be replaced."""


def check_target(out: str | Path, form: str) -> Path:
    """Refuse a target that must not become, or be replaced by, a folder of this form; returns its absolute path.

    Raises
    ------
    WrongTarget
        If `out` is a file or a link, has the suffix of a file, is inside a canonical folder, is a folder of another
        form or with content that this package did not write, or cannot be written.
    """
    path = on_disk(out)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise WrongTarget(f"{out}: is a file or a link; name a folder that does not exist yet")
    check_folder(out)
    if path.exists():
        entries = {entry.name for entry in path.iterdir() if not is_leftover(entry.name)}
        require_ours(out, form, mark_of(path), entries - {CACHE}, partial(count_files, path))
    return path


def require_ours(
    out: object, form: str, mark: tuple[str, dict[str, Any]], entries: set[str], files: Callable[[], int]
) -> None:
    """Refuse to replace a folder unless this package wrote everything in it, in the same form.

    Parameters
    ----------
    out
        The folder, for the message.
    form
        What is to be written.
    mark
        What `mark_of` says of the folder.
    entries
        The files and folders in it.
    files
        Counts the files in its subfolders.

    Raises
    ------
    WrongTarget
        If the folder has another form, or content that this package did not write.
    """
    there, record = mark
    strangers = entries - set(record.get("entries", ()))
    if strangers:
        raise WrongTarget(
            f'{out}: holds "{min(strangers)}", which pcm-leukemia did not write; name a new folder, or move it away'
        )
    if entries and there != form:
        raise WrongTarget(f"{out}: holds data in the form {there}, not {form}; name another folder")
    if "files" in record and (more := files() - record["files"]) > 0:
        raise WrongTarget(
            f"{out}: holds {counted(more, 'more file')} than pcm-leukemia wrote; "
            "name a new folder, or move yours away"
        )


def on_disk(out: str | Path) -> Path:
    """Refuse a URL as a target; returns the absolute path of any other.

    Raises
    ------
    WrongTarget
        If `out` is a URL, or was one before a `Path` was made of it.

    Examples
    --------
    >>> on_disk("s3://bucket/data")
    Traceback (most recent call last):
    pcm_leukemia.errors.WrongTarget: s3://bucket/data: is a URL, and only crops and Hugging Face folders are written to one; \
name a path on disk
    """
    if was_url(out):
        what = "is a URL, and only crops and Hugging Face folders are written to one"
        raise WrongTarget(f"{without_secrets(str(out))}: {what}; name a path on disk")
    return Path(out).absolute()


def check_folder(out: str | Path) -> Path:
    """Refuse a folder to which files cannot be added, whether it exists or not; returns its absolute path.

    Raises
    ------
    WrongTarget
        If `out` is a file, has the suffix of a file, is inside a canonical folder, or cannot be written.
    """
    path = on_disk(out)
    if path.exists() and not path.is_dir():
        raise WrongTarget(f"{out}: is a file; name a folder")
    if not path.exists():
        check_suffix(out, path.name)
    _check_above(out, path, "folder")
    return path


def check_suffix(out: object, name: str) -> None:
    """Refuse a new folder with the suffix of a file.

    Raises
    ------
    WrongTarget
        If the name has such a suffix.
    """
    suffix = PurePath(name).suffix
    if suffix.lower() in _OF_FILES:
        raise WrongTarget(f"{out}: would be a folder with the name of a file; leave out {suffix}")


def check_file(out: str | Path) -> Path:
    """Refuse a target that must not, or cannot, become a file; returns its absolute path.

    Raises
    ------
    WrongTarget
        If `out` is a folder, is inside a canonical folder, or cannot be written.

    Examples
    --------
    >>> check_file(".")
    Traceback (most recent call last):
    pcm_leukemia.errors.WrongTarget: .: is a folder; name a file
    """
    path = on_disk(out)
    if path.is_dir():
        raise WrongTarget(f"{out}: is a folder; name a file")
    _check_above(out, path, "file")
    return path


def check_zip(out: str | Path, seal: bytes, refusal: str) -> Path:
    """Refuse an existing target that is not a zip with this comment; returns its absolute path.

    Raises
    ------
    WrongTarget
        If the target is anything else, where `refusal` ends the first half of the message; or if it is inside a canonical
        folder, or cannot be written.
    """
    path = on_disk(out)
    if path.is_symlink() or (path.exists() and not _is_sealed(path, seal)):
        raise WrongTarget(f"{out}: exists{refusal}; name a file that does not exist yet")
    _check_above(out, path, "file")
    return path


def _check_above(out: str | Path, path: Path, what: str) -> None:
    for above in path.parents:
        if mark_of(above)[0] == CANONICAL:
            raise WrongTarget(f"{out}: is inside {above}, which holds a data set; name a {what} beside it")
    check_place(out)


def check_place(out: str | Path) -> None:
    """Refuse a path below a file, or in a folder that permissions protect.

    Raises
    ------
    WrongTarget
        If the nearest path above that exists is a file, or nothing may be written there.
    """
    above = next(each for each in Path(out).absolute().parents if each.exists())
    if not above.is_dir():
        raise WrongTarget(f"{out}: {above} is a file; name a place elsewhere")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ProtectedTarget(
            f"{out}: {above} must not be written to; change its permissions, or name a place elsewhere"
        )


def check_outside(out: str | Path, *read: str | Path) -> None:
    """Refuse a target inside a folder that is read: it would be read as a part of the data the next time.

    Parameters
    ----------
    out
        The target.
    read
        What is read. Files are passed over.

    Raises
    ------
    WrongTarget
        If `out` is inside one of the folders.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_outside(f"{folder}.html", folder)
    ...     try:
    ...         check_outside(f"{folder}/page.html", folder)
    ...     except WrongTarget as error:
    ...         str(error).replace(folder, "smears")
    'smears/page.html: is inside smears, which is read; name a place elsewhere'
    """
    path = Path(out).resolve()
    for folder in map(Path, read):
        if folder.is_dir() and folder.resolve() in path.parents:
            raise WrongTarget(f"{out}: is inside {folder}, which is read; name a place elsewhere")


def zip_name(out: str | Path) -> Path:
    """Add the suffix .zip to a path, unless the path has it or exists.

    Examples
    --------
    >>> zip_name("review").name, zip_name("review.ZIP").name, zip_name("ward.7").name
    ('review.zip', 'review.ZIP', 'ward.7.zip')
    """
    path = Path(out)
    return path if path.suffix.lower() == ".zip" or path.exists() else path.with_name(f"{path.name}.zip")


def _is_sealed(path: Path, seal: bytes) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == seal
    except (OSError, zipfile.BadZipFile):
        return False


def written_as(folder: Path) -> str:
    """The format in which this package wrote a folder; "" for any other folder."""
    return mark_of(folder)[0]


def mark_of(folder: Place) -> tuple[str, dict[str, Any]]:
    """The form of the data in a folder and its mark; ("", {}) if this package did not write the folder."""
    for name, form in ((MARKER, ""), (HEADER, CANONICAL), (UNFINISHED, "")):
        try:
            mark = json.loads((folder / name).read_text(encoding="utf-8"))
            if mark["written_by"] == "pcm-leukemia" and isinstance(mark["entries"], list):
                return form or str(mark["format"]), mark
        except ServerError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return "", {}


def count_files(folder: Path) -> int:
    """Count the files in the subfolders of `folder`, without the caches of ultralytics and what killed processes left."""
    walk = os.walk(folder)
    next(walk)  # files at the top are known by name
    return sum(not (name.endswith(".cache") or is_leftover(name)) for _, _, files in walk for name in files)


def check_placing(how: str, *, strip: bool) -> None:
    """Refuse unknown ways to place images, and stripping metadata without a copy.

    Raises
    ------
    ValueError
        If `how` is not "copy", "hardlink", "symlink" or "none", or `strip` is set with anything but "copy".

    Examples
    --------
    >>> check_placing("copy", strip=True)
    >>> check_placing("symlink", strip=True)
    Traceback (most recent call last):
    ...
    ValueError: strip_metadata with images="symlink": only copies can be stripped; pass images="copy"
    """
    if how not in ("copy", "hardlink", "symlink", "none"):
        raise ValueError(f'images "{how}": must be copy, hardlink, symlink or none')
    if strip and how != "copy":
        raise ValueError(
            f"{option('strip_metadata')} with {option('images', how)}: only copies can be stripped; pass {option('images', 'copy')}"
        )
