"""Image files beside those of a data set that belong to none of its images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pcm_leukemia.errors import counted
from pcm_leukemia.files.containers import open_container
from pcm_leukemia.files.paths import is_hidden
from pcm_leukemia.files.reading import IMAGE_SUFFIXES
from pcm_leukemia.files.targets import MARKER
from pcm_leukemia.files.zips import open_zip
from pcm_leukemia.remote import Place, RemotePath

__all__ = ["count_unlisted", "first_of", "is_image_file", "unlisted"]

_SHOWN = 3


def is_image_file(path: str) -> bool:
    """Whether a path has the suffix of an image, and no hidden part.

    Examples
    --------
    >>> [is_image_file(path) for path in ("P1/a.JPG", "a.txt", ".cache/a.png", "__MACOSX/._a.png")]
    [True, False, False, False]
    """
    steps = path.split("/")
    _, dot, suffix = steps[-1].rpartition(".")
    return dot + suffix.lower() in IMAGE_SUFFIXES and not any(map(is_hidden, steps))


def unlisted(root: Place, listed: Iterable[str]) -> list[str]:
    """The image files that no annotation lists, in the order of their paths, without copies of listed files in other zips.

    If all listed files are in ``images/``, they are looked for there, and otherwise everywhere below the root. Hidden files,
    and folders that this package has written, are left out.

    Parameters
    ----------
    root
        The folder, zip or URL with the images.
    listed
        The files of the images, as paths below the root; at least one.

    Returns
    -------
    list of str
        Paths below the root.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.png", "b.png", "notes.txt"):
    ...         _ = Path(folder, name).write_bytes(b"")
    ...     unlisted(Path(folder), ["a.png"])
    ['b.png']
    """
    known: set[str] = set()
    inside_zips: dict[str, set[str]] = {}
    for file in listed:
        archive, member = _through_zip(root, file)
        inside_zips.setdefault(archive, set()).add(member) if archive else known.add(file)
    found = _unlisted(root, known) if known else []
    contents = {archive: _contents(root / archive) for archive in inside_zips if len(inside_zips) > 1}
    listed_as = {
        archive: {contents[archive][member] for member in members & contents[archive].keys()}
        for archive, members in inside_zips.items()
        if archive in contents
    }
    for archive, members in inside_zips.items():
        copies = {each for other, there in listed_as.items() if other != archive for each in there}
        found += [
            f"{archive}/{member}"
            for member in _unlisted(root / archive, members)
            if not copies or contents[archive].get(member) not in copies
        ]
    return sorted(map(_readable, found))


def count_unlisted(files: Sequence[str]) -> str:
    """What to say of unlisted files: their number, and the names of the first.

    Examples
    --------
    >>> count_unlisted(["a.png", "b.png", "c.png", "d.png"])
    '4 image files are not in the annotations: a.png, b.png, c.png and 1 more'
    """
    verb = "is" if len(files) == 1 else "are"
    return f"{counted(len(files), 'image file')} {verb} not in the annotations: {first_of(files)}"


def first_of(files: Sequence[str]) -> str:
    """The names of the first files, and how many more there are.

    Examples
    --------
    >>> first_of(["a.png", "b.png", "c.png", "d.png"])
    'a.png, b.png, c.png and 1 more'
    """
    more = f" and {len(files) - _SHOWN:,} more" if len(files) > _SHOWN else ""
    return ", ".join(map(_readable, files[:_SHOWN])) + more


def _readable(path: str) -> str:
    """A path with "?" for each byte that is not UTF-8, which could not be printed."""
    return path.encode(errors="replace").decode()


def _through_zip(root: Place, file: str) -> tuple[str, str]:
    """The zip below the root that a path leads through, or "", and the rest of the path."""
    if ".zip/" in file.lower() and root.is_dir():
        end = file.lower().index(".zip/") + len(".zip")
        if (root / file[:end]).is_file():
            return file[:end], file[end + 1 :]
    return "", file


def _contents(archive: Place) -> dict[str, tuple[int, int]]:
    """The size and the checksum of each file in a zip, as the zip says them."""
    if isinstance(archive, RemotePath):
        return {}
    with open_zip(archive) as opened:
        return {info.filename: (info.file_size, info.CRC) for info in opened.infolist()}


def _unlisted(root: Place, known: set[str]) -> list[str]:
    start = "images/" if root.is_dir() and all(file.startswith("images/") for file in known) else ""
    if start and not (root / start).is_dir():
        return []
    paths = [start + path for path in open_container(root / start if start else root).paths(lambda _: True)]
    marked = (path.removesuffix(MARKER) for path in paths if path.endswith(f"/{MARKER}"))
    written = tuple(folder for folder in marked if not any(file.startswith(folder) for file in known))
    return [
        path for path in paths if path not in known and is_image_file(path) and not path.startswith(written)
    ]
