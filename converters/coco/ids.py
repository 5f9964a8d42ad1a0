"""Ids as COCO files of other tools write them: numbers, text, or text here and numbers there."""

from __future__ import annotations

from typing import Generic, TypeVar

from pcm_leukemia.converters.coco.refused import Refused

__all__ = ["ById", "id_of"]

T = TypeVar("T")


def id_of(value: object) -> int | float | str:
    """An id, checked.

    Raises
    ------
    Refused
        If it is neither a number nor text.
    """
    if isinstance(value, int | float | str):
        return value
    raise Refused(f"its id {value!r} is neither a number nor text")


class ById(Generic[T]):
    """Values by id. An id that does not occur as it is written is looked up as a number: "1" and 1.0 are 1.

    Examples
    --------
    >>> found = ById[str]()
    >>> found.add("1", "a.png")
    >>> found.get(1), found.get(2)
    ('a.png', None)
    """

    def __init__(self) -> None:
        self._exact: dict[object, T] = {}
        self._numbers: dict[object, T | None] | None = None

    def add(self, key: object, value: T) -> None:
        """Add a value under an id that does not occur yet."""
        self._exact[key] = value
        self._numbers = None

    def get(self, key: object) -> T | None:
        """The value of an id; None if it is unknown or ambiguous."""
        try:
            found = self._exact.get(key)
            return self._as_numbers().get(_number(key)) if found is None else found
        except TypeError:  # a list or an object
            return None

    def _as_numbers(self) -> dict[object, T | None]:
        if self._numbers is None:
            self._numbers = {}
            for key, value in self._exact.items():
                number = _number(key)
                self._numbers[number] = None if number in self._numbers else value
        return self._numbers


def _number(key: object) -> object:
    if isinstance(key, str) and key.strip().isdecimal() and len(key) < 20:
        return int(key)
    return int(key) if isinstance(key, float) and key.is_integer() else key
