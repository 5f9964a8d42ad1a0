"""The numeric precision of a model, by Lightning's names."""

from __future__ import annotations

import torch

__all__ = ["precision_of"]


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
