"""Draws one synthetic field of view: red cells, platelets, white cells, light and camera.

Light passes a smear once, so red cells that overlap darken each other: they are summed as
optical density and turned into colour at the end. Coordinates are pixels of the whole image,
origin at its top-left corner, x to the right, y down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageChops
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont

from pcm_leukemia.sample import cells
from pcm_leukemia.sample.canvas import Canvas, Colour, Stamp
from pcm_leukemia.sample.sites import HOME, Site, on_slide, photographed
from pcm_leukemia.shapes import Box

__all__ = ["HEIGHT", "MARK", "WIDTH", "DrawnCell", "Style", "Wanted", "draw"]

WIDTH, HEIGHT = 1920, 1080
MARK = "SYNTHETIC"
"""The text in the bottom-left corner of each image; no cell is drawn there."""

CORNER = (250.0, HEIGHT - 64.0)
"""The right and upper bounds of the mark, in pixels."""

RED_CELL = (219, 165, 168)
DENSITY_STEPS = 100
VISIBLE = 96
"""The coverage, of 255, from which a pixel belongs to a cell's box."""

TOUCHING = 0.12
"""The fraction of white cells that are placed beside another one, and may overlap it a little."""

OCCLUDED = 0.97
"""Cells overlap if their centres are nearer than this fraction of the sum of their radii."""

