"""ultralytics, isolated: it uses no network unasked, reports to nobody, and writes nothing to the home folder.

By default, importing it contacts two servers and writes settings below ``~/.config``. Training sends usage data,
downloads a font (and a model, with mixed precision), starts any tracker that is installed, and changes whether torch
is deterministic. So import everything of ultralytics from this module.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from torch import nn

from pcm_leukemia.baselines import weight_files
from pcm_leukemia.errors import CorruptFile, DataNotFound

_HOME = tempfile.mkdtemp(prefix="pcm-leukemia-ultralytics-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
_ISOLATED = {
    "YOLO_CONFIG_DIR": _HOME,
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
}


@contextmanager
def _environment(**changes: str) -> Iterator[None]:
    """Set variables inside the block; afterwards the whole environment is as before."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


_pillow_s_open, _torch_s_save = PIL.Image.open, torch.save

# if the user has already imported ultralytics, its settings are theirs; `isolated` covers the rest
with _environment(**({} if "ultralytics" in sys.modules else _ISOLATED)):
    import ultralytics.engine.trainer
    import ultralytics.models.yolo.detect
    from ultralytics import data, utils
    from ultralytics.data import augment
    from ultralytics.nn import tasks
    from ultralytics.utils import downloads, events, nms, ops, torch_utils, tqdm

# undo its replacements: an `open` that installs a package if a file is not an image, and a `save` that retries
PIL.Image.open, torch.save = _pillow_s_open, _torch_s_save

__all__ = [
    "DEFAULTS",
    "RANK",
    "DetectionTrainer",
    "LetterBox",
    "YOLODataset",
    "build",
    "isolated",
    "non_max_suppression",
    "pretrained",
    "scale_boxes",
    "unwrap_model",
]

# Any, because its types are incomplete; tests check their use
DetectionTrainer: Any = ultralytics.models.yolo.detect.DetectionTrainer
YOLODataset: Any = data.YOLODataset
LetterBox: Any = augment.LetterBox
RANK: int = utils.RANK
DEFAULTS: Any = utils.DEFAULT_CFG
unwrap_model: Any = torch_utils.unwrap_model
non_max_suppression: Any = nms.non_max_suppression
scale_boxes: Any = ops.scale_boxes
TQDM: Any = tqdm.TQDM
_tasks: Any = tasks

_RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
_REPORTING = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


@contextmanager
def isolated() -> Iterator[None]:
    """Inside the block, ultralytics reports to nobody and logs only errors."""
    changes: list[tuple[Any, str, Any]] = [
        (events.events, "enabled", False),
        # it would download a model to test mixed precision
        (ultralytics.engine.trainer, "check_amp", lambda model: next(model.parameters()).is_cuda),
        # the progress bar for images kept in memory would be shown regardless
        (data.base, "TQDM", lambda *rows, **options: TQDM(*rows, **{**options, "disable": True})),
    ]
    before = [(thing, name, getattr(thing, name)) for thing, name, _ in changes]
    reporting = {key: dict.get(utils.SETTINGS, key) for key in _REPORTING}
    level, deterministic = utils.LOGGER.level, torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic
    try:
        for thing, name, value in changes:
            setattr(thing, name, value)
        # bypasses its `__setitem__`, which writes to the user's settings
        dict.update(utils.SETTINGS, dict.fromkeys(_REPORTING, False))
        utils.LOGGER.setLevel("ERROR")
        with _environment(**_ISOLATED):
            yield
    finally:
        for thing, name, value in before:
            setattr(thing, name, value)
        dict.update(utils.SETTINGS, reporting)
        utils.LOGGER.setLevel(level)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.deterministic = cudnn


def build(architecture: str | dict[str, Any], classes: int) -> nn.Module:
    """Build a detector with random weights, from its name in ultralytics or from the content of its ``yaml``.

    Raises
    ------
    ValueError
        If ultralytics has no detector of that name.
    """
    cfg: Any = architecture
    if isinstance(architecture, str):
        cfg = f"{architecture}.yaml"
        if not re.fullmatch(r"[\w.-]+", architecture):
            raise ValueError(_no_detector(architecture))
    try:
        with isolated():
            model: nn.Module = _tasks.DetectionModel(cfg, nc=classes, verbose=False)
    except FileNotFoundError as error:
        raise ValueError(_no_detector(str(architecture))) from error
    if _tasks.guess_model_task(model) != "detect":
        raise ValueError(_no_detector(str(architecture)))
    return model


def pretrained(name: str) -> nn.Module:
    """The model in a ``.pt`` file of ultralytics, from a path or the name of a file that it offers for download.

    The file is a pickle, from which only classes of ultralytics and torch are loaded.

    Raises
    ------
    DataNotFound
        If there is no such file or name, or the download fails.
    CorruptFile
        If the file does not hold a model of ultralytics, or needs other code.
    """
    path = Path(name)
    if not path.is_file():
        path = _fetched(name)
    try:
        content, _ = _tasks.torch_safe_load(path, safe_only=True)
        model: nn.Module = (content.get("ema") or content["model"]).float()
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CorruptFile(
            f"{path}: does not hold a model of ultralytics ({reason}); give the .pt file of one of its detectors"
        ) from error
    return model


def _fetched(name: str) -> Path:
    """Download a file from ultralytics' releases, unless it is already there; returns its path."""
    if name not in downloads.GITHUB_ASSETS_NAMES or not name.endswith(".pt"):
        raise DataNotFound(
            f'weights "{name}": neither a file nor the name of one that ultralytics offers; give a .pt file, a name '
            "such as yolo11m.pt, or none to train from scratch"
        )
    return weight_files.downloaded(name, f"{_RELEASE}/{name}")


def _no_detector(name: str) -> str:
    return f'model "{name}": ultralytics has no such detector; give a name such as yolo11m or yolo11n'
