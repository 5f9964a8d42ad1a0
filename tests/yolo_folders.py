"""YOLO folders as other tools write them, for tests."""

from __future__ import annotations

from pathlib import Path

import exports
import yaml


def foreign(
    folder: Path, labels: dict[str, str | None], names: object = ("RBC", "WBC"), **keys: object
) -> Path:
    """A YOLO folder as another tool may write it; labels by image path, None for no label file."""
    for image, text in labels.items():
        exports.write(folder / "images" / image, exports.png())
        if text is not None:
            exports.write((folder / "labels" / image).with_suffix(".txt"), text)
    names = list(names) if isinstance(names, tuple) else names
    content = {"train": "images/train", **keys, "names": names}
    exports.write(folder / "data.yaml", yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return folder
