"""Stain: known colours, what each method promises of its result, and pictures with nothing on them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.stain import KINDS, Jitter, Normalisation, Reference, augmentation, colours
from pcm_leukemia.errors import CorruptFile
from pcm_leukemia.images import Pixels

AZURE, EOSIN = (0.73, 0.66, 0.18), (0.15, 0.80, 0.58)
LAMP = (240, 235, 225)
WORKERS = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
    "ignore:This DataLoader will create 2 worker processes:UserWarning",
)
HOSTILE: dict[str, Pixels] = {
    "white": np.full((40, 50, 3), 255, np.uint8),
    "black": np.zeros((40, 50, 3), np.uint8),
    "grey": np.full((40, 50, 3), 128, np.uint8),
    "red": np.tile(np.array([255, 0, 0], np.uint8), (40, 50, 1)),
    "greys": np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (40, 1, 3)),
    "two greys": np.repeat(np.where(np.arange(80) < 40, 90, 200).astype(np.uint8), 3).reshape(1, 80, 3),
    "black and white": np.repeat(np.where(np.arange(80) < 40, 0, 255).astype(np.uint8), 3).reshape(1, 80, 3),
    "one pixel": np.array([[[10, 20, 30]]], np.uint8),
    "no pixel": np.zeros((0, 5, 3), np.uint8),
    "no column": np.zeros((5, 0, 3), np.uint8),
    "one row": np.random.default_rng(1).integers(0, 256, (1, 300, 3), np.uint8),
    "glass": (230 + np.random.default_rng(2).normal(0, 2, (60, 60, 3))).round().astype(np.uint8),
    "noise": np.random.default_rng(3).integers(0, 256, (60, 60, 3), np.uint8),
    "corners": np.array(np.meshgrid([0, 255], [0, 255], [0, 255])).reshape(3, 2, 4).T.astype(np.uint8),
}


def vectors(*rows: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Of length 1."""
    stacked: npt.NDArray[np.float64] = np.array(rows)
    stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)
    return stacked


def smear(
    seed: int = 0,
    *,
    pair: npt.NDArray[np.float64] | None = None,
    lamp: tuple[int, int, int] = LAMP,
    strength: float = 1.0,
    size: int = 120,
) -> Pixels:
    """Glass, red cells of eosin alone, nuclei of azure alone, cytoplasm of both; by Beer and Lambert's law."""
    rng = np.random.default_rng(seed)
    azure, eosin = np.zeros((2, size, size))
    third = size // 3
    azure[:third, :third] = rng.uniform(0.8, 1.4, (third, third))
    eosin[third : 2 * third, :third] = rng.uniform(0.4, 0.6, (third, third))
    azure[:third, third : 2 * third] = rng.uniform(0.1, 0.4, (third, third))
    eosin[:third, third : 2 * third] = rng.uniform(0.1, 0.4, (third, third))
    planted = vectors(AZURE, EOSIN) if pair is None else pair
    density = strength * np.stack([azure, eosin], axis=-1) @ planted
    pixels: Pixels = np.rint(np.array(lamp) * np.exp(-density)).astype(np.uint8)
    return pixels


def whole(out: Pixels, pixels: Pixels) -> bool:
    """A picture of that size."""
    return bool(out.dtype == np.uint8) and out.shape == pixels.shape


