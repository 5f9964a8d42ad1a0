"""The change of colours in a batch, against torchvision's transform and its functions, one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from pcm_leukemia.baselines.rtdetrv2_deim import augmentation as augment
from pcm_leukemia.baselines.rtdetrv2_deim.augmentation import Picture
from pcm_leukemia.baselines.rtdetrv2_deim.data import collate, images_of
from pcm_leukemia.baselines.rtdetrv2_deim.distortion import SIDE, Distortion, distorted, draw, sampled


def image(seed: int, height: int = SIDE, width: int = SIDE) -> torch.Tensor:
    """Colours of every kind: random ones, greys, black, white and pure channels."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (3, height, width), dtype=np.uint8)
    pixels[:, : height // 4] = pixels[:1, : height // 4]
    pixels[:, -6:-3], pixels[:, -3:] = 0, 255
    pixels[:, -9:-6] = rng.permutation(np.array([255, 0, 0], np.uint8))[:, None, None]
    return torch.from_numpy(pixels)


def changed(pixels: torch.Tensor, each: Distortion) -> torch.Tensor:
    """The colours of one image, all of which is its own."""
    coverage = torch.full((1, *pixels.shape[1:]), 255, dtype=torch.uint8)
    return distorted(pixels[None], coverage, Distortion(*(value[None] for value in each)))[0]


def test_the_colours_are_those_of_torchvision_s_transform() -> None:
    """From the same seed, its draws and its result are ours; with whole grey levels it rounds after each step."""
    transform = v2.RandomPhotometricDistort(p=0.5)
    images, drawn, exact, rounded = [], [], [], []
    for seed in range(150):
        images.append(image(seed))
        torch.manual_seed(seed)
        drawn.append(draw(0.5, sampled(images[-1])))
        torch.manual_seed(seed)
        exact.append(transform(images[-1].float() / 255) * 255)
        torch.manual_seed(seed)
        rounded.append(transform(images[-1]).float())
    batch = Distortion(*map(torch.stack, zip(*drawn, strict=True)))
    ours = distorted(torch.stack(images), torch.full((150, SIDE, SIDE), 255, dtype=torch.uint8), batch)
    assert (ours - torch.stack(exact)).abs().max() < 0.01
    away = (ours - torch.stack(rounded)).abs()
    assert away.mean() < 1
    assert away.max() < 20


def test_each_step_by_its_function() -> None:
    pixels = image(7)
    neutral = (1.0, 1.0, 1.0, 0.0, 1.0)
    real = pixels.float() / 255
    for place, factor, expected in (
        (0, 0.9, functional.adjust_brightness(real, 0.9)),
        (0, 1.1, functional.adjust_brightness(real, 1.1)),
        (1, 0.6, functional.adjust_contrast(real, 0.6)),
        (4, 1.4, functional.adjust_contrast(real, 1.4)),
        (2, 0.5, functional.adjust_saturation(real, 0.5)),
        (2, 1.5, functional.adjust_saturation(real, 1.5)),
        (3, 0.05, functional.adjust_hue(real, 0.05)),
        (3, -0.05, functional.adjust_hue(real, -0.05)),
        (3, 0.4, functional.adjust_hue(real, 0.4)),
        (0, 1.0, real),
    ):
        factors = torch.tensor([*neutral[:place], factor, *neutral[place + 1 :]])
        ours = changed(pixels, Distortion(factors, torch.arange(3), sampled(pixels)))
        assert torch.allclose(ours, expected * 255, atol=0.01), (place, factor)
    order = torch.tensor([2, 0, 1])
    ours = changed(pixels, Distortion(torch.tensor(neutral), order, sampled(pixels)))
    assert torch.allclose(ours, pixels[order].float(), atol=1e-3)


def test_draws_have_torchvision_s_ranges() -> None:
    torch.manual_seed(0)
    sample = sampled(image(0))
    factors = torch.stack([draw(0.5, sample).factors for _ in range(2000)])
    lowest, highest = factors.amin(0).tolist(), factors.amax(0).tolist()
    assert lowest == pytest.approx([0.875, 0.5, 0.5, -0.05, 0.5], abs=0.01)
    assert highest == pytest.approx([1.125, 1.5, 1.5, 0.05, 1.5], abs=0.01)
    same = (factors == torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])).float().mean(0)
    # contrast comes before or after the others, each in a quarter of the images
    assert same.tolist() == pytest.approx([0.5, 0.75, 0.5, 0.5, 0.75], abs=0.04)
    assert not draw(0.0, sample).factors.sub(torch.tensor([1.0, 1, 1, 0, 1])).any()


def test_what_is_not_the_image_stays_black_and_its_edge_keeps_its_share() -> None:
    """As in DEIM, where the colours of the whole image change before it is zoomed out and cropped."""
    across, down = torch.linspace(0, 1, 160), torch.linspace(0, 1, 96)[:, None]
    frame = torch.stack([200 - 90 * across * down, 230 - 160 * down + 0 * across, 120 + 130 * across * down])
    frame = frame.to(torch.uint8)
    boxes = torch.zeros(0, 4)
    window = (-80, -20, 130, 150)
    for seed in range(20):
        torch.manual_seed(seed)
        drawn = draw(0.9, frame)  # every pixel counts for the mean, as in DEIM
        torch.manual_seed(seed)
        recoloured = v2.RandomPhotometricDistort(p=0.9)(frame.float() / 255).mul(255).round().to(torch.uint8)
        theirs = augment.cut(Picture(recoloured, boxes, boxes[:, 0]), window, 64)
        theirs = augment.turned(theirs, 10)
        ours = augment.cut(Picture(frame, boxes, boxes[:, 0], distortion=drawn), window, 64)
        ours = augment.turned(ours, 10)
        (made,) = images_of(collate([ours]))
        outside = ours.covered == 0
        assert outside.float().mean() > 0.3
        assert not made[:, outside].any()
        away = (made - theirs.pixels).abs()
        assert away[:, ours.covered == 255].mean() < 0.6
        assert away.max() < 4
        # where little of a pixel is the image's, its colour is known less well
        edge = (ours.covered > 50) & (ours.covered < 205)
        assert edge.sum() > 50
        assert away[:, edge].mean() < 1.5


def test_contrast_is_that_of_the_whole_image() -> None:
    """A pale image with a dark corner that is cut out: the corner moves towards the grey of the image, not its own."""
    frame = torch.full((3, 128, 128), 200, dtype=torch.uint8)
    frame[:, :32, :32] = 40
    factors = torch.tensor([1.0, 0.5, 1.0, 0.0, 1.0])
    drawn = Distortion(factors, torch.arange(3), sampled(frame))
    corner = augment.cut(
        Picture(frame, torch.zeros(0, 4), torch.zeros(0), distortion=drawn), (0, 0, 32, 32), 64
    )
    mean = (200 * 15 + 40) / 16 * sum((0.2989, 0.587, 0.114))
    assert torch.allclose(images_of(collate([corner])), torch.tensor((40 + mean) / 2), atol=0.01)


def test_images_of_a_batch_change_each_by_itself() -> None:
    torch.manual_seed(1)
    pictures = [
        Picture(
            pixels,
            torch.zeros(0, 4),
            torch.zeros(0, dtype=torch.int64),
            distortion=draw(0.5, sampled(pixels)),
        )
        for pixels in map(image, range(6))
    ]
    together = images_of(collate(pictures))
    for picture, made in zip(pictures, together, strict=True):
        assert torch.allclose(images_of(collate([picture]))[0], made, atol=1e-3)
    plain = collate([picture._replace(distortion=None) for picture in pictures])
    assert torch.equal(images_of(plain), plain.images)
