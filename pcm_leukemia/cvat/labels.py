"""From the labels that annotators wrote to the classes of a taxonomy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pcm_leukemia.errors import Problem, closest, counted, either, nearest, option
from pcm_leukemia.schema import IGNORE, UNTYPED, Taxonomy, letters
from pcm_leukemia.taxonomy import check_classes, ways_to_map

__all__ = ["Labels"]


class Labels:
    """Resolves raw labels, each once, and remembers those that match no class.

    With `taxonomy` None, the classes are the labels that the export declares, or else those that it uses,
    after `mapping`.
    """

    def __init__(self, taxonomy: Taxonomy | None, mapping: Mapping[str, str]) -> None:
        self._given = taxonomy
        self._mapping = dict(mapping)
        # declared labels may differ only in case; those of a taxonomy do not
        self._loose = {letters(raw): label for raw, label in mapping.items() if taxonomy and letters(raw)}
        self._declared: dict[str, None] = {}
        self._used: dict[str, tuple[int, str]] = {}
        self._resolved: dict[str, tuple[str, str] | None] = {}
        if taxonomy:
            check_classes(self._mapping.values(), taxonomy.labels, taxonomy.name)

    def declare(self, raw: str) -> None:
        """Note a label that the export's header declares for cells."""
        self._declared[raw] = None

    def resolve(self, raw: str, where: Callable[[], str]) -> tuple[str, str] | None:
        """(class, raw label) as shared strings. A label that matches no class is counted and gives None."""
        try:
            found = self._resolved[raw]
        except KeyError:
            label = self.find(raw)
            found = self._resolved[raw] = (label, raw) if label else None
            self._used[raw] = (0, where())
        if found is None:
            count, first = self._used[raw]
            self._used[raw] = (count + 1, first)
        return found

    def find(self, raw: str) -> str | None:
        """The class of a label: by the map, in its exact spelling or by its letters, or else by the taxonomy."""
        label = self._mapping.get(raw) or self._loose.get(letters(raw))
        if label is None:
            label = self._given.match(raw) if self._given else raw
        return label or None

    def taxonomy(self) -> Taxonomy:
        """The taxonomy that the labels were resolved to."""
        if self._given:
            return self._given
        declared = self._declared or self._used
        labels = dict.fromkeys(self._mapping.get(raw, raw) for raw in declared)
        return Taxonomy("declared", tuple(label for label in labels if label.strip() and label != IGNORE))

    def problems(self) -> list[Problem]:
        """One problem for every label that has no class, with its count and its nearest match."""
        if self._given is None and self._declared:
            known = {*self._declared, *self._mapping}
            return [
                Problem(
                    first,
                    f'label "{raw}" is not declared in the header',
                    either(
                        f'pass labels={{"{raw}": LABEL}} or {{"{raw}": "{IGNORE}"}}',
                        f'pass --map "{raw}=LABEL" or "{raw}={IGNORE}"',
                    ),
                )
                for raw, (_, first) in self._used.items()
                if raw not in known
            ]
        unknown = [self._unknown(raw) for raw, found in self._resolved.items() if found is None]
        # a label of the map that is misspelt is the likely cause
        return [*unknown, *self.absent().values()] if unknown else []

    def absent(self) -> dict[str, Problem]:
        """Each label in the map that the export neither uses nor declares, and the warning of it."""
        there = {*self._used, *self._declared}
        loose = {letters(raw) for raw in there} if self._loose else set()
        found = {}
        for raw, label in self._mapping.items():
            # a map says what these two words mean also for exports that do not use them
            is_word = raw == IGNORE or raw == label == UNTYPED
            if raw not in there and letters(raw) not in loose and not is_word:
                what = f'"{raw}" is not a label in this export{nearest(raw, there)}'
                found[raw] = Problem("label map", what, "check the spelling")
        return found

    def _unknown(self, raw: str) -> Problem:
        count, first = self._used[raw]
        classes = self._given.labels if self._given else ()
        near = closest(raw, classes)
        of = f', nearest "{near}"' if near else ""
        return Problem(
            first,
            f'label "{raw}" is not a class of {self.taxonomy().name} ({counted(count, "cell")}{of})',
            f"pass {ways_to_map(raw)}, or {option('taxonomy', 'declared')} for the labels as they are",
        )
