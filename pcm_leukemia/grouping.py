"""Groups of things that are connected by pairs, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["groups"]

Member = TypeVar("Member", int, str, tuple[str, int])


def groups(pairs: Iterable[tuple[Member, Member]]) -> list[list[Member]]:
    """The groups that the pairs connect, each sorted, in the order of their first members.

    A pair of a member with itself makes a group of one.

    Examples
    --------
    >>> groups([(5, 1), (2, 3), (1, 9)])
    [[1, 5, 9], [2, 3]]
    >>> groups([("P1", "slide 7"), ("P2", "slide 7"), ("P3", "P3")])
    [['P1', 'P2', 'slide 7'], ['P3']]
    """
    above: dict[Member, Member] = {}

    def top(member: Member) -> Member:
        while above.setdefault(member, member) != member:
            above[member] = member = above[above[member]]
        return member

    for one, other in pairs:
        first, second = sorted((top(one), top(other)))
        above[second] = first
    members: dict[Member, list[Member]] = {}
    for member in sorted(above):
        members.setdefault(top(member), []).append(member)
    return list(members.values())
