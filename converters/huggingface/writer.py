"""Hugging Face: a folder that ``datasets.load_dataset`` can open and the Hub can display.

::

    README.md                                        the dataset card, with a header for the Hub
    croissant.json                                   the same in machine-readable form (Croissant 1.0)
    detection/train-00000-of-00003.parquet           one row for each image, with its file
    classification/train-00000-of-00008.parquet      one row for each cell: the padded crop as PNG

The part "val" becomes the split "validation"; data without a split become "train". Image files are stored
unchanged, including EXIF, unless it is stripped. The column `pcm` of "detection" is JSON with everything that no other column holds
(name, subset, tags, shapes, attributes); together with the metadata of the files it restores the data set.

Declared losses: ignored cells, which are left out and counted; and, on reading, `Image.file` and
`Dataset.root`, since the images are inside the parquet files. Everything else is kept exactly: boxes, shapes,
raw labels, cell numbers, attributes, tags, patients (including those without images), the split with its
`made`, the classes with their aliases and tasks. Coordinates are in pixels; `bbox` is x, y, width, height.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from pcm_leukemia.converters.huggingface.card import WrittenConfig, card
from pcm_leukemia.converters.huggingface.columns import pyarrow
from pcm_leukemia.converters.huggingface.croissant import croissant
from pcm_leukemia.converters.huggingface.fill import CONFIGS, Config, ExportPlan, write_shards
from pcm_leukemia.converters.huggingface.names import split_names
from pcm_leukemia.counting import without_class
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import MissingExtra, counted
from pcm_leukemia.files import Report, check_target, check_url, counts, new_folder, remote_folder
from pcm_leukemia.images import STRIPPED, files_of, notes_on_depth, warn_of_changed_files
from pcm_leukemia.remote import Place, RemotePath, place_of
from pcm_leukemia.requirements import Incomplete, require
from pcm_leukemia.schema import IGNORE

__all__ = ["check_out", "push", "write"]

_FORM = "huggingface"


def write(
    ds: Dataset,
    out: str | Place,
    *,
    task: str | None = None,
    padding: int = 50,
    configs: Iterable[Config] = CONFIGS,
    max_shard_bytes: int = 500_000_000,
    license: str | None = None,  # noqa: A002 - what a dataset card calls it
    workers: int | None = None,
    executor: Executor | None = None,
    strip_metadata: bool = False,
    incomplete: Incomplete = "refuse",
    progress: bool = False,
) -> Report:
    """Write `ds` as parquet files with a dataset card.

    Each image is read once, and decoded once if crops are cut. If images cannot be read, all of them are
    listed and nothing is written: others will compare their results with the published data, which must be
    complete. To continue without these images, leave them out with `Dataset.select`.

    Parameters
    ----------
    ds
        The data; one split for each part, or one split "train" if there is no split.
    out
        A new folder, or the output of an earlier run, which is replaced; on disk, or at a URL (``s3://bucket/smears``). At a
        URL, nothing is replaced in one step: the folder is not whole before ``pcm-leukemia.json`` is there, which is written
        last.
    task
        "detection", "wbc" or "classification"; by default the classes of the data. If the classes have a task
        "classification", the crops use it and leave out Other.
    padding
        Pixels added on each side of the box in crops, cut at the image's border.
    configs
        The configurations to write: "detection", "classification" or both.
    max_shard_bytes
        Approximate maximum size of a parquet file in bytes; a file has at least one row.
    license
        The licence of the data, by its name on Hugging Face, for example "cc-by-nc-4.0"; by default "unknown".
        Only the owner of the data can state it.
    workers
        Threads; by default one for each core.
    executor
        Where the images are read and cut instead of in threads here: `execution.Cluster`, or another
        `concurrent.futures.Executor`. The parquet files are written here.
    strip_metadata
        Store images without EXIF, comments and other metadata (JPEG and PNG).
    incomplete
        "refuse" or "keep" images that may have unannotated cells, which a detector would learn as
        background. See `Image.annotation_state`.
    progress
        Show a progress bar.

    Raises
    ------
    LeakySplit
        If a patient or a group of images is in two parts.
    UnfitForTask
        If cells are points without a box; or, with the configuration detection, if images are partly annotated
        and `incomplete` is "refuse".
    DataNotFound
        If there are no image files, or no such bucket.
    ServerError
        If a URL cannot be reached, or must not be read or written.
    ExportError
        If `out` holds other files, or images cannot be read: all of them are listed.
    MissingExtra
        If pyarrow is not installed.
    ValueError
        If `task` or `configs` has an unknown value, or a number is out of range.

    Examples
    --------
    >>> from pcm_leukemia.converters.huggingface import read
    >>> import tempfile, PIL.Image
    >>> from pcm_leukemia.schema import Cell, Image, ImageId
    >>> from pcm_leukemia.shapes import Box
    >>> from pcm_leukemia.taxonomy import NINE
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     PIL.Image.new("RGB", (200, 100)).save(Path(folder, "a.png"))
    ...     image = Image(ImageId("a.png"), 200, 100, file="a.png")
    ...     cell = Cell(image.id, 0, "Monocyte", Box(50, 20, 150, 60))
    ...     ds = Dataset("demo", NINE, (image,), (cell,), root=Path(folder))
    ...     report = write(ds, Path(folder, "hf"))
    ...     same = read(Path(folder, "hf")) == ds
    >>> dict(report.images), same
    ({'train': 1}, True)
    """
    return _write(
        *(ds, out, None, task, padding, configs, max_shard_bytes, license, workers, executor, incomplete),
        strip=strip_metadata,
        progress=progress,
    )


def push(
    ds: Dataset,
    repo_id: str,
    *,
    private: bool = True,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    task: str | None = None,
    padding: int = 50,
    configs: Iterable[Config] = CONFIGS,
    max_shard_bytes: int = 500_000_000,
    license: str | None = None,  # noqa: A002 - see write
    workers: int | None = None,
    executor: Executor | None = None,
    strip_metadata: bool = False,
    incomplete: Incomplete = "refuse",
    progress: bool = False,
) -> Report:
    """Write `ds` to a temporary folder and upload it to the Hub in one commit.

    The same commit deletes parquet files of an earlier push that no longer exist. The temporary folder needs
    as much disk space as the images and their crops.

    Parameters
    ----------
    ds
        The data, as for `write`.
    repo_id
        "owner/name"; the repository is created if it does not exist.
    private
        Whether a new repository is private. Check patient ids and image metadata before you make it public.
    token
        The token of an account with write access; by default the one stored by `hf auth login`.
    revision
        The branch; by default main.
    commit_message
        By default a message with the name of the data set.
    task, padding, configs, max_shard_bytes, license, workers, executor, strip_metadata, incomplete, progress
        As for `write`.

    Returns
    -------
    Report
        The report of `write`; its folder `out` has been deleted, and a note gives the address on the Hub.

    Raises
    ------
    LeakySplit, UnfitForTask, DataNotFound, ExportError, ValueError
        As for `write`, before anything is uploaded.
    MissingExtra
        If huggingface_hub or pyarrow is not installed.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtra("huggingface_hub", "hf") from error
    with tempfile.TemporaryDirectory(prefix="pcm-leukemia-") as work:
        folder = Path(work) / "dataset"
        report = _write(
            ds,
            folder,
            repo_id,
            task,
            padding,
            configs,
            max_shard_bytes,
            license,
            workers,
            executor,
            incomplete,
            strip=strip_metadata,
            progress=progress,
        )
        api = HfApi(token=token)
        url = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            revision=revision,
            commit_message=commit_message or f"{ds.name}, written by pcm-leukemia",
            delete_patterns=[f"{config}/*.parquet" for config in CONFIGS],
        )
    return Report(
        report.format,
        report.out,
        report.images,
        report.cells,
        report.skipped,
        (*report.notes, f"uploaded to {url}"),
    )


