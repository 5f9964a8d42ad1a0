"""RT-DETRv2 with DEIM in training: it learns, goes on after a kill, and is read as it was written."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from msgspec.structs import replace
from smoke_runs import SmokeRuns
from torch import nn
from torch.utils.data import DataLoader
from transformers import RTDetrImageProcessor

from pcm_leukemia import NINE, Box, Cell, Dataset, Image
from pcm_leukemia.baselines import config, rtdetrv2_deim, stain
from pcm_leukemia.baselines.contract import Detections, Detector, Job, Target
from pcm_leukemia.baselines.metrics.average_precision import Cells
from pcm_leukemia.baselines.metrics.average_precision import of_arrays as average_precision
from pcm_leukemia.baselines.rtdetrv2_deim import Settings
from pcm_leukemia.baselines.rtdetrv2_deim.augmentation import Picture
from pcm_leukemia.baselines.rtdetrv2_deim.data import Chances, Order, Views, collate, images_of
from pcm_leukemia.baselines.rtdetrv2_deim.detector import Prepare, RtDetr, scaled
from pcm_leukemia.baselines.rtdetrv2_deim.training import Training, fabric_of
from pcm_leukemia.baselines.rtdetrv2_deim.weights import starting_model
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.schema import ImageId
from pcm_leukemia.torchdata import Detection

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes:UserWarning"),
]
PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def settings(preset: str = "smoke", **changes: Any) -> Settings:
    made: Settings = config.settings(config.find("rtdetrv2_deim"), preset, changes)
    return made


def smears(folder: Path, count: int = 6, width: int = 160, height: int = 120) -> Dataset:
    """`count` images with a dark blue WBC and a red Other in each but the last, which shows none."""
    rng = np.random.default_rng(0)
    rows, cells = [], []
    folder.mkdir()
    for number in range(count):
        name = f"{number}.png"
        pixels = rng.integers(200, 240, (height, width, 3), dtype=np.uint8)
        rows.append(Image(ImageId(name), width, height, file=name))
        for n, (label, colour) in enumerate((("Lymphocyte", (40, 20, 120)), ("Other", (200, 40, 40)))):
            if number < count - 1:
                x, y = (int(rng.integers(0, side - 50)) for side in (width, height))
                pixels[y : y + 40, x : x + 40] = colour
                cells.append(Cell(ImageId(name), n, label, Box(x, y, x + 40, y + 40)))
        PIL.Image.fromarray(pixels).save(folder / name)
    return Dataset("smears", NINE, tuple(rows), tuple(cells), root=folder).task("wbc")


# --------------------------------------------------------------------------------------- what training sees

EVERYTHING = Chances(
    size=64, first=1, flat=3, last=4, mosaic=0.5, photometric_distort=0.5, zoom_out=0.5, iou_crop=0.8, rotation=10.0, flip_horizontal=0.5, flip_vertical=0.5
)  # fmt: skip


def test_an_item_is_the_same_whoever_makes_it(tmp_path: Path) -> None:
    views = Views(Detection(smears(tmp_path / "a")), EVERYTHING, seed=3)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    alone = [views[2, number] for number in range(6)]
    assert torch.equal(torch.get_rng_state(), state)
    order = Order(6, 0)
    order.epoch = 2
    loader = DataLoader(views, batch_size=1, sampler=order, num_workers=2, collate_fn=collate)
    for (_, number), batch in zip(order, loader, strict=True):
        assert torch.equal(batch.images[0], alone[number].pixels)
        assert torch.equal(batch.coverage[0], alone[number].covered)
        drawn = alone[number].distortion
        assert batch.distortion is not None
        assert drawn is not None
        for theirs, ours in zip(batch.distortion, drawn, strict=True):
            assert torch.equal(theirs[0], ours)
        assert batch.labels.tolist() == alone[number].labels.tolist()
    assert not torch.equal(views[1, 0].pixels, views[2, 0].pixels)
    assert not torch.equal(Views(views.images, EVERYTHING, seed=4)[2, 0].pixels, alone[0].pixels)


def test_what_is_done_in_which_epoch(tmp_path: Path) -> None:
    images = Detection(smears(tmp_path / "a", count=2))
    always = EVERYTHING._replace(
        mosaic=1.0,
        photometric_distort=0.0,
        zoom_out=0.0,
        iou_crop=0.0,
        rotation=0.0,
        flip_horizontal=0.0,
        flip_vertical=0.0,
    )
    views = Views(images, always, seed=0)
    plain = views[0, 0]
    # before the first and from the last, an image is only squeezed; from `flat` on there are no mosaics
    for epoch in (3, 4, 9):
        assert torch.equal(views[epoch, 0].pixels, plain.pixels)
    for epoch in (1, 2):
        assert not torch.equal(views[epoch, 0].pixels, plain.pixels)
    assert plain.boxes.tolist() == [
        pytest.approx([box[0] * 0.4, box[1] * 64 / 120, box[2] * 0.4, box[3] * 64 / 120])
        for box in images[0][1]["boxes"].tolist()
    ]
    flipped = Views(images, always._replace(flip_horizontal=1.0), seed=0)
    assert torch.equal(flipped[0, 0].pixels, plain.pixels.flip(2))
    coloured = Views(images, always._replace(photometric_distort=1.0), seed=0)
    assert torch.equal(images_of(collate([coloured[4, 0]]))[0], plain.pixels)
    assert not torch.equal(images_of(collate([coloured[3, 0]]))[0], plain.pixels)
    assert torch.equal(coloured[3, 0].pixels, plain.pixels)
    assert torch.equal(coloured[3, 0].boxes, plain.boxes)


def test_colours_are_changed_as_the_stain_says(tmp_path: Path) -> None:
    images = Detection(smears(tmp_path / "a", count=2))
    dark = Views(
        images, EVERYTHING._replace(flip_horizontal=0.0, flip_vertical=0.0), 0, lambda pixels: pixels // 2
    )
    light = Views(images, EVERYTHING._replace(flip_horizontal=0.0, flip_vertical=0.0), 0)
    assert torch.equal(dark[0, 0].pixels, light[0, 0].pixels // 2)


@pytest.mark.parametrize("kind", ["reinhard", "macenko"])
@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_a_part_is_normalised_as_the_whole_image_is_when_scored(
    tmp_path: Path, kind: stain.Kind, mosaic: float
) -> None:
    """Frames of flat tiles, whose stain gets stronger from left to right, so that parts have other numbers."""
    amounts = np.stack(np.meshgrid(np.linspace(0, 1.4, 6), [0.1, 0.9, 0.2, 0.5], [0.0]), -1)[..., 0, :2]
    light = np.array([240, 235, 225]) * np.exp(-amounts @ np.array([[0.73, 0.66, 0.18], [0.15, 0.8, 0.58]]))
    tiles = light.round().astype(np.uint8).repeat(40, 0).repeat(40, 1)
    ds = smears(tmp_path / "a", count=2, width=240, height=160)
    for number in range(2):
        PIL.Image.fromarray(tiles).save(tmp_path / "a" / f"{number}.png")
    normalise = stain.augmentation(kind, stain.Reference.of([tiles // 2 + 40]))
    when_scored = Prepare(64, normalise)(tiles).flatten(1)
    known = {tuple(colour) for colour in when_scored.T.tolist()}
    crops = EVERYTHING._replace(mosaic=mosaic, photometric_distort=0.5, iou_crop=1.0, rotation=0.0)
    views = Views(Detection(ds), crops, 0, normalise)
    for epoch in range(1, 3):
        for number in range(2):
            picture = views[epoch, number]
            inside = picture.pixels[:, (picture.pixels > 0).any(0)]
            colours, counts = inside.unique(dim=1, return_counts=True)  # type: ignore[no-untyped-call]
            # the colours of tiles, not those between two tiles
            flat = colours[:, counts.topk(2).indices].T.tolist()
            assert {tuple(colour) for colour in flat} <= known
            assert picture.distortion is not None
    # contrast, too, knows the image in its new colours
    torch.manual_seed(0)
    (alone,) = [Views(Detection(ds), crops._replace(mosaic=0.0), 0, normalise)[3, 0].distortion]
    assert alone is not None
    assert {tuple(colour) for colour in alone.sample.flatten(1).T.tolist()} <= known


# --------------------------------------------------------------------------------------------- the detector


class _Fixed(nn.Module):
    """Stands in for a trained network: says the same of every image."""

    def __init__(self, logits: Sequence[Sequence[float]], boxes: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.device = nn.Parameter(torch.zeros(1))
        self.logits, self.boxes = torch.tensor(logits), torch.tensor(boxes)

    def forward(self, images: torch.Tensor) -> SimpleNamespace:
        count = len(images)
        return SimpleNamespace(
            logits=self.logits.repeat(count, 1, 1), pred_boxes=self.boxes.repeat(count, 1, 1)
        )


def test_what_is_found_is_told_in_the_pixels_of_the_image() -> None:
    logits = [[-2.0, 1.0], [3.0, 2.0], [0.0, -1.0]]
    boxes = [[0.5, 0.5, 0.2, 0.4], [0.25, 0.75, 0.5, 0.5], [0.0, 0.0, 0.2, 0.2]]
    detector = RtDetr(_Fixed(logits, boxes), ("WBC", "Other"), 64)  # type: ignore[arg-type]
    assert isinstance(detector, Detector)
    raw = detector.forward(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    wide, square = detector.detections(raw, [(1000, 100), (10, 10)], multi_label=False)
    # one label a query, the best first; boxes end at the image's border
    assert wide.labels.tolist() == [0, 1, 0]
    assert wide.scores.tolist() == pytest.approx([1 / (1 + math.exp(-x)) for x in (3, 1, 0)])
    assert wide.boxes.tolist() == [
        pytest.approx([0, 50, 500, 100]),
        pytest.approx([400, 30, 600, 70]),
        pytest.approx([0, 0, 100, 10]),
    ]
    assert square.boxes[1].tolist() == pytest.approx([4, 3, 6, 7])
    assert [str(each.dtype) for each in wide] == ["float32", "float32", "int64"]


def test_each_class_of_a_query_counts_when_it_is_scored() -> None:
    """As ``post_process_object_detection`` of transformers has it: the best pairs of query and class."""
    rng = np.random.default_rng(0)
    logits, boxes = rng.normal(size=(300, 9)), rng.uniform(0.3, 0.4, (300, 4))
    detector = RtDetr(_Fixed(logits.tolist(), boxes.tolist()), NINE.labels, 64)  # type: ignore[arg-type]
    (found,) = detector.detections(
        detector.forward(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)), [(640, 480)], multi_label=True
    )
    outputs = SimpleNamespace(
        logits=torch.tensor(logits[None], dtype=torch.float32),
        pred_boxes=torch.tensor(boxes[None], dtype=torch.float32),
    )
    processor = RTDetrImageProcessor()
    (theirs,) = processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=[(480, 640)])
    assert len(found.scores) == 300
    np.testing.assert_allclose(found.scores, theirs["scores"].numpy(), rtol=1e-6)
    np.testing.assert_array_equal(found.labels, theirs["labels"].numpy())
    np.testing.assert_allclose(found.boxes, theirs["boxes"].numpy(), rtol=1e-5)


def test_boxes_without_area_are_left_out() -> None:
    """A box of a tenth of a pixel beyond the border has no area in the image."""
    boxes = [[0.5, 0.5, 0.0, 0.4], [1.2, 0.5, 0.1, 0.1], [0.5, 0.5, 0.2, 0.2]]
    detector = RtDetr(_Fixed([[1.0, 0.0]] * 3, boxes), ("WBC", "Other"), 64)  # type: ignore[arg-type]
    raw = detector.forward(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    (found,) = detector.detections(raw, [(100, 100)], multi_label=False)
    assert found.boxes.tolist() == [pytest.approx([40, 40, 60, 60])]


def test_pixels_reach_the_network_in_its_units() -> None:
    model = starting_model(settings(), ("WBC", "Other")).model.eval()  # type: ignore[no-untyped-call]
    detector = RtDetr(model, ("WBC", "Other"), 128)
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    prepared = detector.prepare(image)
    assert prepared.shape == (3, 128, 128)
    assert prepared.dtype == torch.uint8
    with torch.no_grad():
        expected = (
            model(prepared[None].float() / 255).logits.sigmoid().amax(-1)[0].sort(descending=True).values
        )
    (seen,) = detector.detections(detector.forward(prepared[None]), [(120, 90)], multi_label=False)
    assert seen.scores.tolist() == pytest.approx(expected.tolist())
    white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    in_units = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert scaled(white, imagenet=True).flatten().tolist() == pytest.approx(in_units)


def found(boxes: Sequence[Sequence[float]], scores: Sequence[float], labels: Sequence[int]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64)
    )


def test_average_precision_by_hand() -> None:
    def cells(boxes: Sequence[Sequence[float]], labels: Sequence[int]) -> Cells:
        return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64)

    one, two = [10.0, 10, 30, 40], [50.0, 50, 90, 80]
    truth = [cells([one, two], [0, 1]), cells([], []), cells([one], [0])]
    exact = [found([one, two], [0.9, 0.8], [0, 1]), found([], [], []), found([one], [0.7], [0])]
    assert average_precision(truth, exact, 2) == (1.0, 1.0)
    # every class id one too high
    shifted = [each._replace(labels=each.labels + 1) for each in exact]
    assert average_precision(truth, shifted, 3) == (0.0, 0.0)
    # a box with IoU 2/3 counts up to 0.65: 4 of the 10 thresholds; the other class is exact
    off = [10.0, 10, 30, 30]
    loose = [found([off, two], [0.9, 0.8], [0, 1]), found([], [], []), found([off], [0.7], [0])]
    assert average_precision(truth, loose, 2) == pytest.approx(((0.4 + 1) / 2, 1.0))
    assert average_precision(truth, [found([], [], [])] * 3, 2) == (0.0, 0.0)
    assert all(map(math.isnan, average_precision(truth[1:2], exact[1:2], 2)))


# --------------------------------------------------------------------------------------------- the training

SHORT: dict[str, Any] = {
    "image_size": 128, "epochs": 4, "batch": 2, "no_augment_first": 1, "flat_epochs": 3, "no_augment_last": 1, "warmup_steps": 3,
    "mosaic": 0.5, "mixup": 0.5, "multi_scale": True, "zoom_out": 0.5, "iou_crop": 0.8, "ema_warmup_steps": 3,
}  # fmt: skip


def run(out: Path, ds: Dataset, **changes: Any) -> tuple[dict[str, Any], list[dict[str, str]], bytes]:
    """Train for a few steps: the record, the table of epochs, the weights."""
    job = {key: changes.pop(key) for key in ("resume", "workers", "seed") if key in changes}
    record = rtdetrv2_deim.train(Job(ds, ds, out, **job), settings(**{**SHORT, **changes}))
    with (out / "logs" / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return record, rows, (out / "model" / "model.safetensors").read_bytes()


@pytest.mark.trains
def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = smears(tmp_path / "data", count=7)
    whole = run(tmp_path / "whole", ds)
    assert [row["epoch"] for row in whole[1]] == ["0", "1", "2", "3"]
    assert [row["step"] for row in whole[1]] == ["3", "6", "9", "12"]

    class Killed(BaseException):
        pass

    one_step = Training.one_step

    def killed(self: Training, batch: Any) -> torch.Tensor:
        if self.step == 7:
            raise Killed
        return one_step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "one_step", killed)
        with pytest.raises(Killed):
            run(tmp_path / "killed", ds, workers=2)
    # other workers, and whatever was drawn from torch in between
    torch.manual_seed(99)
    went_on = run(tmp_path / "killed", ds, resume=True)
    assert went_on == whole
    assert list((tmp_path / "killed" / "logs").glob("events.out.tfevents.*"))
    # what is finished is left as it is
    assert run(tmp_path / "killed", ds, resume=True) == whole
    other = run(tmp_path / "other", ds, seed=1)
    assert other[1] != whole[1]


PLAIN: dict[str, Any] = {"epochs": 6, "no_augment_last": 3}
"""Three epochs with augmentation, and three without."""


def scored(monkeypatch: pytest.MonkeyPatch, scores: Sequence[float]) -> None:
    monkeypatch.setattr(Training, "evaluate", lambda training: {"AP": scores[training.epoch], "AP50": 0.9})


@pytest.mark.trains
def test_epochs_without_augmentation_start_from_the_best_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in DEIM: the first of them does, and each after a worse one; not from the best of themselves."""
    scored(monkeypatch, [0.5, 0.2, 0.3, 0.6, 0.1, 0.2])
    before, after, steps = [], [], []
    one_epoch = Training._one_epoch

    def state(training: Training) -> list[torch.Tensor]:
        optimizer = training.optimizer.state_dict()["state"]
        return [
            torch.tensor(training.average.updates),
            *(each.clone() for each in training.learner.state_dict().values()),
            *(each.clone() for each in training.average.module.state_dict().values()),
            *(
                optimizer[n][name].clone()
                for n in sorted(optimizer)
                for name in ("step", "exp_avg", "exp_avg_sq")
            ),
        ]

    def told(training: Training) -> dict[str, float]:
        before.append(state(training))
        steps.append(training.step)
        row = one_epoch(training)
        after.append(state(training))
        return row

    def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    monkeypatch.setattr(Training, "_one_epoch", told)
    record, _, _ = run(tmp_path / "out", smears(tmp_path / "data", count=4), **PLAIN)
    begins = [[n for n, there in enumerate(after) if same(now, there)] for now in before[1:]]
    assert begins == [[0], [1], [0], [3], [0]]
    # the schedule goes on, and so do the draws of what is random
    assert steps == [0, 2, 4, 6, 8, 10]
    assert record["best_epoch"] == 4
    assert not list((tmp_path / "out").glob("*.ckpt"))


