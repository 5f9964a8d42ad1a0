"""How hospitals differ: in stain, in glass and light, in focus, in their cameras, and in how cells dry on the slide.

A site changes everything that a patient's `smear.Style` leaves open. Real sites differ in all of these at once, and no
correction of colours undoes more than the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageChops
import PIL.ImageDraw
import PIL.ImageFilter

from pcm_leukemia.sample.canvas import Colour, Stamp

__all__ = ["HOME", "SITES", "Site", "find", "on_slide", "photographed"]

DRAWN_AT = 13.3
"""The pixels per micrometre at which smears are drawn: a red cell of 7.5 micrometres is 100 pixels wide."""

DETAIL = 6.0
"""Chromatin and granules are what a Gaussian blur with this deviation, in pixels, takes out of a cell."""

SPECK_SOFTNESS = 3.0
"""Debris lies out of focus: the deviation of its blur, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A hospital's staining, microscope and camera; the default values change nothing.

    Stain: `dyes` holds the optical densities in red, green and blue at this site, one row each for a unit of density in
    red, green and blue as drawn; `lamp` is the colour of the light, 1.0 as drawn. `glare` is stray light that bypasses
    the cells, as a share of white, 0 to 1.

    Background: `glass` is the colour between cells, 0 to 255. `gradient` is the share of light lost from one side of
    the field to the other, 0 to 1, in a direction of its own in each image. `debris` is the mean number of specks in an
    image, `crowding` the number of red cells relative to the patient's.

    Focus: `blur` is the deviation of the Gaussian blur in pixels as drawn; that of an image is 0.5 to 1.5 times as large.

    Camera: `pixels_per_um` is the resolution in pixels per micrometre, on which the size of the images depends. `noise` is
    the deviation of the grain in grey levels of 255, `quality` that of the JPEG, 1 to 95.

    White cells: `size` is their diameter relative to that drawn, since they shrink or spread as a smear dries. `texture`
    is the contrast of chromatin and granules relative to that drawn.
    """

    dyes: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    lamp: tuple[float, float, float] = (1, 1, 1)
    glare: float = 0
    glass: Colour = (238, 231, 229)
    gradient: float = 0
    debris: float = 0
    crowding: float = 1
    blur: float = 0
    pixels_per_um: float = DRAWN_AT
    noise: float = 0
    quality: int = 90
    size: float = 1
    texture: float = 1

    @property
    def scale(self) -> float:
        """The pixels of an image for each pixel drawn."""
        return self.pixels_per_um / DRAWN_AT


HOME = Site()
_EOSIN = ((0.85, 0.05, 0.10), (0.05, 1.00, 0.10), (0.00, 0.05, 1.15))
_AZURE = ((1.20, 0.05, 0.00), (0.00, 0.80, 0.00), (0.00, 0.00, 0.75))

SITES: Mapping[str, Site] = {
    "home": HOME,
    "eosin": Site(dyes=_EOSIN, lamp=(1.00, 0.95, 0.86), glare=0.03),
    "azure": Site(dyes=_AZURE, lamp=(0.90, 0.96, 1.00), glare=0.06),
    "archive": Site(
        dyes=((0.62, 0.10, 0.12), (0.06, 0.80, 0.14), (0.00, 0.10, 0.95)),
        lamp=(1.00, 0.94, 0.80),
        glare=0.05,
        glass=(232, 222, 206),
        gradient=0.35,
        debris=40,
        crowding=1.5,
        blur=3.0,
        pixels_per_um=9.0,
        noise=5,
        quality=70,
        size=0.86,
        texture=0.5,
    ),
    "clinic": Site(
        dyes=((1.25, 0.08, 0.00), (0.08, 1.10, 0.05), (0.03, 0.05, 0.85)),
        lamp=(0.90, 0.94, 1.00),
        glare=0.02,
        glass=(222, 226, 240),
        gradient=0.2,
        debris=12,
        crowding=0.45,
        blur=4.5,
        pixels_per_um=6.0,
        noise=7,
        quality=45,
        size=1.15,
        texture=0.4,
    ),
}
"""The sites that can be drawn by name.

