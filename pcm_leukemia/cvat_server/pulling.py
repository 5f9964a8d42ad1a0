"""`pull`: keeps a folder equal to the unzipped export of a project, a task or a job.

The folder is replaced in one step, so that it is the old export or the new one at any moment. Frames are first gathered
beside it, in ``.NAME.partial``, where an interrupted pull leaves them for the next.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pcm_leukemia.cvat_server.address import Address, address_of
from pcm_leukemia.cvat_server.connection import answers, connected
from pcm_leukemia.cvat_server.listing import Listed, listed
from pcm_leukemia.cvat_server.media import Media, There
from pcm_leukemia.errors import ExportError, ServerError, counted
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import (
    MARKER,
    RUNNING,
    Document,
    Report,
    check_target,
    disk_errors,
    new_file,
    new_folder,
    open_container,
    partial_of,
    runs,
)
from pcm_leukemia.progress import track

__all__ = ["Pulled", "pull"]

FORMAT = "CVAT for images 1.1"
_FORM = "cvat-pull"
_ANNOTATIONS = "annotations.xml"
_AT_ONCE = 4
"""Frames that are asked for at the same time, as cvat-sdk does."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull has done.

    `images` counts the images in `out`, and `fetched` those that came from the server since the last pull. `changed` is false
    if there was nothing to do.
    """

    address: str
    out: Path
    images: int
    fetched: int
    changed: bool

    def __str__(self) -> str:
        said = f"{self.out}: {counted(self.images, 'image')} of {self.address}"
        if not self.changed:
            return f"{said}; nothing has changed since the last pull"
        return (
            f"{said}; new annotations, {self.fetched:,} frames fetched, {self.images - self.fetched:,} kept"
        )


class _Kept(msgspec.Struct, frozen=True):
    """The file of a frame in the folder: the frame and its state on the server, and its size in bytes."""

    key: str
    size: int


class _Record(msgspec.Struct, frozen=True):
    """What a folder was pulled from; it is part of the folder's mark.

    `updated` is when the project and each task were last changed on the server.
    """

    address: str
    updated: dict[str, str]
    media: dict[str, Media]
    frames: dict[str, _Kept]


def pull(url: str, out: str | Path, *, profile: str | None = None, progress: bool = False) -> Pulled:
    """Bring the annotations and images of a project, a task or a job into a folder, as an export that is unzipped.

    The folder reads as the zip does: "CVAT for images 1.1" with images. The next pull brings only what has changed since:
    the annotations if there are others, and the frames that are new or were replaced. A pull that was interrupted resumes,
    and until it is complete the folder stays as it was.

    Parameters
    ----------
    url
        The address of the project, task or job, as the browser shows it.
    out
        A new folder, or that of an earlier pull of the same address.
    profile
        The name of a profile with an access token, saved by ``cvat-cli profile create``. By default, the token is that in
        CVAT_ACCESS_TOKEN, or else of a profile of this server.
    progress
        Show a progress bar.

    Raises
    ------
    MissingExtra
        If cvat-sdk is not installed.
    ServerError
        If the server cannot be reached, refuses, or has no such project; or if an image's name cannot be that of a file.
    ExportError
        If `out` holds something else, or cannot be written.

    Examples
    --------
    >>> import pcm_leukemia as pcm
    >>> pcm.cvat_server.pull("https://user:secret@cvat.hospital.org/projects/7", "smears")
    Traceback (most recent call last):
    pcm_leukemia.errors.ServerError: cvat.hospital.org: the address contains a user name or password; leave it out, and \
