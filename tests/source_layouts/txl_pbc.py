"""TXL-PBC: YOLO boxes, whose classes are in the order of `data.yaml`, not of the README.

Traps: a `classes.txt` in each folder of labels; paths that begin with "./"; names that don't tell which data set
an image is of.
"""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

LABELS = {
    "train/01e4af27-0d62-557e-b967-cd665b590d45": (
        "0 0.500000 0.500000 0.200000 0.300000",
        "1 0.100000 0.100000 0.200000 0.200000",
    ),
    "train/09436e64-f0d3-5bf4-8b7a-a1402cef406e": ("1 0.500000 0.500000 0.125000 0.125000",),
    "val/02db46d5-f0f3-511c-b2cc-e907946e88e2": ("0 0.500000 0.500000 0.999000 0.999000",),
    "test/04b0c5c4-6135-51fa-a213-57c40224a22f": (
        "0 0.500000 0.500000 0.500000 0.500000",
        "2 0.900000 0.900000 0.100000 0.100000",
    ),
}


def make(root: Path) -> Facts:
    top = root / "TXL_PBC"
    for stem, rows in LABELS.items():
        part, _, name = stem.partition("/")
        picture(top / "images" / part / f"{name}.jpg", 320, 240)
        (top / "labels" / part).mkdir(parents=True, exist_ok=True)
        (top / "labels" / part / f"{name}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (top / "labels" / part / "classes.txt").write_text("WBC\nRBC\nPlatelets\n", encoding="utf-8")
    (top / "data.yaml").write_text(
        "train: ./images/train/\nval: ./images/val/\ntest: ./images/test/\n"
        "nc: 3\nnames: ['WBC', 'RBC','Platelets']",
        encoding="utf-8",
    )
    (root / "README.md").write_text(
        "'RBC' (Red Blood Cell)\n'WBC' (White Blood Cell)\n'Platelets'\n", encoding="utf-8"
    )
    counts = {"WBC": 3, "RBC": 2, "Platelets": 1}
    return Facts(
        root=root,
        images=4,
        raw=counts,
        labels=counts,
        parts={"train": 2, "val": 1, "test": 1},
        spoil=(top / "images" / "val" / "02db46d5-f0f3-511c-b2cc-e907946e88e2.jpg").unlink,
        said=r"labels/val/02db46d5-f0f3-511c-b2cc-e907946e88e2\.txt: has no image; get TXL-PBC again, whole",
    )
