"""Drawn sites: each number of a `Site` changes what it says, boxes stay on their cells, and "home" is the sample."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageFilter
import pytest
from commands import Run as Command

from pcm_leukemia import sample
from pcm_leukemia.loading import load_dataset
from pcm_leukemia.sample import SITES, Site, sites, smear
from pcm_leukemia.shapes import Box

Pixels = npt.NDArray[np.float32]
STYLE = smear.Style(
    stain=(1, 1, 1),
    light=(1, 1, 1),
    vignette=0.0,
    edge=1.5,
    noise=0.0,
    red_cells=40,
    platelets=0.0,
    red_radius=50,
    pallor=0.6,
)
"""Even light and no grain: what differs is the site's."""
STAIN = {"dyes", "lamp", "glare"}


def drawn(site: Site, label: str = "Lymphoblast", red_cells: int = 40) -> tuple[Pixels, Box]:
    """A field with one white cell at a site, without the mark, and the cell's box."""
    style = replace(STYLE, red_cells=red_cells)
    image, (cell,) = smear.draw(style, [smear.Wanted(label)], np.random.default_rng(5), site)
    pixels = np.asarray(image, np.float32)
    return pixels[: int(smear.CORNER[1] * site.scale)], cell.box


def in_box(pixels: Pixels, box: Box) -> Pixels:
    return pixels[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)]


def sharpness(site: Site) -> float:
    pixels, _ = drawn(site)
    return float(np.abs(np.diff(pixels, axis=1)).max())


def glass(site: Site) -> Pixels:
    return np.asarray(np.median(drawn(site, red_cells=0)[0].reshape(-1, 3), axis=0))


def dark_share(site: Site) -> float:
    """The share of glass that is a third darker than its surroundings."""
    pixels, box = drawn(site, red_cells=0)
    in_box(pixels, box)[:] = glass(site)
    return float((pixels.min(axis=2) < 150).mean())


def chromatin(site: Site) -> float:
    """The deviation of the grey levels in the middle of a nucleus."""
    pixels, box = drawn(site)
    cell = in_box(pixels, box)
    third = len(cell) // 3
    return float(cell[third : 2 * third, third : 2 * third].std(axis=(0, 1)).mean())


def reds(site: Site) -> float:
    """The share of the field that red cells cover."""
    pixels, _ = drawn(site)
    return float((pixels[..., 0] - pixels[..., 1] > 25).mean())


def lost(site: Site) -> float:
    """The light lost between the brightest and the darkest corner of the field, as a share."""
    pixels = drawn(site, red_cells=0)[0]
    corners = [pixels[top, left].mean() for top in (0, -1) for left in (0, -1)]
    return float(1 - min(corners) / max(corners))


def grain(site: Site) -> float:
    return float(drawn(site, red_cells=0)[0][:20, :20].std(axis=(0, 1)).mean())


@pytest.mark.parametrize(
    ("measure", "site", "least", "most"),
    [
        (sharpness, Site(blur=4), 0.0, 0.35),
        (dark_share, Site(debris=60), 20, np.inf),
        (chromatin, Site(texture=0.4), 0.2, 0.7),
        (chromatin, Site(texture=1.6), 1.2, 1.8),
        (reds, Site(crowding=0.5), 0.4, 0.6),
    ],
)
def test_a_number_of_a_site_changes_what_it_says(
    measure: Callable[[Site], float], site: Site, least: float, most: float
) -> None:
    assert least <= measure(site) / max(measure(Site()), 1e-4) <= most


def test_light_grain_and_glass() -> None:
    assert lost(Site()) < 0.02
    assert 0.15 < lost(Site(gradient=0.3)) <= 0.32
    assert grain(Site(noise=6)) == pytest.approx(6, rel=0.15)
    assert glass(Site(glass=(200, 210, 190))) == pytest.approx([200, 210, 190], abs=1)


def test_stain_lamp_and_stray_light_are_optical_densities() -> None:
    as_drawn = glass(Site()) / 255
    twice = Site(dyes=((2, 0, 0), (0, 2, 0), (0, 0, 2)), lamp=(1, 0.9, 0.8), glare=0.1)
    assert glass(twice) == pytest.approx(255 * np.array(twice.lamp) * (0.9 * as_drawn**2 + 0.1), abs=1)


