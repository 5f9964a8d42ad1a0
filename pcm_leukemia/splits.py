"""Splits: which part each image belongs to, made by whole patients and checked for leaks."""

from __future__ import annotations

from pcm_leukemia.leaks import check, require_sound

__all__ = ["check", "require_sound"]
