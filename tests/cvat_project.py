"""What the small CVAT server of the tests holds, read from an export."""

from __future__ import annotations

import copy
import io
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

PROJECT = 7


class Asked(NamedTuple):
    """A request: what it is about, the rest of its address, its JSON (None if it has none), its headers and its bytes."""

    host: str
    kind: str
    number: int
    query: dict[str, str]
    body: Any
    method: str
    rest: str
    headers: Mapping[str, str]
    raw: bytes


class Reply(NamedTuple):
    """An answer with another status than 200, or with headers."""

    status: int
    content: Any
    headers: Mapping[str, str] = {}


@dataclass
class Frame:
    name: str
    width: int
    height: int
    data: bytes
    element: ET.Element


@dataclass
class Task:
    number: int
    name: str
    subset: str
    frames: list[Frame] = field(default_factory=list)
    updated: int = 0
    changed: int = 0
    start: int = 0
    step: int = 1
    job_size: int = 0
    deleted: set[int] = field(default_factory=set)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    tracks: list[dict[str, Any]] = field(default_factory=list)


def when(count: int) -> str:
    """A time on the server, later for a larger count."""
    return f"2026-01-02T03:{count // 60:02}:{count % 60:02}.123456Z"


class Cvat:
    """What the server holds; `data` is an export with images, of a project or of one task."""

    def __init__(self, data: Path) -> None:
        self.tree, self.tasks, self.labels = _read(data)
        self.updated = 0
        self.version = "2.80.0"
        self.sent = 0
        self.asked: Counter[str] = Counter()
        self.heard: list[str] = []
        self.faults: list[tuple[str, Callable[[], int | str]]] = []
        self.pause = 0.0
        self.exports: dict[int, bytes] = {}
        self.uploads: dict[int, dict[str, bytes]] = {}
        self.cannot_create = ""
        self.drops: set[str] = set()
        self.lock = threading.RLock()
        self._next = 1000

    def touch(self, task: Task | None = None, *, frames: bool = False) -> None:
        """What CVAT does when annotations, or the frames of a task, are changed."""
        self.updated += 1
        if task:
            task.updated = self.updated
            task.changed = self.updated if frames else task.changed

    def fault(self, path: str, what: int | str | Callable[[], int | str]) -> None:
        """Answer paths that match with this status, or break the connection off ("drop", "cut"), "lose" the answer, or answer "html"."""
        self.faults.append((path, what if callable(what) else lambda: what))

    def number(self) -> int:
        self._next += 1
        return self._next

    # The export

    def export(self, kind: str, number: int, *, images: bool) -> bytes:
        """A zip as CVAT makes it of the project, a task or a job."""
        root = ET.Element("annotations")
        ET.SubElement(root, "version").text = "1.1"
        meta = copy.deepcopy(self.tree.find("meta"))
        if meta is not None:
            self._add_labels(meta)
            root.append(meta)
        stored: dict[str, bytes] = {}
        for task in self.tasks.values():
            if kind != "project" and task.number != number:
                continue
            for index, frame in enumerate(task.frames):
                if index in task.deleted:
                    continue
                root.append(element := copy.deepcopy(frame.element))
                element.set("id", str(task.start + index * task.step))
                if kind == "project":
                    element.set("subset", task.subset or "default")
                    element.set("task_id", str(task.number))
                else:
                    element.attrib.pop("subset", None)
                    element.attrib.pop("task_id", None)
                element.extend(self._element(shape) for shape in task.shapes if shape["frame"] == index)
                element.extend(self._tag(tag) for tag in task.tags if tag["frame"] == index)
                folder = f"images/{task.subset or 'default'}/" if kind == "project" else "images/"
                stored[folder + frame.name] = frame.data
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("annotations.xml", ET.tostring(root, "utf-8", xml_declaration=True))
            for path, data in stored.items() if images else ():
                archive.writestr(path, data)
        return stream.getvalue()

    def _add_labels(self, meta: ET.Element) -> None:
        """Declare the labels that have been added since the export was read."""
        labels = next(meta.iter("labels"), None)
        if labels is None:
            return
        there = {label.findtext("name") for label in labels}
        for label in self.labels:
            if label["name"] not in there:
                element = ET.SubElement(labels, "label")
                for key in ("name", "color", "type"):
                    ET.SubElement(element, key).text = label[key]

    def _tag(self, tag: dict[str, Any]) -> ET.Element:
        """The XML of a tag."""
        element = ET.Element("tag", {"label": self._label(tag), "source": tag.get("source", "manual")})
        if tag.get("group"):
            element.set("group_id", str(tag["group"]))
        self._add_attributes(element, tag)
        return element

    def _label(self, annotation: dict[str, Any]) -> str:
        return str(next(each["name"] for each in self.labels if each["id"] == annotation["label_id"]))

    def _add_attributes(self, element: ET.Element, annotation: dict[str, Any]) -> None:
        names = {
            attribute["id"]: attribute["name"] for each in self.labels for attribute in each["attributes"]
        }
        for value in annotation.get("attributes", ()):
            ET.SubElement(element, "attribute", {"name": names[value["spec_id"]]}).text = value["value"]

    def check(self, annotation: dict[str, Any], frames: int) -> None:
        """Refuse what CVAT's schema refuses: another project's label, another label's attribute, a frame that is not there."""
        label = next(each for each in self.labels if each["id"] == annotation["label_id"])
        known = {attribute["id"] for attribute in label["attributes"]}
        for value in annotation["attributes"]:
            assert value["spec_id"] in known
            assert len(value["value"]) <= 4096
        assert 0 <= annotation["frame"] < frames

    def _element(self, shape: dict[str, Any]) -> ET.Element:
        """The XML of a shape, as CVAT's exporter derives it from the numbers."""
        points = [float(number) for number in shape["points"]]
        written = [f"{number:.2f}" for number in points]
        common = {
            "label": self._label(shape),
            "source": shape.get("source", "manual"),
            "occluded": str(int(shape.get("occluded", False))),
            "z_order": str(shape.get("z_order", 0)),
        }
        if shape.get("rotation"):
            common["rotation"] = f"{shape['rotation']:.2f}"
        if shape.get("group"):
            common["group_id"] = str(shape["group"])
        kind, numbers = shape["type"], dict[str, str]()
        if kind == "rectangle":
            kind, numbers = "box", dict(zip(("xtl", "ytl", "xbr", "ybr"), written, strict=True))
        elif kind == "ellipse":
            cx, cy, right, top = points
            sides = {"cx": cx, "cy": cy, "rx": right - cx, "ry": cy - top}
            numbers = {name: f"{number:.2f}" for name, number in sides.items()}
        elif kind == "mask":
            *runs, left, up, right, down = map(int, points)
            sizes = {"left": left, "top": up, "width": right - left + 1, "height": down - up + 1}
            numbers = {"rle": ", ".join(map(str, runs)), **{name: str(size) for name, size in sizes.items()}}
        else:
            pairs = zip(written[::2], written[1::2], strict=True)
            numbers = {"points": ";".join(",".join(pair) for pair in pairs)}
        element = ET.Element(kind, {**common, **numbers})
        self._add_attributes(element, shape)
        return element


