"""Draws one synthetic white cell, after the descriptions in the paper's Appendix A.

A cell is painted back to front (body, cytoplasm, nucleus, granules) on a canvas whose origin is
the cell's centre, in pixels; a red cell is about 100 pixels across. Colours are those under a
neutral stain and light.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from pcm_leukemia.sample.canvas import Canvas, Colour, Plane, Stamp

__all__ = ["DRAWN", "draw"]


def draw(label: str, rng: np.random.Generator, *, edge: float = 1.6) -> Stamp:
    """Draw one cell of a class; `edge` is the softness of outlines, in pixels.

    Raises
    ------
    ValueError
        If the label is not one of the nine classes.

    Examples
    --------
    >>> stamp = draw("Lymphocyte", np.random.default_rng(0))
    >>> bool((stamp.cover > 127).any())
    True
    """
    if label not in DRAWN:
        raise ValueError(f'label "{label}": cannot be drawn; give one of {", ".join(DRAWN)}')
    return DRAWN[label](rng, edge)


# ----------------------------------------------------------------------------------------------
# Parts of cells


def _cell(
    rng: np.random.Generator, edge: float, radii: tuple[float, float], cytoplasm: Colour, rim: float = 0.06
) -> tuple[Canvas, Plane, float]:
    """A canvas with a cell body on it, the body's shape, and its radius; `rim` darkens the outline."""
    radius = rng.uniform(*radii)
    canvas = Canvas(radius * 1.12, rng, edge)
    stretch = rng.uniform(1.0, 1.06)
    shape = canvas.oval(0, 0, radius * stretch, radius / stretch, rng.uniform(0, math.pi))
    shape = shape + canvas.noise(radius * 0.7) * radius * 0.03
    shade = 1 + 0.025 * canvas.noise(9) + 0.02 * canvas.noise(3)
    shade = shade - rim * np.exp(-np.clip(shape, 0, None) / (radius * 0.1))
    canvas.body(shape, np.asarray(cytoplasm, np.float32) * shade[..., None])
    return canvas, shape, radius


def _clumped(canvas: Canvas, scale: float, depth: float) -> Plane:
    """Chromatin in dense clumps with paler lines between."""
    return np.asarray(1 + depth * np.tanh(2.2 * canvas.noise(scale)), np.float32)


def _lacy(canvas: Canvas, scale: float, depth: float) -> Plane:
    """Chromatin as a fine net: thin dark strands round pale holes."""
    strands = np.exp(-((canvas.noise(scale) / 0.28) ** 2)) + np.exp(-((canvas.noise(scale * 0.7) / 0.2) ** 2))
    return np.asarray(1 + depth * (0.5 - strands), np.float32)


def _nucleus(canvas: Canvas, shape: Plane, colour: Colour, chromatin: Plane, *, rim: float = 0.14) -> None:
    membrane = 1 - rim * np.exp(-np.clip(shape, 0, None) / 3)
    canvas.paint(shape, np.asarray(colour, np.float32) * (chromatin * membrane)[..., None])


def _nucleoli(
    canvas: Canvas, nucleus: Plane, count: int, radius: float, colour: Colour, opacity: float
) -> None:
    """Pale round spots, each with a darker ring, well inside the nucleus and apart from each other."""
    room = canvas.scatter(nucleus - radius * 1.5, radius * 2.9)
    for x, y in room[:count]:
        size = radius * canvas.rng.uniform(0.8, 1.15)
        spot = canvas.oval(x, y, size, size * canvas.rng.uniform(0.8, 1.0), canvas.rng.uniform(0, 3))
        canvas.paint(spot + 2.5, (88, 48, 122), opacity * 0.45)
        canvas.paint(spot, colour, opacity)


def _lobes(canvas: Canvas, places: list[tuple[float, float]], radius: float, *, joined: float = 5.0) -> Plane:
    """Lobes in a row, each joined to the next by a thread `joined` pixels thick."""
    rng = canvas.rng
    shape: Plane = np.full((canvas.size, canvas.size), -1e3, np.float32)
    for x, y in places:
        size = radius * rng.uniform(0.88, 1.12)
        oval = canvas.oval(x, y, size * rng.uniform(1.05, 1.3), size, rng.uniform(0, math.pi))
        shape = np.maximum(shape, oval)
    shape = shape + canvas.noise(radius * 0.7) * radius * 0.08
    for one, other in pairwise(places):
        shape = np.maximum(shape, canvas.thread(one, other, joined))
    return shape