@pytest.mark.trains
def test_a_run_that_is_killed_after_a_return_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, [0.5, 0.2, 0.3, 0.4, 0.1, 0.6])
    ds = smears(tmp_path / "data", count=4)
    whole = run(tmp_path / "whole", ds, **PLAIN)
    one_step = Training.one_step
    for step in (7, 9):  # in the first and second epoch without augmentation

        def killed(self: Training, batch: Any, step: int = step) -> torch.Tensor:
            if self.step == step:
                raise KeyboardInterrupt
            return one_step(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "one_step", killed)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / "killed", ds, resume=True, **PLAIN)
    assert run(tmp_path / "killed", ds, resume=True, **PLAIN) == whole


@pytest.mark.trains
def test_the_steps_that_are_taken(tmp_path: Path) -> None:
    ds = smears(tmp_path / "data")
    made = settings(
        "paper",
        **{**SHORT, "model": "tiny", "weights": "none", "warmup_steps": 4, "epochs": 10, "flat_epochs": 4},
    )
    job = Job(ds, ds, tmp_path / "out")
    fabric = fabric_of(job, "auto")
    torch.manual_seed(0)
    training = Training(fabric, job, made, starting_model(made, ("WBC", "Other")).model)
    rates = []
    before = training.learner.module.detector.class_embed[0].weight.detach().clone()
    for epoch in range(2):
        training.epoch = training.order.epoch = epoch
        for batch in training.loader:
            training.one_step(batch)
            rates.append([group["lr"] for group in training.optimizer.param_groups])
    # 3 steps an epoch: up to step 4 the square of the step's share, the backbone at a tenth of the rest
    highest = [0, 1 / 16, 1 / 4, 9 / 16, 1, 1]
    assert rates == [pytest.approx([2e-5 * part, 2e-4 * part, 2e-4 * part]) for part in highest]
    assert [group["weight_decay"] for group in training.optimizer.param_groups] == [1e-4, 0, 1e-4]
    assert training.optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    assert training.average.updates == training.step == 6
    assert not torch.equal(before, training.learner.module.detector.class_embed[0].weight)
    training.step = 9 * 3
    assert training._rate() == 0.5


