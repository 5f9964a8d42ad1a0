"""One module a data set: `make(root)` writes its true layout on disk, small, with its traps, and gives the facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import PIL.Image

from pcm_leukemia.schema import AnnotationState

__all__ = ["Facts", "picture"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What must come out of `read(root, **options)`, written down beside what was made.

    `raw` counts the cells by raw label, `labels` by class in the default variant, `patients` is every id with its
    diagnosis, `parts` the images by part (None: no split). `spoil` removes a file without which the copy is not
    whole, and `said` is what the error then says; None where nothing lists the files.
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
    """Write a picture whose pixels tell it from others of another `shade`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    color = {"RGB": (shade, 120, 160), "RGBA": (shade, 120, 160, 255)}[mode]
    PIL.Image.new(mode, (width, height), color).save(path, **save)  # type: ignore[arg-type]
    return path
