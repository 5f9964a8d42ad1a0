"""One root for the images of several data sets, which are in folders, in zips or at URLs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pcm_leukemia.remote import Place, RemotePath

__all__ = ["common_root", "way_below"]


def common_root(roots: Iterable[Place]) -> Place:
    """The folder or URL that holds all roots; for a single zip, the folder of that zip.

    Raises
    ------
    ValueError
        If they are on different drives or in different buckets, or only some are at URLs.

    Examples
    --------
    >>> common_root([Path("/"), Path("/")]).as_posix()
    '/'
    """
    roots = list(roots)
    if any(isinstance(root, RemotePath) for root in roots):
        return _common_url(roots)
    real = [_real(root) for root in roots if isinstance(root, Path)]
    folders = [root if root.is_dir() else root.parent for root in real]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise ValueError(
            f"the images are on different drives ({', '.join(map(str, real))}); move them to one drive"
        ) from error


def _common_url(roots: Sequence[Place]) -> Place:
    """The nearest folder above all URLs, or the only URL."""
    first = roots[0]
    if isinstance(first, RemotePath):
        chained = any(
            "::" in str(root) for root in roots
        )  # for example a zip in a bucket, which has no folder above it
        for above in (first, *([] if chained else first.parents)):
            if all(root == above or above in root.parents for root in roots):
                return above
    raise ValueError(
        f"the images are in different places ({', '.join(map(str, roots))}); copy them to one folder or bucket"
    )


def way_below(root: Place, common: Place) -> str:
    """What leads from a common root to the files of one of its roots: empty, or a path that ends in "/"."""
    if isinstance(root, RemotePath) or isinstance(common, RemotePath):
        way = str(root).removeprefix(str(common)).strip("/")
        return f"{way}/" if way else ""
    way = _real(root).relative_to(common).as_posix()
    return "" if way == "." else f"{way}/"


def _real(root: Path) -> Path:
    """A root without links or ".." in its path, which could lead out of the common folder.

    A zip keeps its own name, since its suffix identifies it as a zip.
    """
    return root.resolve() if root.is_dir() else root.parent.resolve() / root.name
