"""Ids that a pattern found in a text, whatever is around them there: 12 in "case12b/3.png"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pcm_leukemia.patients.key_file import canonical
from pcm_leukemia.patients.replacing import Replacing
from pcm_leukemia.schema import PatientId

__all__ = ["Located", "Word"]


class Word(NamedTuple):
    """A word with an id in it, such as "case12b", and the same with the pseudonym."""

    before: str
    after: str


class Located:
    r"""Replaces what a pattern finds, and then every id that `Replacing` finds.

    Parameters
    ----------
    texts
        What replaces ids elsewhere.
    pseudonym_of
        Each spelling of an id -> its patient's pseudonym.
    pattern
        A regular expression whose group `patient` is the id; None if there is none.

    Examples
    --------
    >>> pseudonym = PatientId("P-7K3M9QX4TZ")
    >>> located = Located(Replacing({"12": pseudonym}), {"12": pseudonym}, r"case(?P<patient>\d+)")
    >>> located("case12b/12_3.png", pseudonym)
    'caseP-7K3M9QX4TZb/P-7K3M9QX4TZ_3.png'
    """

    def __init__(
        self, texts: Replacing, pseudonym_of: Mapping[str, PatientId], pattern: str | None = None
    ) -> None:
        self._texts = texts
        self._pseudonym_of = {canonical(spelling): pseudonym for spelling, pseudonym in pseudonym_of.items()}
        self._pattern = re.compile(pattern) if pattern else None

    def __call__(self, text: str, own: PatientId | None, word: Word | None = None) -> str:
        """The text with pseudonyms, in which `own` is that of its patient, and `word` is replaced as a whole."""
        if own is None:
            return self._texts(text)
        if span := self._span(text, own):
            text = self._with_shown(text, *span, own)
        if word and word.before in text:
            text = re.sub(rf"(?<![^\W_]){re.escape(word.before)}(?![^\W_])", lambda _: word.after, text)
        return self._texts(text, own)

    def word(self, own: PatientId, *texts: str) -> Word | None:
        """The word around the id that the pattern finds in the first of some texts; None if there is nothing around it."""
        for text in texts:
            if span := self._span(text, own):
                start, end = span
                while start and text[start - 1].isalnum():
                    start -= 1
                while end < len(text) and text[end].isalnum():
                    end += 1
                before = text[start:end]
                after = self._with_shown(before, span[0] - start, span[1] - start, own)
                return Word(before, after) if (start, end) != span else None
        return None

    def _with_shown(self, text: str, start: int, end: int, own: PatientId) -> str:
        return f"{text[:start]}{self._texts.shown(text[start:end], own)}{text[end:]}"

    def _span(self, text: str, own: PatientId) -> tuple[int, int] | None:
        """Where the pattern finds the id of this patient, without blanks around it."""
        found = self._pattern.search(text) if self._pattern else None
        if found is None or self._pseudonym_of.get(canonical(found["patient"] or "")) != own:
            return None
        start, end = found.span("patient")
        inside = found["patient"]
        return start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
