"""The ranges of settings, checked in the same way for all models."""

from __future__ import annotations

import math
from collections.abc import Collection

import msgspec

__all__ = ["require_in_range"]


def require_in_range(
    settings: msgspec.Struct,
    *,
    counts: Collection[str] = (),
    fractions: Collection[str] = (),
    positive: Collection[str] = (),
) -> None:
    """Refuse a setting that is out of its range; a number not named here must be finite, and 0 or more.

    Parameters
    ----------
    settings
        Any model's.
    counts
        Settings that must be 1 or more.
    fractions
        Settings that must be from 0 to 1.
    positive
        Settings that must be more than 0.

    Raises
    ------
    ValueError
        For the first setting that is out of its range.

    Examples
    --------
    >>> require_in_range(msgspec.defstruct("Settings", [("lr", float, 0.0)])(), positive=["lr"])
    Traceback (most recent call last):
        ...
    ValueError: setting lr: is 0.0; give more than 0
    """
    for name, value in msgspec.structs.asdict(settings).items():
        if not isinstance(value, int | float):
            continue
        low, high = (1 if name in counts else 0), (1 if name in fractions else math.inf)
        rule = "0 to 1" if name in fractions else f"{low} or more"
        holds = low <= value <= high and value < math.inf
        if name in positive:
            rule, holds = "more than 0", holds and value > 0
        if not holds:
            raise ValueError(f"setting {name}: is {value}; give {rule}")
