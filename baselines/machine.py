"""What this machine offers: device, precision, workers, memory, and the libraries that are installed."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

import joblib
import torch

__all__ = [
    "description_of",
    "device_of",
    "peak_memory",
    "precision_of",
    "reset_peak_memory",
    "versions",
    "workers_of",
]

_LIBRARIES = (
    "pcm-leukemia",
    "torch",
    "torchvision",
    "lightning",
    "timm",
    "transformers",
    "ultralytics",
    "hotcoco",
)

MOST_WORKERS = 16
"""With 12 workers, a modern GPU already never waits for images."""

MOST_WORKERS_ON_CPU = 4
"""A model that trains on the CPU needs the other cores itself."""


def device_of(name: str) -> str:
    """Torch's name of a device; "auto" means the GPU if there is one.

    Raises
    ------
    ValueError
        If torch cannot use it.

    Examples
    --------
    >>> device_of("cpu")
    'cpu'
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not (name.startswith("cuda") and torch.cuda.is_available()):
        raise ValueError(f'device "{name}": torch finds no such device; use cpu or auto')
    return name


def description_of(device: str) -> str:
    """The name of a device's hardware, for records.

    Examples
    --------
    >>> description_of("cpu").partition(":")[0]
    'cpu'
    """
    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def precision_of(precision: str, device: str, *, without_bfloat16: str = "32-true") -> str:
    """Resolve "auto": bfloat16 on a GPU that supports it, `without_bfloat16` on another GPU, 32 bits on a CPU.

    Any other name is returned as it is.

    Examples
    --------
    >>> precision_of("auto", "cpu"), precision_of("16-mixed", "cuda")
    ('32-true', '16-mixed')
    """
    if precision != "auto":
        return precision
    if not device.startswith("cuda"):
        return "32-true"
    # GPUs older than Ampere only emulate bfloat16
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else without_bfloat16


def workers_of(workers: int | None, device: str = "cuda", devices: int = 1) -> int:
    """Resolve None: one for each core that this process may use, at most 16 for each device.

    Limits of the machine count, such as those of SLURM and of containers. A training on a CPU gets at most 4. Any number is
    returned as it is.

    Examples
    --------
    >>> workers_of(0), workers_of(30), 1 <= workers_of(None) <= 16, 1 <= workers_of(None, "cpu") <= 4
    (0, 30, True, True)
    """
    if workers is not None:
        return workers
    cores: int = joblib.cpu_count()
    if device.startswith("cuda"):
        return max(1, min(MOST_WORKERS, cores // devices))
    return min(MOST_WORKERS_ON_CPU, cores)


def reset_peak_memory() -> None:
    """Begin to measure the peak memory of the GPU."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, int]:
    """The peak memory in MiB: of this process, and the most that torch reserved on the GPU.

    Examples
    --------
    >>> peak_memory()["process"] > 0
    True
    """
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024  # KiB on Linux, bytes on macOS
    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_reserved() // 2**20
    return peak


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that the models use, of those that are installed.

    Examples
    --------
    >>> versions()["torch"] == torch.__version__.partition("+")[0]
    True
    """
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