def _both(one: Plane, other: Plane) -> Plane:
    """The overlap of two shapes, its corners rounded by about 5 pixels."""
    return np.asarray(-5 * np.logaddexp(-one / 5, -other / 5), np.float32)


def _polar(distance: float, angle: float) -> tuple[float, float]:
    return distance * math.cos(angle), distance * math.sin(angle)


# ----------------------------------------------------------------------------------------------
# The nine classes


def _lymphocyte(rng: np.random.Generator, edge: float) -> Stamp:
    """Small; a round dense nucleus that leaves a pale blue rim."""
    canvas, body, radius = _cell(rng, edge, (54, 64), (168, 192, 232))
    size = radius * rng.uniform(0.78, 0.85)
    x, y = _polar(radius * rng.uniform(0.05, 0.13), rng.uniform(0, 6.28))
    shape = canvas.oval(x, y, size * rng.uniform(1.0, 1.06), size, rng.uniform(0, 3))
    if rng.random() < 0.4:  # slightly indented
        angle = rng.uniform(0, 6.28)
        dent = canvas.oval(*_polar(size * rng.uniform(1.15, 1.3), angle), size * 0.42)
        shape = _both(shape, -dent)
    shape = np.minimum(shape + canvas.noise(20), body - 2)
    _nucleus(canvas, shape, (98, 58, 130), _clumped(canvas, 11, 0.19))
    return canvas.stamp()


def _neutrophil(rng: np.random.Generator, edge: float) -> Stamp:
    """Two to five lobes on thin filaments; pale pink, with fine faint granules."""
    canvas, body, radius = _cell(rng, edge, (68, 80), (240, 209, 208), rim=0.08)
    canvas.dots(canvas.scatter(body - 4, 5.4), (0.7, 1.4), (200, 146, 182), 0.5)
    count = int(rng.choice([2, 3, 3, 3, 4, 4, 5]))
    start, step = rng.uniform(0, 6.28), rng.choice([-1, 1]) * rng.uniform(0.9, 1.1)
    spread = {2: 2.5, 3: 1.75, 4: 1.35, 5: 1.1}[count] * step
    away = {2: 0.34, 3: 0.43, 4: 0.47, 5: 0.52}[count]
    places = [
        _polar(radius * away * rng.uniform(0.88, 1.1), start + spread * index) for index in range(count)
    ]
    shape = _lobes(canvas, places, radius * {2: 0.34, 3: 0.3, 4: 0.255, 5: 0.225}[count])
    shape = np.minimum(shape, body - 3)
    _nucleus(canvas, shape, (108, 64, 140), _clumped(canvas, 9, 0.19))
    return canvas.stamp()


def _basophil(rng: np.random.Generator, edge: float) -> Stamp:
    """Coarse blue-black granules lie over a pale nucleus of two lobes, which hardly shows."""
    canvas, body, radius = _cell(rng, edge, (60, 70), (222, 198, 218))
    angle = rng.uniform(0, 6.28)
    places = [_polar(radius * 0.36, angle), _polar(radius * 0.36, angle + rng.uniform(2.3, 3.2))]
    shape = np.minimum(_lobes(canvas, places, radius * 0.42, joined=radius * 0.3), body - 4)
    _nucleus(canvas, shape, (140, 98, 164), _clumped(canvas, 12, 0.1))
    centres = canvas.scatter(body - 4, radius * 0.165)
    kept = centres[: int(len(centres) * rng.uniform(0.68, 0.86))]
    canvas.dots(kept, (3.2, 6.2), (44, 28, 88), 0.94)
    return canvas.stamp()


def _eosinophil(rng: np.random.Generator, edge: float) -> Stamp:
    """Spectacles of two lobes, left free by large, even, bright orange-red granules."""
    canvas, body, radius = _cell(rng, edge, (70, 82), (216, 212, 228))
    angle = rng.uniform(0, 6.28)
    places = [_polar(radius * 0.46, angle), _polar(radius * 0.46, angle + rng.uniform(1.9, 2.7))]
    shape = np.minimum(_lobes(canvas, places, radius * 0.33, joined=6), body - 5)
    centres = canvas.scatter(np.minimum(body - 5, -shape - 2), 7.6)
    canvas.dots(centres, (3.6, 4.4), (226, 98, 62), 0.95, shine=0.4)
    _nucleus(canvas, shape, (106, 62, 140), _clumped(canvas, 10, 0.17))
    return canvas.stamp()