def _read(data: Path) -> tuple[ET.Element, dict[int, Task], list[dict[str, Any]]]:
    with zipfile.ZipFile(data) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    tree = ET.fromstring(files["annotations.xml"])
    tasks: dict[int, Task] = {}
    for element in tree.findall("image"):
        subset, name = element.get("subset", ""), element.get("name", "")
        number = int(element.get("task_id", "1"))
        while number in tasks and tasks[number].subset != subset:  # a file that was put together by hand
            number += 1
        task = tasks.setdefault(number, Task(number, f"task {number}", subset))
        width, height = int(element.get("width", "0")), int(element.get("height", "0"))
        path = f"images/{subset}/{name}" if subset else f"images/{name}"
        task.frames.append(Frame(name, width, height, files.get(path, b""), element))
    labels: list[dict[str, Any]] = [
        {
            "id": 100 + index,
            "name": label.findtext("name"),
            "color": label.findtext("color"),
            "type": label.findtext("type") or "any",
            "attributes": [
                {
                    "id": 10 * (100 + index) + place,
                    "name": attribute.findtext("name"),
                    "mutable": False,
                    "input_type": attribute.findtext("input_type"),
                    "default_value": "",
                    "values": [],
                }
                for place, attribute in enumerate(label.iter("attribute"))
            ],
            "sublabels": [],
            "has_parent": False,
        }
        for index, label in enumerate(tree.iter("label"))
    ]
    return tree, tasks, labels
