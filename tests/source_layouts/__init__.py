"""One module per data set: `make(root)` writes a small copy of its real layout, traps included, and returns the facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import PIL.Image

from pcm_leukemia.schema import AnnotationState

__all__ = ["Facts", "picture"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What `read(root, **options)` must return for the files that were made.

    `raw` counts the cells by raw label, and `labels` by class in the default variant. `patients` maps every id to its
    diagnosis, and `parts` counts the images by part (None: no split). `spoil` removes a required file, and `said` is
    the expected error; `spoil` is None if no list of the files exists. `warns` is the expected warning.
    """

    root: Path
    images: int
    raw: Mapping[str, int]
    labels: Mapping[str, int]
    patients: Mapping[str, str | None] = field(default_factory=dict)
    parts: Mapping[str, int] | None = None
    states: Mapping[AnnotationState, int] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    spoil: Callable[[], object] | None = None
    said: str = ""
    warns: str | None = None


def picture(
    path: Path, width: int = 40, height: int = 30, mode: str = "RGB", shade: int = 200, **save: object
) -> Path:
    """Write a plain picture; pictures of different `shade` have different pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    color = {"RGB": (shade, 120, 160), "RGBA": (shade, 120, 160, 255)}[mode]
    PIL.Image.new(mode, (width, height), color).save(path, **save)  # type: ignore[arg-type]
    return path