def _write(
    ds: Dataset,
    out: str | Place,
    repo_id: str | None,
    task: str | None,
    padding: int,
    configs: Iterable[Config],
    max_shard_bytes: int,
    license_name: str | None,
    workers: int | None,
    executor: Executor | None,
    incomplete: Incomplete,
    *,
    strip: bool,
    progress: bool,
) -> Report:
    configs = _checked(padding, configs, max_shard_bytes)
    pyarrow()
    ds = ds.task(task) if task else ds
    require(ds, boxes=True, incomplete=incomplete if "detection" in configs else None)
    check_out(out)
    files = files_of(ds)
    if not files.remote:  # otherwise compared when they are read, since to read them twice takes long
        warn_of_changed_files(ds.images, files)
    has_task = any(each.name == "classification" for each in ds.taxonomy.tasks)
    plan = ExportPlan(
        ds, ds.task("classification") if has_task else ds, configs, padding, split_names(ds), strip
    )
    place = place_of(out)
    with _folder(place, configs) as folder:
        written = write_shards(plan, files, folder, max_shard_bytes, workers, executor, progress=progress)
        text = card(ds, plan.crops, written, padding, license_name, repo_id)
        (folder / "README.md").write_bytes(text.encode())
        text = croissant(ds, written, license_name, repo_id)
        (folder / "croissant.json").write_bytes(text.encode())
        report = _report(plan, written, place)
        made = {
            "name": ds.name,
            "fingerprint": ds.fingerprint,
            "task": task,
            "padding": padding,
            "configs": list(configs),
            "max_shard_bytes": max_shard_bytes,
            "license": license_name,
            **({"strip_metadata": True} if strip else {}),
        }
        report.leave_in(folder, made)
    return report


