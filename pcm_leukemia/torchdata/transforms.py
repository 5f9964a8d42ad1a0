"""What a transform must be."""

from __future__ import annotations

__all__ = ["require_callable"]


def require_callable(transform: object, of: str, fix: str = "") -> None:
    """Refuse a transform that is given and cannot be called, with TypeError; `fix` is what else can be done."""
    if transform is not None and not callable(transform):
        raise TypeError(f"{of}: transform {transform!r} cannot be called; pass a function, or nothing{fix}")
