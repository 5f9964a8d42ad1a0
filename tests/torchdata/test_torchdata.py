"""The torch adapters: what the data set says, whatever loads it, moves its boxes or trains on it."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import timm
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from torch.utils.data import DataLoader, WeightedRandomSampler
from torchvision import tv_tensors
from torchvision.transforms import v2

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Split, images, load_dataset, sample
from pcm_leukemia.converters import coco, crops
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, UnknownPart
from pcm_leukemia.images import excerpts, regions
from pcm_leukemia.schema import ImageId
from pcm_leukemia.torchdata import Crops, Detection, collate
from pcm_leukemia.torchdata.frames import Texts

LABELS = ("Other", "Lymphocyte", "Monocyte")
WORKERS = pytest.mark.filterwarnings(
    # Python 3.12 and newer say so of every fork beside torch's threads; torch's own loader forks by default
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
    # and torch says so on a machine with a single core
    "ignore:This DataLoader will create 2 worker processes:UserWarning",
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def smears(folder: Path, count: int = 6, width: int = 160, height: int = 120) -> Dataset:
    """`count` grainy images in which each cell is a rectangle of its own colour; the last is a negative."""
    rng = np.random.default_rng(0)
    rows, cells = [], []
    for number in range(count):
        name = f"P{number}/a.png"
        (folder / name).parent.mkdir(parents=True)
        pixels = rng.integers(200, 256, (height, width, 3), dtype=np.uint8)
        rows.append(Image(ImageId(name), width, height, file=name))
        for cell, label in enumerate(LABELS if number < count - 1 else ()):
            x, y = 2 + 50 * cell + number, 30 + 7 * cell
            pixels[y : y + 40, x : x + 30] = colour(label)
            cells.append(Cell(rows[-1].id, cell + 5, label, Box(x, y, x + 30, y + 40), label.lower()))
        PIL.Image.fromarray(pixels).save(folder / name)
    return Dataset("demo", NINE, tuple(rows), tuple(cells), root=folder)


def colour(label: str) -> tuple[int, int, int]:
    return (20 * LABELS.index(label), 100, 50)


def packed(ds: Dataset, path: Path) -> Dataset:
    assert isinstance(ds.root, Path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for image in ds.images:
            archive.write(ds.root / str(image.file), str(image.file))
    return replace(ds, root=path)


def divided(ds: Dataset) -> Dataset:
    parts = ["train"] * (len(ds.images) - 2) + ["val", "val"]
    return ds.with_split(Split("official", dict(zip((image.id for image in ds.images), parts, strict=True))))


def items(adapter: Detection | Crops) -> list[Any]:
    return [adapter[index] for index in range(len(adapter))]


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    return smears(tmp_path / "export")


# Whole images


@pytest.mark.parametrize("first", [0, 1])
def test_targets_are_the_data_sets(ds: Dataset, first: Any) -> None:
    shifted = tuple(
        structs.replace(cell, box=Box(cell.box.x1 + 0.37, cell.box.y1, cell.box.x2, cell.box.y2 - 0.5))
        for cell in ds.cells
    )
    ds = replace(ds, cells=shifted)
    detection = Detection(ds, first_label=first)
    assert len(detection) == len(ds.images) == 6
    assert detection.classes == NINE.labels
    assert detection.class_to_idx == {label: first + number for number, label in enumerate(NINE.labels)}
    for index, (image, target) in enumerate(items(detection)):
        row = ds.image(detection.ids[target["image_id"]])
        cells = ds.cells_of(row)
        assert target["image_id"] == index
        assert type(image) is tv_tensors.Image
        assert image.dtype == torch.uint8
        assert isinstance(ds.root, Path)
        with PIL.Image.open(ds.root / str(row.file)) as picture:
            assert (image.permute(1, 2, 0).numpy() == np.asarray(picture.convert("RGB"))).all()
        boxes = target["boxes"]
        assert type(boxes) is tv_tensors.BoundingBoxes
        assert (boxes.format, boxes.canvas_size) == (tv_tensors.BoundingBoxFormat.XYXY, (120, 160))
        assert (boxes.dtype, boxes.shape) == (torch.float32, (len(cells), 4))
        sides = [(cell.box.x1, cell.box.y1, cell.box.x2, cell.box.y2) for cell in cells]
        assert boxes.numpy() == pytest.approx(np.array(sides).reshape(-1, 4), abs=1e-4)
        assert target["labels"].dtype == torch.int64
        assert target["labels"].tolist() == [NINE.labels.index(cell.label) + first for cell in cells]
        assert target["area"].tolist() == pytest.approx([cell.box.area for cell in cells], rel=1e-5)
        assert target["iscrowd"].tolist() == [0] * len(cells)
        assert target["iscrowd"].dtype == torch.int64
    assert len(detection[5][1]["labels"]) == 0
    assert detection[-1][1]["image_id"] == 5
    with pytest.raises(IndexError):
        detection[6]


def test_torchvision_reads_the_same_from_our_coco(ds: Dataset, tmp_path: Path) -> None:
    coco.write(ds, tmp_path / "coco", images="copy")
    theirs = torchvision.datasets.wrap_dataset_for_transforms_v2(
        torchvision.datasets.CocoDetection(
            str(tmp_path / "coco" / "images"), str(tmp_path / "coco" / "annotations" / "all.json")
        ),
        target_keys=["boxes", "labels", "image_id", "area", "iscrowd"],
    )
    ours = Detection(ds, first_label=1)
    assert len(theirs) == len(ours)
    for (picture, annotated), (image, target) in zip(theirs, items(ours), strict=True):
        assert torch.equal(v2.functional.pil_to_tensor(picture), image)
        if "boxes" not in annotated:  # torchvision gives a negative no boxes at all
            assert len(target["boxes"]) == 0
            continue
        assert torch.equal(annotated["boxes"], target["boxes"])
        assert annotated["labels"].tolist() == target["labels"].tolist()
        assert annotated["area"] == target["area"].tolist()
        assert annotated["iscrowd"] == target["iscrowd"].tolist()


def drawn(image: torch.Tensor, label: str) -> list[int]:
    """The corners of what has the colour of that label."""
    same = (image == torch.tensor(colour(label), dtype=torch.uint8)[:, None, None]).all(0)
    rows, columns = torch.nonzero(same, as_tuple=True)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


NEAREST = v2.InterpolationMode.NEAREST


@pytest.mark.parametrize(
    ("transforms", "size", "left"),
    [
        (v2.RandomHorizontalFlip(1), (120, 160), 15),
        (v2.RandomVerticalFlip(1), (120, 160), 15),
        (v2.Resize((240, 480), NEAREST), (240, 480), 15),
        (v2.Compose([v2.Pad((10, 20, 0, 0)), v2.RandomHorizontalFlip(1)]), (140, 170), 15),
        (
            v2.Compose([v2.CenterCrop((120, 76)), v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes()]),
            (120, 76),
            10,  # of each image, the first cell is cut away
        ),
        (
            v2.Compose(
                [
                    v2.RandomHorizontalFlip(1),
                    v2.ConvertBoundingBoxFormat("XYXY"),
                    v2.SanitizeBoundingBoxes(),
                    v2.ToPureTensor(),  # torchvision's references end so
                ]
            ),
            (120, 160),
            15,
        ),
    ],
    ids=["flip", "upside down", "resize", "pad and flip", "crop", "reference"],
)
def test_transforms_move_the_boxes_with_the_pixels(
    ds: Dataset, transforms: Any, size: tuple[int, int], left: int
) -> None:
    found = 0
    for image, target in items(Detection(ds, transforms)):
        assert image.shape == (3, *size)
        assert len(target["labels"]) == len(target["boxes"]) == len(target["area"]) == len(target["iscrowd"])
        for number, label, area in zip(target["boxes"], target["labels"], target["area"], strict=True):
            assert number.tolist() == drawn(image, NINE.labels[label])
            x1, y1, x2, y2 = number.tolist()
            assert area == (x2 - x1) * (y2 - y1)
            found += 1
    assert found == left


def test_areas_of_boxes_in_another_form(ds: Dataset) -> None:
    target = Detection(ds, v2.ConvertBoundingBoxFormat("CXCYWH"))[0][1]
    assert target["boxes"].format == tv_tensors.BoundingBoxFormat.CXCYWH
    assert type(target["area"]) is torch.Tensor
    assert target["area"].tolist() == [1200, 1200, 1200]


def test_what_a_transform_does_to_one_sample_stays_there(ds: Dataset) -> None:
    def spoil(image: Any, target: Any) -> Any:
        image.zero_()
        target["boxes"].zero_()
        target["labels"].zero_()
        return image, target

    detection = Detection(ds, spoil)
    detection[0]
    detection.transform = None
    image, target = detection[0]
    assert image.any()
    assert target["boxes"].any(1).all()
    assert target["labels"].tolist() == [8, 0, 5]


@pytest.mark.trains
def test_a_faster_rcnn_takes_a_step(ds: Dataset) -> None:
    torch.manual_seed(0)
    ds = replace(ds, split=None)
    loader = DataLoader(
        Detection(ds, v2.ToDtype(torch.float32, scale=True), first_label=1), batch_size=6, collate_fn=collate
    )
    model = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=10, min_size=96, max_size=128
    )
    before = [parameter.detach().clone() for parameter in model.parameters() if parameter.requires_grad]
    batch_images, targets = next(iter(loader))
    assert [len(target["boxes"]) for target in targets] == [3, 3, 3, 3, 3, 0]
    losses = model(list(batch_images), targets)
    loss = sum(losses.values())
    assert torch.isfinite(loss)
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.01).step()
    after = [parameter.detach() for parameter in model.parameters() if parameter.requires_grad]
    assert sum(not torch.equal(*pair) for pair in zip(before, after, strict=True)) > len(before) // 2


def test_cells_to_be_ignored_are_counted_and_told(ds: Dataset) -> None:
    cells = tuple(structs.replace(cell, label=IGNORE) if cell.id == 6 else cell for cell in ds.cells)
    unclear = replace(ds, cells=cells)
    with pytest.warns(
        DataWarning, match="demo: a detector takes 5 cells without a class for background; leave their"
    ) as caught:
        detection = Detection(unclear)
    assert caught[0].filename == __file__
    assert detection.ignored == 5
    assert repr(detection) == "Detection(demo: 6 images, 10 cells, 9 classes from 0, 5 ignored)"
    assert [len(target["boxes"]) for _, target in items(detection)] == [2, 2, 2, 2, 2, 0]
    cells_only = Crops(unclear)
    assert (cells_only.ignored, len(cells_only)) == (5, 10)
    assert repr(cells_only) == "Crops(demo: 10 cells, 9 classes, cut with 50 px, clip, 5 ignored)"
    assert Detection(ds).ignored == Crops(ds).ignored == 0


# Single cells


@pytest.mark.parametrize("border", ["clip", "reflect", "constant"])
@pytest.mark.parametrize("padding", [0, 70])
def test_crops_have_the_pixels_that_are_written(
    ds: Dataset, tmp_path: Path, border: Any, padding: int
) -> None:
    odd = structs.replace(ds.cells[0], box=Box(0, 30.2, 20.6, 119.99))
    ds = divided(replace(ds, cells=(odd, *ds.cells[1:])))
    crops.write(ds, tmp_path / "crops", padding=padding, border=border)
    files = {(row["image"], int(row["cell"])): row["file"] for row in table(tmp_path / "crops")}
    cut = Crops(ds, padding=padding, border=border)
    written = Crops(ds, padding=padding, border=border, folder=tmp_path / "crops")
    assert len(cut) == len(written) == len(files) == 15
    assert cut.cells == written.cells == [(cell.image, cell.id) for cell in ds.cells]
    assert cut.targets == written.targets == [NINE.labels.index(cell.label) for cell in ds.cells]
    for cell, label, (one, first), (other, second) in zip(
        cut.cells, cut.targets, items(cut), items(written), strict=True
    ):
        assert first == second == label
        assert (one.mode, type(label)) == ("RGB", int)
        with PIL.Image.open(tmp_path / "crops" / files[cell]) as picture:
            assert (np.asarray(picture) == np.asarray(one)).all()
            assert (np.asarray(picture) == np.asarray(other)).all()


def table(folder: Path) -> list[dict[str, str]]:
    import csv

    with (folder / "crops.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_part_that_lacks_a_class_keeps_the_ids(ds: Dataset, tmp_path: Path) -> None:
    ds = divided(ds.task("classification"))
    few = replace(ds, cells=tuple(c for c in ds.cells if (ds.split and ds.split.part_of[c.image] != "val") or c.label != "Lymphocyte"))  # fmt: skip
    crops.write(few, tmp_path / "crops", padding=10)
    by_folder = torchvision.datasets.ImageFolder(str(tmp_path / "crops" / "val"))
    assert by_folder.class_to_idx == {"Monocyte": 0}  # what is to be avoided
    for val in (
        Crops(few.part("val"), padding=10),
        Crops(few.part("val"), padding=10, folder=tmp_path / "crops"),
        Crops.from_folder(tmp_path / "crops", "val", few.taxonomy.labels),
    ):
        assert val.targets == [5]
        assert val[0][1] == 5
        assert val.classes == NINE.labels[:-1]
        assert val.class_to_idx["Monocyte"] == 5
        assert val.cells == [("P4/a.png", 7)]
        assert np.asarray(val[0][0]).shape == (60, 50, 3)


def test_a_folder_alone_gives_what_the_data_gives(ds: Dataset, tmp_path: Path) -> None:
    ds = divided(ds)
    crops.write(ds, tmp_path / "crops")
    alone = Crops.from_folder(tmp_path / "crops", "train", NINE.labels, np.asarray)
    given_data = Crops(ds.part("train"), transform=np.asarray)
    assert alone.targets == given_data.targets
    assert alone.cells == given_data.cells
    assert alone.ignored == 0
    assert all((one[0] == other[0]).all() for one, other in zip(items(alone), items(given_data), strict=True))
    assert repr(alone) == f"Crops(train: 12 cells, 9 classes, from {tmp_path / 'crops'})"


def test_a_folder_that_does_not_fit_is_refused(ds: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    crops.write(ds, folder, padding=20)
    with pytest.raises(
        ValueError, match="crops: has crops with padding 20 px and border clip, not 50 px and clip; use"
    ):
        Crops(ds, folder=folder)
    with pytest.raises(ValueError, match="not 20 px and reflect"):
        Crops(ds, padding=20, folder=folder, border="reflect")
    moved = structs.replace(ds.cells[3], box=Box(50, 50, 60, 60))
    with pytest.raises(ValueError, match=r'the crop of image "P1/a\.png" cell 5 was cut from another box'):
        Crops(replace(ds, cells=(*ds.cells[:3], moved)), padding=20, folder=folder)
    more = structs.replace(ds.cells[3], id=99)
    with pytest.raises(
        DataNotFound, match=r'has no crop of image "P1/a\.png" cell 99; write the crops again'
    ):
        Crops(replace(ds, cells=(*ds.cells, more)), padding=20, folder=folder)
    with pytest.raises(DataNotFound, match=r"export: has no crops\.csv; give a folder that"):
        Crops(ds, folder=tmp_path / "export")
    with pytest.raises(UnknownPart, match='part "val": .*crops has all; use one of them'):
        Crops.from_folder(folder, "val", NINE.labels)
    with pytest.raises(ValueError, match="lack Other; give the labels of the taxonomy"):
        Crops.from_folder(folder, "all", NINE.labels[:-1])
    with pytest.raises(ValueError, match="repeat, or lack none"):
        Crops.from_folder(folder, "all", (*NINE.labels, "Other"))
    (folder / "all" / "Other" / "P0__a_5.png").unlink()
    (folder / "all" / "Other" / "P1__a_5.png").write_bytes(b"")
    broken = Crops.from_folder(folder, "all", NINE.labels)
    with pytest.raises(
        DataNotFound, match=r"crops: has no all/Other/P0__a_5\.png, which its crops\.csv lists"
    ):
        broken[0]
    with pytest.raises(CorruptFile, match=r"crops/all/Other/P1__a_5\.png: is empty"):
        broken[3]
    (folder / "crops.csv").write_text((folder / "crops.csv").read_text().replace(",6,", ",six,", 1))
    with pytest.raises(CorruptFile, match=r"crops\.csv:3: is not a row of crops\.csv \(ValueError"):
        Crops(ds, padding=20, folder=folder)


def test_images_are_decoded_once_where_their_cells_follow_each_other(
    ds: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    read = images.Files.read

    def counted(files: images.Files, file: str) -> bytes:
        opened.append(file)
        return read(files, file)

    monkeypatch.setattr(images.Files, "read", counted)
    cut = Crops(ds)
    first = [np.asarray(image) for image, _ in items(cut)]
    assert opened == [f"P{number}/a.png" for number in range(5)]  # and never the negative
    for index in (3, 0, 4):
        assert (np.asarray(cut[index][0]) == first[index]).all()
    assert opened[5:] == ["P1/a.png", "P0/a.png", "P1/a.png"]
    opened.clear()
    items(Detection(ds))
    assert opened == [f"P{number}/a.png" for number in range(6)]


def test_shuffled_crops_decode_what_they_need_and_crops_in_order_all_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    names = [f"{number}.jpg" for number in range(4)]
    for name in names:
        PIL.Image.fromarray(rng.integers(0, 256, (120, 160, 3), np.uint8)).save(tmp_path / name)
    rows = tuple(Image(ImageId(name), 160, 120, file=name) for name in names)
    cells = tuple(
        Cell(row.id, number, "Other", Box(50 * number, 5, 50 * number + 20, 25))
        for row in rows
        for number in range(2)
    )
    ds = Dataset("x", NINE, rows, cells, root=tmp_path)
    whole = [np.asarray(image) for image, _ in items(Crops(ds, padding=5))]
    asked = []

    def decode(data: bytes, _: tuple[int, int], wanted: list[regions.Region]) -> list[images.Pixels]:
        asked.append([each.right for each in wanted])
        pixels = images.decode(data, "a")
        return [pixels[top:bottom, left:right] for left, top, right, bottom in wanted]

    monkeypatch.setattr(excerpts, "decode_regions", decode)
    cut = Crops(ds, padding=5)
    for index in (0, 1, 2, 3, 6, 1, 7, 6):
        assert (np.asarray(cut[index][0]) == whole[index]).all()
    assert asked == [[75], [75], [25], [75], [75], [75]]


def test_weights_even_out_the_classes(ds: Dataset) -> None:
    # 5 Other, 5 Lymphocyte, 1 Monocyte
    cut = Crops(
        replace(ds, cells=tuple(c for c in ds.cells if c.label != "Monocyte" or c.image == "P0/a.png"))
    )
    even = 11 / 3
    assert cut.weights.dtype == torch.float32
    assert cut.weights.tolist() == pytest.approx([even / 5, 0, 0, 0, 0, even, 0, 0, even / 5])
    assert cut.sample_weights.tolist() == pytest.approx(
        [float(cut.weights[target]) for target in cut.targets]
    )
    assert float(cut.sample_weights.mean()) == pytest.approx(1)
    torch.manual_seed(0)
    drawn = list(WeightedRandomSampler(cut.sample_weights, 6000))  # type: ignore[arg-type]
    shares = np.bincount(np.array(cut.targets)[drawn], minlength=9) / 6000
    assert shares[[0, 5, 8]] == pytest.approx([1 / 3] * 3, abs=0.03)
    scores = torch.zeros(11, 9)
    assert torch.isfinite(torch.nn.CrossEntropyLoss(cut.weights)(scores, torch.tensor(cut.targets)))
    assert not Crops(replace(ds, cells=())).weights.any()


@pytest.mark.trains
def test_timm_learns_the_sample(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ds = load_dataset(sample.write(tmp_path / "sample.zip", patients=4, images=8))
    crops.write(ds, tmp_path / "crops", padding=10)
    transform = v2.Compose(
        [v2.ToImage(), v2.Resize((48, 48)), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.7] * 3, [0.2] * 3)]
    )  # fmt: skip
    cut = Crops(ds, transform, padding=10)
    written = Crops(ds, transform, padding=10, folder=tmp_path / "crops")
    model = timm.create_model("test_resnet", pretrained=False, num_classes=len(cut.classes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before = accuracy(model, cut)
    sampler = WeightedRandomSampler(written.sample_weights, len(written))  # type: ignore[arg-type]
    for _ in range(12):
        model.train()
        for pixels, labels in DataLoader(written, batch_size=16, sampler=sampler, drop_last=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(pixels), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    after = accuracy(model, cut)  # from the images themselves
    assert before < 0.5
    assert after > 0.85


def accuracy(model: torch.nn.Module, cells: Crops) -> float:
    model.eval()
    right = 0
    with torch.no_grad():
        for pixels, labels in DataLoader(cells, batch_size=32):
            right += int((model(pixels).argmax(1) == labels).sum())
    return right / len(cells)


# In worker processes


def as_lists(loader: Iterable[Any]) -> list[Any]:
    return [
        (image.tolist(), {key: torch.as_tensor(value).tolist() for key, value in target.items()})
        for batch_images, targets in loader
        for image, target in zip(batch_images, targets, strict=True)
    ]


@WORKERS
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_give_what_the_process_itself_gives(ds: Dataset, tmp_path: Path, start: str) -> None:
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    in_zip = packed(ds, tmp_path / "images.zip")
    detection = Detection(in_zip, v2.Compose([v2.RandomHorizontalFlip(1), v2.Resize((60, 80))]))
    alone = as_lists(DataLoader(detection, batch_size=2, collate_fn=collate))
    workers = 2 if start == "fork" else 1  # each that is spawned imports torch anew
    loader = DataLoader(
        detection, batch_size=2, collate_fn=collate, num_workers=workers, multiprocessing_context=start
    )
    beside = list(loader)
    assert as_lists(beside) == alone
    boxes = beside[0][1][0]["boxes"]
    assert type(beside[0][0][0]) is tv_tensors.Image
    assert type(boxes) is tv_tensors.BoundingBoxes
    assert boxes.canvas_size == (60, 80)
    cut = Crops(in_zip, transform=v2.Compose([v2.Resize((9, 9)), v2.PILToTensor()]))
    one = list(DataLoader(cut, batch_size=4))
    other = list(DataLoader(cut, batch_size=4, num_workers=1, multiprocessing_context=start))
    assert len(one) == len(other) == 4
    for (pixels, labels), (same, classes) in zip(one, other, strict=True):
        assert torch.equal(pixels, same)
        assert torch.equal(labels, classes)


@WORKERS
def test_forked_workers_do_not_share_their_place_in_a_zip(tmp_path: Path) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    ds = packed(smears(tmp_path / "export", 60, 400, 300), tmp_path / "images.zip")
    detection = Detection(ds)
    detection[0]  # the parent has opened the zip
    loader = DataLoader(detection, batch_size=None, num_workers=2, multiprocessing_context="fork")
    for index, (image, _) in enumerate(loader):
        assert torch.equal(image, detection[index][0])


@WORKERS
def test_what_cannot_be_read_is_named_from_a_worker_too(ds: Dataset) -> None:
    assert isinstance(ds.root, Path)
    (ds.root / "P1" / "a.png").write_bytes((ds.root / "P1" / "a.png").read_bytes()[:500])
    (ds.root / "P2" / "a.png").unlink()
    PIL.Image.new("RGB", (7, 7)).save(ds.root / "P3" / "a.png")
    for detection in (Detection(ds), Crops(ds, transform=np.array)):
        per_image = 1 if isinstance(detection, Detection) else 3
        with pytest.raises(CorruptFile, match=r"P1/a\.png: cannot be decoded"):
            detection[per_image]
        with pytest.raises(DataNotFound, match=r"has no file P2/a\.png; give images_root"):
            detection[2 * per_image]
        with pytest.raises(CorruptFile, match=r'image "P3/a\.png": is annotated as 160 x 120 pixels'):
            detection[3 * per_image]
    # once only: after an error, torch's loader waits 5 s for its workers
    loader = DataLoader(Detection(ds), batch_size=None, num_workers=1)
    with pytest.raises(CorruptFile, match=r"P1/a\.png: cannot be decoded"):
        list(loader)


def many(tmp_path: Path) -> Dataset:
    """3,000 images with 4 cells each, and one file among them."""
    PIL.Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    names = [f"ALL/PATIENT-{number % 50:03}/smear_{number:06}.png" for number in range(3000)]
    rows = tuple(Image(ImageId(name), 100, 100, file=f"images/Train/{name}") for name in names)
    cells = tuple(
        Cell(row.id, number, NINE.labels[number], Box(number, 0.5, 50, 50), attributes=(("rods", "true"),))
        for row in rows
        for number in range(4)
    )
    return Dataset("many", NINE, rows, cells, root=tmp_path)


def test_they_pickle_small(tmp_path: Path) -> None:
    ds = many(tmp_path)
    limit = 200 * 3000 + 40 * 12_000
    assert len(pickle.dumps(ds)) > limit  # rows would not do
    for adapter in (Detection(ds), Crops(ds)):
        data = pickle.dumps(adapter)
        assert len(data) < limit
        assert repr(pickle.loads(data)) == repr(adapter)


def test_a_decoded_image_is_not_pickled(ds: Dataset, tmp_path: Path) -> None:
    cut = Crops(packed(ds, tmp_path / "images.zip"))
    before = pickle.dumps(cut)
    image = np.asarray(cut[0][0])
    assert len(pickle.dumps(cut)) == len(before)
    assert (np.asarray(pickle.loads(before)[0][0]) == image).all()


@given(st.lists(st.text(st.characters(exclude_categories=[])), max_size=6))
def test_texts_stay_what_they_are(texts: list[str]) -> None:
    kept = pickle.loads(pickle.dumps(Texts(texts)))
    assert list(kept) == texts
    assert kept[1:] == texts[1:]
    with pytest.raises(IndexError):
        kept[len(texts)]


# Refusals


def test_images_must_be_there(ds: Dataset, tmp_path: Path) -> None:
    no_file = replace(ds, images=(*ds.images[:-1], replace(ds.images[-1], file=None)))
    with pytest.raises(
        DataNotFound, match=r'demo: 1 of 6 images have no file, the first "P5/a\.png"; give images_root'
    ):
        Detection(no_file)
    assert len(Crops(no_file)) == 15  # it is a negative
    for adapter in (Detection, Crops):
        with pytest.raises(DataNotFound, match="images have no file, the first"):
            adapter(replace(ds, root=None))
        with pytest.raises(DataNotFound, match="gone: the images are not there; give images_root"):
            adapter(replace(ds, root=tmp_path / "gone"))


def test_wrong_options(ds: Dataset) -> None:
    with pytest.raises(ValueError, match="first_label 2: must be 0, or 1 for models whose 0 is background"):
        Detection(ds, first_label=2)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match="Crops: transform 20 cannot be called; .* for the padding pass padding=20"
    ):
        Crops(ds, 20)  # type: ignore[arg-type]
    for wrong in ("flip", 20):
        with pytest.raises(
            TypeError, match=f"Detection: transform {wrong!r} cannot be called; pass a function, or nothing$"
        ):
            Detection(ds, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="padding -1: must be 0 or more"):
        Crops(ds, padding=-1)
    with pytest.raises(ValueError, match='border "wrap": must be one of clip, reflect, constant'):
        Crops(ds, border="wrap")  # type: ignore[arg-type]


@pytest.mark.parametrize("library", ["torch", "torchvision"])
def test_without_the_library_the_extra_is_named(library: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from pcm_leukemia.torchdata import Crops"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"MissingExtra: {library}: not installed; run: pip install 'pcm-leukemia[baselines]'" in run.stderr


def test_help_lists_what_is_public_with_and_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import pydoc, pcm_leukemia as pcm; "
        "assert set(dir(pcm.torchdata)) == {'Crops', 'Detection', 'Frames', 'collate'}; "
        "shown = pydoc.plain(pydoc.render_doc(pcm)); "
        "assert all(name in shown for name in dir(pcm) if name != '__version__'), shown"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    asked = "import sys, pcm_leukemia as pcm; pcm.torchdata.Frames; assert 'torch' not in sys.modules; pcm.torchdata.Crops"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
