"""ALL-IDB1: points separated by tabs or spaces, an empty file for a healthy person, the owner's later points."""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

SIZES = {"Im001_1": (171, 136), "Im034_1": (259, 194), "Im037_0": (122, 65), "Im093_0": (259, 194)}


def make(root: Path) -> Facts:
    folder = root / "ALL_IDB" / "ALL_IDB1"
    for shade, (stem, size) in enumerate({**SIZES, "Im108_0": (259, 194)}.items()):
        picture(folder / "im" / f"{stem}.jpg", *size, shade=100 + min(shade, 3))
    points = {
        "Im001_1": "10\t20\n171\t136\n",
        "Im034_1": "100 50\r\n",
        "Im037_0": "",
        "Im093_0": "",
        "Im108_0": "",
    }
    # the first line is a dummy
    others = {"Im001_1": "85 68\n30 40\n", "Im093_0": "130 97\n1 2\n3 4\n"}
    for place, rows in (("xyc", points), ("other", others)):
        (folder / place).mkdir()
        for stem, text in rows.items():
            (folder / place / f"{stem}.xyc").write_bytes(text.encode())
    return Facts(
        root=root,
        images=5,
        raw={"blast": 3, "other": 3},
        labels={"Lymphoblast": 3, "ignore": 3},
        states={"partial": 3, "none": 2},
        spoil=(folder / "xyc" / "Im037_0.xyc").unlink,
        said=r"has no xyc/Im037_0\.xyc, which im lists; download ALL-IDB1 again in full",
    )