def test_mixup_and_sizes_come_in_their_epochs(tmp_path: Path) -> None:
    ds = smears(tmp_path / "data")
    made = settings(**{**SHORT, "mixup": 1.0, "mosaic": 0.0})
    job = Job(ds, ds, tmp_path / "out")
    training = Training(fabric_of(job, "32"), job, made, starting_model(made, ("WBC", "Other")).model)
    for epoch, mixes in ((0, False), (1, True), (2, True), (3, False)):
        training.epoch = training.order.epoch = epoch
        sides = set()
        for step, batch in enumerate([*training.loader] * 4):
            training.step = step
            images, targets = training._prepared(batch)
            counts = batch.counts
            expected = [own + before for own, before in zip(counts, [counts[-1], *counts[:-1]], strict=True)]
            assert [len(target["boxes"]) for target in targets] == (expected if mixes else counts)
            sides.add(images.shape[-1])
        assert sides == ({128} if epoch == 3 else {96, 128, 160})


def test_images_are_mixed_after_their_colours_have_changed(tmp_path: Path) -> None:
    ds = smears(tmp_path / "data")
    made = settings(
        **{**SHORT, "mixup": 1.0, "multi_scale": False, "photometric_distort": 1.0, "zoom_out": 1.0}
    )
    job = Job(ds, ds, tmp_path / "out")
    training = Training(fabric_of(job, "32"), job, made, starting_model(made, ("WBC", "Other")).model)
    training.epoch = training.order.epoch = 1
    batch = next(iter(training.loader))
    images, _ = training._prepared(batch)
    own = scaled(images_of(batch))
    before = own.roll(1, 0)
    share = ((images - before) / (own - before))[(own - before).abs() > 0.05]
    assert 0.45 <= share.min() <= share.max() <= 0.55
    assert share.max() - share.min() < 1e-3
    assert not torch.equal(own, scaled(batch.images))


