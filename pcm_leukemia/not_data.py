"""Why there is no data set at a path, and what to give in its place: outputs of other commands, images alone, archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pcm_leukemia import converters
from pcm_leukemia.errors import DataNotFound, counted, either
from pcm_leukemia.files import UNPACK, is_image_file, other_archive, written_as

__all__ = ["no_data_at", "require_no_output"]

_RUN = "run.json"
"""The file in a run that says how it was trained."""
_HUGGING_FACE = ("*.parquet", "metadata.jsonl", "metadata.csv")
"""Files of Hugging Face data sets."""
_OUTPUTS = {
    "suspects": (
        "suspects",
        "to show them, run: pcm-leukemia report DATA page.html --suspects {path}; {path}/frames.zip is for CVAT",
    ),
    "next": ("the frames to annotate next", "{path}/frames.zip is for CVAT"),
    "predictions": (
        "predictions",
        "pcm-leukemia differential {path} OUT counts their cells, and pcm-leukemia push {path} URL sends them to CVAT",
    ),
    "predictions of crops": ("predictions", "give the crops: image_folder:CROPS"),
    "pictures": ("pictures with predictions", "give the images that were predicted"),
    "pairs": ("pictures of what check found", "give the data that were checked"),
    "figures": ("figures", "give the data that were scored"),
    "paper-figures": ("figures", "give the data that they show"),
    "differential": ("the cells of patients", "give the data that were counted"),
}
"""The form of an output of ours that is no data set -> what it holds, and what to do."""


def require_no_output(path: Path) -> None:
    """Refuse a run, and every folder that a command wrote and that is no data set, before a reader takes it for one.

    Raises
    ------
    DataNotFound
        If it is one; says which command takes it.
    """
    if not path.is_dir():
        return
    if _is_run(path):
        example = either(f'baselines.Run.open("{path}")', f"pcm-leukemia report {path} page.html")
        raise DataNotFound(
            f"{path}: is a run and not a data set; evaluate, report and predict take runs, for example {example}"
        )
    form = written_as(path)
    if form in _OUTPUTS:
        held, fix = _OUTPUTS[form]
        raise DataNotFound(f"{path}: holds {held} and no data set; {fix.format(path=path)}")
    if not form and (runs := sorted(each for each in path.iterdir() if _is_run(each))):
        raise DataNotFound(
            f"{path}: holds {counted(len(runs), 'run')} and no data set; pcm-leukemia suspects DATA OUT --runs {path} takes all "
            f"of them, and evaluate, report and predict take one: {runs[0]}"
        )


def _is_run(folder: Path) -> bool:
    """Whether a folder holds a run, and not a data set with a file of this name."""
    file = folder / _RUN
    try:
        record: Any = msgspec.json.decode(file.read_bytes()) if file.is_file() else None
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and "asked" in record


def no_data_at(path: Path) -> DataNotFound:
    """The error for a path that no format recognises."""
    titles = [*(form.TITLE for form in reversed(converters.readable())), "NAME:ROOT of a public data set"]
    known = f"give {', '.join(titles[:-1])}, or {titles[-1]} (see pcm-leukemia sources)"
    if path.is_file():
        if kind := other_archive(path):
            return DataNotFound(f"{path}: is a {kind} archive, which is not read; {UNPACK}")
        if is_image_file(path.name):
            return DataNotFound(f"{path}: is not a data set; {_unannotated(path)}")
        what = "is not a data set" if path.stat().st_size else "is empty, so it is not a data set"
        return DataNotFound(f"{path}: {what}; {known}")
    if not path.is_dir():
        return DataNotFound(f"{path}: no such file or folder; {known}")
    zips = sorted(path.glob("*.zip"))
    hint = f"; unzip {zips[0].name}, or give its path" if zips else ""
    others = sorted(
        file for name in _HUGGING_FACE for level in (name, f"*/{name}") for file in path.glob(level)
    )
    if others:
        hint += (
            f"; {others[0].relative_to(path)} is of a Hugging Face data set that pcm-leukemia did not write: open it with "
            "datasets.load_dataset, and write it as COCO"
        )
    elif not zips and (images := _images_in(path)):
        crops = any(image.parent != path for image in images)
        classes = f"if it has a folder of images for each class, give image_folder:{path}; " if crops else ""
        return DataNotFound(f"{path}: contains no data set; {classes}{_unannotated(path)}")
    return DataNotFound(f"{path}: contains no data set{hint}; {known}")


def _unannotated(path: Path) -> str:
    """What can be done with images without annotations."""
    return (
        "images without annotations are for CVAT, or for a model that finds their cells (pcm-leukemia predict RUN "
        f"{path} OUT) or chooses which to annotate first (pcm-leukemia next)"
    )


def _images_in(path: Path) -> list[Path]:
    """Image files at the levels where people keep them."""
    return [file for level in ("*", "*/*", "*/*/*") for file in path.glob(level) if is_image_file(file.name)]
