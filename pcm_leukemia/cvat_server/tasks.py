"""`create_task`: a new task in a project, with the images, cells and tags of a data set.

CVAT cannot make a task of frames that it has already, so the images are uploaded. They go as one zip, since CVAT drops the folders of
single files.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcm_leukemia.cvat_server.address import Address, address_of
from pcm_leukemia.cvat_server.connection import AGAIN, answers, connected
from pcm_leukemia.cvat_server.labels import Labels, labels_of, require_project
from pcm_leukemia.cvat_server.matching import frame_names, frames_of
from pcm_leukemia.cvat_server.media import There
from pcm_leukemia.cvat_server.pushing import Pushed, without_tags
from pcm_leukemia.cvat_server.sending import becomes_box, plan, send
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    ExportError,
    ImpossibleValue,
    MachineError,
    PcmError,
    ServerError,
    ServerUnavailable,
    counted,
    option,
)
from pcm_leukemia.files import disk_errors, leads_outside
from pcm_leukemia.images import files_of, load_bytes, reason, unfit
from pcm_leukemia.progress import track, visible
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import ImageId

if TYPE_CHECKING:
    from cvat_sdk.core.client import Client

__all__ = ["create_task"]

_LONGEST_NAME, _LONGEST_SUBSET = 256, 64
"""The characters that CVAT stores of the name and the subset of a task."""


def create_task(
    ds: Dataset,
    url: str,
    name: str,
    *,
    subset: str = "",
    job_size: int | None = None,
    tags: bool = True,
    add_labels: bool = False,
    dry_run: bool = False,
    profile: str | None = None,
    progress: bool = False,
) -> Pushed:
    """Make a new task in a project on a CVAT server, with all images, cells and tags of `ds`.

    Each frame is named as its image's id, so that `pull` brings the task back under the same ids. Ignored cells are sent, too,
    with the labels of their annotators, as `converters.cvat.write` writes them.

    Parameters
    ----------
    ds
        The data, with the files of all images. Read a CVAT export with ``taxonomy="declared"`` to send all labels as they are.
    url
        The address of the project, as the browser shows it. Its labels must have those of the cells and tags, and their
        attributes.
    name
        The name of the task, which no other task of the project may have.
    subset
        The subset of the task; by default none.
    job_size
        The number of images in each job of the task, so that several annotators can share it; by default, one job has them all.
    tags, add_labels, profile
        As for `push`.
    dry_run
        Whether to send nothing, and only say what would be sent.
    progress
        Show a progress bar.

    Raises
    ------
    MissingExtra
        If cvat-sdk is not installed.
    LeakySplit
        If a patient or a group of images is in two parts.
    UnfitForTask
        If there are no images.
    ImpossibleValue
        If CVAT cannot store the name or the subset, or `job_size` is below 1.
    DataNotFound
        If the files of the images are not there.
    ExportError
        If a file is missing or is not its image, or the disk is full.
    ServerError
        If the server cannot be reached or refuses, or the project has a task of this name, or some of the images in this subset.
        A task that is left incomplete is named.
    UnknownLabel
        If the label or an attribute of cells or tags is not on the server.

    Examples
    --------
    >>> import pcm_leukemia as pcm
    >>> pcm.cvat_server.create_task(pcm.Dataset("none", pcm.NINE, ()), "https://cvat.hospital.org/projects/7", "Suspects")
    Traceback (most recent call last):
    pcm_leukemia.errors.UnfitForTask: none: has no images; import the data again, or select other images
    """
    address = address_of(url)
    require(ds)
    sent = ds if tags else without_tags(ds)
    _check(sent, name, subset, job_size)
    with connected(address, profile) as client:
        there = There.at(client, address)
        require_project(there, "a new task is made")
        _require_new(there, sent, name, subset)
        labels = labels_of(sent, there, add=add_labels, dry_run=True)
        if not dry_run:
            with tempfile.TemporaryDirectory(prefix="pcm-leukemia-") as folder, disk_errors(folder):
                zipped = _zipped(sent, Path(folder, "frames.zip"), progress=progress)
                if labels.added:
                    labels = labels_of(sent, there, add=True)
                task, address = _make(client, there, name, subset, job_size)
                with _tell_if_it_fails(
                    f"{address}: is incomplete; delete it before you try again: {_delete(address)}"
                ):
                    _upload(task, address, zipped, progress=progress)
                    _annotate(sent, There(address, task, {"": task}, {}), labels)
    left = {
        "tags": 0 if tags else sum(len(image.tags) for image in ds.images),
        "outlines, in place of which boxes are sent": sum(becomes_box(cell, labels) for cell in sent.cells),
    }
    return Pushed(
        str(address),
        len(sent.images),
        len(sent.cells),
        0,
        left,
        dry_run=dry_run,
        tags=sum(len(image.tags) for image in sent.images),
        added=labels.added,
        task=name,
    )


def _check(ds: Dataset, name: str, subset: str, job_size: int | None) -> None:
    """Refuse what CVAT cannot store, before the server is asked."""
    if not 1 <= len(name.strip()) <= len(name) <= _LONGEST_NAME:
        raise ImpossibleValue(
            f'name "{name}": has {len(name.strip()):,} characters; give a name of 1 to {_LONGEST_NAME}'
        )
    if len(subset) > _LONGEST_SUBSET or leads_outside(subset) or "/" in subset:
        raise ImpossibleValue(
            f'subset "{subset}": is too long, or a path; give a name of at most {_LONGEST_SUBSET} characters'
        )
    if job_size is not None and job_size < 1:
        raise ImpossibleValue(f"job_size {job_size}: give a number of images, 1 or more")
    missing = [image.id for image in ds.images if not image.file]
    files_of(ds)
    if missing:
        raise ExportError(
            f'{ds.name}: {len(missing):,} of {counted(len(ds.images), "image")} have no file, the first "{missing[0]}"; '
            "add the files, or leave these images out"
        )
    outside = next((image.id for image in ds.images if leads_outside(image.id)), None)
    if outside is not None:
        raise ExportError(f'image "{outside}": its path leads out of the task; rename the file')


def _require_new(there: There, ds: Dataset, name: str, subset: str) -> None:
    """Refuse a second task of the name, and a second frame of a name in the subset, which CVAT cannot export."""
    images = {image.id for image in ds.images}
    for number, task in there.owners.items():
        where = Address(there.address.server, "task", int(number))
        if task.name == name:
            raise ServerError(
                f'{where}: is called "{name}" already, with {counted(getattr(task, "size", 0) or 0, "image")}; give another name '
                f"({option('new_task')}), or if it is left from a push that broke off, delete it: {_delete(where)}"
            )
        if (task.subset or "") == subset and (
            same := images & {each for each, _ in frame_names(there, number)}
        ):
            raise ServerError(
                f'{where}: has {len(same):,} of the images already, such as "{min(same)}", in the same subset; give the new task '
                f"another subset ({option('subset')}), or delete that task: {_delete(where)}"
            )


def _delete(task: Address) -> str:
    """The command that deletes a task."""
    return f"cvat-cli --server-host {task.server} task delete {task.number}"


def _zipped(ds: Dataset, path: Path, *, progress: bool) -> Path:
    """A zip of the images, each under its id."""
    files, problems = files_of(ds), dict[str, list[ImageId]]()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for image in track(ds.images, "images", shown=progress):
            try:
                archive.writestr(zipfile.ZipInfo(image.id), load_bytes(files, image))
            except (DataNotFound, CorruptFile) as error:
                problems.setdefault(reason(image, error), []).append(image.id)
    if problems:
        raise ExportError(unfit(problems))
    return path


def _make(client: Client, there: There, name: str, subset: str, job_size: int | None) -> tuple[Any, Address]:
    """An empty task, and its address."""
    from cvat_sdk.core.proxies.tasks import Task
    from cvat_sdk.models import TaskWriteRequest

    more: dict[str, Any] = {"subset": subset} if subset else {}
    more |= {} if job_size is None else {"segment_size": job_size, "overlap": 0}
    request = TaskWriteRequest(name=name, project_id=there.address.number, **more)
    organization = getattr(there.root, "organization", None)  # the server takes a task only if it is named
    of = {"org": ""} if organization is None else {"org_id": organization}
    left = f'{there.address}: if it has a task "{name}" now, that is incomplete; delete it in CVAT before you try again'
    with _tell_if_it_fails(left), answers(there.address, may="add tasks to"):
        model, _ = client.api_client.tasks_api.create(request, **of)
        return Task(client, model), Address(there.address.server, "task", model.id)


def _upload(task: Any, address: Address, zipped: Path, *, progress: bool) -> None:
    """Upload the images, and wait until the server has made frames of them."""
    from cvat_sdk.core.exceptions import BackgroundRequestException, CvatSdkException
    from cvat_sdk.core.helpers import DeferredTqdmProgressReporter

    bar = DeferredTqdmProgressReporter({"leave": False}) if progress and visible() else None
    with answers(address, may="upload to"):
        try:
            task.upload_data([zipped], pbar=bar)
        except BackgroundRequestException as error:
            why = " ".join(str(error).split())[:200]
            raise ServerError(
                f"{address}: the server could not make frames of the images ({why}); try it in CVAT"
            ) from None
        except CvatSdkException as error:
            if "Too many upload errors" not in str(error):
                raise
            raise ServerUnavailable(
                f"{address}: the upload broke off several times; check the network"
            ) from None


def _annotate(ds: Dataset, there: There, labels: Labels) -> None:
    """Send the cells and tags of a task whose frames are there."""
    frames = frames_of(ds, there)
    if len(frames) < len(ds.images):
        lost = next(image.id for image in ds.images if image.id not in frames)
        raise ServerError(
            f'{there.address}: CVAT took {len(frames):,} of {counted(len(ds.images), "image")}, and not "{lost}"; rename it, or '
            "leave it out"
        )
    send(there, plan(ds, there, "", frames, labels, "keep"))


@contextmanager
def _tell_if_it_fails(left: str) -> Iterator[None]:
    """Say what is left on the server if the block fails or is interrupted."""
    try:
        yield
    except PcmError as error:
        failed = ServerUnavailable if isinstance(error, MachineError) else ServerError
        raise failed(f"{str(error).replace(AGAIN, 'try again')}\n{left}") from None
    except BaseException:
        warnings.warn(left, DataWarning, stacklevel=4)
        raise