save an access token: cvat-cli --server-host https://cvat.hospital.org profile create
    """
    address, out = address_of(url), Path(out)
    path = check_target(out, _FORM)
    before = _record_of(path, address)
    with connected(address, profile) as client:
        there = There.at(client, address)
        kept = _whole(path, before)
        if there.updated == before.updated and len(kept) == len(before.frames):
            return Pulled(str(address), out, len(kept), 0, changed=False)
        with disk_errors(out, partial_of(path)), _partial(path) as partial:
            annotations = _export(there, partial)
            images = listed(annotations, str(address))
            if not images:
                raise ServerError(
                    f"{address}: has no images; add a task with images in CVAT, or check the number"
                )
            media = _media(images, there, before)
            keys = {one.path: _key(one, media[one.task]) for one in images}
            missing = [one for one in images if keys[one.path] not in kept]
            with closing(_fetched(missing, keys, there, media, partial)) as fetching:
                those = track(fetching, "frames", total=len(missing), shown=progress)
                files = {**kept, **dict(those)}
            with new_folder(path, _FORM) as folder:
                _place_all({name: files[key] for name, key in keys.items()}, folder)
                _place_annotations(annotations, folder)
                frames = {name: _Kept(key, (folder / name).stat().st_size) for name, key in keys.items()}
                record = _Record(str(address), there.updated, media, frames)
                Report(_FORM, path, {"all": len(images)}, {}).leave_in(folder, msgspec.to_builtins(record))
    return Pulled(str(address), out, len(images), len(missing), changed=True)


def _record_of(path: Path, address: Address) -> _Record:
    """What the folder was pulled from; an empty record if it does not exist, or cannot tell."""
    try:
        record = msgspec.json.decode((path / MARKER).read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _Record(str(address), {}, {}, {})
    if record.address != str(address):
        raise ExportError(
            f"{path}: was pulled from {record.address}, not from {address}; name another folder"
        )
    return record


def _whole(path: Path, record: _Record) -> dict[str, Path]:
    """Frame -> its file in the folder, for the files that are as they were written."""
    found = {}
    for name, kept in record.frames.items():
        with suppress(OSError):
            if (path / name).stat().st_size == kept.size:
                found[kept.key] = path / name
    return found


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """The folder beside the target for what has come so far, for one pull at a time; removed when the block succeeds."""
    partial = partial_of(path)
    partial.mkdir(parents=True, exist_ok=True)
    lock = partial / RUNNING
    if lock.exists() and runs(pid := lock.read_text(encoding="utf-8")):
        raise ExportError(f"{path}: another pull into it is running (process {pid}); wait for it to end")
    lock.write_text(str(os.getpid()), encoding="utf-8")
    for left in partial.glob("export-*"):
        shutil.rmtree(left, ignore_errors=True)
    yield partial
    shutil.rmtree(partial, ignore_errors=True)


def _export(there: There, partial: Path) -> Document:
    """Let the server export the annotations without images, and fetch them: the XML is that of a zip with images."""
    from cvat_sdk.core.proxies.types import Location

    zipped = Path(tempfile.mkdtemp(prefix="export-", dir=partial)) / "annotations.zip"
    with answers(there.address, may="export"):
        there.root.export_dataset(FORMAT, zipped, include_images=False, location=Location.LOCAL)
    container = open_container(zipped)
    documents = container.documents()
    if container.problems or len(documents) != 1:
        why = container.problems[0].what if container.problems else f"it has {len(documents)} XML files"
        raise ServerError(f"{there.address}: its export cannot be read ({why}); run the same command again")
    return documents[0]


def _media(images: Iterable[Listed], there: There, before: _Record) -> dict[str, Media]:
    """The media of the tasks that have images; the server is asked only about those that have changed since `before`."""
    media: dict[str, Media] = {}
    for task in sorted({one.task for one in images}):
        if not task and there.address.kind == "project":
            raise ServerError(
                f"{there.address}: its export does not say which task an image is of; pull each task by itself"
            )
        if task not in there.owners:
            raise ServerError(
                f"{there.address}: task {task} was added while it was read; run the same command again"
            )
        unchanged = task in before.media and before.updated.get(task) == there.updated[task]
        media[task] = before.media[task] if unchanged else there.media(task)
    return media


def _key(one: Listed, media: Media) -> str:
    """A frame and its state on the server: as long as the key is the same, so is the file."""
    return f"{one.task}/{one.frame}@{media.changed}"


def _fetched(
    missing: Sequence[Listed],
    keys: Mapping[str, str],
    there: There,
    media: Mapping[str, Media],
    partial: Path,
) -> Generator[tuple[str, Path], None, None]:
    """Frame, and its file, of each frame that has to come from the server; those that came before are there already."""

    def fetch(one: Listed) -> tuple[str, Path]:
        key = keys[one.path]
        file = partial / re.sub(r"[^0-9A-Za-z]+", "-", f"frame-{key}")
        if not file.exists():
            data = there.frame(one.task, media[one.task].number(one.frame), one.path.removeprefix("images/"))
            with new_file(file) as work:
                work.write_bytes(data)
        return key, file

    return ahead(fetch, missing, _AT_ONCE, 2 * _AT_ONCE)


def _place_all(files: Mapping[str, Path], folder: Path) -> None:
    """Put each file in its place by a link, or a copy where the disk has no links."""
    for name, file in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise ExportError(
                f'image "{name}": another image has the same name in another case, and this disk holds only one of them; '
                "pull into a folder on another disk, or rename one of them in CVAT"
            )
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)


def _place_annotations(annotations: Document, folder: Path) -> None:
    with annotations.open() as source, (folder / _ANNOTATIONS).open("wb") as target:
        shutil.copyfileobj(source, target)
