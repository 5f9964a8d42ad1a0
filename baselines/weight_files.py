"""Weight files: read without running code from them, and checked before use."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from pcm_leukemia.errors import CorruptFile, DataNotFound, DownloadError, some

__all__ = ["BAD_FILE", "downloaded", "fill", "from_hub", "is_hub_name", "origin", "read"]

Fetched = TypeVar("Fetched")

BAD_FILE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    LookupError,
    AttributeError,
    TypeError,
    pickle.UnpicklingError,
    SafetensorError,
)
"""The errors of torch and safetensors on files that are damaged or in another format."""


def read(path: Path, sha256: str = "") -> dict[str, Any]:
    """Read a file of weights to the CPU; only tensors and plain values are loaded.

    Parameters
    ----------
    path
        A file that `torch.save` wrote, or a ``.safetensors`` file.
    sha256
        The expected checksum in hexadecimal; "" if unknown.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it has another checksum, cannot be read, holds Python objects, or has no table at its top level.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"weight": torch.ones(2)}, f"{folder}/a.pth")
    ...     read(Path(folder) / "a.pth")
    {'weight': tensor([1., 1.])}
    """
    if not path.is_file():
        raise DataNotFound(f"{path}: no such file of weights; give the path of a file, a hub name, or none")
    if sha256:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256.strip().lower():
            raise CorruptFile(
                f"{path}: its SHA-256 is {found}, not {sha256}; download it again, or correct the setting sha256"
            )
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", "Detected pickle protocol"
                )  # torch reads the file or raises
                content = torch.load(path, map_location="cpu", weights_only=True)
    except BAD_FILE as error:
        reason = str(error).partition("\n")[0].partition(". This file")[0] or type(error).__name__
        raise CorruptFile(
            f"{path}: cannot be read as a file of weights alone ({reason}); download it again, and do not use a file "
            "that needs to run code"
        ) from error
    if not isinstance(content, dict):
        raise CorruptFile(
            f"{path}: holds a {type(content).__name__}, not a table of weights; give a file with a state_dict written by torch.save"
        )
    return content


def downloaded(name: str, url: str, sha256: str = "") -> Path:
    """The file at `url` in torch's cache; it is downloaded unless it is already there.

    Parameters
    ----------
    name
        What the setting ``weights`` calls the file, for errors.
    url
        The last part names the file in the cache.
    sha256
        The expected checksum of a new download in hexadecimal; "" if unknown.

    Raises
    ------
    DownloadError
        If the download fails.
    DataNotFound
        If it has another checksum.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256 or None, progress=False)
        except (URLError, OSError, RuntimeError) as error:
            refused = (
                DownloadError if isinstance(error, OSError) else DataNotFound
            )  # the checksum is a RuntimeError
            raise refused(
                f'weights "{name}": cannot be downloaded from {url} ({error}); download the file on another computer and '
                "give its path, or none to train from scratch"
            ) from error
    return path


def fill(model: nn.Module, weights: Mapping[str, Any], path: str | Path) -> None:
    """Load weights into a model after checking that every name and shape fits, with none missing or left over.

    Raises
    ------
    CorruptFile
        If a weight is missing, has another shape, or does not belong to the model.

    Examples
    --------
    >>> fill(nn.Linear(2, 1), {"weight": torch.ones(1, 2)}, "a.pth")
    Traceback (most recent call last):
        ...
    pcm_leukemia.errors.CorruptFile: a.pth: does not fit the model: it lacks bias; give the weights of this model
    """
    wanted = model.state_dict()
    lacks = sorted(wanted.keys() - weights.keys())
    more = sorted(weights.keys() - wanted.keys())
    other = [
        f"{name} {_shape(weights[name])} where {_shape(wanted[name])} belongs"
        for name in sorted(wanted.keys() & weights.keys())
        if _shape(weights[name]) != _shape(wanted[name])
    ]
    wrong = [
        *_named("it lacks", lacks),
        *_named("the model has no", more),
        *_named("it has", other),
    ]
    if wrong:
        raise CorruptFile(
            f"{path}: does not fit the model: {'; '.join(wrong)}; give the weights of this model"
        )
    model.load_state_dict(weights)


def is_hub_name(weights: str) -> bool:
    """Whether a text looks like a name on the Hugging Face hub, owner/model.

    Examples
    --------
    >>> is_hub_name("timm/resnet50.a1_in1k"), is_hub_name("runs/weights.pth"), is_hub_name("/data/a")
    (True, False, False)
    """
    owner, slash, model = weights.removeprefix("hf-hub:").partition("/")
    plain = owner.replace("-", "").replace("_", "").isalnum() and "/" not in model and bool(model)
    return bool(slash) and plain and not model.endswith((".pth", ".pt", ".bin", ".ckpt", ".safetensors"))


def origin(weights: str | Path) -> Literal["none", "hub", "file"]:
    """The origin of weights: none, the hub ("hub" or a name there), or a file (which may be missing).

    Examples
    --------
    >>> origin("none"), origin("hub"), origin("timm/resnet50.a1_in1k"), origin("weights.pth")
    ('none', 'hub', 'hub', 'file')
    """
    text = str(weights)
    if text == "none":
        return "none"
    named = text == "hub" or is_hub_name(text)
    return "hub" if named and not Path(weights).is_file() else "file"


def from_hub(name: str, fetch: Callable[[], Fetched]) -> Fetched:
    """Call `fetch` to load a model, or what describes it, from the hub, and explain a failure.

    Raises
    ------
    DownloadError
        If the hub cannot be reached.
    DataNotFound
        If it has no such weights.
    """
    try:
        return fetch()
    except (OSError, RuntimeError, ValueError, LookupError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        answered = getattr(error, "response", None) is not None  # the hub has no such weights
        refused = DownloadError if isinstance(error, OSError) and not answered else DataNotFound
        raise refused(
            f'weights "{name}": cannot be downloaded from the Hugging Face hub ({reason}); download them where there is a '
            "network and give the path of the file, or none to train from scratch"
        ) from error


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(getattr(tensor, "shape", ()))


def _named(verb: str, names: Collection[str]) -> list[str]:
    return [f"{verb} {some(names, 3)}".replace("\n", ", ")] if names else []