def test_a_loss_that_is_no_number_ends_training(tmp_path: Path) -> None:
    ds = smears(tmp_path / "data")
    made = settings(**SHORT)
    job = Job(ds, ds, tmp_path / "out")
    training = Training(fabric_of(job, "auto"), job, made, starting_model(made, ("WBC", "Other")).model)
    training.learner.module.detector.class_embed[1].weight.data.fill_(float("nan"))
    with pytest.raises(
        FloatingPointError, match=r"out: the loss is nan at step 0 \(epoch 0\); train with a lower lr"
    ):
        training.one_step(next(iter(training.loader)))


@pytest.mark.trains
def test_every_image_comes_once_in_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    item = Views.__getitem__

    def told(self: Views, key: tuple[int, int]) -> Picture:
        asked.append(key)
        return item(self, key)

    monkeypatch.setattr(Views, "__getitem__", told)
    run(tmp_path / "out", smears(tmp_path / "data"))
    assert sorted(asked) == [(epoch, number) for epoch in range(4) for number in range(6)]


@pytest.mark.trains
def test_the_best_epoch_is_kept_and_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.1, 0.5, 0.2, 0.3])
    weights = []

    def told(self: Training) -> dict[str, float]:
        weights.append(self.average.module.state_dict()["class_embed.0.weight"].clone())
        return {"AP": next(scores), "AP50": 0.9}

    monkeypatch.setattr(Training, "evaluate", told)
    record, rows, _ = run(tmp_path / "out", smears(tmp_path / "data"))
    assert record == {
        "weights": "tiny from scratch",
        "epochs": 4,
        "best_epoch": 2,
        "val_AP": 0.5,
        "val_AP50": 0.9,
        "chosen_by": "val_AP",
    }
    assert [row["val_AP"] for row in rows] == ["0.1", "0.5", "0.2", "0.3"]
    detector = rtdetrv2_deim.load(tmp_path / "out", settings(**SHORT), ("WBC", "Other"), "cpu")
    kept = detector.model.state_dict()["class_embed.0.weight"]
    assert torch.equal(kept, weights[1])
    assert not torch.equal(kept, weights[3])