def degrees(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Between two vectors of length 1."""
    return float(np.degrees(np.arccos(np.clip(np.dot(first, second), -1, 1))))


REFERENCE = Reference.of([smear(seed) for seed in range(3)])
images = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 256, (*drawn[:2], 3), np.uint8)
)


# ----------------------------------------------------------------------------------------------
# HED


def test_the_density_of_a_unit_of_each_stain_is_ruifrok_and_johnstons() -> None:
    # 255 exp(-0.65) = 133.1, 255 exp(-0.70) = 126.6, 255 exp(-0.29) = 190.8; and so on
    one_each = np.eye(3, dtype=np.float32)[None]
    assert colours.from_hed(one_each).tolist() == [[[133, 127, 191], [238, 95, 228], [195, 144, 117]]]


def test_a_pixel_computed_by_hand() -> None:
    # half of haematoxylin and two of eosin: 0.5 (0.65, 0.70, 0.29) + 2 (0.07, 0.99, 0.11) = (0.465, 2.33, 0.365),
    # which lets through 255 exp(-...) = (160.2, 24.8, 177.0)
    pixel = np.array([[[160, 25, 177]]], np.uint8)
    np.testing.assert_allclose(colours.to_hed(pixel)[0, 0], [0.5, 2, 0], atol=0.02)


@given(images)
def test_hed_and_back(pixels: Pixels) -> None:
    back = colours.from_hed(colours.to_hed(pixels))
    np.testing.assert_array_equal(back, np.maximum(pixels, 1))


def test_hed_and_back_over_the_corners_of_the_cube() -> None:
    # colours that no mixture has, such as pure green, need negative amounts
    corners = HOSTILE["corners"]
    assert colours.to_hed(corners).min() < -1
    np.testing.assert_array_equal(colours.from_hed(colours.to_hed(corners)), np.maximum(corners, 1))


@given(images, st.integers(0, 2**32))
def test_jitter_of_nothing_changes_nothing(pixels: Pixels, seed: int) -> None:
    out = colours.jitter(pixels, np.random.default_rng(seed), sigma=0, bias=0)
    assert np.abs(out.astype(int) - pixels).max() <= 1


def test_jitter_moves_each_stain_as_far_as_told() -> None:
    """What is drawn can be read off the result: amounts lie on a line of that slope and offset."""
    amounts = np.random.default_rng(0).uniform(0.2, 0.9, (60, 60, 3)).astype(np.float32)
    pixels = colours.from_hed(amounts)
    drawn = []
    for seed in range(60):
        after = colours.to_hed(colours.jitter(pixels, np.random.default_rng(seed), sigma=0.2, bias=0.1))
        before = colours.to_hed(pixels)
        drawn.append([np.polyfit(before[..., dye].ravel(), after[..., dye].ravel(), 1) for dye in range(3)])
    slopes, offsets = np.moveaxis(np.array(drawn), -1, 0)
    assert slopes.min() == pytest.approx(0.8, abs=0.03)
    assert slopes.max() == pytest.approx(1.2, abs=0.03)
    assert offsets.min() == pytest.approx(-0.1, abs=0.02)
    assert offsets.max() == pytest.approx(0.1, abs=0.02)
    # one dye's draw says nothing of another's
    assert np.abs(np.corrcoef(slopes.T) - np.eye(3)).max() < 0.5


# ----------------------------------------------------------------------------------------------
# Reinhard


def test_l_alpha_beta_of_a_pixel_computed_by_hand() -> None:
    # two greys, 51 = 0.2 and 102 = 0.4 of white, half of each; the rows of the matrix to LMS add up to 0.9996,
    # 0.9993 and 0.9973: the mean of l is (3 ln sqrt(0.08) + ln 0.9996 + ln 0.9993 + ln 0.9973) / sqrt 3, and its
    # deviation sqrt 3 ln 2 / 2
    pixels = np.array([[[51] * 3, [102] * 3]], np.uint8)
    seen = colours.colour_stats(pixels)
    assert seen is not None
    assert seen.mean[0] == pytest.approx((1.5 * np.log(0.08) - 0.0038) / np.sqrt(3), abs=2e-4)
    assert seen.deviation[0] == pytest.approx(np.sqrt(3) * np.log(2) / 2, abs=1e-4)
    assert seen.deviation[1:] == pytest.approx((0, 0), abs=1e-5)


def test_reinhard_gives_the_references_mean_and_deviation() -> None:
    other = smear(9, pair=vectors((0.6, 0.7, 0.4), (0.3, 0.8, 0.5)), lamp=(200, 220, 235), strength=1.2)
    before, wanted = colours.colour_stats(other), REFERENCE.stats
    after = colours.colour_stats(augmentation("reinhard", REFERENCE)(other))
    assert before is not None
    assert after is not None
    assert wanted is not None
    assert np.abs(np.subtract(before.mean, wanted.mean)).max() > 0.05
    np.testing.assert_allclose(after.mean, wanted.mean, atol=0.01)
    np.testing.assert_allclose(after.deviation, wanted.deviation, atol=0.01)


# ----------------------------------------------------------------------------------------------
# Macenko


@pytest.mark.parametrize("lamp", [(255, 255, 255), LAMP, (250, 200, 160)])
@pytest.mark.parametrize("pair", [(AZURE, EOSIN), ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11))])
def test_macenko_finds_the_stains_that_were_planted(
    pair: tuple[tuple[float, ...], ...], lamp: tuple[int, int, int]
) -> None:
    planted = vectors(*pair)
    found = colours.stains(smear(pair=planted, lamp=lamp))
    assert found is not None
    assert max(degrees(*both) for both in zip(found.vectors, planted, strict=True)) < 3
    assert degrees(*planted) > 30
    np.testing.assert_allclose(found.lamp, lamp, atol=1)
    np.testing.assert_allclose(found.amounts, (1.4, 0.6), rtol=0.05)


def test_macenko_brings_another_site_to_the_reference() -> None:
    ours = smear(5)
    theirs = smear(5, pair=vectors((0.55, 0.75, 0.35), (0.3, 0.75, 0.6)), lamp=(200, 225, 250), strength=0.7)
    back = augmentation("macenko", REFERENCE)(theirs)
    assert np.abs(theirs.astype(int) - ours).mean() > 15
    assert np.abs(back.astype(int) - ours).mean() < 2


def test_where_there_are_no_two_stains_the_image_stays_and_is_counted() -> None:
    macenko = augmentation("macenko", REFERENCE)
    assert isinstance(macenko, Normalisation)
    glass, one_stain = HOSTILE["glass"], smear().copy()
    one_stain[: len(one_stain) // 3] = LAMP  # red cells alone
    assert macenko(glass) is glass
    assert macenko(one_stain) is one_stain
    assert macenko.left == 2
    assert macenko(smear()) is not one_stain
    assert macenko.left == 2


def test_a_speck_of_stain_is_not_enough() -> None:
    few = np.tile(np.array(LAMP, np.uint8), (120, 120, 1))
    few[:6, :6] = smear()[:6, :6]
    few[6:12, :6] = smear()[60:66, :6]
    assert colours.stains(few) is None  # 72 of 14,400 pixels
    assert colours.stains(few[:40, :40]) is not None  # of 1,600


# ----------------------------------------------------------------------------------------------
# All of them


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_pictures_come_back_whole(kind: stain.Kind, name: str) -> None:
    pixels = HOSTILE[name].copy()
    pixels.setflags(write=False)  # as Pillow's are
    out = augmentation(kind, REFERENCE)(pixels)
    assert whole(out, pixels)


@pytest.mark.parametrize(
    "name", ["white", "black", "grey", "red", "one pixel", "no pixel", "no column", "glass"]
)
@pytest.mark.parametrize("kind", ["reinhard", "macenko"])
def test_blanks_are_not_stretched_into_cells(kind: stain.Kind, name: str) -> None:
    pixels = HOSTILE[name]
    change = augmentation(kind, REFERENCE)
    assert isinstance(change, Normalisation)
    assert change(pixels) is pixels
    assert change.left == 1


@given(images, st.sampled_from(KINDS), st.sampled_from([0, 1, 2]))
@settings(deadline=None)
def test_any_picture_comes_back_whole_and_alike(pixels: Pixels, kind: stain.Kind, cut: int) -> None:
    """Also views of another picture, whose rows do not lie behind each other."""
    seen = pixels[cut:, ::-1]
    before = seen.copy()
    change = augmentation(kind, REFERENCE, sigma=0.5, bias=0.5)
    torch.manual_seed(1)
    out = change(seen)
    assert whole(out, seen)
    np.testing.assert_array_equal(seen, before)
    torch.manual_seed(1)
    np.testing.assert_array_equal(change(seen), out)


@given(images, st.lists(st.floats(0.01, 5), min_size=3, max_size=3))
@settings(deadline=None)
def test_no_reference_can_break_a_picture(pixels: Pixels, deviation: list[float]) -> None:
    text = json.loads(REFERENCE.to_json())
    text["look"] = {"mean": [200.0, -1.0, deviation[0]], "deviation": deviation}
    text["stains"]["amounts"] = [deviation[0], 1000]
    reference = Reference.from_json(json.dumps(text))
    for kind in KINDS[2:]:
        out = augmentation(kind, reference)(pixels)
        assert whole(out, pixels)


def test_what_is_no_picture_is_refused() -> None:
    for wrong in (np.zeros((3, 4, 3), np.float32), np.zeros((4, 5), np.uint8), np.zeros((4, 5, 4), np.uint8)):
        with pytest.raises(
            ValueError, match=r"stain: pixels are .*; give RGB as uint8, \(height, width, 3\)"
        ):
            augmentation("hed")(wrong)  # type: ignore[arg-type]


def test_a_large_picture_is_measured_on_a_grid() -> None:
    large = smear(size=1200)
    small = large[::10, ::10]
    assert colours.stains(large) == colours.stains(small)
    assert colours.colour_stats(large) == colours.colour_stats(small)


# ----------------------------------------------------------------------------------------------
# The reference


def test_a_reference_is_the_middle_of_its_images_without_blanks() -> None:
    weak, usual, strong = (smear(strength=strength) for strength in (0.7, 1.0, 1.3))
    reference = Reference.of(iter([weak, HOSTILE["white"], strong, usual, HOSTILE["greys"]]))
    assert (reference.images, reference.blank, reference.unstained) == (5, 1, 2)
    seen = colours.stains(usual)
    assert seen is not None
    assert reference.stains is not None
    assert reference.stains.amounts == seen.amounts
    np.testing.assert_allclose(np.linalg.norm(reference.stains.vectors, axis=1), 1)


def test_a_reference_goes_through_json() -> None:
    text = REFERENCE.to_json()
    assert Reference.from_json(text) == REFERENCE
    assert len(text) < 1000
    other = smear(7, strength=0.8)
    for kind in KINDS[2:]:
        ours = augmentation(kind, REFERENCE)(other)
        read = augmentation(kind, Reference.from_json(text.encode()))(other)
        np.testing.assert_array_equal(ours, read)


@pytest.mark.parametrize(
    "text",
    ["", "{}", b"\xff\xfe", REFERENCE.to_json()[:-1], REFERENCE.to_json().replace('"lamp":[2', '"lamp":[-2')],
)
def test_a_damaged_reference_is_refused(text: str | bytes) -> None:
    with pytest.raises(
        CorruptFile, match="^stain reference: .*; copy it from the run again, or train again$"
    ):
        Reference.from_json(text)


def test_no_reference_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r'stain "macenko": the reference is missing; give Reference.of\('):
        augmentation("macenko")
    with pytest.raises(
        ValueError, match='stain "vahadane": unknown method; use one of: none, hed, reinhard, macenko'
    ):
        augmentation("vahadane")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='stain "hed": seed 0, sigma -1, bias 0.05; give 0 or more'):
        augmentation("hed", sigma=-1)
    empty = Reference.of([])
    assert (empty.images, empty.stats, empty.stains) == (0, None, None)
    greys = Reference.of([HOSTILE["greys"]])
    assert augmentation("reinhard", greys)(smear()).shape == smear().shape
    with pytest.raises(
        ValueError,
        match='stain "macenko": none of the 1 image of the reference has two stains; check the training images, or',
    ):
        augmentation("macenko", greys)
    with pytest.raises(
        ValueError, match='"reinhard": none of the 0 images of the reference shows more than a blank'
    ):
        augmentation("reinhard", empty)


# ----------------------------------------------------------------------------------------------
# Workers


class Smears(Dataset[torch.Tensor]):
    """The same picture, or a blank, changed each time that it is asked for."""

    def __init__(self, change: Callable[[Pixels], Pixels], pixels: Pixels) -> None:
        self.change, self.pixels = change, pixels

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.change(self.pixels).copy())


def loaded(
    change: Callable[[Pixels], Pixels], pixels: Pixels, workers: int, how: str | None
) -> Iterator[bytes]:
    loader = DataLoader(
        Smears(change, pixels),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=how,
        generator=torch.Generator().manual_seed(3),
    )
    for _ in range(2):  # epochs
        for picture in loader:
            yield picture.numpy().tobytes()


@WORKERS
def test_jitter_differs_in_every_worker_sample_and_epoch_and_can_be_repeated() -> None:
    for workers, how in ((0, None), (2, "fork")):
        torch.manual_seed(0)
        first = list(loaded(Jitter(), smear(size=12), workers, how))
        torch.manual_seed(0)
        assert list(loaded(Jitter(), smear(size=12), workers, how)) == first
        assert len(set(first)) == 12
        torch.manual_seed(0)
        assert not set(loaded(Jitter(seed=1), smear(size=12), workers, how)) & set(first)


@WORKERS
@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_what_is_left_is_counted_over_workers(how: str) -> None:
    change = augmentation("macenko", REFERENCE)
    assert isinstance(change, Normalisation)
    blank = HOSTILE["white"]
    change(blank)
    assert set(loaded(change, blank, 2, how)) == {blank.tobytes()}
    assert change.left == 1 + 2 * 6


@pytest.mark.parametrize("kind", KINDS)
def test_each_can_be_pickled(kind: stain.Kind) -> None:
    change = augmentation(kind, REFERENCE, seed=4)
    again = pickle.loads(pickle.dumps(change))
    outputs = []
    for each in (change, again):
        torch.manual_seed(2)
        outputs.append(each(smear(8)))
    np.testing.assert_array_equal(outputs[0], outputs[1])


def test_jitter_takes_nothing_from_numpys_global_numbers() -> None:
    np.random.seed(0)  # noqa: NPY002 - what other code may do
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    Jitter()(smear())
    assert np.random.random() == expected  # noqa: NPY002
