"""Downloads the files that a data set publishes at stable addresses; only on request."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.errors import DataNotFound, DownloadError, MissingExtra
from pcm_leukemia.progress import visible
from pcm_leukemia.sources._source import Source

__all__ = ["fetch"]


def fetch(source: Source, out: str | Path, *, progress: bool = False) -> list[Path]:
    """Download all files at stable addresses into `out`, check their hashes, and unpack archives.

    A file that is already in `out` with the right hash is not downloaded again. Data behind a form or a login
    cannot be downloaded: `Source.how_to_get` says how to get it.

    Returns
    -------
    list of Path
        The files, in the order of `Source.downloads`.

    Raises
    ------
    DataNotFound
        If the data set has no stable address, or a hash differs.
    DownloadError
        If a download fails.
    MissingExtra
        If pooch is not installed.
    """
    if not source.downloads:
        raise DataNotFound(f"{source.name}: has no stable download address; {source.how_to_get}")
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
                progressbar=progress and visible(),
            )
        except Exception as error:  # pooch passes on whatever its downloader raises
            refused = (
                DownloadError if isinstance(error, OSError) else DataNotFound
            )  # requests' errors are OSErrors
            raise refused(
                f"{file.url}: cannot be downloaded ({error}); download it by hand into {out}"
            ) from error
        found.append(out / file.file)
    return found
