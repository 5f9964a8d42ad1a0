"""ultralytics, kept to itself: it asks nothing of the network, reports to no one, and leaves nothing in the home.

Left alone, importing it looks up two servers and writes settings below ``~/.config``; training sends usage data,
downloads a font, and with mixed precision a model, starts trackers that happen to be installed, and leaves
torch deterministic or not as it likes. Import what is needed of it through here.
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
from urllib.error import URLError

import PIL.Image
import torch
from torch import nn

from pcm_leukemia.errors import CorruptFile, DataNotFound

_HOME = tempfile.mkdtemp(prefix="pcm-leukemia-ultralytics-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
_ALONE = {
    "YOLO_CONFIG_DIR": _HOME,
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
}


@contextmanager
def _environment(**changes: str) -> Iterator[None]:
    """Set variables; whatever else is set meanwhile is gone afterwards too."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


_pillow_s_open, _torch_s_save = PIL.Image.open, torch.save

# who has imported ultralytics before has settings of their own, which then hold; `alone` looks after the rest
with _environment(**({} if "ultralytics" in sys.modules else _ALONE)):
    import ultralytics.engine.trainer
    import ultralytics.models.yolo.detect
    from ultralytics import data, utils
    from ultralytics.data import augment
    from ultralytics.nn import tasks
    from ultralytics.utils import downloads, events, nms, ops, torch_utils, tqdm

# it puts its own in their place: one that installs a package when a file is no image, and one that tries again
PIL.Image.open, torch.save = _pillow_s_open, _torch_s_save

__all__ = [
    "DEFAULTS",
    "RANK",
    "DetectionTrainer",
    "LetterBox",
    "YOLODataset",
    "alone",
    "build",
    "non_max_suppression",
    "pretrained",
    "scale_boxes",
    "unwrap_model",
]

# its types are half done: what is made of these is checked by tests
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
def alone() -> Iterator[None]:
    """While the block runs, ultralytics reports to no one, and says nothing but errors."""
    changes: list[tuple[Any, str, Any]] = [
        (events.events, "enabled", False),
        # it would download a model to try mixed precision with
        (ultralytics.engine.trainer, "check_amp", lambda model: next(model.parameters()).is_cuda),
        # the bar of images that are kept in memory is shown regardless
        (data.base, "TQDM", lambda *rows, **options: TQDM(*rows, **{**options, "disable": True})),
    ]
    before = [(thing, name, getattr(thing, name)) for thing, name, _ in changes]
    reporting = {key: dict.get(utils.SETTINGS, key) for key in _REPORTING}
    level, deterministic = utils.LOGGER.level, torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic
    try:
        for thing, name, value in changes:
            setattr(thing, name, value)
        # past its own `__setitem__`, which writes to the user's file
        dict.update(utils.SETTINGS, dict.fromkeys(_REPORTING, False))
        utils.LOGGER.setLevel("ERROR")
        with _environment(**_ALONE):
            yield
    finally:
        for thing, name, value in before:
            setattr(thing, name, value)
        dict.update(utils.SETTINGS, reporting)
        utils.LOGGER.setLevel(level)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.deterministic = cudnn


def build(architecture: str | dict[str, Any], classes: int) -> nn.Module:
    """A detector with random weights, by the name that ultralytics gives it, or from what its ``yaml`` holds.

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
        with alone():
            model: nn.Module = _tasks.DetectionModel(cfg, nc=classes, verbose=False)
    except FileNotFoundError as error:
        raise ValueError(_no_detector(str(architecture))) from error
    if _tasks.guess_model_task(model) != "detect":
        raise ValueError(_no_detector(str(architecture)))
    return model


def pretrained(name: str) -> nn.Module:
    """The model in one of ultralytics' ``.pt`` files: a path, or the name of one that it offers, which is fetched.

    The file is a pickle: nothing is made of it but ultralytics' and torch's own classes.

    Raises
    ------
    DataNotFound
        If it is neither a file nor such a name, or cannot be fetched.
    CorruptFile
        If it is no model of ultralytics, or would need other code.
    """
    path = Path(name)
    if not path.is_file():
        path = _fetched(name)
    try:
        content, _ = _tasks.torch_safe_load(path, safe_only=True)
        model: nn.Module = (content.get("ema") or content["model"]).float()
    except Exception as error:  # what a damaged pickle raises has no end
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CorruptFile(
            f"{path}: holds no model of ultralytics ({reason}); give the .pt file of one of its detectors"
        ) from error
    return model


def _fetched(name: str) -> Path:
    """Where the file of that name is, once it has been downloaded from ultralytics' releases."""
    if name not in downloads.GITHUB_ASSETS_NAMES or not name.endswith(".pt"):
        raise DataNotFound(
            f'weights "{name}": is no file, and no name that ultralytics offers; give a .pt file, a name such as '
            "yolo11m.pt, or none to train from scratch"
        )
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(f"{_RELEASE}/{name}", str(path), progress=False)
        except (URLError, OSError) as error:
            raise DataNotFound(
                f'weights "{name}": cannot be had from {_RELEASE} ({error}); download the file where there is a '
                "network and give its path, or none to train from scratch"
            ) from error
    return path


def _no_detector(name: str) -> str:
    return f'model "{name}": ultralytics has no such detector; give a name such as yolo11m or yolo11n'