def test_cells_grow_and_images_shrink_with_their_boxes() -> None:
    _, box = drawn(Site())
    _, larger = drawn(Site(size=1.2))
    assert larger.width == pytest.approx(1.2 * box.width, abs=4)
    half = Site(pixels_per_um=Site().pixels_per_um / 2)
    pixels, smaller = drawn(half)
    assert pixels.shape[1] == 960
    halved = [side / 2 for side in (box.x1, box.y1, box.x2, box.y2)]
    assert (smaller.x1, smaller.y1, smaller.x2, smaller.y2) == pytest.approx(halved, abs=0.01)


@pytest.mark.parametrize("name", SITES)
def test_boxes_at_a_site_are_on_their_cells(name: str) -> None:
    site = replace(SITES[name], gradient=0, noise=0, debris=0)
    pixels, box = drawn(site, red_cells=0)
    differs = np.abs(pixels - glass(site)).max(axis=2) > 30
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx(seen, abs=4 + 2 * site.blur * site.scale)


def test_home_is_the_sample_and_another_site_has_the_same_patients_and_cells(tmp_path: Path) -> None:
    default = sample.write(tmp_path / "default.zip", patients=2, images=3, seed=4)
    home = sample.write(tmp_path / "home.zip", patients=2, images=3, seed=4, site="home")
    clinic = sample.write(tmp_path / "clinic.zip", patients=2, images=3, seed=4, site="clinic")
    assert home.read_bytes() == default.read_bytes()
    ours, theirs = (
        load_dataset(path, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/") for path in (home, clinic)
    )
    assert ours.patients == theirs.patients
    assert [(cell.image, cell.label) for cell in ours.cells] == [
        (cell.image, cell.label) for cell in theirs.cells
    ]
    scale = SITES["clinic"].scale
    assert {(image.width, image.height) for image in theirs.images} == {
        (round(1920 * scale), round(1080 * scale))
    }
    with zipfile.ZipFile(clinic) as archive:
        about = archive.read("README.txt").decode().partition("Drawn with: ")[2]
        image = PIL.Image.open(io.BytesIO(archive.read(archive.namelist()[0])))
    recorded = json.loads(about)["site"]
    assert set(recorded) == {field.name for field in fields(Site)}
    assert recorded["quality"] == SITES["clinic"].quality
    assert image.size == (theirs.images[0].width, theirs.images[0].height)


def test_the_quality_of_the_jpeg(tmp_path: Path) -> None:
    good, poor = (
        sample.write(tmp_path / f"{quality}.zip", patients=1, images=1, site=Site(quality=quality)).stat()
        for quality in (90, 30)
    )
    assert poor.st_size < 0.5 * good.st_size


@pytest.mark.parametrize("name", SITES)
def test_the_mark_is_dark_on_bright_at_every_site(name: str) -> None:
    site = SITES[name]
    image, _ = smear.draw(STYLE, [], np.random.default_rng(0), site)
    bottom, top = (round((1080 - away) * site.scale) for away in (12, 50))
    corner = np.asarray(image)[top:bottom, round(15 * site.scale) : round(210 * site.scale)].min(axis=2)
    written = corner < np.median(corner) - 40
    assert 0.05 < written.mean() < 0.4


def test_the_sites_named_for_their_stain_differ_in_stain_alone() -> None:
    differing = {
        name: {each.name for each in fields(Site) if getattr(site, each.name) != getattr(Site(), each.name)}
        for name, site in SITES.items()
    }
    assert differing.pop("home") == set()
    assert differing.pop("eosin") == differing.pop("azure") == STAIN
    everything = {each.name for each in fields(Site)}
    assert all(found == everything for found in differing.values())


def test_an_unknown_site(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r'^sample: unknown site "mars"; use one of: home, eosin, azure, archive, clinic$'
    ):
        sample.write(tmp_path / "sample.zip", patients=1, images=1, site="mars")
    assert list(tmp_path.iterdir()) == []
    assert sites.find(Site(blur=1)) == Site(blur=1)


def test_the_command(run: Command, tmp_path: Path) -> None:
    words = ("--n-patients", 1, "--n-images", 1, "--site")
    assert run("sample", tmp_path / "archive.zip", *words, "archive").status == 0
    site = sample.write(tmp_path / "python.zip", patients=1, images=1, site="archive")
    assert (tmp_path / "archive.zip").read_bytes() == site.read_bytes()
    refused = run("sample", tmp_path / "mars.zip", *words, "mars")
    assert (refused.status, 'unknown site "mars"' in refused.err) == (2, True)
