"""The classifiers: what they learn on patients not seen, what stays as it was, and going on after a kill."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from dots import EIGHT, draw, job
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from safetensors.torch import load_file, save_file
from smoke_runs import SmokeRuns

from pcm_leukemia import IGNORE, NINE, Dataset
from pcm_leukemia.baselines import config, inference, stain
from pcm_leukemia.baselines.classifiers import crops as crop_cache
from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers import timm as classifiers
from pcm_leukemia.baselines.classifiers.augmentation import augment
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.network import CellClassifier, Network
from pcm_leukemia.baselines.classifiers.phases import features
from pcm_leukemia.baselines.contract import Classifier, Target
from pcm_leukemia.baselines.metrics import classification as scores
from pcm_leukemia.baselines.metrics.calibration import fitted_temperature
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.errors import CorruptFile, DataNotFound, ExportError
from pcm_leukemia.schema import ImageId
from pcm_leukemia.torchdata import Crops

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
TINY: dict[str, Any] = {
    "model": "resnet10t",
    "weights": "none",
    "image_size": 32,
    "batch": 8,
    "precision": "32-true",
}


@pytest.fixture(scope="module")
def smears(smoke_runs: SmokeRuns) -> Dataset:
    """The synthetic sample, split by patient."""
    return smoke_runs.ds.task("classification")


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Squares on grain: made and learned in no time."""
    return draw(tmp_path_factory.mktemp("dots"))


def numbers(name: str = "resnet50", preset: str = "smoke", **changes: Any) -> Any:
    return config.settings(config.find(name), preset, changes)


def epochs(out: Path, phase: str = "tune") -> list[str]:
    return (out / "logs" / f"{phase}.csv").read_text().splitlines()


# ----------------------------------------------------------------------------------------------
# What is learned


@pytest.mark.trains
@pytest.mark.parametrize(
    ("name", "least"), [("resnet50-classification", 0.6), ("dinobloom-classification-lp+ft-42-8", 0.4)]
)
def test_it_learns_what_shows_on_patients_not_seen(
    name: str, least: float, smears: Dataset, smoke_runs: SmokeRuns
) -> None:
    known = {image.patient for part in ("train", "val") for image in smears.part(part).images}
    test = smears.part("test")
    assert not known & {image.patient for image in test.images}
    run = smoke_runs.run(name)
    record, classifier = run.record["result"], run.classifier("cpu")
    assert isinstance(classifier, Classifier)
    said = inference.classify(classifier, test, workers=1)
    truths = [EIGHT.index(cell.label) for cell in said.cells]
    found = scores.score(
        truths, said.probabilities, EIGHT, *groups_of(test, [c.image for c in said.cells])[:1]
    )
    most = max(np.bincount(truths)) / len(truths)
    assert found.accuracy > max(least, 1.5 * most)
    assert found.macro_f1 > 3 / 8
    assert record["cells"] == {"train": len(smears.part("train").cells), "val": len(smears.part("val").cells)}
    assert not (run.folder / "cache").exists()
    assert not (run.folder / "checkpoints").exists()
    assert list((run.folder / "logs" / "tensorboard" / "tune").glob("events*"))
    assert len(epochs(run.folder)) == 1 + run.settings.epochs
    assert ("probe" in record) == ("lp+ft" in name)


def test_other_is_never_among_the_classes(smears: Dataset, dots: Dataset, tmp_path: Path) -> None:
    for baseline in ("resnet50", "dinobloom"):
        assert config.find(baseline).tasks == ("classification",)
    assert "Other" not in smears.taxonomy.labels
    assert not any(cell.label == "Other" for cell in smears.cells)
    nine = replace(dots, taxonomy=NINE)
    with pytest.raises(
        ValueError, match="dots: Other is among the classes, but is not a kind of cell; train on the task"
    ):
        classifiers.train(job(nine, tmp_path), numbers(**TINY))


