"""The types of a differential: for each patient counts, shares, intervals, and the probability of a share of blasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pcm_leukemia.differential.confusion import Correction
from pcm_leukemia.differential.predictions import Limits
from pcm_leukemia.differential.tallying import Tallies, Tally
from pcm_leukemia.errors import counted

__all__ = [
    "AT_LEAST",
    "RESEARCH",
    "Blasts",
    "Corrected",
    "Counted",
    "Differential",
    "PatientDifferential",
]

RESEARCH = "Research software; not for diagnosis."

AT_LEAST = (0.10, 0.20)
"""The shares of blasts whose probability is given: lines that WHO 5 and ICC 2022 draw differently."""


class Corrected(NamedTuple):
    """A share corrected for what the model confuses, and its 95 % interval, 0 to 1; NaN where there is none."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Counted:
    """A class, or the blasts together: the cells, their share of all counted cells, and its exact 95 % interval."""

    label: str
    count: int
    share: float
    low: float
    high: float
    corrected: Corrected | None = None


class Blasts(NamedTuple):
    """The blasts together, and the probability that their share is at least each of `AT_LEAST`.

    `probabilities` is of the counted share, NaN if no cell is counted; `corrected` of the corrected one: the share of the draws, or None.
    """

    counted: Counted
    probabilities: tuple[float, ...]
    corrected: tuple[float, ...] | None = None


@dataclass(frozen=True)
class PatientDifferential:
    """The differential of one patient.

    `blasts` is None if no class of the data is one. `seen` says whether the model has learned from this patient, or is None if
    that is not known, or no model was used.
    """

    tally: Tally
    classes: tuple[Counted, ...]
    blasts: Blasts | None
    seen: bool | None = None


@dataclass(frozen=True)
class Differential:
    """The differentials of all patients, and how they were counted.

    `limits` is None for annotated cells, and `correction` if the shares are not corrected. `ids` has the id of each
    patient whose pseudonym was led back by `with_ids`.
    """

    name: str
    labels: tuple[str, ...]
    patients: tuple[PatientDifferential, ...]
    tallies: Tallies
    limits: Limits | None = None
    correction: Correction | None = None
    notes: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        cells = sum(each.tally.total for each in self.patients)
        lines = [f"{self.name}: {counted(len(self.patients), 'patient')}, {counted(cells, 'counted cell')}"]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes), f"  {RESEARCH}"])
