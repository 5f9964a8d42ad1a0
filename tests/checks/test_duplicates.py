"""Copies: found in every orientation, compressed, halved, with a box a little off; and nothing else is."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from pcm_leukemia import Box
from pcm_leukemia.checks.search import near
from pcm_leukemia.checks.similarity import (
    COPIES,
    SIDE,
    Radius,
    Stack,
    correlation,
    detail,
    digest,
    thumbnail,
    turned,
)


def texture(seed: int, size: tuple[int, int] = (240, 200)) -> PIL.Image.Image:
    """A picture with structure at every scale, as a smear has."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            PIL.Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(
                size, PIL.Image.Resampling.BICUBIC
            ),
            np.float32,
        )
        for cells in (3, 6, 12, 24)
    ]
    return PIL.Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


def compressed(picture: PIL.Image.Image, quality: int) -> PIL.Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    out.seek(0)
    return PIL.Image.open(out).convert("RGB")


def stack(*pictures: PIL.Image.Image) -> Stack:
    return np.stack([thumbnail(picture) for picture in pictures])


def test_a_turned_picture_has_the_turned_thumbnail() -> None:
    picture = texture(0)
    for turn, orientation in (
        (PIL.Image.Transpose.ROTATE_90, 1),
        (PIL.Image.Transpose.ROTATE_180, 2),
        (PIL.Image.Transpose.ROTATE_270, 3),
        (PIL.Image.Transpose.FLIP_LEFT_RIGHT, 4),
        (PIL.Image.Transpose.TRANSPOSE, 5),
        (PIL.Image.Transpose.FLIP_TOP_BOTTOM, 6),
        (PIL.Image.Transpose.TRANSVERSE, 7),
    ):
        expected = thumbnail(picture.transpose(turn)).astype(int)
        assert np.abs(turned(stack(picture), orientation)[0].astype(int) - expected).max() <= 8, turn


@pytest.mark.parametrize("turn", list(PIL.Image.Transpose))
def test_copies_are_found_in_every_orientation(turn: PIL.Image.Transpose) -> None:
    pictures = [texture(seed) for seed in range(6)]
    copy = compressed(pictures[4].transpose(turn).resize((110, 90)), 60)
    (link,) = near(stack(*pictures, copy), range(7))
    assert (link.first, link.second) == (4, 6)
    assert link.distance < 0.1


def test_pictures_of_their_own_are_no_copies() -> None:
    assert near(stack(*(texture(seed) for seed in range(60))), range(60)) == []


def test_a_box_that_is_a_little_off_is_forgiven() -> None:
    picture = texture(1, (150, 110))
    box = (20, 20, 120, 90)
    for shift in ((1.4, -1.2, -1.4, 1.2), (1.2, 1.0, 1.2, 1.0), (-1.0, 0.0, 0.0, 1.0)):
        other = Box(*(side + by for side, by in zip(box, shift, strict=True)))
        pair = np.stack([thumbnail(picture, Box(*box)), thumbnail(picture, other)])
        assert len(near(pair, [0, 1])) == 1, shift
    far = thumbnail(picture, Box(40, 20, 140, 90))
    assert near(np.stack([thumbnail(picture, Box(*box)), far]), [0, 1]) == []


def test_pairs_of_one_owner_are_passed_over() -> None:
    picture = texture(2)
    pair = stack(picture, compressed(picture, 80), picture)
    assert [(link.first, link.second) for link in near(pair, [0, 0, 1])] == [(0, 2), (1, 2)]


def test_flat_pictures_are_not_compared() -> None:
    flat = np.full((3, SIDE, SIDE), 200, np.uint8)
    flat[:, 5, 5] = 201
    assert detail(flat).max() < COPIES.least_detail
    assert near(flat, range(3)) == []
    assert near(np.zeros((0, SIDE, SIDE), np.uint8), []) == []


def test_a_negative_is_no_copy() -> None:
    one = stack(texture(3))
    assert correlation(one, 255 - one)[0] <= 0.5


def test_what_is_found_does_not_hang_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [texture(seed) for seed in range(12)]
    pictures += [compressed(pictures[n].transpose(PIL.Image.Transpose.ROTATE_90), 70) for n in (0, 5, 11)]
    rows = stack(*pictures)
    found = near(rows, range(15))
    assert [(link.first, link.second) for link in found] == [(0, 12), (5, 13), (11, 14)]
    told: list[float] = []
    for name, size in {
        "ROWS": 4,
        "COLUMNS": 5,
        "PAIRS_AT_ONCE": 1,
        "PROPOSED_AT_ONCE": 2,
        "FLOATS_AT_ONCE": 3,
    }.items():
        monkeypatch.setattr(f"pcm_leukemia.checks.search.{name}", size)
    assert near(rows, range(15), COPIES, on_progress=told.append) == found
    assert told == sorted(told)
    assert told[-1] == 1


def test_each_pair_is_told_once_in_its_best_orientation() -> None:
    ring = np.hypot(*np.meshgrid(np.arange(SIDE) - 15.5, np.arange(SIDE) - 15.5))
    round_one = (127 + 100 * np.sin(ring)).astype(np.uint8)  # the same in all 8 orientations
    assert len(near(np.stack([round_one, round_one]), [0, 1])) == 1
    everything = near(stack(*(texture(seed) for seed in range(5))), range(5), Radius(-1, -1))
    assert [(link.first, link.second) for link in everything] == [
        (a, b) for a in range(5) for b in range(a + 1, 5)
    ]


def test_digest_is_of_pixels_not_of_files() -> None:
    pixels = np.asarray(texture(0))
    copy = np.asarray(PIL.Image.open(io.BytesIO(png(pixels))))
    assert digest(copy) == digest(pixels)
    changed = pixels.copy()
    changed[-1, -1, -1] ^= 1
    assert digest(changed) != digest(pixels)
    assert digest(pixels[::-1]) != digest(pixels)


def png(pixels: Stack) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