"home" is the sample as it always was. "eosin" (less azure, more eosin, a warm lamp) and "azure" (more azure, less eosin, a
cold lamp, more stray light) differ from it in stain and light alone. "archive" (faded slides under a yellow lamp, thick
and out of focus, with dust) and "clinic" (a dark stain, a thin smear out of focus, and a cheap camera at a low
magnification) differ from it in everything, as real sites do.
"""


def find(site: str | Site) -> Site:
    """The site of a name; a `Site` is returned as it is.

    Raises
    ------
    ValueError
        If no site has that name.

    Examples
    --------
    >>> find("archive").pixels_per_um
    9.0
    """
    if isinstance(site, Site):
        return site
    if site not in SITES:
        raise ValueError(f'sample: unknown site "{site}"; use one of: {", ".join(SITES)}')
    return SITES[site]


def on_slide(stamp: Stamp, site: Site) -> Stamp:
    """A white cell as it dried and took the stain at a site: its size and its texture."""
    if site.size == HOME.size and site.texture == HOME.texture:
        return stamp
    rgb, cover = PIL.Image.fromarray(stamp.rgb), PIL.Image.fromarray(stamp.cover)
    smooth = np.asarray(rgb.filter(PIL.ImageFilter.GaussianBlur(DETAIL)), np.float32)
    detailed = smooth + site.texture * (np.asarray(rgb, np.float32) - smooth)
    side = 2 * math.ceil(stamp.size * site.size / 2)
    rgb = PIL.Image.fromarray(detailed.clip(0, 255).astype(np.uint8)).resize((side, side))
    return Stamp(np.asarray(rgb), np.asarray(cover.resize((side, side))), stamp.traits)


def photographed(image: PIL.Image.Image, site: Site, rng: np.random.Generator) -> PIL.Image.Image:
    """A smear as it looks in a site's photograph: its stain, light, debris, focus, resolution and grain."""
    if site == HOME:
        return image
    image = _lit(_restained(image, site), site, rng)
    if site.blur:
        image = image.filter(PIL.ImageFilter.GaussianBlur(site.blur * rng.uniform(0.5, 1.5)))
    if site.scale != 1:
        width, height = (round(side * site.scale) for side in image.size)
        image = image.resize((width, height), PIL.Image.Resampling.BICUBIC)
    if site.noise:
        pixels = np.asarray(image, np.float32)
        grain = rng.standard_normal(pixels.shape, np.float32) * np.float32(site.noise)
        image = PIL.Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))
    return image


def _restained(image: PIL.Image.Image, site: Site) -> PIL.Image.Image:
    """The image in the site's dyes, lamp and stray light: densities add up (Beer and Lambert)."""
    pixels = np.asarray(image)
    density = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)
    seen = np.exp(-np.maximum(density[pixels] @ np.array(site.dyes, np.float32), 0))
    light = 255 * np.array(site.lamp, np.float32) * ((1 - site.glare) * seen + site.glare)
    return PIL.Image.fromarray(np.rint(light).clip(0, 255).astype(np.uint8))


def _lit(image: PIL.Image.Image, site: Site, rng: np.random.Generator) -> PIL.Image.Image:
    """The image under uneven light, with specks of debris."""
    width, height = image.size
    angle = rng.uniform(0, math.tau)
    x, y = np.linspace(-0.5, 0.5, 48)[None, :], np.linspace(-0.5, 0.5, 27)[:, None]
    lost = site.gradient * (0.5 + (x * math.cos(angle) + y * math.sin(angle)) / math.sqrt(2))
    coarse = PIL.Image.fromarray((255 * (1 - lost)).round().astype(np.uint8))
    plane = coarse.resize((width, height), PIL.Image.Resampling.BICUBIC)
    specks = PIL.Image.new("L", (width, height), 255)
    pen = PIL.ImageDraw.Draw(specks)
    for _ in range(int(rng.poisson(site.debris))):
        left, top, broad, high = rng.uniform((0, 0, 6, 6), (width, height, 28, 28))
        pen.ellipse((left, top, left + broad, top + high), fill=int(rng.integers(70, 190)))
    if site.debris:
        plane = PIL.ImageChops.multiply(plane, specks.filter(PIL.ImageFilter.GaussianBlur(SPECK_SOFTNESS)))
    return PIL.ImageChops.multiply(image, PIL.Image.merge("RGB", (plane, plane, plane)))
