"""What scores were computed on: patients, images and cells, and how many of the cells a model drew."""

from __future__ import annotations

from typing import NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.schema import AUTO, IGNORE

__all__ = ["ScoredOn"]


class ScoredOn(NamedTuple):
    """The number of scored patients, images and cells; `auto_cells` of the cells have the source "auto".

    Examples
    --------
    >>> scored = ScoredOn(patients=2, images=5, cells=10, auto_cells=3)
    >>> print(scored)
    2 patients, 5 images, 10 cells
    >>> print(scored.note)
    3 of 10 scored cells have the source "auto": a model drew them, so the scores are too high if nobody has corrected them
    """

    patients: int = 0
    images: int = 0
    cells: int = 0
    auto_cells: int = 0

    @classmethod
    def of(cls, view: Dataset) -> ScoredOn:
        """Count the data of a task; cells to be ignored are no target."""
        patients = {image.patient for image in view.images} - {None}
        sources = [cell.source for cell in view.cells if cell.label != IGNORE]
        return cls(len(patients), len(view.images), len(sources), sources.count(AUTO))

    def __str__(self) -> str:
        return f"{counted(self.patients, 'patient')}, {counted(self.images, 'image')}, {counted(self.cells, 'cell')}"

    @property
    def note(self) -> str:
        """A sentence for readers of the scores, if a model drew cells; otherwise ""."""
        if not self.auto_cells:
            return ""
        have, them = ("have", "them") if self.auto_cells > 1 else ("has", "it")
        return (
            f'{self.auto_cells:,} of {self.cells:,} scored cells {have} the source "auto": a model drew {them}, so the scores '
            f"are too high if nobody has corrected {them}"
        )
