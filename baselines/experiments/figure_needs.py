"""What the paper's figures are drawn from, and which runs each of them needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import either

if TYPE_CHECKING:
    from pcm_leukemia.baselines.run import Run

__all__ = ["CLASSIFIER", "ONE_STAGE", "WBC", "Given", "Kind", "NotDrawnError", "listed"]


class NotDrawnError(Exception):
    """The reason why a figure is not drawn."""


class Kind(NamedTuple):
    """A kind of run: the baseline's kind, its task ("" for any), and its name in messages."""

    of: str
    task: str
    name: str


WBC = Kind("detector", "wbc", "a WBC detector (task wbc)")
ONE_STAGE = Kind("detector", "detection", "a one-stage detector (task detection)")
CLASSIFIER = Kind("classifier", "", "a classifier")


@dataclass(frozen=True)
class Given:
    """What figures are drawn from; `runs` are runs with their kind and task, `options` are those of `evaluate`."""

    ds: Dataset
    runs: Sequence[tuple[Run, str, str]]
    beside: Sequence[Dataset]
    options: Mapping[str, Any]
    used: set[Path] = field(default_factory=set)
    """The folders of the runs that figures have been drawn from, or would have been."""

    def need(self, *kinds: Kind, beside: bool = False) -> list[Run]:
        """The first finished run of each kind.

        Raises
        ------
        NotDrawnError
            If a run, or another data set that is needed, is missing; names all that is missing.
        """
        found: list[Run] = []
        missing: list[str] = []
        for kind in kinds:
            fitting = [run for run, of, task in self.runs if of == kind.of and kind.task in ("", task)]
            finished = [run for run in fitting if run.done]
            found += finished[:1]
            if not finished:
                unfinished = f" that has finished, unlike {fitting[0].folder.name}" if fitting else ""
                missing.append(f"the run of {kind.name}{unfinished}")
        self.used.update(run.folder for run in found)
        if beside and not self.beside:
            missing.append(f"another data set: {either('beside=[ds]', '--beside DATA')}")
        if missing:
            raise NotDrawnError(f"needs {listed(missing)}")
        return found

    def left_over(self) -> Iterator[str]:
        """A sentence on the finished runs that no figure needed, if there are any."""
        names = [run.folder.name for run, _, _ in self.runs if run.done and run.folder not in self.used]
        if names:
            yield f"no figure needed {listed(names)}: of several runs of a kind, the first that has finished is drawn"


def listed(names: Sequence[str]) -> str:
    """Several names as one phrase."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
