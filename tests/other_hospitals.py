"""Other hospitals' data, drawn: ALL-IDB1 and LMU in their own layouts, of other patients under another light."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image

import pcm_leukemia as pcm
from pcm_leukemia import Cell, Dataset, Image, images, sample
from pcm_leukemia.converters import cvat
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import ImageId

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
CODES = {
    "Neutrophil": ("NGS", "NGB"),
    "Lymphocyte": ("LYT", "LYA"),
    "Monocyte": ("MON",),
    "Eosinophil": ("EOS",),
    "Basophil": ("BAS",),
    "Myeloblast_AML": ("MYO", "MOB"),
    "Myeloblast_APL": ("PMB",),
    "Other": ("KSC", "EBO", "MMZ", "MYB", "PMO"),
}
"""LMU's codes for the classes of the sample: each once, then the first; it has no lymphoblasts."""


def drawn(folder: Path, patients: int, count: int, seed: int) -> Dataset:
    export = sample.write(folder / f"drawn-{seed}.zip", patients=patients, images=count, seed=seed)
    return pcm.load_dataset(export, patients=PATTERN)


def other_light(pixels: Pixels) -> Pixels:
    """The same smear under a warmer, dimmer lamp."""
    shades = pixels.astype(np.float32) / 255
    warmer = shades ** np.array([0.9, 1.05, 1.25], np.float32) * np.array([0.95, 0.9, 0.88], np.float32)
    return (255 * warmer).round().astype(np.uint8)


def make_lmu(folder: Path, patients: int = 8, count: int = 48, seed: int = 70) -> Path:
    """LMU's layout: RGBA TIFFs of 400 x 400 in a folder a code, and annotations.dat; gives ROOT."""
    ds = drawn(folder, patients, count, seed)
    files, root = images.files_of(ds), folder / "AML-Cytomorphology_LMU"
    numbers: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    lines = []
    for image in ds.images:
        pixels = other_light(images.load(files, image))
        for cell in ds.cells_of(image):
            codes = CODES.get(cell.label)
            if codes is None:
                continue
            code = codes[seen[cell.label]] if seen[cell.label] < len(codes) else codes[0]
            seen[cell.label] += 1
            numbers[code] += 1
            name = f"{code}/{code}_{numbers[code]:04}.tiff"
            target = root / "AML-Cytomorphology" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            crop = PIL.Image.fromarray(images.crop(pixels, cell.box, 50)).resize((400, 400))
            crop.convert("RGBA").save(target)
            lines.append(f"{name} {code} nan nan")
    (root / "annotations.dat").write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
    return root


def make_all_idb1(folder: Path, patients: int = 6, count: int = 18, seed: int = 80) -> Path:
    """ALL-IDB1's layout with the paper's boxes beside it, as a CVAT export; gives ROOT."""
    ds = drawn(folder, patients, count, seed)
    files, root = images.files_of(ds), folder / "ALL_IDB1"
    for name in ("im", "xyc"):
        (root / name).mkdir(parents=True)
    rows: list[Image] = []
    cells: list[Cell] = []
    for number, image in enumerate(ds.images, 1):
        blasts = [cell for cell in ds.cells_of(image) if cell.label == "Lymphoblast"]
        name = f"Im{number:03}_{int(bool(blasts))}"
        PIL.Image.fromarray(other_light(images.load(files, image))).save(
            root / "im" / f"{name}.jpg", quality=90
        )
        centres = [((c.box.x1 + c.box.x2) / 2, (c.box.y1 + c.box.y2) / 2) for c in blasts]
        (root / "xyc" / f"{name}.xyc").write_text("".join(f"{x:.0f}\t{y:.0f}\n" for x, y in centres))
        rows.append(Image(ImageId(f"{name}.jpg"), image.width, image.height))
        cells += [
            Cell(ImageId(f"{name}.jpg"), cell.id, cell.label, cell.box, cell.label, source="manual")
            for cell in ds.cells_of(image)
        ]
    boxes = replace(ds, name="boxes", images=tuple(rows), cells=tuple(cells), patients=(), root=None)
    cvat.write(boxes, root / "boxes.zip", images="none")
    return root
