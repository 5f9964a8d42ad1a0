"""The search for copies finds what a comparison of every pair finds, whatever the pictures and the radius."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcm_leukemia.checks import search
from pcm_leukemia.checks.search import Link, near
from pcm_leukemia.checks.similarity import (
    ORIENTATIONS,
    SIDE,
    Radius,
    Stack,
    coarse,
    correlation,
    detail,
    fine,
    turned,
)


def every_pair(stack: Stack, owners: list[int], radius: Radius) -> list[Link]:
    """What `near` must find, by its definition."""
    links = []
    fit = detail(stack) >= radius.least_detail
    for first in np.flatnonzero(fit).tolist():
        for second in np.flatnonzero(fit).tolist():
            if first >= second or owners[first] == owners[second]:
                continue
            found = []
            for orientation in range(ORIENTATIONS):
                one, other = turned(stack[[first]], orientation), stack[[second]]
                alike = correlation(one, other)
                coarsely = (coarse(fine(one)) * coarse(fine(other))).sum(axis=1)
                if (alike >= radius.confirm) & (coarsely >= radius.propose):
                    distance = max(round(1 - float(alike[0]), 4), 0.0)
                    found.append(Link(first, second, distance, orientation))
            links += sorted(found, key=lambda link: (link.distance, link.orientation))[:1]
    return links


def waves(rng: np.random.Generator) -> Stack:
    """Structure at one scale, in one direction or in all."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    kind = rng.integers(4)
    length, phase = rng.uniform(0.3, 2), rng.uniform(0, 6)
    along = (x, y, np.hypot(x, y), x + rng.uniform(-1, 1) * y)[kind]
    return np.asarray(127 + rng.uniform(2, 120) * np.sin(along * length + phase), np.uint8)


def dots(rng: np.random.Generator) -> Stack:
    """A few bright pixels on black."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    for y, x in rng.integers(0, SIDE, (int(rng.integers(1, 6)), 2)):
        picture[y, x] = rng.integers(1, 256)
    return picture


def noise(rng: np.random.Generator) -> Stack:
    cells = int(rng.integers(2, SIDE + 1))
    small = PIL.Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(small.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC))


def altered(picture: Stack, rng: np.random.Generator) -> Stack:
    """A copy in another orientation, with some noise."""
    copy = turned(picture[None], int(rng.integers(ORIENTATIONS)))[0]
    return np.asarray(np.clip(copy + rng.normal(0, rng.uniform(0, 40), copy.shape), 0, 255), np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from([waves, dots, noise]), min_size=1, max_size=7),
    copies=st.integers(0, 5),
    people=st.integers(1, 12),
    propose=st.floats(-0.5, 0.99),
    confirm=st.floats(-0.5, 0.99),
)
def test_the_search_finds_what_a_comparison_of_every_pair_finds(
    seed: int, kinds: list[object], copies: int, people: int, propose: float, confirm: float
) -> None:
    rng = np.random.default_rng(seed)
    pictures = [kind(rng) for kind in kinds if callable(kind)]
    pictures += [altered(pictures[int(rng.integers(len(pictures)))], rng) for _ in range(copies)]
    stack = np.stack(pictures)
    owners = rng.integers(0, people, len(stack)).tolist()
    radius = Radius(propose, confirm)
    assert near(stack, owners, radius) == every_pair(stack, owners, radius)


def compressed(picture: PIL.Image.Image, quality: int) -> PIL.Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return PIL.Image.open(out)


@pytest.fixture(scope="module")
def planted() -> tuple[Stack, list[tuple[int, int]]]:
    """1,500 pictures, 40 of which are there again: turned, then compressed or with another border."""
    rng = np.random.default_rng(4)
    large = [np.asarray(PIL.Image.fromarray(noise(rng)).resize((90, 90)), np.uint8) for _ in range(1500)]
    pictures = [PIL.Image.fromarray(each) for each in large]
    pairs = []
    for number, source in enumerate(rng.permutation(1500)[:40].tolist()):
        copy = pictures[source].transpose(list(PIL.Image.Transpose)[number % 7])
        copy = compressed(copy, 70) if number % 2 else copy.resize((80, 80), box=(0.5, 0.5, 90, 89.5))
        pairs.append((source, len(pictures)))
        pictures.append(copy)
    small = [np.asarray(each.resize((SIDE, SIDE), reducing_gap=3)) for each in pictures]
    return np.stack(small), pairs


def test_every_planted_copy_is_found_with_any_number_of_threads(
    planted: tuple[Stack, list[tuple[int, int]]],
) -> None:
    stack, pairs = planted
    found = near(stack, range(len(stack)), workers=1)
    assert {(link.first, link.second) for link in found} >= set(pairs)
    assert near(stack, range(len(stack)), workers=3) == found


def test_pairs_of_one_owner_are_skipped_in_whole_blocks_too(
    planted: tuple[Stack, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, pairs = planted
    monkeypatch.setattr("pcm_leukemia.checks.search.ROWS", 100)
    monkeypatch.setattr("pcm_leukemia.checks.search.COLUMNS", 300)
    owners: npt.NDArray[np.intp] = np.zeros(len(stack), np.intp)
    assert near(stack, owners) == []
    owners[1500:] = 1
    assert {(link.first, link.second) for link in near(stack, owners)} >= set(pairs)
    assert all(link.first < 1500 <= link.second for link in near(stack, owners))


def test_a_search_that_is_stopped_begins_no_further_block(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    shut_down = Event()
    find = search._found

    def found(pictures: search._Pictures, top: int, radius: Radius) -> list[Link]:
        begun.append(top)
        if top:  # until the main thread, which has seen the first block, has stopped the search
            shut_down.wait(60)
        return find(pictures, top, radius)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            shut_down.set()
            super().shutdown(wait=wait)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "_found", found)
    monkeypatch.setattr(search, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(search, "ROWS", 4)
    stack = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE), dtype=np.uint8)
    with pytest.raises(KeyboardInterrupt):
        near(stack, range(40), workers=1, on_progress=stop)
    assert shut_down.is_set()
    assert len(begun) <= 2
