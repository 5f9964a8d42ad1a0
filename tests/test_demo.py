"""What the demo and README write as COCO is opened by those who look for the images beside it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commands import Run

from pcm_leukemia import demo

ROOT = Path(__file__).resolve().parents[1]


def opened(coco: Path, part: str) -> list[tuple[tuple[int, int], int]]:
    """The size of each image and the number of its boxes, as torchvision reads them."""
    from torchvision.datasets import CocoDetection

    found = CocoDetection(str(coco / "images"), str(coco / "annotations" / f"{part}.json"))
    return [(image.size, len(targets)) for image, targets in found]


def test_torchvision_opens_the_coco_of_the_demo(tmp_path: Path) -> None:
    demo.run(tmp_path / "demo", say=lambda _: None)
    train = opened(tmp_path / "demo" / "coco", "train")
    assert len(train) > 20
    assert sum(boxes for _, boxes in train) > 100


def test_torchvision_opens_the_coco_of_the_readme(
    run: Run, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^pcm-leukemia (convert data .*--to coco.*)$", text, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    assert run("import", export, "data").status == 0
    assert run(*shlex.split(line, comments=True)).status == 0
    assert opened(tmp_path / "coco", "all") == [((200, 100), 1 + number % 2) for number in range(20)]
    assert 'pcm.converters.coco.write(ds, "coco", images="copy")' in text
