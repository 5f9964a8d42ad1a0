"""The content of an export: counts of everything, and every problem in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pcm_leukemia.errors import Problem, some
from pcm_leukemia.files import count_unlisted

__all__ = ["CELL_SHAPES", "Inspection"]

CELL_SHAPES = ("box", "polygon", "ellipse", "mask")
"""The shapes that are read as cells; others are only counted and reported."""


@dataclass(slots=True)
class Inspection:
    """Counts and problems of one CVAT export.

    `shapes` counts shapes by kind; a track counts once for each frame without `outside`. `labels` counts the same
    shapes by label. `empty_images` have no shape at all. `files` counts the images with a file, `unlisted` has the
    image files that belong to no image, and `clipped` counts the boxes that were cut at the border of their image. `warnings` need a person's attention, but the export can be read.
    """

    version: str | None = None
    header: str | None = None
    images: int = 0
    empty_images: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    tags: int = 0
    tracks: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    rotated: int = 0
    outside_image: int = 0
    clipped: int = 0
    files: int = 0
    unlisted: list[str] = field(default_factory=list)
    without_area: int = 0
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def not_cells(self) -> dict[str, int]:
        """Counts, by kind, of the shapes that are not read as cells."""
        return {kind: count for kind, count in self.shapes.items() if kind not in CELL_SHAPES}

    def to_json(self) -> dict[str, object]:
        """Everything as plain dictionaries and lists."""
        return {
            "version": self.version,
            "header": self.header,
            "images": self.images,
            "empty_images": self.empty_images,
            "shapes": dict(sorted(self.shapes.items())),
            "tags": self.tags,
            "tracks": self.tracks,
            "labels": dict(sorted(self.labels.items())),
            "rotated": self.rotated,
            "files": self.files,
            "unlisted": list(self.unlisted),
            "outside_image": self.outside_image,
            "clipped": self.clipped,
            "without_area": self.without_area,
            "problems": [_as_dict(problem) for problem in self.problems],
            "warnings": [_as_dict(problem) for problem in self.warnings],
        }

    def __str__(self) -> str:
        if self.problems and not (self.version or self.header or self.images or self.tracks):
            return some(self.problems)
        shapes = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.shapes.items())) or "none"
        labels = ", ".join(f"{label} {count:,}" for label, count in sorted(self.labels.items())) or "none"
        return "\n".join(
            (
                f"CVAT {self.version or '(no version)'}, {self.header or 'no'} header",
                f"images   {self.images:,}, {self.empty_images:,} without any shape",
                f"files    {self.files:,}"
                + ("" if self.files else ": annotations only, no image file was found"),
                *([f"unlisted {count_unlisted(self.unlisted)}"] if self.unlisted else []),
                f"shapes   {shapes}",
                f"labels   {labels}",
                f"tags     {self.tags:,}    tracks {self.tracks:,}    rotated {self.rotated:,}",
                f"outside the image {self.outside_image:,}    without area {self.without_area:,}",
                f"warnings {len(self.warnings):,}",
                *([some(self.warnings)] if self.warnings else []),
                f"problems {len(self.problems):,}",
                *([some(self.problems)] if self.problems else []),
            )
        )


def _as_dict(problem: Problem) -> dict[str, str]:
    return {"where": problem.where, "what": problem.what, "fix": problem.fix}
