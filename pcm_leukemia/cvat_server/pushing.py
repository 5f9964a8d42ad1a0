"""`push`: sends the cells and tags of a data set to the frames of a project, task or job that have the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pcm_leukemia.cvat_server.address import address_of
from pcm_leukemia.cvat_server.connection import connected
from pcm_leukemia.cvat_server.labels import labels_of
from pcm_leukemia.cvat_server.matching import frames_of
from pcm_leukemia.cvat_server.media import There
from pcm_leukemia.cvat_server.sending import Existing, plan, send
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.progress import track
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import IGNORE

__all__ = ["Pushed", "push", "without_tags"]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push has done, or would do.

    `images`, `cells` and `tags` count what was sent, `removed` the shapes that it replaced, and `left` what was left out, by
    kind. `added` names the labels that the project lacked, wholly or in part. `task` is the name of a new task.
    """

    address: str
    images: int
    cells: int
    removed: int
    left: Mapping[str, int]
    dry_run: bool = False
    tags: int = 0
    added: tuple[str, ...] = ()
    task: str | None = None

    def __str__(self) -> str:
        where = self.address
        if self.task is not None:
            where += f': {"a" if self.dry_run else "the"} new task "{self.task}"'
        said = f"{where}{':' * (self.task is None)} {'would get' if self.dry_run else 'got'} {counted(self.cells, 'cell')}"
        said += f" and {counted(self.tags, 'tag')}" if self.tags else ""
        said += f" on {counted(self.images, 'image')}"
        said += f", in place of {counted(self.removed, 'shape')}" if self.task is None else ""
        lines = [said]
        if self.added:
            verb = "would be added" if self.dry_run else "added"
            lines.append(f"  {verb} to the labels, whole or with attributes: {', '.join(self.added)}")
        lines += [f"  left out: {count:,} {kind}" for kind, count in self.left.items() if count]
        return "\n".join(lines)


def push(
    ds: Dataset,
    url: str,
    *,
    existing: Existing = "keep",
    tags: bool = True,
    add_labels: bool = False,
    dry_run: bool = False,
    profile: str | None = None,
    progress: bool = False,
) -> Pushed:
    """Send cells and tags to the images of the same names on a CVAT server, to be corrected there.

    By default, only images without shapes get something, so that nothing of what people drew is changed. Cells that a model
    predicted have the source "auto" and its score; see `converters.coco.with_results`.

    Parameters
    ----------
    ds
        The data. Images that are not on the server are left out and counted, and so are ignored cells, and tags whose label
        the image has on the server.
    url
        The address of a project, a task or a job, as the browser shows it. Its labels must have the classes, the labels of tags,
        and their attributes.
    existing
        "keep" sends nothing to images that have annotations. "auto" replaces the annotations of images on which a model drew
        all of them, and nobody has corrected one. "all" replaces them on every image of `ds`, whoever drew them. Tracks are
        never replaced, and tags stay.
    tags
        Whether to send tags.
    add_labels
        Whether to add the labels and attributes that the project lacks, with all classes of `ds`. `url` must be that of a
        project.
    dry_run
        Whether to send nothing, and only say what would be sent.
    profile
        As for `pull`.
    progress
        Show a progress bar.

    Raises
    ------
    MissingExtra
        If cvat-sdk is not installed.
    LeakySplit
        If a patient or a group of images is in two parts.
    ServerError
        If the server cannot be reached or refuses, or has none of the images.
    InvalidDataset
        If images have another size on the server, or it is unclear which image is meant.
    UnknownLabel
        If a class, or the label or an attribute of cells or tags, is not on the server.
    ValueError
        If `existing` has an unknown value.

    Examples
    --------
    >>> import pcm_leukemia as pcm
    >>> pcm.cvat_server.push(pcm.Dataset("none", pcm.NINE, ()), "https://cvat.hospital.org/tasks")
    Traceback (most recent call last):
    pcm_leukemia.errors.ServerError: https://cvat.hospital.org/tasks: is not the address of a project, a task or a job; \
copy it from the browser, such as https://app.cvat.ai/projects/7
    """
    if existing not in ("keep", "auto", "all"):
        raise ValueError(f'existing "{existing}": must be keep, auto or all')
    address = address_of(url)
    require(ds)
    sent = replace(ds, cells=tuple(cell for cell in ds.cells if cell.label != IGNORE))
    sent = sent if tags else without_tags(sent)
    with connected(address, profile) as client:
        there = There.at(client, address)
        frames = frames_of(ds, there)
        labels = labels_of(sent.select(images=frames), there, add=add_labels, dry_run=dry_run)
        plans = [plan(sent, there, task, frames, labels, existing) for task in there.owners]
        if not dry_run:
            for each in track(plans, "tasks", shown=progress):
                send(there, each)
    shown = ds.select(images=frames)
    left = {
        "images that are not there": len(ds.images) - len(frames),
        "images that have annotations": sum(each.kept for each in plans),
        "ignored cells": shown.ignored,
        "white cells of unknown type": shown.untyped,
        "tags": 0 if tags else sum(len(ds.image(image).tags) for image in frames),
        "tags whose label the image has": sum(each.twice for each in plans),
        "outlines, in place of which boxes are sent": sum(each.upright for each in plans),
    }
    return Pushed(
        str(address),
        sum(each.frames for each in plans),
        sum(len(each.shapes) for each in plans),
        sum(len(each.old) for each in plans),
        left,
        dry_run=dry_run,
        tags=sum(len(each.tags) for each in plans),
        added=labels.added,
    )


def without_tags(ds: Dataset) -> Dataset:
    """The data with no tag on any image."""
    return replace(ds, images=tuple(replace(image, tags=()) for image in ds.images))
