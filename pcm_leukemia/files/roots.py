"""One root for the images of several data sets, which are in folders or zips."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["common_root", "way_below"]


def common_root(roots: Iterable[Path]) -> Path:
    """The folder that holds all roots; for a single zip, the folder of that zip.

    Raises
    ------
    ValueError
        If they are on different drives.

    Examples
    --------
    >>> common_root([Path("/"), Path("/")]).as_posix()
    '/'
    """
    real = [_real(root) for root in roots]
    folders = [root if root.is_dir() else root.parent for root in real]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise ValueError(
            f"the images are on different drives ({', '.join(map(str, real))}); move them to one drive"
        ) from error


def way_below(root: Path, common: Path) -> str:
    """What leads from a common root to the files of one of its roots: empty, or a path that ends in "/"."""
    way = _real(root).relative_to(common).as_posix()
    return "" if way == "." else f"{way}/"


def _real(root: Path) -> Path:
    """A root without links or ".." in its path, which could lead out of the common folder.

    A zip keeps its own name, since its suffix identifies it as a zip.
    """
    return root.resolve() if root.is_dir() else root.parent.resolve() / root.name