def _lymphoblast(rng: np.random.Generator, edge: float) -> Stamp:
    """The nucleus nearly fills the cell; a scanty deep blue rim; nucleoli hardly seen."""
    canvas, body, radius = _cell(rng, edge, (69, 83), (98, 116, 184), rim=0.14)
    size = radius * rng.uniform(0.85, 0.91)
    x, y = _polar(radius * rng.uniform(0.03, 0.1), rng.uniform(0, 6.28))
    oval = canvas.oval(x, y, size * rng.uniform(0.98, 1.05), size * rng.uniform(0.92, 1.0), rng.uniform(0, 3))
    shape = np.minimum(oval + canvas.noise(24) * 1.6, body - 3)
    _nucleus(canvas, shape, (128, 80, 152), _clumped(canvas, 7, 0.1))
    _nucleoli(canvas, shape, int(rng.integers(0, 3)), radius * 0.11, (148, 106, 176), 0.55)
    return canvas.stamp()


def _monocyte(rng: np.random.Generator, edge: float) -> Stamp:
    """Large; a kidney of lacy chromatin in dull grey-blue ground glass with vacuoles."""
    canvas, body, radius = _cell(rng, edge, (90, 106), (170, 176, 200))
    canvas.dots(canvas.scatter(body - 6, 8), (0.7, 1.2), (150, 112, 158), 0.5)
    angle = rng.uniform(0, 6.28)
    size = radius * rng.uniform(0.58, 0.66)
    x, y = _polar(radius * 0.14, angle)
    shape = canvas.oval(x, y, size * 0.92, size * 1.16, angle)
    bite = canvas.oval(*_polar(-radius * rng.uniform(0.5, 0.62), angle), size * 0.62, size * 0.46, angle)
    folds = canvas.noise(radius * 0.4) * radius * 0.035
    shape = np.minimum(_both(shape, -bite) + folds, body - 5)
    _nucleus(canvas, shape, (140, 102, 164), _lacy(canvas, 12, 0.17), rim=0.08)
    holes = canvas.scatter(np.minimum(body - 8, -shape - 4), 17)[: int(rng.integers(3, 11))]
    canvas.dots(holes, (2.5, 5.5), (232, 230, 238), 0.9)
    return canvas.stamp()


def _myeloblast_aml(rng: np.random.Generator, edge: float) -> Stamp:
    """Fine chromatin with two to five clear nucleoli; blue, at times with one Auer rod."""
    canvas, body, radius = _cell(rng, edge, (80, 96), (136, 154, 214), rim=0.1)
    size = radius * rng.uniform(0.72, 0.79)
    away = radius * rng.uniform(0.1, 0.17)
    angle = rng.uniform(0, 6.28)
    shape = canvas.oval(*_polar(away, angle), size * 1.06, size * rng.uniform(0.92, 1.0), rng.uniform(0, 3))
    shape = np.minimum(shape + canvas.noise(30) * 2, body - 4)
    _nucleus(canvas, shape, (158, 106, 176), _lacy(canvas, 6, 0.09), rim=0.1)
    _nucleoli(canvas, shape, int(rng.integers(2, 6)), radius * 0.13, (186, 164, 218), 0.9)
    free = np.minimum(body - 6, -shape - 3)
    canvas.dots(canvas.scatter(free, 13)[: int(rng.integers(0, 16))], (1.0, 1.7), (150, 40, 110), 0.8)
    rod = rng.random() < 0.4
    if rod:
        x, y = _polar(-radius * 0.76, angle)
        lean = angle + math.pi / 2 + rng.uniform(-0.35, 0.35)
        dx, dy = _polar(radius * rng.uniform(0.17, 0.24), lean)
        canvas.paint(canvas.thread((x - dx, y - dy), (x + dx, y + dy), 3.6), (184, 24, 96))
    return canvas.stamp(auer_rods="true" if rod else "false")