@pytest.mark.parametrize("adapted", [False, True])
def test_both_domains_choose_the_epoch_alike(
    adapted: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A detector that finds every cell of the target, in one of five images with cells, and none of the source."""
    ds, target = smears(tmp_path / "data"), ImageId("0.png")
    job = Job(ds, ds, tmp_path / "out", target=Target(frozenset({target})) if adapted else None)
    made = settings(**SHORT, model="tiny", weights="none")
    training = Training(fabric_of(job, "32-true"), job, made, starting_model(made, ("WBC", "Other")).model)
    cells = ds.cells_of(target)
    right = Detections(
        np.array([[c.box.x1, c.box.y1, c.box.x2, c.box.y2] for c in cells if c.box], np.float32),
        np.ones(2, np.float32),
        np.array([ds.taxonomy.ids[cell.label] for cell in cells]),
    )
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    found = iter([right, *[nothing] * 5])
    monkeypatch.setattr(RtDetr, "detections", lambda _, __, sizes, **___: [next(found) for _size in sizes])
    scores = training.evaluate()
    if adapted:
        assert scores == {"AP": 0.5, "AP50": 0.5, "AP_source": 0.0, "AP_target": 1.0}
    else:
        assert set(scores) == {"AP", "AP50"}
        assert scores["AP"] == pytest.approx(0.2, abs=0.01)  # at recall 0.2, of 101 places


@pytest.mark.trains
@pytest.mark.skipif(find_spec("pcm_leukemia.baselines.stain") is None, reason="needs baselines/stain.py")
def test_stain_is_normalised_in_training_and_ever_after(tmp_path: Path) -> None:
    ds = smears(tmp_path / "data")
    plain, jittered = (run(tmp_path / stain, ds, stain=stain) for stain in ("none", "hed"))
    assert jittered[1] != plain[1]
    assert not (tmp_path / "hed" / "stain.json").exists()
    normalised = run(tmp_path / "reinhard", ds, stain="reinhard")
    assert normalised[1] != plain[1]
    made = settings(**{**SHORT, "stain": "reinhard"})
    detector = rtdetrv2_deim.load(tmp_path / "reinhard", made, ("WBC", "Other"), "cpu")
    image = np.random.default_rng(0).integers(100, 200, (90, 120, 3), dtype=np.uint8)
    without = RtDetr(detector.model, detector.labels, 128).prepare(image)
    assert (detector.prepare(image).float() - without.float()).abs().mean() > 5


@pytest.mark.trains
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_precisions(tmp_path: Path, precision: str) -> None:
    record, rows, _ = run(
        tmp_path / "out", smears(tmp_path / "data"), precision=precision, epochs=1, no_augment_last=0
    )
    assert math.isfinite(float(rows[0]["loss"]))
    assert record["epochs"] == record["best_epoch"] == 1


@pytest.mark.trains
def test_images_without_any_cell_train_too(tmp_path: Path) -> None:
    ds = smears(tmp_path / "data", count=1)
    record, rows, _ = run(tmp_path / "out", ds, epochs=2)
    assert not ds.cells
    assert math.isfinite(float(rows[-1]["loss"]))
    # nothing tells which epoch is the best: the last
    assert record["best_epoch"] == 2
    assert math.isnan(record["val_AP"])


@pytest.mark.trains
def test_two_devices_learn_together(tmp_path: Path) -> None:
    """Two processes: the run's folder is begun once, and each step takes half of the batch from each."""
    ds = smears(tmp_path / "data", count=8)
    made = settings(**{**SHORT, "epochs": 2, "batch": 4})  # the second epoch returns to the best before it
    record = rtdetrv2_deim.train(Job(ds, ds, tmp_path / "out", devices=2), made)
    assert record["epochs"] == 2
    assert rtdetrv2_deim.load(tmp_path / "out", made, ("WBC", "Other"), "cpu").labels == ("WBC", "Other")
    with (tmp_path / "out" / "logs" / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(math.isfinite(float(row["loss"])) for row in rows)


@pytest.mark.trains
def test_a_detector_is_for_the_labels_that_it_was_trained_for(tmp_path: Path) -> None:
    ds = smears(tmp_path / "data")
    made = settings(**{**SHORT, "epochs": 1})
    rtdetrv2_deim.train(Job(ds, ds, tmp_path / "out"), made)
    detector = rtdetrv2_deim.load(tmp_path / "out", made, ("WBC", "Other"), "cpu")
    assert detector.labels == ("WBC", "Other")
    assert not detector.model.training
    raw = detector.forward(detector.prepare(np.zeros((90, 120, 3), np.uint8))[None])
    assert raw[0].shape == (1, 60, 2)
    with pytest.raises(
        CorruptFile,
        match=r"out: was trained for the labels WBC, Other, not Other, WBC; give the labels in the order",
    ):
        rtdetrv2_deim.load(tmp_path / "out", made, ("Other", "WBC"), "cpu")
    with pytest.raises(
        DataNotFound, match=r"out: lacks stain.json, the colours that images are normalised to; copy"
    ):
        rtdetrv2_deim.load(tmp_path / "out", replace(made, stain="macenko"), ("WBC", "Other"), "cpu")
    with pytest.raises(
        DataNotFound, match="model: holds no trained RT-DETRv2; give the folder of a finished run"
    ):
        rtdetrv2_deim.load(tmp_path, made, ("WBC", "Other"), "cpu")


def test_the_paper_s_numbers() -> None:
    made = settings("paper")
    assert (made.model, made.weights) == ("r50vd", "imagenet")
    assert (settings("smoke").model, settings("smoke").weights) == ("tiny", "none")
    assert (made.epochs, made.batch, made.image_size) == (60, 16, 640)
    assert (made.backbone_lr, made.backbone_lr * made.final_lr_fraction, made.lr) == (2e-5, 1e-5, 2e-4)
    assert (made.no_augment_first, made.flat_epochs, made.no_augment_last) == (4, 34, 2)
    assert (made.gamma, made.loss_mal, made.loss_l1, made.loss_giou) == (1.5, 1, 5, 2)
    assert (made.cost_class, made.cost_l1, made.cost_giou) == (2, 5, 2)
    assert (made.ema_decay, made.ema_warmup_steps, made.warmup_steps, made.clip_max_norm) == (
        0.9999,
        2000,
        2000,
        0.1,
    )
    assert (made.mosaic, made.mixup, made.multi_scale) == (0.5, 0.5, True)


@pytest.mark.trains
def test_it_finds_the_white_blood_cells_of_patients_not_seen(smoke_runs: SmokeRuns) -> None:
    run = smoke_runs.run("rtdetrv2_deim-wbc")
    record = run.record["result"]
    assert record["weights"] == "tiny from scratch"
    ds = smoke_runs.ds.task("wbc")
    assert not {i.patient for i in ds.part("test").images} & {i.patient for i in ds.part("train").images}
    detector = run.detector("cpu")
    test = Detection(ds.part("test"))
    truth, what = [], []
    for number in range(len(test)):
        image, target = test[number]
        pixels = image.permute(1, 2, 0).numpy()
        raw = detector.forward(detector.prepare(pixels)[None])
        what += detector.detections(raw, [(pixels.shape[1], pixels.shape[0])], multi_label=True)
        white = target["labels"].numpy() == test.class_to_idx["WBC"]
        truth.append((target["boxes"].numpy()[white], target["labels"].numpy()[white]))
    _, ap50 = average_precision(truth, what, 2)
    # chance is near 0: a box has to overlap a cell by half
    assert ap50 > 0.5, record
