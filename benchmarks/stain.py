"""The effect of stain augmentation and normalisation on cells from a site unseen in training.

    python benchmarks/stain.py [--patients 32] [--images 128] [--seeds 2] [--epochs 8] [--work FOLDER]

Site A is the synthetic sample; sites B and C are the same images with another stain and light. A small ResNet is
trained from scratch on site A, once for each kind and seed, and scored on the test patients of all three sites. The
predictions of the seeds are pooled; intervals come from drawing patients. A run takes some 15 minutes on two CPU
cores; images and runs stay in FOLDER, and the same command resumes there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast
from unittest.mock import patch

import numpy as np
import PIL.Image
import torch

import pcm_leukemia as pcm
from pcm_leukemia import Dataset, images, sample, splits
from pcm_leukemia.baselines import inference, stain, training
from pcm_leukemia.baselines.metrics import classification
from pcm_leukemia.images import Pixels

STRONG = 0.2
"""A stronger jitter in HED space, tried beside the default."""
PATIENTS = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


class Site(NamedTuple):
    """The stain and light of another site.

    `dyes` holds the densities in red, green and blue at this site, one row each for a unit of density in red, green
    and blue at site A. `lamp` is the light relative to site A. `glare` is stray light that bypasses the cells, as a
    share of white; a change of stain cannot undo it.
    """

    dyes: tuple[tuple[float, float, float], ...]
    lamp: tuple[float, float, float]
    glare: float

    def render(self, pixels: Pixels) -> Pixels:
        """An image of site A as it would look at this site."""
        density = -np.log(np.maximum(pixels, 1) / 255) @ np.array(self.dyes)
        light = np.array(self.lamp) * ((1 - self.glare) * np.exp(-np.maximum(density, 0)) + self.glare)
        return cast(Pixels, np.rint(255 * light).astype(np.uint8))


SITES = {
    "B": Site(((0.85, 0.05, 0.10), (0.05, 1.00, 0.10), (0.00, 0.05, 1.15)), (1.00, 0.95, 0.86), 0.03),
    "C": Site(((1.20, 0.05, 0.00), (0.00, 0.80, 0.00), (0.00, 0.00, 0.75)), (0.90, 0.96, 1.00), 0.06),
}
"""B: less azure, more eosin, a warm lamp. C: more azure, less eosin, a cold lamp, more stray light."""


def render(ds: Dataset, site: Site, folder: Path) -> Dataset:
    """The data set as another site would image it, written below `folder`."""
    files = images.files_of(ds)
    for image in ds.images:
        file = folder / str(image.file)
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(images.encode(site.render(images.load(files, image)), "jpg"))
    return replace(ds, root=folder)


def picture(sites: list[Dataset], file: Path) -> None:
    """Save one crop of each class at every site, as it is and after each kind of stain change."""
    first = {cell.label: cell for cell in reversed(sites[0].cells)}
    rows = []
    for site in sites:
        files = images.files_of(site)
        shown = [(images.load(files, site.image(cell.image)), cell) for _, cell in sorted(first.items())]
        rows.append([images.crop(pixels, cell.box, 50) for pixels, cell in shown])
    reference = stain.Reference.of(rows[0])
    torch.manual_seed(0)
    for kind in stain.KINDS[1:]:
        change = stain.augmentation(kind, reference)
        rows += [[change(crop) for crop in row] for row in rows[: 1 if kind == "hed" else len(sites)]]
    small = [[np.array(PIL.Image.fromarray(crop).resize((120, 120))) for crop in row] for row in rows]
    file.write_bytes(images.encode(np.vstack([np.hstack(row) for row in small]), "png", small=True))


@contextmanager
def folder_of(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as work:
        yield Path(work)


def scored(
    kind: stain.Kind, sigma: float, ds: Dataset, sites: list[Dataset], folder: Path, epochs: int, seeds: int
) -> list[classification.ClassificationScores]:
    """Train on `ds` with each seed, and score the pooled predictions on each site."""
    guesses: list[list[inference.Classified]] = [[] for _ in sites]
    for seed in range(seeds):
        with patch.object(stain, "augmentation", partial(stain.augmentation, sigma=sigma, bias=sigma)):
            run = training.train(
                "resnet50",
                ds,
                folder / f"{kind}-{sigma}-{seed}",
                preset="smoke",
                settings={"stain": kind, "epochs": epochs},
                seed=seed,
                device="cpu",
                workers=0,
            )
        classifier = run.classifier("cpu")
        for site, each_seed in zip(sites, guesses, strict=True):
            each_seed.append(inference.classify(classifier, site, workers=2))
    ids = ds.task("classification").taxonomy.ids
    results = []
    for site, each_seed in zip(sites, guesses, strict=True):
        cells = [cell for each in each_seed for cell in each.cells]
        groups, unit = classification.groups_of(site, (cell.image for cell in cells))
        results.append(
            classification.score(
                [ids[cell.label] for cell in cells],
                np.concatenate([each.probabilities for each in each_seed]),
                site.taxonomy.labels,
                groups,
                unit=unit,
            )
        )
    return results


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--patients", type=int, default=32)
    arguments.add_argument("--images", type=int, default=128)
    arguments.add_argument("--seeds", type=int, default=2)
    arguments.add_argument("--epochs", type=int, default=8)
    arguments.add_argument("--work", type=Path)
    arguments.add_argument("--picture", type=Path, help="also save the effect of each kind, as PNG")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")  # Lightning's advice
    with folder_of(given.work) as work:
        export = work / "sample.zip"
        if not export.is_file():
            sample.write(export, patients=given.patients, images=given.images)
        ds = pcm.load_dataset(export, patients=PATIENTS)
        ds = ds.with_split(splits.by_patient(ds, test=0.3, val=0.2))
        test = ds.task("classification").part("test")
        sites = [test, *(render(test, site, work / f"site-{name}") for name, site in SITES.items())]
        if given.picture:
            picture(sites, given.picture)
        print(f"train {ds.part('train')!r}\ntest {test!r}\n")
        names = ["A", *SITES]
        print(f"| stain | {' | '.join(f'accuracy {name}' for name in names)} ", end="")
        print(f"| {' | '.join(f'macro F1 {name}' for name in names)} | minutes |\n{'|---' * 8}|")
        for kind, sigma in (*((kind, stain.SIGMA) for kind in stain.KINDS), ("hed", STRONG)):
            start = time.perf_counter()
            found = scored(kind, sigma, ds, sites, work / "runs", given.epochs, given.seeds)
            cells = [f"{100 * each.accuracy:.1f} ({each.accuracy_interval})" for each in found]
            cells += [f"{100 * each.macro_f1:.1f} ({each.macro_f1_interval})" for each in found]
            name = f"{kind}, {sigma}" if kind == "hed" else kind
            print(f"| {name} | {' | '.join(cells)} | {(time.perf_counter() - start) / 60:.1f} |", flush=True)


if __name__ == "__main__":
    main()
