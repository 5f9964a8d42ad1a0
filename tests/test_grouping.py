from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pcm_leukemia.grouping import groups

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)))


def reachable(start: int, pairs: list[tuple[int, int]]) -> set[int]:
    """Every member that some chain of pairs leads to, by following them until nothing is new."""
    found = {start}
    while more := {x for pair in pairs if found & set(pair) for x in pair} - found:
        found |= more
    return found


@given(pairs=PAIRS)
def test_a_group_is_what_chains_of_pairs_reach(pairs: list[tuple[int, int]]) -> None:
    found = groups(pairs)
    members = {member for pair in pairs for member in pair}
    assert {member for group in found for member in group} == members
    for group in found:
        assert group == sorted(reachable(group[0], pairs))
    assert [group[0] for group in found] == sorted(group[0] for group in found)


@given(pairs=PAIRS, data=st.data())
def test_the_order_of_the_pairs_makes_no_difference(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    shuffled = [(other, one) for one, other in data.draw(st.permutations(pairs))]
    assert groups(shuffled) == groups(pairs)
