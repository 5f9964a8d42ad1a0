"""Finds ids of patients in texts, such as paths and tags, and puts their pseudonyms in their place.

A text is read in pieces, each a run of letters or of digits, so 7 is never found in "frame_17.jpg". How far spelling and
surroundings may differ depends on how much an id distinguishes:

- Ids of 5 letters and digits or more are found beside the other kind: 4711007 in "IMG4711007b.png". Shorter ones are found
  only where no letter or digit is beside them.
- Ids of 5 letters and digits or more, and those with both of at least 3, are found in other spellings: "P-012" in "p12/3.png".
  Other ids are found as they are written, and leading zeros do not count in a folder or file that is called after the id alone,
  and where the name of a file begins with the id.
- Ids with letters of these two kinds, and numbers of at least 6 digits, are found in texts of other patients, too, because an
  image may name several.
- A number of up to 3 digits in the name of a file is that of the image, if a folder is called after the patient and other letters or
  digits do not follow: in "7/7.png" and "7/frame_7.png", not in "7/7_12.png". Otherwise the missing number would tell the id.

Leading zeros do not count as digits here: 00001 is a short id, since frames are counted so, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pcm_leukemia.patients.key_file import canonical
from pcm_leukemia.schema import PatientId

__all__ = ["Replacing"]

_PIECE = re.compile(r"\d+|[^\W\d_]+")
_TOKEN = re.compile(r"[^\W_]+")
_PSEUDONYM = re.compile(r"P-[0-9A-Z]{10}")
_LONG, _MIXED, _LONG_NUMBER = 5, 3, 6
"""The fewest letters and digits of a long id, of one with both, and of a number that is found in texts of other patients."""
_COUNT = 3
"""The most digits of a number that may number the images of a patient."""


class _Spelled(NamedTuple):
    """A spelling of an id, from its first letter or digit to its last, and where it may be found: see the top."""

    pseudonym: PatientId
    shown: str
    text: str
    beside: bool
    """Whether letters may be beside its digits, and digits beside its letters."""
    respelled: bool
    """Whether it is found in other spellings."""
    everywhere: bool
    """Whether it is found in texts of other patients."""
    counter: str
    """The number, without leading zeros, if images may be numbered so; otherwise ""."""


class Replacing:
    """Replaces ids of patients in texts.

    Parameters
    ----------
    pseudonym_of
        Each spelling of an id -> its patient's pseudonym.
    shown_as
        Spelling -> what to put in its place, if that is not the pseudonym.

    Examples
    --------
    >>> replacing = Replacing({"4711007": "P-7K3M9QX4TZ", "7": "P-0123456789"})
    >>> replacing("ward/IMG4711007b.png")
    'ward/IMGP-7K3M9QX4TZb.png'
    >>> replacing("7/frame_17.jpg"), replacing("7/frame_17.jpg", "P-0123456789")
    ('7/frame_17.jpg', 'P-0123456789/frame_17.jpg')
    """

    def __init__(
        self, pseudonym_of: Mapping[str, PatientId], shown_as: Mapping[str, str] | None = None
    ) -> None:
        self._shown_as = {canonical(spelling): shown for spelling, shown in (shown_as or {}).items()}
        self._spelled: dict[tuple[str, ...], list[_Spelled]] = defaultdict(list)
        self._given = frozenset(pseudonym_of.values())
        self._done: dict[tuple[str, PatientId | None], str] = {}
        self._long_of: dict[PatientId, set[str]] = defaultdict(set)
        for spelling, pseudonym in sorted(pseudonym_of.items()):
            self._add(spelling, pseudonym)
        self._lengths = sorted({len(key) for key in self._spelled}, reverse=True)

    def shown(self, spelling: str, pseudonym: PatientId) -> str:
        """What is put in place of a spelling of an id with this pseudonym."""
        return self._shown_as.get(canonical(spelling), pseudonym)

    def _add(self, spelling: str, pseudonym: PatientId) -> None:
        text = unicodedata.normalize("NFC", spelling)
        found = list(_PIECE.finditer(text))
        if not found or spelling == pseudonym:
            return
        key = tuple(_plain(each[0]) for each in found)
        written = [each[0] for each in found]
        exact = text[found[0].start() : found[-1].end()].casefold()
        counter = ""
        if all(map(str.isdecimal, written)):
            digits = sum(map(len, key))
            long = respelled = digits >= _LONG
            everywhere = digits >= _LONG_NUMBER
            counter = key[0] if len(key) == 1 and digits <= _COUNT else ""
        else:
            long = sum(map(len, written)) >= _LONG
            respelled = sum(map(len, key)) >= _LONG or _is_mixed(key)
            everywhere = long or _is_mixed(written)
        self._spelled[key].append(
            _Spelled(pseudonym, self.shown(spelling, pseudonym), exact, long, respelled, everywhere, counter)
        )
        if long:
            self._long_of[pseudonym].add("".join(written).casefold())

    def __call__(self, text: str, own: PatientId | None = None) -> str:
        """The text with pseudonyms for ids; short ids are replaced only if they are of the patient with the pseudonym `own`."""
        if not text or not self._spelled:
            return text
        if (text, own) not in self._done:
            self._done[text, own] = self._replaced(text, own)
        return self._done[text, own]

    def still_in(self, text: str, own: PatientId) -> bool:
        """Whether a long id of this patient is still in a text, inside of a longer word or number."""
        tokens = _TOKEN.findall(unicodedata.normalize("NFC", text).casefold())
        return any(spelling in token for token in tokens for spelling in self._long_of[own])

    def _replaced(self, given: str, own: PatientId | None) -> str:
        text = unicodedata.normalize("NFC", given)
        kept = [found.span() for found in _PSEUDONYM.finditer(text) if found[0] in self._given]
        pieces = [
            piece
            for piece in _PIECE.finditer(text)
            if not any(start <= piece.start() < end for start, end in kept)
        ]
        plain = [_plain(piece[0]) for piece in pieces]
        new, done, at = [], 0, 0
        while at < len(pieces):
            for number in self._lengths:
                if at + number > len(pieces):
                    continue
                start, end = pieces[at].start(), pieces[at + number - 1].end()
                shown = self._found(tuple(plain[at : at + number]), text, start, end, own)
                if shown is not None:
                    new += [text[done:start], shown]
                    done, at = end, at + number
                    break
            else:
                at += 1
        return "".join([*new, text[done:]]) if new else given

    def _found(
        self, key: tuple[str, ...], text: str, start: int, end: int, own: PatientId | None
    ) -> str | None:
        """What to put in place of the id that is here; of several, that of the exact spelling, then that of the own patient."""
        spelled = self._spelled.get(key)
        if spelled is None:
            return None
        here = text[start:end]
        fits = [
            (here.casefold() != each.text, each.pseudonym != own, each.shown)
            for each in spelled
            if _fits(each, text, start, end, exact=here.casefold() == each.text, own=each.pseudonym == own)
        ]
        return min(fits)[2] if fits else None


def _fits(each: _Spelled, text: str, start: int, end: int, *, exact: bool, own: bool) -> bool:
    """Whether the id may be found here: see the top."""
    if not (own or each.everywhere) or (not exact and "/" in text[start:end]):
        return False
    if each.counter and _numbers_the_image(each, text, start, end):
        return False
    alone = not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum()
    respelled = each.respelled or (own and (_is_whole_part(text, start, end) or _leads(text, start, end)))
    return (alone or each.beside) and (exact or respelled)


def _numbers_the_image(each: _Spelled, text: str, start: int, end: int) -> bool:
    """Whether a short number here is in the name of a file, whose folder says who the patient is, and does not lead it."""
    folders = text[: text.rfind("/") + 1]
    said = each.pseudonym in folders or re.search(rf"(?<![^\W_])0*{each.counter}(?![^\W_])", folders)
    return start >= len(folders) and bool(said) and not _leads(text, start, end)


def _leads(text: str, start: int, end: int) -> bool:
    """Whether the name of a file begins so, and goes on with other letters or digits before its suffix."""
    begins = start == text.rfind("/") + 1
    return begins and re.match(r"[\W_]+[^\W_]+.*\.", text[end:]) is not None


def _is_whole_part(text: str, start: int, end: int) -> bool:
    """Whether a folder or a file is called so, without its suffix."""
    return (start == 0 or text[start - 1] == "/") and re.match(r"/|(\.[^./]+)?$", text[end:]) is not None


def _plain(piece: str) -> str:
    """A piece in lower case, or a number in European digits without leading zeros."""
    if not piece.isdecimal():
        return piece.casefold()
    return "".join(str(unicodedata.decimal(each)) for each in piece).lstrip("0") or "0"


def _is_mixed(pieces: Sequence[str]) -> bool:
    return sum(map(len, pieces)) >= _MIXED and len({piece.isdecimal() for piece in pieces}) > 1