def check_out(out: str | Place) -> Place:
    """Refuse a target that must not become, or be replaced by, a folder of this form; returns its absolute path or URL.

    Raises
    ------
    WrongTarget
        If `out` must not, or cannot, be written.
    DataNotFound, ServerError
        If its bucket does not exist, cannot be reached, or must not be listed.
    """
    place = place_of(out)
    if isinstance(place, RemotePath):
        check_url(place, _FORM)
        return place
    return check_target(place, _FORM)


@contextmanager
def _folder(out: Place, configs: Iterable[Config]) -> Iterator[Place]:
    """The folder to write: a new one, which replaces `out` at the end, or that at the URL `out`."""
    if isinstance(out, RemotePath):
        with remote_folder(out, _FORM, (*configs, "README.md", "croissant.json")) as (folder, _):
            yield folder
    else:
        with new_folder(out, _FORM) as work:
            yield work


def _checked(padding: int, configs: Iterable[Config], max_shard_bytes: int) -> tuple[Config, ...]:
    chosen = tuple(config for config in CONFIGS if config in set(configs))
    unknown = sorted({str(config) for config in configs} - set(chosen))
    if unknown or not chosen:
        raise ValueError(
            f"configs {', '.join(unknown) or '(empty)'}: must be one or more of {', '.join(CONFIGS)}"
        )
    if padding < 0:
        raise ValueError(f"padding {padding}: must be 0 or more pixels")
    if max_shard_bytes < 1:
        raise ValueError(f"max_shard_bytes {max_shard_bytes}: must be 1 or more")
    return chosen


# The report


def _report(plan: ExportPlan, written: list[WrittenConfig], out: Place) -> Report:
    ds, splits = plan.ds, plan.splits
    images = counts((splits[ds.part_of(image)], "") for image in ds.images)
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    part_of = {image.id: splits[ds.part_of(image)] for image in ds.images}
    return Report(
        _FORM,
        out,
        {splits[part]: images[splits[part]][""] for part in ds.parts},
        counts((part_of[cell.image], cell.label) for cell in cells),
        without_class(ds),
        tuple(_notes(plan, written, len(cells))),
    )


def _notes(plan: ExportPlan, written: list[WrittenConfig], cells: int) -> Iterator[str]:
    if plan.ds.split is None:
        yield 'the data has no split: everything is in "train"'
    for part, split in plan.splits.items():
        if plan.ds.split is not None and part not in (split, "val"):
            yield f'part "{part}" is written as split "{split}"'
    if "classification" in plan.configs:
        found = {
            split: shards.rows
            for each in written
            if each.config == "classification"
            for split, (shards, _) in each.splits.items()
        }
        yield f"classification: {', '.join(f'{found.get(split, 0):,} crops in {split}' for split in plan.splits.values())}"
        lacking = [split for split in plan.splits.values() if split not in found]
        if lacking:
            yield f"classification has no split {' or '.join(lacking)}: datasets cannot open a split without rows"
        left = cells - sum(found.values())
        if left:
            yield f"classification leaves out {counted(left, 'cell')} whose class it does not have"
    if "detection" in plan.configs:
        if plan.strip:
            yield STRIPPED
        yield from notes_on_depth(plan.ds.images)
    drawn = sum(cell.shape is not None and cell.label != IGNORE for cell in plan.ds.cells)
    if drawn and "detection" in plan.configs:
        yield f"{counted(drawn, 'outline or rotated box is in the column pcm; objects has its upright bounding box', 'outlines and rotated boxes are in the column pcm; objects has their upright bounding boxes')}"
