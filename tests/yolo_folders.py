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


BOX = "0 .5 .5 .2 .2"


def labelled(folder: Path, *images: str, rows: str = BOX) -> None:
    """Images with their label files: in ``labels/`` for those in ``images/``, beside the others."""
    for image in images:
        exports.write(folder / image, exports.png())
        above, inside, below = f"/{image}".rpartition("/images/")
        labels = f"{above}/labels/{below}" if inside else below
        exports.write((folder / labels.lstrip("/")).with_suffix(".txt"), rows)


def described(folder: Path, text: str, name: str = "data.yaml") -> Path:
    """The folder, after its data.yaml is written."""
    exports.write(folder / name, text)
    return folder
