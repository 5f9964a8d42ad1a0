"""YOLO on the sample: it learns, as it was told, alone, and after a kill as before; and finds what YOLO finds."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file, save_file
from smoke_runs import SmokeRuns

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, sample
from pcm_leukemia.baselines import config, inference, stain, yolo11m
from pcm_leukemia.baselines.contract import Detector, Job
from pcm_leukemia.baselines.metrics.detection import score
from pcm_leukemia.baselines.yolo11m import training, ultralytics
from pcm_leukemia.baselines.yolo11m.detector import Prepare
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, ExportError
from pcm_leukemia.schema import ImageId, Taxonomy
from pcm_leukemia.torchdata import Frames

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
BASELINE = config.find("yolo11m")
TWO = Taxonomy("two", ("Round", "Square"))
TINY = {
    "image_size": 64,
    "batch": 2,
    "nominal_batch": 4,
    "epochs": 4,
    "no_augment_last": 1,
    "warmup_epochs": 1,
    "cache_images": False,
}


def tiny(**changes: Any) -> yolo11m.Settings:
    settings: yolo11m.Settings = config.settings(BASELINE, "smoke", {**TINY, **changes})
    return settings


def smears(folder: Path, count: int, suffix: str = "png") -> Dataset:
    """`count` images of 96 x 64 with two cells each; the first is a negative, and no file is where its name says."""
    rng = np.random.default_rng(0)
    images, cells = [], []
    for number in range(count):
        pixels = rng.integers(180, 256, (64, 96, 3), dtype=np.uint8)
        image = Image(ImageId(f"P{number}/images/a.{suffix}"), 96, 64, file=f"{number}.{suffix}")
        images.append(image)
        for place in range(2 if number else 0):
            x, y = 8 + 40 * place, 10 + number % 4
            pixels[y : y + 30, x : x + 30] = (90, 40 + 90 * place, 130)
            cells.append(Cell(image.id, place, TWO.labels[place], Box(x, y, x + 30, y + 30)))
        folder.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(folder / f"{number}.{suffix}")
    return Dataset("smears", TWO, tuple(images), tuple(cells), root=folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return smears(tmp_path_factory.mktemp("small"), 5)


def job(ds: Dataset, out: Path, **more: Any) -> Job:
    out.mkdir(exist_ok=True)
    return Job(ds, ds, out, **more)


# What it learns


class Learned(NamedTuple):
    """The smoke preset on the sample, task wbc."""

    ds: Dataset
    out: Path
    settings: yolo11m.Settings
    result: Mapping[str, Any]
    detector: Any


@pytest.fixture(scope="module")
def learned(smoke_runs: SmokeRuns) -> Learned:
    run = smoke_runs.run("yolo11m-wbc")
    ds = smoke_runs.ds.task("wbc")
    return Learned(ds, run.folder, run.settings, run.record["result"], run.detector("cpu"))


@pytest.mark.trains
def test_it_finds_white_cells_of_patients_not_seen(learned: Learned) -> None:
    test = learned.ds.part("test")
    assert not {image.patient for image in test.images} & {i.patient for i in learned.ds.part("train").images}
    found = inference.detect(learned.detector, test, workers=1)
    scores = score(test, found, threshold=0.25)
    assert scores.of["WBC"].ap50 is not None
    assert scores.of["WBC"].ap50 > 0.6
    assert scores.recall is not None
    assert scores.recall > 0.6
    # chance: what was found in the image before
    ids = [image.id for image in test.images]
    elsewhere = score(test, {image: found[ids[n - 1]] for n, image in enumerate(ids)})
    assert elsewhere.of["WBC"].ap50 is not None
    assert elsewhere.of["WBC"].ap50 < 0.15


@pytest.mark.trains
def test_it_learns_by_the_optimizer_that_was_asked_for(learned: Learned) -> None:
    """`optimizer="auto"` would take another one, at a rate of its own, and say so in a line of the log only."""
    assert learned.result["optimizer"] == "SGD"
    assert learned.result["lr"] == learned.settings.lr == 0.02
    paper = config.settings(BASELINE)
    assert (paper.lr, paper.final_lr_fraction, paper.epochs, paper.image_size) == (0.01, 0.01, 100, 640)
    assert (paper.flip_horizontal, paper.flip_vertical, paper.patience) == (0.5, 0.5, 15)
    assert paper.rotation > 0


@pytest.mark.trains
def test_the_best_epoch_is_kept(learned: Learned) -> None:
    with (learned.out / "logs" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 25))
    assert float(rows[-1]["train_cls"]) < 0.5 * float(rows[0]["train_cls"])
    assert float(rows[-1]["lr"]) < 0.1 * learned.settings.lr
    best = max(rows, key=lambda row: float(row["val_AP"]))
    assert learned.result["best_epoch"] == int(best["epoch"])
    assert learned.result["val_AP"] == float(best["val_AP"])
    assert learned.result["chosen_by"] == "val_AP"
    # ultralytics counts a little otherwise than COCO, on images that it has not padded to a square
    val = learned.ds.part("val")
    scores = score(val, inference.detect(learned.detector, val, workers=1), draws=0)
    assert scores.overall.ap == pytest.approx(learned.result["val_AP"], abs=0.06)


@pytest.mark.trains
def test_nothing_is_left_but_the_model_and_its_log(learned: Learned) -> None:
    files = {path.relative_to(learned.out).as_posix() for path in learned.out.rglob("*")}
    of_any_run = {name for name in files if name.split("/")[0] in ("data", "run.json", "scores")}
    assert sorted(files - of_any_run) == ["logs", "logs/metrics.csv", "model.safetensors"]


# What it finds is what YOLO finds


@pytest.mark.trains
@pytest.mark.parametrize("multi_label", [False, True])
def test_it_finds_what_ultralytics_predicts(learned: Learned, multi_label: bool) -> None:  # noqa: FBT001
    from ultralytics.models.yolo.model import YOLO

    settings = config.settings(BASELINE, "smoke", {"confidence": 0.05})
    detector = yolo11m.load(learned.out, settings, learned.ds.taxonomy.labels, "cpu")
    assert isinstance(detector, Detector)
    test = learned.ds.part("test")
    frames = Frames(test, test.images[:5])
    shapes = [
        frames.load(0),
        frames.load(1)[:700, :900],
        frames.load(2)[100:1000, 50:600],
        frames.load(3)[::2, ::2],
    ]
    sizes = [(image.shape[1], image.shape[0]) for image in shapes]
    raw = detector.forward(torch.stack([detector.prepare(image) for image in shapes]))
    found = detector.detections(raw, sizes, multi_label=multi_label)
    again = detector.detections(raw, sizes, multi_label=multi_label)
    assert [each.scores.tolist() for each in again] == [each.scores.tolist() for each in found]
    theirs: Any = YOLO("yolo11n.yaml", verbose=False)
    theirs.model = learned.detector.model
    bgr = [np.ascontiguousarray(image[..., ::-1]) for image in shapes]
    results = [
        theirs.predict(each, imgsz=192, rect=False, conf=0.05, iou=0.7, save=False, verbose=False)[0].boxes
        for each in bgr
    ]
    assert sum(len(each.scores) for each in found) > 10
    for ours, theirs_here in zip(found, results, strict=True):
        confidence = theirs_here.conf.numpy()
        if multi_label:  # more boxes, of second classes
            assert len(ours.scores) >= len(confidence)
            assert set(confidence.round(3)) <= set(ours.scores.round(3))
            continue
        np.testing.assert_allclose(ours.scores, confidence, atol=1e-4)
        np.testing.assert_allclose(ours.boxes, theirs_here.xyxy.numpy(), atol=0.05)
        np.testing.assert_array_equal(ours.labels, theirs_here.cls.numpy().astype(int))


@pytest.mark.trains
def test_boxes_are_in_pixels_of_the_annotated_image_and_inside_it(learned: Learned) -> None:
    test = learned.ds.part("test")
    for image, found in inference.detect(learned.detector, test, workers=1).items():
        width, height = test.image(image).width, test.image(image).height
        assert (width, height) == (1920, 1080)
        assert found.boxes.dtype == np.float32
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [width, height, width, height]).all()
        assert (np.diff(found.scores) <= 0).all()
        assert found.labels.dtype == np.int64


# Again, and after a kill


@pytest.mark.trains
def test_the_same_seed_gives_the_same_bytes_and_a_killed_run_ends_as_it_would_have(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five images in batches of two, a step every four: gradients are under way when an epoch ends."""
    settings = tiny()
    whole = yolo11m.train(job(small, tmp_path / "whole"), settings)
    assert whole["epochs"] == 4
    callbacks = training.Trainer.run_callbacks
    under_way = []
    for epoch in (1, 2, 3):

        def kill(trainer: Any, event: str, epoch: int = epoch) -> None:
            callbacks(trainer, event)
            if event == "on_train_batch_end" and trainer.epoch == epoch:
                raise KeyboardInterrupt

        killed = job(small, tmp_path / f"killed{epoch}")
        monkeypatch.setattr(training.Trainer, "run_callbacks", kill)
        with pytest.raises(KeyboardInterrupt):
            yolo11m.train(killed, settings)
        monkeypatch.undo()
        log = (killed.out / "logs" / "metrics.csv").read_text(encoding="utf-8")
        assert len(log.splitlines()) == epoch + 1
        under_way.append(len(torch.load(killed.out / "checkpoint.pt", weights_only=True)["gradients"]))
        assert yolo11m.train(replace(killed, resume=True), settings) == whole
        assert contents(killed.out) == contents(tmp_path / "whole")
    assert max(under_way) > 0 == min(under_way)
    # without resume, what is there is no matter; and another seed is another run
    assert yolo11m.train(killed, settings) == whole
    other = yolo11m.train(job(small, tmp_path / "other", seed=1), settings)
    assert contents(tmp_path / "other") != contents(killed.out)
    assert other["epochs"] == 4


