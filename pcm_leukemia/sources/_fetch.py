"""Fetches the files that a data set publishes at stable addresses; only where it is asked to."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.errors import DataNotFound, MissingExtra
from pcm_leukemia.sources._source import Source

__all__ = ["fetch"]


def fetch(source: Source, out: str | Path, *, progress: bool = False) -> list[Path]:
    """Download what is at stable addresses into `out`, compare it with its hash, and unpack archives.

    Files that are there already and have the right hash are not downloaded again. What is behind a form or
    a click cannot be fetched: `Source.how_to_get` says what to do then.

    Returns
    -------
    list of Path
        The files, in the order of `Source.downloads`.

    Raises
    ------
    DataNotFound
        If the data set has nothing at a stable address, or a download failed or is not what it should be.
    MissingExtra
        If pooch is not installed.
    """
    if not source.downloads:
        raise DataNotFound(f"{source.name}: nothing of it is at a stable address; {source.how_to_get}")
    try:
        import pooch
    except ImportError as error:
        raise MissingExtra("pooch", "sources") from error
    out = Path(out)
    found = []
    for file in source.downloads:
        try:
            pooch.retrieve(
                file.url,
                file.hash,
                fname=file.file,
                path=out,
                processor=pooch.Unzip(extract_dir=".") if file.unpack else None,
                progressbar=progress,
            )
        except Exception as error:  # pooch raises whatever its downloader does
            raise DataNotFound(
                f"{file.url}: cannot be fetched ({error}); fetch it by hand into {out}"
            ) from error
        found.append(out / file.file)
    return found
