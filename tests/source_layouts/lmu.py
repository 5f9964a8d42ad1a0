"""LMU: RGBA TIFFs in a folder a code, and annotations.dat of its own download beside the inner folder."""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

COUNTS = {
    "BAS": 1,
    "EBO": 1,
    "EOS": 2,
    "KSC": 1,
    "LYA": 1,
    "LYT": 3,
    "MMZ": 1,
    "MOB": 1,
    "MON": 2,
    "MYB": 2,
    "MYO": 3,
    "NGB": 1,
    "NGS": 4,
    "PMB": 1,
    "PMO": 1,
}


def make(root: Path) -> Facts:
    outer = root / "AML-Cytomorphology_LMU"
    inner = outer / "AML-Cytomorphology"
    lines = []
    for code, count in COUNTS.items():
        for number in range(1, count + 1):
            picture(inner / code / f"{code}_{number:04}.tiff", 40, 40, "RGBA", shade=60 + number)
            again = {"MYO": "MYO UNC", "LYA": "LYT nan"}.get(code, "nan nan")
            between = "\t" if number % 2 else "   "
            lines.append(between.join([f"{code}/{code}_{number:04}.tiff", code, *again.split()]))
    (outer / "annotations.dat").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (inner / ".DS_Store").write_bytes(b"\0")
    return Facts(
        root=root,
        images=25,
        raw=COUNTS,
        labels={
            "Neutrophil": 5,
            "Lymphocyte": 3,
            "Monocyte": 2,
            "Eosinophil": 2,
            "Basophil": 1,
            "Myeloblast_AML": 3,
            "ignore": 9,
        },
        spoil=(inner / "MYO" / "MYO_0002.tiff").unlink,
        said=r"annotations\.dat:\d+: names MYO/MYO_0002\.tiff, which is not in .*; get the images again",
    )