def _myeloblast_apl(rng: np.random.Generator, edge: float) -> Stamp:
    """A folded or butterfly nucleus under heavy dark granules; often Auer rods in bundles."""
    canvas, body, radius = _cell(rng, edge, (80, 96), (190, 138, 186))
    angle, spread = rng.uniform(0, 6.28), rng.uniform(0.34, 0.4)
    wings = [
        canvas.oval(*_polar(radius * spread * side, angle), radius * 0.42, radius * 0.58, angle + side * 0.35)
        for side in (-1, 1)
    ]
    shape = np.maximum(*wings)
    shape = np.minimum(shape + canvas.noise(radius * 0.4) * radius * 0.03, body - 5)
    _nucleus(canvas, shape, (140, 84, 156), _lacy(canvas, 9, 0.12))
    granules = canvas.scatter(body - 5, 6.4)
    over = np.maximum(shape, 0)
    half = canvas.size / 2
    kept = [(x, y) for x, y in granules if over[int(y + half), int(x + half)] == 0 or rng.random() < 0.36]
    canvas.dots(kept, (1.7, 3.0), (112, 20, 84), 0.85)
    rods = rng.random() < 0.6
    for _ in range(int(rng.integers(1, 3)) if rods else 0):  # sheaves in the cleft between the wings
        side = rng.choice([-1, 1])
        x, y = _polar(radius * 0.62 * side, angle + math.pi / 2)
        for _rod in range(int(rng.integers(4, 8))):
            dx, dy = _polar(radius * rng.uniform(0.18, 0.26), angle + rng.uniform(-0.5, 0.5))
            ox, oy = x + rng.uniform(-4, 4), y + rng.uniform(-7, 7)
            canvas.paint(canvas.thread((ox - dx, oy - dy), (ox + dx, oy + dy), 2.6), (178, 16, 92), 0.9)
    return canvas.stamp(auer_rods="true" if rods else "false")


def _smudge(rng: np.random.Generator, edge: float) -> Stamp:
    """A burst nucleus, smeared, without any cytoplasm."""
    radius = rng.uniform(66, 96)
    canvas = Canvas(radius * 1.3, rng, edge)
    turn = rng.uniform(0, 3)
    shape = canvas.oval(0, 0, radius * rng.uniform(0.95, 1.15), radius * rng.uniform(0.62, 0.8), turn)
    shape = shape + canvas.noise(radius * 0.45) * radius * 0.14 + canvas.noise(12) * 3
    wisps = np.clip(0.78 + 0.3 * canvas.noise(16) + 0.18 * canvas.noise(6), 0.3, 1)
    canvas.body(shape, np.asarray((164, 116, 172), np.float32) * (1.16 - 0.22 * wisps)[..., None])
    canvas.cover = np.clip(shape / 12 + 0.5, 0, 1) * wisps
    return canvas.stamp(kind="smudge")


def _artifact(rng: np.random.Generator, edge: float) -> Stamp:
    """A heap of precipitated stain."""
    radius = rng.uniform(34, 60)
    canvas = Canvas(radius * 1.25, rng, edge)
    heap = canvas.oval(0, 0, radius, radius * rng.uniform(0.6, 0.95), rng.uniform(0, 3))
    heap = heap + canvas.noise(radius * 0.5) * radius * 0.2
    canvas.rgb[:] = (150, 110, 150)
    grains = np.maximum(canvas.noise(7) * 4 - 1.0, canvas.noise(3.4) * 2.4 - 1.2)
    canvas.dots(canvas.scatter(heap, 8), (1.8, 4.2), (50, 26, 74))
    dark = np.clip(grains, 0, 1)[..., None]
    canvas.rgb += (np.asarray((52, 28, 78), np.float32) - canvas.rgb) * dark
    strength = (255 - canvas.rgb.mean(2)) / 200
    canvas.cover = np.clip(heap / 5 + 0.5, 0, 1) * np.clip(strength, 0.25, 1)
    return canvas.stamp(kind="artifact")


def _other(rng: np.random.Generator, edge: float) -> Stamp:
    return (_smudge if rng.random() < 0.6 else _artifact)(rng, edge)


DRAWN: dict[str, Callable[[np.random.Generator, float], Stamp]] = {
    "Lymphocyte": _lymphocyte,
    "Neutrophil": _neutrophil,
    "Basophil": _basophil,
    "Eosinophil": _eosinophil,
    "Lymphoblast": _lymphoblast,
    "Monocyte": _monocyte,
    "Myeloblast_AML": _myeloblast_aml,
    "Myeloblast_APL": _myeloblast_apl,
    "Other": _other,
}