SLACK = 1.5
"""At most this many pixels lie between a cell's outline and each side of its box."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one patient's smear was stained, lit and focused.

    `stain` is the strength in red, green and blue, 1.0 as drawn; `light` the colour of the lamp,
    1.0 white; `vignette` how much darker the corners are, 0 to 1; `edge` the softness of outlines
    in pixels; `noise` the camera's deviation in grey levels of 255. `red_cells` are at most so
    many, of about `red_radius` pixels, with a middle paler by `pallor`, 0 to 1; `platelets` is
    their mean number in an image.
    """

    stain: tuple[float, float, float]
    light: tuple[float, float, float]
    vignette: float
    edge: float
    noise: float
    red_cells: int
    platelets: float
    red_radius: float
    pallor: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Style:
        """A random style within the range of good smears."""
        strength, reddish, bluish = rng.uniform(0.8, 1.25), rng.uniform(-0.14, 0.14), rng.uniform(-0.25, 0.25)
        brightness, warmth = rng.uniform(0.9, 1.03), rng.uniform(-0.05, 0.07)
        return cls(
            stain=(strength * (1 - reddish), strength, strength * (1 + bluish)),
            light=(brightness * (1 + warmth * 0.4), brightness, brightness * (1 - warmth)),
            vignette=rng.uniform(0.08, 0.3),
            edge=rng.uniform(1.4, 3.2),
            noise=rng.uniform(1.5, 4.0),
            red_cells=int(rng.integers(60, 125)),
            platelets=rng.uniform(4, 14),
            red_radius=rng.uniform(46, 53),
            pallor=rng.uniform(0.45, 0.75),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A white cell to draw. If it is `cut`, it lies at the image's edge, and less than half of it is visible."""

    label: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """A white cell as drawn: its tight box, its traits, and whether another cell covers part of it."""

    box: Box
    traits: Mapping[str, str]
    occluded: bool


def draw(
    style: Style, wanted: Sequence[Wanted], rng: np.random.Generator, site: Site = HOME
) -> tuple[PIL.Image.Image, list[DrawnCell]]:
    """One field of view, and the wanted white cells in it, in order.

    The image has 1920 x 1080 pixels, or as many as the site's camera takes of the same field.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image, (cell,) = draw(Style.random(rng), [Wanted("Monocyte")], rng)
    >>> image.size, cell.box.inside(*image.size)
    ((1920, 1080), True)
    """
    stamps = [on_slide(cells.draw(cell.label, rng, edge=style.edge), site) for cell in wanted]
    style = replace(style, red_cells=round(style.red_cells * site.crowding))
    circles: list[tuple[float, float, float]] = []
    for cell, stamp in zip(wanted, stamps, strict=True):
        place = _at_edge if cell.cut else _in_field
        circles.append(place(stamp, circles, rng))
    image = _red_cells(style, site.glass, circles, rng)
    _platelets(image, style, circles, rng)
    drawn = []
    for index, (stamp, circle) in enumerate(zip(stamps, circles, strict=True)):
        box = _by_hand(_paste(image, stamp, circle[0], circle[1]), rng)
        covered = any(
            math.dist(circle[:2], other[:2]) < (circle[2] + other[2]) * OCCLUDED
            for other in circles[index + 1 :]
        )
        drawn.append(DrawnCell(_scaled(box, site.scale), stamp.traits, covered))
    return _photograph(image, style, site, rng), drawn


# ----------------------------------------------------------------------------------------------
# Places of white cells


def _radius(stamp: Stamp) -> float:
    """The radius of a disc with the area of the cell."""
    return math.sqrt(np.count_nonzero(stamp.cover > VISIBLE) / math.pi)


def _in_field(
    stamp: Stamp, taken: Sequence[tuple[float, float, float]], rng: np.random.Generator
) -> tuple[float, float, float]:
    """A place wholly inside the image, clear of the mark, sometimes touching another cell."""
    radius, margin = _radius(stamp), stamp.size / 2 + 2
    beside = taken[int(rng.integers(len(taken)))] if taken and rng.random() < TOUCHING else None
    best, widest = (WIDTH / 2, HEIGHT / 2), -math.inf
    for attempt in range(80):
        x, y = rng.uniform(margin, WIDTH - margin), rng.uniform(margin, HEIGHT - margin)
        near = 1.06
        if beside and attempt < 20:
            angle, away = rng.uniform(0, math.tau), (radius + beside[2]) * rng.uniform(0.85, 1.04)
            x, y = beside[0] + away * math.cos(angle), beside[1] + away * math.sin(angle)
            near = 0.84
        if not (margin <= x <= WIDTH - margin and margin <= y <= HEIGHT - margin):
            continue
        if x - margin < CORNER[0] and y + margin > CORNER[1]:
            continue
        gap = min((math.dist((x, y), other[:2]) / (radius + other[2]) for other in taken), default=math.inf)
        if gap > widest:
            best, widest = (x, y), gap
        if gap >= near:
            break
    return (*best, radius)


def _at_edge(
    stamp: Stamp, taken: Sequence[tuple[float, float, float]], rng: np.random.Generator
) -> tuple[float, float, float]:
    """A place with the centre outside the image, away from the mark's corner."""
    radius = _radius(stamp)
    best, widest = (0.0, 0.0), -math.inf
    for _ in range(20):
        out = radius * rng.uniform(0.12, 0.5)
        along, side = rng.uniform(0.12, 0.8), int(rng.integers(3))
        x = (WIDTH * (0.2 + along * 0.75), -out, WIDTH + out)[side]
        y = (-out, HEIGHT * along, HEIGHT * along)[side]
        gap = min((math.dist((x, y), other[:2]) / (radius + other[2]) for other in taken), default=math.inf)
        if gap > widest:
            best, widest = (x, y), gap
    return (*best, radius)


def _paste(image: PIL.Image.Image, stamp: Stamp, x: float, y: float) -> Box:
    """Paste a stamp centred at (x, y); returns the box of its visible part."""
    left, top = round(x - stamp.size / 2), round(y - stamp.size / 2)
    image.paste(PIL.Image.fromarray(stamp.rgb), (left, top), PIL.Image.fromarray(stamp.cover))
    seen = stamp.cover[max(-top, 0) : HEIGHT - top, max(-left, 0) : WIDTH - left] > VISIBLE
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    left, top = max(left, 0), max(top, 0)
    return Box(
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )


def _by_hand(box: Box, rng: np.random.Generator) -> Box:
    """The box as a person draws it: up to 1.5 pixels wider on each side, two decimals."""
    left, top, right, bottom = rng.uniform(0, SLACK, 4)
    return Box(
        round(max(box.x1 - left, 0), 2),
        round(max(box.y1 - top, 0), 2),
        round(min(box.x2 + right, WIDTH), 2),
        round(min(box.y2 + bottom, HEIGHT), 2),
    )


def _scaled(box: Box, scale: float) -> Box:
    """The box in the pixels of a site's image, inside it, two decimals."""
    if scale == 1:
        return box
    width, height = round(WIDTH * scale), round(HEIGHT * scale)
    return Box(
        round(box.x1 * scale, 2),
        round(box.y1 * scale, 2),
        round(min(box.x2 * scale, width), 2),
        round(min(box.y2 * scale, height), 2),
    )


# ----------------------------------------------------------------------------------------------
# Around the white cells


def _red_cells(
    style: Style,
    glass_colour: Colour,
    circles: Sequence[tuple[float, float, float]],
    rng: np.random.Generator,
) -> PIL.Image.Image:
    """The glass with red cells, which the white cells push aside."""
    density = np.zeros((HEIGHT, WIDTH), np.float32)
    taken = np.array([(x, y, radius) for x, y, radius in circles] or [(-1e4, -1e4, 0.0)])
    whites = len(taken)
    for _ in range(style.red_cells * 4):
        if len(taken) - whites >= style.red_cells:
            break
        radius = style.red_radius * rng.uniform(0.9, 1.08)
        x, y = rng.uniform(-radius, WIDTH + radius), rng.uniform(-radius, HEIGHT + radius)
        near = np.hypot(taken[:, 0] - x, taken[:, 1] - y) / (taken[:, 2] + radius)
        overlapping = 0.6 if rng.random() < 0.12 else 0.98
        if (near[:whites] < 0.97).any() or (near[whites:] < overlapping).any():
            continue
        if x - radius < CORNER[0] and y + radius > CORNER[1]:
            continue
        taken = np.vstack([taken, (x, y, radius)])
        _red_cell(density, x, y, radius, style, rng)
    glass = np.array(glass_colour, np.float64)
    absorbed = np.log(glass / np.array(RED_CELL))
    colours = glass * np.exp(-np.arange(256)[:, None] / DENSITY_STEPS * absorbed)
    image = PIL.Image.fromarray(np.clip(density * DENSITY_STEPS, 0, 255).astype(np.uint8), "L")
    image.putpalette(colours.round().astype(np.uint8).tobytes())
    return image.convert("RGB")


def _red_cell(
    density: npt.NDArray[np.float32],
    x: float,
    y: float,
    radius: float,
    style: Style,
    rng: np.random.Generator,
) -> None:
    """Add a disc with a pale middle to the plane of optical densities."""
    reach = math.ceil(radius * 1.15) + 3
    left, top = max(int(x) - reach, 0), max(int(y) - reach, 0)
    window = density[top : max(int(y) + reach, 0), left : max(int(x) + reach, 0)]
    if not window.size:
        return
    dx = np.arange(left, left + window.shape[1], dtype=np.float32)[None, :] - np.float32(x)
    dy = np.arange(top, top + window.shape[0], dtype=np.float32)[:, None] - np.float32(y)
    stretch, turn, wave = rng.uniform(1, 1.09), rng.uniform(0, math.pi), rng.uniform(0, 6.28)
    across = (dx * math.cos(turn) + dy * math.sin(turn)) / (radius * stretch)
    down = (dy * math.cos(turn) - dx * math.sin(turn)) / (radius / stretch)
    out = np.hypot(across, down) * (1 + 0.02 * np.sin(across * 3 + wave) * np.cos(down * 3))
    cover = np.clip((1 - out) * radius / style.edge + 0.5, 0, 1)
    pale = style.pallor * rng.uniform(0.6, 1.1) * np.exp(-((out / rng.uniform(0.34, 0.46)) ** 2))
    window += cover * (0.82 + 0.22 * out**2 - pale) * np.float32(rng.uniform(0.9, 1.1))


def _platelets(
    image: PIL.Image.Image,
    style: Style,
    circles: Sequence[tuple[float, float, float]],
    rng: np.random.Generator,
) -> None:
    """Small purple granular specks between the cells."""
    for _ in range(int(rng.poisson(style.platelets))):
        radius = rng.uniform(9, 17)
        x, y = rng.uniform(20, WIDTH - 20), rng.uniform(20, HEIGHT - 20)
        under = any(math.dist((x, y), other[:2]) < other[2] + radius + 4 for other in circles)
        if under or (x - radius < CORNER[0] and y + radius > CORNER[1]):
            continue
        canvas = Canvas(radius * 1.3, rng, style.edge)
        oval = canvas.oval(0, 0, radius, radius * rng.uniform(0.65, 1), rng.uniform(0, 3))
        shape = oval + canvas.noise(radius * 0.8) * 1.8
        grain = np.clip(1 - 0.16 * canvas.noise(4.5), 0.6, 1.2)
        canvas.body(shape, np.asarray((186, 146, 196), np.float32) * grain[..., None])
        canvas.dots(canvas.scatter(oval - radius * 0.3, 4.2), (1.0, 1.9), (128, 72, 148), 0.75)
        _paste(image, canvas.stamp(), x, y)


# ----------------------------------------------------------------------------------------------
# Stain, light and camera


def _photograph(
    image: PIL.Image.Image, style: Style, site: Site, rng: np.random.Generator
) -> PIL.Image.Image:
    """The image with this patient's and this site's stain, lamp and camera, and with the mark in its corner."""
    level = np.arange(256) / 255
    curves = [255 * light * level**stain for stain, light in zip(style.stain, style.light, strict=True)]
    image = image.point([round(min(value, 255)) for curve in curves for value in curve.tolist()])
    image = PIL.ImageChops.multiply(image, _lamp(style, rng))
    grain = rng.standard_normal((HEIGHT // 2, WIDTH // 2), np.float32) * style.noise + 128
    flat = PIL.Image.fromarray(grain.clip(0, 255).astype(np.uint8), "L")
    soft = flat.resize((WIDTH, HEIGHT), PIL.Image.Resampling.BILINEAR)
    image = PIL.ImageChops.add(image, PIL.Image.merge("RGB", (soft, soft, soft)), offset=-128)
    image = photographed(image, site, rng)
    pen, font = PIL.ImageDraw.Draw(image), PIL.ImageFont.load_default(30 * site.scale)
    place = (22 * site.scale, image.height - 20 * site.scale)
    pen.text(place, MARK, fill=(60, 40, 70), font=font, anchor="ls")
    return image


def _lamp(style: Style, rng: np.random.Generator) -> PIL.Image.Image:
    """The brightness of each pixel: darker towards the corners, with the maximum a little off centre."""
    x, y = np.linspace(-1, 1, 48)[None, :], np.linspace(-1, 1, 27)[:, None]
    away = np.hypot(x - rng.uniform(-0.2, 0.2), (y - rng.uniform(-0.2, 0.2)) * 0.8) / 1.3
    bright = 1 - style.vignette * np.clip(away, 0, 1.3) ** 2.2 + rng.standard_normal((27, 48)) * 0.004
    coarse = PIL.Image.fromarray(np.clip(bright * 255, 0, 255).astype(np.uint8), "L")
    plane = coarse.resize((WIDTH, HEIGHT), PIL.Image.Resampling.BICUBIC)
    return PIL.Image.merge("RGB", (plane, plane, plane))