@pytest.mark.trains
def test_a_training_without_a_step_is_no_training(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if ultralytics called the end of a batch by another name."""
    callbacks = training.Trainer.run_callbacks

    def renamed(trainer: Any, event: str) -> None:
        callbacks(trainer, f"{event}_later" if event == "on_train_batch_end" else event)

    monkeypatch.setattr(training.Trainer, "run_callbacks", renamed)
    with pytest.raises(RuntimeError, match=r"ultralytics 8\.\d.* trained without a step of the optimizer"):
        yolo11m.train(job(small, tmp_path / "run"), tiny(epochs=1, no_augment_last=0))


@pytest.mark.trains
def test_a_run_that_was_killed_after_its_last_epoch_is_not_trained_on(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny(epochs=1, no_augment_last=0)
    whole = yolo11m.train(job(small, tmp_path / "whole"), settings)
    late = job(small, tmp_path / "late")

    def kill(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Trainer, "final_eval", kill)
    with pytest.raises(KeyboardInterrupt):
        yolo11m.train(late, settings)
    # it would be killed again if it trained again
    assert yolo11m.train(replace(late, resume=True), settings) == whole
    assert contents(late.out) == contents(tmp_path / "whole")


def contents(folder: Path) -> Mapping[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Alone


@pytest.mark.trains
def test_it_keeps_to_its_folder_and_asks_no_one(tmp_path: Path) -> None:
    """In a process of its own, with a home, a folder to stand in, and a net in which every attempt is caught."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import socket, subprocess, sys
            from pathlib import Path

            asked = []
            def refuse(*address, **_):
                asked.append(address[:2])
                raise OSError("no network here")
            socket.getaddrinfo = socket.create_connection = refuse
            socket.socket.connect = lambda self, address: refuse(address)

            from pcm_leukemia.baselines.contract import Job
            from pcm_leukemia.baselines import yolo11m
            sys.path[:0] = sys.argv[2:]
            import test_yolo11m as tests

            ds = tests.smears(Path(sys.argv[1]) / "images", 3)
            yolo11m.train(tests.job(ds, Path(sys.argv[1]) / "out"), tests.tiny(epochs=1, no_augment_last=0))
            assert not asked, asked
            """
        ),
        encoding="utf-8",
    )
    for name in ("home", "stand", "data", "tmp"):
        (tmp_path / name).mkdir()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("YOLO", "XDG", "PYTEST"))},
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(Path(pcm.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, script, tmp_path / "data", *Path(__file__).parents[:2]],
        cwd=tmp_path / "stand",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    left = {
        path.relative_to(tmp_path).as_posix()
        for name in ("home", "stand", "tmp")
        for path in (tmp_path / name).rglob("*")
    }
    # matplotlib, which ultralytics imports, keeps a list of fonts
    assert {
        path for path in left if "matplotlib" not in path and path not in {"home/.cache", "home/.config"}
    } == set()
    assert contents(tmp_path / "data" / "out").keys() == {"model.safetensors", "logs/metrics.csv"}


@pytest.mark.trains
def test_a_bar_is_shown_if_asked_for_and_nothing_else(
    small: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny(epochs=1, no_augment_last=0, cache_images=True)
    yolo11m.train(job(small, tmp_path / "quiet"), settings)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    yolo11m.train(job(small, tmp_path / "bar", progress=True), settings)
    shown = capsys.readouterr()
    assert "training" in shown.err
    assert "100%" in shown.err
    assert shown.out == ""
    assert contents(tmp_path / "quiet") == contents(tmp_path / "bar")


@pytest.mark.trains
def test_the_users_own_ultralytics_is_as_it_was_afterwards(small: Dataset, tmp_path: Path) -> None:
    from ultralytics.utils import LOGGER, SETTINGS

    before = dict(SETTINGS), LOGGER.level, dict(os.environ), torch.are_deterministic_algorithms_enabled()
    yolo11m.train(job(small, tmp_path / "run"), tiny(epochs=1, no_augment_last=0))
    after = dict(SETTINGS), LOGGER.level, dict(os.environ), torch.are_deterministic_algorithms_enabled()
    assert after == before


@pytest.mark.trains
def test_images_stay_as_they_are(tmp_path: Path) -> None:
    """Ultralytics writes a JPEG anew that has anything after its end: in place of the link, not where it leads."""
    ds = smears(tmp_path / "images", 3, "jpg")
    file = tmp_path / "images" / "1.jpg"
    file.write_bytes(file.read_bytes() + b"from the camera")
    before = contents(tmp_path / "images")
    yolo11m.train(job(ds, tmp_path / "run"), tiny(epochs=1, no_augment_last=0))
    assert contents(tmp_path / "images") == before


@pytest.mark.trains
def test_images_in_a_zip_are_copied_meanwhile(tmp_path: Path) -> None:
    ds = smears(tmp_path / "images", 3)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for file in sorted((tmp_path / "images").iterdir()):
            archive.write(file, file.name)
    settings = tiny(epochs=1, no_augment_last=0)
    linked = yolo11m.train(job(ds, tmp_path / "linked"), settings)
    copied = yolo11m.train(job(replace(ds, root=tmp_path / "images.zip"), tmp_path / "copied"), settings)
    assert linked == copied
    assert contents(tmp_path / "linked") == contents(tmp_path / "copied")


@pytest.mark.trains
def test_images_that_ultralytics_leaves_out_are_told_of(tmp_path: Path) -> None:
    ds = smears(tmp_path / "images", 3)
    PIL.Image.new("RGB", (96, 8)).save(tmp_path / "images" / "thin.png")
    thin = Image(ImageId("thin.png"), 96, 8, file="thin.png")
    ds = replace(ds, images=(*ds.images, thin))
    with pytest.warns(
        DataWarning, match="ultralytics leaves out 1 of 4 images, because they are damaged, or"
    ) as told:
        yolo11m.train(job(ds, tmp_path / "run"), tiny(epochs=1, no_augment_last=0))
    assert {str(each.message).partition(":")[0] for each in told} == {"train", "val"}


def test_images_must_have_files(small: Dataset, tmp_path: Path) -> None:
    images = (replace(small.images[0], file=None), *small.images[1:])
    with pytest.raises(DataNotFound, match="1 of 5 images have no file"):
        yolo11m.train(job(replace(small, images=images), tmp_path / "run"), tiny())


def test_images_that_ultralytics_would_read_as_black_are_refused(small: Dataset, tmp_path: Path) -> None:
    images = (replace(small.images[0], white_level=4095.0), *small.images[1:])
    with pytest.raises(
        ExportError, match="1 image has more than 8 bits a channel, the first .* as black; save"
    ):
        yolo11m.train(job(replace(small, images=images), tmp_path / "run"), tiny())


# Weights


def ultralytics_file(learned: Learned, path: Path) -> Path:
    """The trained model as ultralytics itself keeps it."""
    model: Any = ultralytics.build("yolo11n", 2)
    model.load_state_dict(load_file(learned.out / "model.safetensors"))
    torch.save({"model": model, "train_args": {}}, path)
    return path


@pytest.mark.trains
def test_it_begins_with_the_weights_of_a_file_and_stops_when_nothing_gets_better(
    learned: Learned, tmp_path: Path
) -> None:
    path = ultralytics_file(learned, tmp_path / "mine.pt")
    train = learned.ds.part("train")
    few = train.select(images={image.id for image in train.images[:6]})
    changes = {"weights": str(path), "lr": "0", "epochs": "9", "patience": "2", "no_augment_last": "9"}
    settings = config.settings(BASELINE, "smoke", changes)
    result = yolo11m.train(Job(few, few, tmp_path), settings)
    tensors = len(load_file(tmp_path / "model.safetensors"))
    assert result["weights"] == f"mine.pt: {tensors} of {tensors} tensors"
    assert result["epochs"] == result["best_epoch"] + 2 < 9
    assert result["val_AP"] > 0.1
    before, after = (load_file(folder / "model.safetensors") for folder in (learned.out, tmp_path))
    name = "model.0.conv.weight"
    torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)


@pytest.mark.trains
def test_a_head_for_other_classes_is_made_anew(learned: Learned, small: Dataset, tmp_path: Path) -> None:
    path = ultralytics_file(learned, tmp_path / "mine.pt")
    nine = replace(small, taxonomy=NINE, cells=())
    cells = tuple(Cell(c.image, c.id, "Monocyte", c.box) for c in small.cells)
    result = yolo11m.train(
        job(replace(nine, cells=cells), tmp_path / "run"),
        tiny(weights=str(path), epochs=1, no_augment_last=0),
    )
    fit, of = (int(word) for word in result["weights"].split() if word.isdigit())
    assert 0.8 * of < fit < of


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/pcm-leukemia-was-here",)


def test_weights_that_are_none(small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, sentence in {
        b"nonsense": "does not hold a model of ultralytics",
        b"": "does not hold a model of ultralytics",
    }.items():
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(CorruptFile, match=sentence):
            ultralytics.pretrained(str(tmp_path / "bad.pt"))
    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CorruptFile, match="give the .pt file of one of its detectors"):
        ultralytics.pretrained(str(tmp_path / "evil.pt"))
    assert not Path("/tmp/pcm-leukemia-was-here").exists()
    with pytest.raises(
        DataNotFound, match='weights "yolo99.pt": neither a file nor the name of one that ultralytics offers'
    ):
        ultralytics.pretrained("yolo99.pt")
    # from where it is told to fetch, with the code that fetches
    monkeypatch.setattr(ultralytics, "_RELEASE", (tmp_path / "release").as_uri())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with pytest.raises(
        DataNotFound, match=r'weights "yolo11n.pt": cannot be downloaded from file:.*; download the file'
    ):
        ultralytics.pretrained("yolo11n.pt")
    (tmp_path / "release").mkdir()
    model = ultralytics.build("yolo11n", 80)
    torch.save({"model": model}, tmp_path / "release" / "yolo11n.pt")
    again = ultralytics.pretrained("yolo11n.pt")
    assert again.state_dict().keys() == model.state_dict().keys()
    assert (tmp_path / "hub" / "checkpoints" / "yolo11n.pt").is_file()
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "linear.pt")
    with pytest.raises(ValueError, match="do not fit yolo11n; give weights of that model, or none"):
        yolo11m.train(job(small, tmp_path / "run"), tiny(weights=str(tmp_path / "linear.pt")))


def test_models_that_are_none(small: Dataset, tmp_path: Path) -> None:
    for name in ("yolo99", "yolo11n-seg", "../yolo11n", "https://example.org/yolo11n"):
        with pytest.raises(ValueError, match="ultralytics has no such detector; give a name such as yolo11m"):
            yolo11m.train(job(small, tmp_path / "run"), tiny(model=name))
    assert not any((tmp_path / "run").iterdir())


@pytest.mark.trains
@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_any_detector_by_name(small: Dataset, tmp_path: Path, name: str) -> None:
    """yolo26 suppresses doubles itself, and has no third loss."""
    settings = tiny(model=name, epochs=1, no_augment_last=0)
    result = yolo11m.train(job(small, tmp_path / "run"), settings)
    assert result["epochs"] == 1
    detector = yolo11m.load(tmp_path / "run", settings, TWO.labels, "cpu")
    found = inference.detect(detector, small, workers=1)
    assert len(found) == 5


@pytest.mark.trains
def test_a_model_is_loaded_for_the_classes_that_it_was_trained_for(learned: Learned, tmp_path: Path) -> None:
    with pytest.raises(
        CorruptFile, match="was trained for the labels WBC, Other, not Other, WBC; give the labels in"
    ):
        yolo11m.load(learned.out, learned.settings, ("Other", "WBC"), "cpu")
    with pytest.raises(DataNotFound, match="no such file of weights"):
        yolo11m.load(tmp_path, learned.settings, ("WBC", "Other"), "cpu")
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CorruptFile, match="does not name its model"):
        yolo11m.load(tmp_path, learned.settings, ("WBC", "Other"), "cpu")


# Stain


@pytest.mark.trains
@pytest.mark.parametrize("kind", ["reinhard", "macenko"])
def test_a_normalised_stain_is_normalised_whenever_an_image_is_looked_at(tmp_path: Path, kind: str) -> None:
    export = sample.write(tmp_path / "export.zip", patients=2, images=3)
    ds = pcm.load_dataset(export, patients=PATTERN).task("wbc")
    settings = config.settings(
        BASELINE, "smoke", {"stain": kind, "epochs": 1, "no_augment_last": 0, "image_size": 96}
    )
    yolo11m.train(job(ds, tmp_path / "run"), settings)
    detector = yolo11m.load(tmp_path / "run", settings, ("WBC", "Other"), "cpu")
    frames = Frames(ds, ds.images)
    image = frames.load(0)
    other = np.clip(image * [0.7, 0.9, 1.1], 0, 255).astype(np.uint8)
    plain = Prepare(96, None)
    apart = (plain(image).float() - plain(other).float()).abs().mean()
    near = (detector.prepare(image).float() - detector.prepare(other).float()).abs().mean()
    assert near < 0.4 * apart
    reference = stain.Reference.from_json((tmp_path / "run" / "stain.json").read_bytes())
    assert reference.images == 3
    # the grey around it is not part of the smear
    assert set(detector.prepare(image)[:, 0].flatten().tolist()) == {114}
    (tmp_path / "run" / "stain.json").unlink()
    with pytest.raises(
        DataNotFound, match="lacks stain.json, the colours that images are normalised to; copy"
    ):
        yolo11m.load(tmp_path / "run", settings, ("WBC", "Other"), "cpu")


@pytest.mark.trains
def test_stain_is_changed_where_it_should_be(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In training and validation if it is normalised, in training alone if it is changed at random."""
    seen: dict[str, set[str]] = {}
    build = training.Trainer.build_dataset

    def watch(trainer: Any, path: str, mode: str = "train", batch: int | None = None) -> Any:
        dataset = build(trainer, path, mode, batch)
        before = super(type(dataset), dataset).load_image(1)[0] if hasattr(dataset, "recolour") else None
        changed = before is not None and not np.array_equal(before, dataset.load_image(1)[0])
        seen.setdefault(trainer.plan.stain, set()).update({mode} if changed else set())
        return dataset

    monkeypatch.setattr(training.Trainer, "build_dataset", watch)
    for kind in ("none", "hed", "reinhard"):
        yolo11m.train(job(small, tmp_path / kind), tiny(stain=kind, epochs=1, no_augment_last=0))
    assert seen == {"none": set(), "hed": {"train"}, "reinhard": {"train", "val"}}


# Settings


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_size": 100}, "^setting image_size: is 100; give a multiple of 32, such as 640$"),
        ({"epochs": 0}, "^setting epochs: is 0; give 1 or more$"),
        ({"mosaic": 2.0}, "^setting mosaic: is 2.0; give 0 to 1$"),
        ({"lr": -1.0}, "^setting lr: is -1.0; give 0 or more$"),
        ({"precision": "8"}, 'setting precision: is "8"; give auto, 32, 32-true, bf16'),
        ({"stain": "pink"}, "setting stain: is pink; give one of none, hed, reinhard, macenko"),
    ],
)
def test_impossible_settings(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tiny(**change)
