"""Chula RBC-12: centre points of red cells in `Label/<n>.txt`.

Traps: images without a label file (nobody labelled them), empty label files (nobody knows which), a README
that lists other class numbers, photographs of diseases that have no labels, and macOS's files.
"""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

POINTS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "12": ((300, 200, 0), (0, 0, 3), (640, 479, 12)),
    "13": ((10, 20, 9), (12, 20, 10), (14, 20, 11)),
    "15": tuple((20 + 30 * number, 40, number) for number in range(13)),
    "53": (),
}
UNLABELLED = ("18", "47")


def make(root: Path) -> Facts:
    for stem in (*POINTS, *UNLABELLED):
        picture(root / "Dataset" / f"{stem}.jpg", 640, 480)
    (root / "Label").mkdir(parents=True)
    for stem, points in POINTS.items():
        rows = "".join(f"{x} {y} {number}\r\n" for x, y, number in points)
        (root / "Label" / f"{stem}.txt").write_bytes(rows.encode())
    picture(root / "RBC Diseases" / "Thalassemia" / "1.jpg", 640, 480)
    for folder in (root, root / "Dataset", root / "Label"):
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0")
    (root / "README.md").write_text("0 Normal cell\n9 Sickle cell\n10 Schistocyte\n", encoding="utf-8")
    twice = {"0": "Normal cell", "3": "Spherocyte", "9": "Schistocyte", "10": "Uncategorised"} | {
        "11": "Hypochromia",
        "12": "Elliptocyte",
    }
    once = {"1": "Macrocyte", "2": "Microcyte", "4": "Target cell", "5": "Stomatocyte", "6": "Ovalocyte"} | {
        "7": "Teardrop",
        "8": "Burr cell",
    }
    return Facts(
        root=root,
        images=7,
        raw={**dict.fromkeys(twice, 2), **dict.fromkeys(once, 1)},
        labels={**dict.fromkeys(twice.values(), 2), **dict.fromkeys(once.values(), 1)},
        states={"complete": 3, "unknown": 1, "none": 3},
        spoil=(root / "Dataset" / "13.jpg").unlink,
        said=r"Label/13\.txt: has no image Dataset/13\.jpg; get Chula RBC-12 again, whole",
    )
