"""Detection compared with torchvision's CocoDetection: images a second on the same frames, in one run.

    python benchmarks/loader.py [--images 120]

The frames are those of benchmarks/crops.py. CocoDetection reads our COCO output, with the images copied
and wrapped for the v2 transforms, so that both return the same image tensor, boxes and labels. They
alternate, and the fastest of five passes counts; each pass includes the start of its workers.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import simplejpeg
import torch
import torchvision
from crops import make
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from pcm_leukemia import images
from pcm_leukemia.converters import coco
from pcm_leukemia.torchdata import Detection, collate


def theirs(folder: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        data = torchvision.datasets.CocoDetection(
            str(folder / "images"), str(folder / "annotations" / "all.json"), transforms=v2.ToImage()
        )
    return torchvision.datasets.wrap_dataset_for_transforms_v2(
        data, target_keys=["boxes", "labels", "image_id", "area", "iscrowd"]
    )


def seconds(data: Any, workers: int) -> float:
    loader: DataLoader[Any] = DataLoader(
        data,
        batch_size=4,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    start = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - start


def check(ours: Any, coco_detection: Any) -> None:
    """Stop unless both return the same, since only then can their times be compared."""
    for index in range(0, len(ours), 7):
        (image, target), (other, given) = ours[index], coco_detection[index]
        if not torch.equal(image, other):
            raise SystemExit(f"image {index}: pixels differ")
        if "boxes" in given and not torch.allclose(target["boxes"], given["boxes"], atol=2e-3):
            raise SystemExit(f"image {index}: boxes differ")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=120)
    arguments.add_argument(
        "--quality", type=int, default=95, help="quality of the JPEGs, as in benchmarks/crops.py"
    )
    given = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "frames"
        folder.mkdir()
        ds = make(folder, given.images, given.quality)
        coco.write(ds, Path(work) / "coco", images="copy")
        ours, peer = Detection(ds, first_label=1), theirs(Path(work) / "coco")
        check(ours, peer)
        print(f"{len(ds.images)} images of 1920x1080, batches of 4; the fastest of 5 passes")
        for decoder in ("simplejpeg", "Pillow"):
            # forked workers inherit the patch
            with patch.object(images, "simplejpeg", simplejpeg if decoder == "simplejpeg" else None):
                for workers in (0, 2):
                    taken = [(seconds(ours, workers), seconds(peer, workers)) for _ in range(5)]
                    mine, other = (min(column) for column in zip(*taken, strict=True))
                    print(
                        f"{workers} workers: Detection with {decoder} {len(ours) / mine:.1f} images/s, CocoDetection "
                        f"{len(ours) / other:.1f} images/s: {other / mine:.2f} times as fast"
                    )


if __name__ == "__main__":
    main()