# ----------------------------------------------------------------------------------------------
# Linear probing


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a backbone, in a file, whose batch norms have seen something."""
    torch.manual_seed(5)
    model = timm.create_model("resnet10t", num_classes=0)
    model(torch.rand(8, 3, 32, 32))
    path = tmp_path_factory.mktemp("weights") / "backbone.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return path


@pytest.mark.trains
@pytest.mark.parametrize("more", [{}, {"augment_probe": True}])
def test_linear_probing_leaves_the_backbone_as_it_was(
    more: dict[str, Any], dots: Dataset, beginning: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {**TINY, "weights": str(beginning), "strategy": "lp+ft", "probe_epochs": 3, "epochs": 0}
    classifiers.train(job(dots, tmp_path), numbers(**changes, **more, probe_lr=0.01))
    kept = load_file(tmp_path / "classifier.safetensors")
    before = torch.load(beginning, weights_only=True)["state_dict"]
    for name, value in before.items():
        assert torch.equal(kept[f"backbone.{name}"], value), name
    # and the head did learn
    losses = [float(line.split(",")[2]) for line in epochs(tmp_path, "probe")[1:]]
    assert losses[-1] < losses[0]
    assert kept["head.weight"].std() > 0.02
    said = "the frozen backbone ran over the training crops 3 times" in caplog.text
    assert said == bool(more)


@pytest.mark.trains
def test_fine_tuning_begins_with_the_probed_head_and_changes_everything(
    dots: Dataset, beginning: Path, tmp_path: Path
) -> None:
    changes = {**TINY, "weights": str(beginning), "strategy": "lp+ft", "probe_epochs": 3, "probe_lr": 0.1}
    classifiers.train(job(dots, tmp_path / "probed"), numbers(**changes, epochs=0))
    record = classifiers.train(job(dots, tmp_path / "tuned"), numbers(**changes, epochs=1, lr=1e-5))
    assert epochs(tmp_path / "tuned", "probe") == epochs(tmp_path / "probed", "probe")
    probed, tuned = (load_file(tmp_path / run / "classifier.safetensors") for run in ("probed", "tuned"))
    # at so low a rate, hardly: but each of them moved
    assert (probed["head.weight"] - tuned["head.weight"]).abs().max() < 1e-3
    assert not torch.equal(probed["head.weight"], tuned["head.weight"])
    assert not torch.equal(probed["backbone.conv1.0.weight"], tuned["backbone.conv1.0.weight"])
    assert record["epochs"] == 1
    assert record["probe"]["epochs"] == 3
    # the temperature is that of the validation cells, by the classifier that was kept
    val = job(dots, tmp_path).val
    kept = classifiers.load(tmp_path / "tuned", numbers(**changes), EIGHT, "cpu")
    said = inference.classify(kept, val, workers=0)
    truths = np.array([EIGHT.index(cell.label) for cell in said.cells])
    fitted = fitted_temperature(truths, said.probabilities.astype(np.float64))
    assert record["temperature"] == pytest.approx(fitted, rel=1e-3)
    assert fitted != pytest.approx(1, abs=0.05)


def test_cached_features_are_those_of_the_network(dots: Dataset, tmp_path: Path) -> None:
    network = Network(backbone("resnet10t", "none", image_size=32), 8).eval()
    pictures = crop_cache.write(dots, tmp_path, crop_cache.Prepare(32), 50)
    batches = crop_cache.loader(pictures, crop_cache.Draws(len(pictures), 5), "cpu", 0)
    found = features(network, batches, "cpu")
    with torch.no_grad():
        logits = network(pictures[0, list(range(len(pictures)))][0])
        torch.testing.assert_close(network.head(found), logits, rtol=1e-4, atol=1e-5)


# ----------------------------------------------------------------------------------------------
# The same again, and going on


@pytest.mark.trains
@pytest.mark.parametrize(
    "changes", [{"stain": "hed"}, {"strategy": "lora", "model": "test_vit", "probe_epochs": 0}]
)
def test_the_same_seed_gives_the_same_weights(changes: dict[str, Any], dots: Dataset, tmp_path: Path) -> None:
    settings = numbers(**{**TINY, "epochs": 2, **changes})
    state = torch.get_rng_state()
    for run in ("one", "two"):
        torch.manual_seed(len(run))  # whatever was drawn before
        state = torch.get_rng_state()
        classifiers.train(job(dots, tmp_path / run, seed=7), settings)
        assert torch.equal(torch.get_rng_state(), state)
        assert not torch.are_deterministic_algorithms_enabled()
    classifiers.train(job(dots, tmp_path / "other", seed=8), settings)
    one, two, other = (
        (tmp_path / run / "classifier.safetensors").read_bytes() for run in ("one", "two", "other")
    )
    assert one == two
    assert one != other


class Killed(BaseException):
    """As the end of the time that a cluster gives."""


@pytest.mark.trains
@pytest.mark.parametrize(
    ("strategy", "phase", "epoch"),
    [
        ("lp+ft", "probe", 1),
        ("lp+ft", "tune", 0),
        ("lp+ft", "tune", 2),
        ("lora", "tune", -1),
        ("lora", "tune", 2),
    ],
)
def test_a_killed_run_goes_on_at_the_same_losses(
    strategy: str, phase: str, epoch: int, dots: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**TINY, "model": "test_vit" if strategy == "lora" else TINY["model"]}
    settings = numbers(**changes, strategy=strategy, probe_epochs=3, epochs=4, warmup_epochs=1.5)
    whole = classifiers.train(job(dots, tmp_path / "whole"), settings)
    begin = loop.Learner.on_train_epoch_start
    begun: list[tuple[str, int]] = []

    def killing(learner: loop.Learner) -> None:
        begun.append((learner.phase.name, learner.current_epoch))
        begin(learner)

    def kill(learner: loop.Learner) -> None:
        if (learner.phase.name, learner.current_epoch) == (phase, epoch + 1):
            raise Killed
        killing(learner)

    monkeypatch.setattr(loop.Learner, "on_train_epoch_start", kill)
    with pytest.raises(Killed):
        classifiers.train(job(dots, tmp_path / "killed"), settings)
    assert not (tmp_path / "killed" / "classifier.safetensors").exists()
    last = tmp_path / "killed" / "checkpoints" / phase / "last.ckpt"
    if last.exists():  # under the name that runs of the versions before have
        assert len(torch.load(last, weights_only=True)["callbacks"]["_Curve"]["rows"]) == epoch + 1
    begun.clear()
    monkeypatch.setattr(loop.Learner, "on_train_epoch_start", killing)
    resumed = classifiers.train(job(dots, tmp_path / "killed", resume=True), settings)
    assert begun[0] == (phase, epoch + 1)  # and not from the start
    for part in ("probe", "tune"):
        assert epochs(tmp_path / "killed", part) == epochs(tmp_path / "whole", part)
    files = [(tmp_path / run / "classifier.safetensors").read_bytes() for run in ("whole", "killed")]
    assert files[0] == files[1]
    assert resumed == whole


@pytest.mark.trains
def test_without_resume_it_begins_anew(dots: Dataset, tmp_path: Path) -> None:
    settings = numbers(**TINY, epochs=1)
    stale = tmp_path / "checkpoints" / "tune"
    stale.mkdir(parents=True)
    (stale / "ended").touch()
    classifiers.train(job(dots, tmp_path), settings)
    assert len(epochs(tmp_path)) == 2


@pytest.mark.trains
def test_patience_ends_it_early(dots: Dataset, tmp_path: Path) -> None:
    # at such a rate nothing gets better
    record = classifiers.train(job(dots, tmp_path), numbers(**TINY, epochs=9, lr=1e-12, patience=2))
    assert record["epochs"] == 3
    assert record["best_epoch"] == 1


@pytest.mark.trains
def test_the_epoch_kept_is_the_best_on_val(dots: Dataset, tmp_path: Path) -> None:
    settings = numbers(**TINY, epochs=5, lr=3e-3)
    record = classifiers.train(job(dots, tmp_path), settings)
    table = [line.split(",") for line in epochs(tmp_path)]
    column = [float(row[table[0].index("val_macro_f1")]) for row in table[1:]]
    assert record["val_macro_f1"] == max(column)
    assert record["best_epoch"] == 1 + column.index(max(column))
    classifier = classifiers.load(tmp_path, settings, EIGHT, "cpu")
    val = job(dots, tmp_path).val
    said = inference.classify(classifier, val, workers=1)
    found = scores.score([EIGHT.index(cell.label) for cell in said.cells], said.probabilities, EIGHT)
    assert found.macro_f1 == pytest.approx(max(column))


@pytest.mark.trains
def test_two_devices_learn_together(dots: Dataset, tmp_path: Path) -> None:
    settings = numbers(**TINY, strategy="lp+ft", epochs=2)
    target = Target(frozenset({ImageId("0.png"), ImageId("7.png")}), share=0.5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torch")
        record = classifiers.train(job(dots, tmp_path, devices=2, target=target), settings)
    assert record["epochs"] == 2
    assert len(epochs(tmp_path)) == 3
    losses = [float(line.split(",")[2]) for line in epochs(tmp_path)[1:]]
    assert losses[1] < losses[0]
    classifier = classifiers.load(tmp_path, settings, EIGHT, "cpu")
    assert classifier.labels == EIGHT
    assert record["chosen_by"] == "val_macro_f1, the mean of source and target"
    of_domains = {}
    for domain, image in (("source", "6.png"), ("target", "7.png")):  # each process saw half of both
        said = inference.classify(classifier, dots.select(images=[ImageId(image)]), workers=0)
        truths = [EIGHT.index(cell.label) for cell in said.cells]
        of_domains[domain] = scores.score(truths, said.probabilities, EIGHT).macro_f1
        assert record[f"val_macro_f1_{domain}"] == pytest.approx(of_domains[domain])
    assert record["val_macro_f1"] == pytest.approx(np.mean(list(of_domains.values())))


# ----------------------------------------------------------------------------------------------
# Predicting


@pytest.fixture(scope="module")
def trained(dots: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("trained")
    settings = numbers(**TINY, epochs=2, padding=7)
    classifiers.train(job(dots, out), settings)
    return out, settings


@pytest.mark.trains
def test_prediction_normalises_as_training_did(dots: Dataset, trained: tuple[Path, Any]) -> None:
    out, settings = trained
    classifier = classifiers.load(out, settings, EIGHT, "cpu")
    crops = Crops(dots, padding=classifier.padding)
    batch = torch.stack([classifier.prepare(np.asarray(crops[number][0])) for number in range(3)])
    assert batch.dtype == torch.uint8
    assert batch.shape == (3, 3, 32, 32)
    # by hand: ImageNet's numbers on 0 to 1, through timm's own model with a head of its own
    kept = load_file(out / "classifier.safetensors")
    plain = timm.create_model("resnet10t", num_classes=8).eval()
    state = {name.removeprefix("backbone."): v for name, v in kept.items() if name.startswith("backbone.")}
    plain.load_state_dict({**state, "fc.weight": kept["head.weight"], "fc.bias": kept["head.bias"]})
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = plain((batch / 255 - mean) / deviation).softmax(dim=1)
    found = classifier.probabilities(batch)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (found - plain(batch / 255).softmax(dim=1)).abs().max() > 1e-3  # it would show
    assert classifier.probabilities(batch[:0]).shape == (0, 8)


@pytest.mark.trains
def test_crops_are_prepared_alike_in_training_and_prediction(
    dots: Dataset, trained: tuple[Path, Any], tmp_path: Path
) -> None:
    classifier = classifiers.load(*trained, EIGHT, "cpu")
    assert isinstance(classifier, CellClassifier)
    pictures = crop_cache.write(dots, tmp_path, classifier.preparation, classifier.padding, workers=2)
    crops = Crops(dots, padding=classifier.padding)
    assert pictures.labels.tolist() == crops.targets
    batch, labels = pictures[3, [5, 0, 31]]
    for place, number in enumerate((5, 0, 31)):
        crop, label = crops[number]
        assert torch.equal(batch[place], classifier.prepare(np.asarray(crop)))
        assert labels[place] == label


@pytest.mark.trains
def test_cells_to_be_ignored_are_left_out_and_counted(dots: Dataset, tmp_path: Path) -> None:
    first, *rest = dots.cells
    some = replace(dots, cells=(structs.replace(first, label=IGNORE), *rest))
    record = classifiers.train(job(some, tmp_path), numbers(**TINY, epochs=1))
    assert record["ignored"] == {"train": 1, "val": 0}
    assert record["cells"] == {"train": 23, "val": 8}


@pytest.mark.trains
def test_what_is_no_classifier_of_these_classes(trained: tuple[Path, Any], tmp_path: Path) -> None:
    out, settings = trained
    with pytest.raises(
        CorruptFile, match="classifier.safetensors: has the classes Lymphocyte, .*, not A, B; copy the run"
    ):
        classifiers.load(out, settings, ("A", "B"), "cpu")
    with pytest.raises(
        DataNotFound, match="classifier.safetensors: the trained weights are missing; copy the run"
    ):
        classifiers.load(tmp_path, settings, EIGHT, "cpu")
    save_file({"a": torch.zeros(1)}, tmp_path / "classifier.safetensors")
    with pytest.raises(CorruptFile, match="is not a classifier of pcm-leukemia; copy the run again"):
        classifiers.load(tmp_path, settings, EIGHT, "cpu")
    (tmp_path / "classifier.safetensors").write_bytes((out / "classifier.safetensors").read_bytes()[:5000])
    with pytest.raises(CorruptFile, match="is not a classifier of pcm-leukemia; copy the run again"):
        classifiers.load(tmp_path, settings, EIGHT, "cpu")


# ----------------------------------------------------------------------------------------------
# Weights to begin with


@pytest.mark.trains
def test_a_trained_classifier_to_begin_with(dots: Dataset, trained: tuple[Path, Any], tmp_path: Path) -> None:
    file = trained[0] / "classifier.safetensors"
    before = load_file(file)
    settings = numbers(**{**TINY, "weights": str(file)}, epochs=1, lr=1e-9)
    classifiers.train(job(dots, tmp_path / "same"), settings)
    after = load_file(tmp_path / "same" / "classifier.safetensors")
    torch.testing.assert_close(after["head.weight"], before["head.weight"], rtol=0, atol=1e-6)
    torch.testing.assert_close(after["backbone.conv1.0.weight"], before["backbone.conv1.0.weight"])
    # of other classes, the backbone alone
    three = dots.relabel({label: label if label in EIGHT[:3] else None for label in EIGHT})
    assert three.taxonomy.labels == EIGHT[:3]
    classifiers.train(job(three, tmp_path / "three"), settings)
    after = load_file(tmp_path / "three" / "classifier.safetensors")
    assert after["head.weight"].shape[0] == 3
    torch.testing.assert_close(after["backbone.conv1.0.weight"], before["backbone.conv1.0.weight"])
    with pytest.raises(
        CorruptFile, match="is resnet10t at 32 px, not resnet18 at 32 px; set model and image_size to"
    ):
        classifiers.train(job(dots, tmp_path / "other"), structs.replace(settings, model="resnet18"))


def test_weights_of_another_model(beginning: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="backbone.pth: does not fit the model: it lacks conv1.weight"):
        backbone("resnet18", beginning)
    with_head = {**timm.create_model("resnet10t").state_dict()}
    torch.save(with_head, tmp_path / "whole.pth")
    taken = backbone("resnet10t", tmp_path / "whole.pth").module.state_dict()
    assert torch.equal(taken["conv1.0.weight"], with_head["conv1.0.weight"])
    with pytest.raises(
        ValueError,
        match='model "resnet5O": timm has no image model of that name; did you mean resnet50',
    ):
        backbone("resnet5O")
    with pytest.raises(DataNotFound, match="/nowhere.pth: no such file of weights"):
        backbone("resnet18", "/nowhere.pth")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 0}, "setting epochs: is 0; give 1 or more, or 0 after linear probing"),
        ({"lr": 0}, "setting lr: is 0.0; give more than 0"),
        ({"batch": 0}, "setting batch: is 0; give 1 or more"),
        ({"color_jitter": 2}, "setting color_jitter: is 2.0; give 0 to 1"),
        ({"padding": -1}, "setting padding: is -1; give 0 or more"),
        ({"image_size": 16}, "image_size 16: resnet10t makes pictures 32 times smaller; give 32 or more"),
    ],
)
def test_settings_out_of_their_range(
    changes: dict[str, Any], sentence: str, dots: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        classifiers.train(job(dots, tmp_path), numbers(**{**TINY, **changes}))


def test_parts_without_cells_or_of_other_classes(dots: Dataset, tmp_path: Path) -> None:
    given_job = job(dots, tmp_path)
    with pytest.raises(
        ValueError, match="dots: val has too few cells to classify; use a split with more cells in val"
    ):
        classifiers.train(replace(given_job, val=dots.select(labels=[])), numbers(**TINY))
    other = dots.relabel({EIGHT[0]: EIGHT[1]})
    with pytest.raises(
        ValueError,
        match="dots: val has the classes Neutrophil, .*, but train has .*; give both the same task",
    ):
        classifiers.train(replace(given_job, val=other), numbers(**TINY))


def test_a_full_disk_is_told_before_it_is_full(
    dots: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(
        ExportError, match="the prepared crops need 0.0 GB while training, but 0.0 GB are free; put the"
    ):
        classifiers.train(job(dots, tmp_path), numbers(**TINY))


# ----------------------------------------------------------------------------------------------
# Draws, augmentation, balance, stain


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 3))
def test_every_cell_once_in_even_batches(count: int, batch: int, epoch: int) -> None:
    for seed in (None, 3):
        draws = crop_cache.Draws(count, batch, seed)
        draws.set_epoch(epoch)
        found = list(draws)
        assert sorted(number for _, numbers in found for number in numbers) == list(range(count))
        sizes = [len(numbers) for _, numbers in found]
        assert max(sizes) <= batch
        assert max(sizes) - min(sizes) <= 1
        assert len(found) == len(draws)
        assert {number for number, _ in found} == {epoch}


def test_each_epoch_has_another_order_and_the_same_one_again() -> None:
    def order(epoch: int) -> list[int]:
        draws = crop_cache.Draws(50, 8, 1)
        draws.set_epoch(epoch)
        return [number for _, numbers in draws for number in numbers]

    assert order(0) != order(1)
    assert order(1) == order(1)


@given(st.integers(2, 40), st.integers(1, 6), st.integers(2, 4))
def test_processes_share_the_cells(count: int, batch: int, world: int) -> None:
    shares: dict[int | None, list[list[tuple[int, list[int]]]]] = {None: [], 3: []}
    for seed, rank in product((None, 3), range(world)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(crop_cache, "_place", lambda rank=rank: (rank, world))
            shares[seed].append(list(crop_cache.Draws(count, batch * world, seed)))
    all_once = sorted(number for share in shares[None] for _, numbers in share for number in numbers)
    assert all_once == list(range(count))
    trained = [number for share in shares[3] for _, numbers in share for number in numbers]
    assert set(trained) == set(range(count))
    assert len({len(share) for share in shares[3]}) == 1  # no process waits for another for ever
    assert len(trained) < count + world


def test_rare_classes_are_drawn_as_often() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    even = np.where(labels == 0, 1 / 90, 1 / 10)
    draws = crop_cache.Draws(100, 10, 0, even)
    drawn = []
    for epoch in range(20):
        draws.set_epoch(epoch)
        drawn += [labels[number] for _, numbers in draws for number in numbers]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)


def test_balance_weighs_the_loss_or_the_draw(
    dots: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, tuple[Any, Any]] = {}
    few = replace(dots, cells=tuple(c for c in dots.cells if c.label != EIGHT[0] or c.id == 0))
    given_job = job(few, tmp_path)

    def look(learner: loop.Learner, train: Any, *_: Any) -> None:
        seen[balance] = learner.class_weights, train.sampler.weights
        raise Killed

    monkeypatch.setattr(loop, "run", look)
    for balance in ("none", "loss", "draw"):
        with pytest.raises(Killed):
            classifiers.train(given_job, numbers(**TINY, balance=balance))
    assert seen["none"] == (None, None)
    crops = Crops(given_job.train, padding=50)
    weights, drawn = seen["loss"][0], seen["draw"][1]
    torch.testing.assert_close(weights, crops.weights)
    assert seen["loss"][1] is None
    assert seen["draw"][0] is None
    expected = crops.sample_weights.numpy()
    np.testing.assert_allclose(drawn, expected / expected.sum())


def test_pictures_are_turned_all_eight_ways_alike() -> None:
    picture = torch.arange(3 * 5 * 5, dtype=torch.uint8).view(3, 5, 5)
    torch.manual_seed(0)
    turned = (augment(picture.expand(4000, 3, 5, 5), colour=0) * 255).round().to(torch.uint8)
    ways = [
        torch.rot90(side, quarters, (1, 2)) for side in (picture, picture.flip(2)) for quarters in range(4)
    ]
    counts = [sum(torch.equal(one, way) for one in turned) for way in ways]
    assert sum(counts) == 4000
    assert min(counts) > 420


def test_colours_move_a_little_and_each_picture_s_by_itself() -> None:
    grey = torch.randint(60, 200, (1, 3, 8, 8), dtype=torch.uint8).expand(64, 3, 8, 8)
    torch.manual_seed(1)
    moved = augment(grey, colour=0.1)
    assert 0 <= moved.min() <= moved.max() <= 1
    means = moved.mean((1, 2, 3))
    assert means.std() > 0.01
    assert ((means / (grey.float().mean() / 255)) - 1).abs().max() < 0.11


def test_hed_gives_an_epoch_the_same_pictures_whoever_loads_them(dots: Dataset, tmp_path: Path) -> None:
    kept = crop_cache.write(dots, tmp_path, crop_cache.Prepare(32), 50)
    jittered = crop_cache.Pictures(kept.file, kept.labels, stain.augmentation("hed"), 4)
    state = torch.get_rng_state()
    first, again, later = jittered[0, [3, 4]][0], jittered[0, [4, 3]][0].flip(0), jittered[1, [3, 4]][0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, kept[0, [3, 4]][0])
    assert torch.equal(kept[0, [3, 4]][0], kept[1, [3, 4]][0])


@pytest.mark.trains
@pytest.mark.parametrize("kind", ["reinhard", "macenko"])
def test_normalised_stain_is_normalised_in_prediction_too(kind: str, smears: Dataset, tmp_path: Path) -> None:
    few = smears.select(images=[image.id for image in smears.images if smears.cells_of(image)][:4])
    settings = numbers(**TINY, epochs=1, stain=kind)
    classifiers.train(job(few, tmp_path), settings)
    classifier = classifiers.load(tmp_path, settings, EIGHT, "cpu")
    assert isinstance(classifier, CellClassifier)
    reference = classifier.preparation.reference
    assert reference is not None
    assert reference.images == len(job(few, tmp_path).train.cells)
    crop = np.asarray(Crops(few, padding=50)[0][0])
    other = (crop * 0.8).astype(np.uint8)
    expected = crop_cache.Prepare(32)(stain.augmentation(kind, reference)(other))  # type: ignore[arg-type]
    assert torch.equal(classifier.prepare(other), expected)
    assert not torch.equal(classifier.prepare(other), crop_cache.Prepare(32)(other))


@pytest.mark.trains
def test_mixed_precision_trains_and_predicts(dots: Dataset, tmp_path: Path) -> None:
    settings = numbers(**{**TINY, "precision": "bf16-mixed"}, epochs=1)
    record = classifiers.train(job(dots, tmp_path), settings)
    assert record["epochs"] == 1
    classifier = classifiers.load(tmp_path, settings, EIGHT, "cpu")
    found = classifier.probabilities(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(1), torch.ones(2))


@pytest.mark.parametrize("name", ["resnet50", "dinobloom"])
def test_the_paper_s_numbers(name: str) -> None:
    settings = numbers(name, "paper")
    # section 2.3.2; of ResNet50, Appendix D tells that it was still training at epoch 83
    assert (settings.probe_epochs, settings.epochs) == (10, 50 if name == "dinobloom" else 100)
    assert (settings.image_size, settings.padding) == (224, 50)
    assert settings.lr < settings.probe_lr
    assert settings.balance == "none"
    assert isinstance(numbers(name, "quick"), type(settings))
    json.dumps(config.find(name).presets)


def test_cells_are_counted_exactly_in_half_precision() -> None:
    """A product of matrices would round counts above 256."""
    phase = loop.Phase(
        name="tune",
        number=0,
        epochs=1,
        rate=1e-3,
        weight_decay=0.0,
        warmup=0.0,
        patience=0,
        precision="bf16-mixed",
        deterministic=True,
    )
    learner = loop.Learner(torch.nn.Flatten(), phase, classes=2, seed=0, steps=1)
    logits = torch.tensor([[1.0, 0.0]]).repeat(501, 1)
    with warnings.catch_warnings(), torch.autocast("cpu", torch.bfloat16):
        warnings.simplefilter("ignore")  # no trainer takes the log
        learner.validation_step((logits, torch.zeros(501, dtype=torch.long)), 0)
        learner.validation_step((logits, torch.ones(501, dtype=torch.long)), 0)
    assert learner.confusion[0].tolist() == [[501, 0], [501, 0]]
