"""LeukemiaAttri: subsets in any case, other numbers for the categories, a misspelt key, a patient who straddles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from source_layouts import Facts, picture

CATEGORIES = (
    *("None", "Myeloblast", "Lymphoblast", "Neutrophil", "Atypical lymphocyte", "Promonocyte", "Monoblast"),
    *(
        "Lymphocyte",
        "Myelocyte",
        "Abnormal promyelocyte",
        "Monocyte",
        "Metamyelocyte",
        "Eosinophil",
        "Basophil",
    ),
)
ATTRIBUTES = {
    "cell_size": 2,
    "nuclear_chromatio": 0,
    "nuclear_shape": 1,
    "nucleolus": 1,
    "cytoplasm": 0,
    "cytoplasmic_basophilia": 1,
    "cytoplasmic_vacuoles": 0,
}

Rows = Mapping[str, Sequence[tuple[str, Sequence[float]]]]


def coco(images: Rows, numbers: Mapping[str, int]) -> str:
    """One file; `numbers` are the ids of the categories, which nobody may rely on."""
    names = list(images)
    annotations = [
        {"id": index, "image_id": names.index(name), "category_id": numbers[label], "category_name": label}
        | {"bbox": list(box)}
        | (dict.fromkeys(ATTRIBUTES, 4) if label == "None" else ATTRIBUTES)
        for index, (name, label, box) in enumerate(
            (name, label, box) for name, rows in images.items() for label, box in rows
        )
    ]
    return json.dumps(
        {
            "images": [
                {"id": number, "file_name": name, "width": 640, "height": 640}
                for number, name in enumerate(names)
            ],
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        }
    )


def make(root: Path) -> Facts:
    top = root / "LeukemiaAttri"
    straight = {name: number for number, name in enumerate(CATEGORIES)}
    backwards = {name: 1 + number for number, name in enumerate(reversed(CATEGORIES))}
    box, none = (10.0, 20.0, 60.5, 100.0), (200.0, 200.0, 50.0, 50.0)
    subsets: dict[str, tuple[str, str, dict[str, int], dict[str, Rows]]] = {
        "H_100X_C1": (
            "Images",
            "json_labels",
            straight,
            {
                "train": {"4_15_1000_ALL.png": [("Lymphoblast", box), ("None", none)]},
                "test": {"6_2_1000_APML.png": [("Abnormal promyelocyte", box)]},
            },
        ),
        "L_40x_C2": (
            "images",
            "WBC_Detection",
            backwards,
            {
                "train": {
                    "6_2_1000_APML.png": [("Abnormal promyelocyte", box), ("Promonocyte", (0, 0, 640.4, 9))],
                    "9_1_1000_CML.png": [("Myelocyte", box), ("Basophil", (5, 5, 0, 5))],
                },
                "test": {"4_15_1000_ALL.png": []},
            },
        ),
    }
    for shade, (name, (images, labels, numbers, parts)) in enumerate(subsets.items()):
        (top / name / labels).mkdir(parents=True)
        for part, rows in parts.items():
            (top / name / labels / f"{part}.json").write_text(coco(rows, numbers), encoding="utf-8")
            for file in rows:
                picture(top / name / images / part / file, 640, 640, shade=100 + shade)
    return Facts(
        root=root,
        images=5,
        raw={"Lymphoblast": 1, "None": 1, "Abnormal promyelocyte": 2, "Promonocyte": 1, "Myelocyte": 1},
        labels={"Lymphoblast": 1, "ignore": 1, "Myeloblast_APL": 2, "Monocyte": 1, "Other": 1},
        patients={"4": "ALL", "6": "APL", "9": "CML"},
        states={"partial": 5},
        spoil=(top / "L_40x_C2" / "images" / "train" / "9_1_1000_CML.png").unlink,
        said=r"train\.json: names 9_1_1000_CML\.png, which is not in L_40X_C2's train; get the subset again, whole",
        warns='its published split leaks and is not used.*\n.*patient "4": is in train',
    )
