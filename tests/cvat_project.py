"""What the small CVAT server of the tests holds, read from an export, and its answers in CVAT's schema."""

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
_PAGE = 2
"""Tasks on a page of a list; CVAT's own is longer, but then no test would see a second page."""


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


def _about(cvat: Cvat, _: Asked) -> Any:
    about = {"name": "Computer Vision Annotation Tool", "description": "CVAT", "version": cvat.version}
    return {**about, "logo_url": "http://127.0.0.1/logo.svg", "subtitle": ""}


def _urls(kind: str) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1/api/{kind}"}


def of_task(task: Task) -> dict[str, Any]:
    """What CVAT says of a task; without images, it has neither a size nor data."""
    about = {
        "url": f"http://127.0.0.1/api/tasks/{task.number}",
        "id": task.number,
        "name": task.name,
        "project_id": PROJECT,
        "mode": "annotation",
        "owner": None,
        "assignee": None,
        "bug_tracker": "",
        "created_date": when(0),
        "updated_date": when(task.updated),
        "overlap": 0,
        "segment_size": len(task.frames),
        "status": "annotation",
        "data_chunk_size": 3,
        "data_compressed_chunk_type": "imageset",
        "data_original_chunk_type": "imageset",
        "size": len(task.frames),
        "image_quality": 70,
        "data": task.number,
        "dimension": "2d",
        "subset": task.subset,
        "organization": None,
        "organization_id": None,
        "target_storage": None,
        "source_storage": None,
        "jobs": {"count": 1, "completed": 0, "validation": 0, **_urls("jobs")},
        "labels": _urls("labels"),
    }
    if not task.frames:
        about |= {"data": None, "mode": ""}
        del about["size"]
    return about


def _of_job(task: Task) -> dict[str, Any]:
    return {
        "url": f"http://127.0.0.1/api/jobs/{task.number}",
        "id": task.number,
        "task_id": task.number,
        "project_id": PROJECT,
        "dimension": "2d",
        "mode": "annotation",
        "start_frame": 0,
        "stop_frame": len(task.frames) - 1,
        "frame_count": len(task.frames),
        "created_date": when(0),
        "updated_date": when(task.updated),
        "organization": None,
        "target_storage": None,
        "source_storage": None,
        "issues": {"count": 0, **_urls("issues")},
        "labels": _urls("labels"),
    }


def _project(cvat: Cvat, asked: Asked) -> Any:
    return project_of(cvat) if asked.number == PROJECT else None


def project_of(cvat: Cvat) -> dict[str, Any]:
    """What CVAT says of the project."""
    return {
        "url": f"http://127.0.0.1/api/projects/{PROJECT}",
        "id": PROJECT,
        "name": "smears",
        "owner": None,
        "assignee": None,
        "bug_tracker": "",
        "task_subsets": sorted({task.subset for task in cvat.tasks.values()}),
        "created_date": when(0),
        "updated_date": when(cvat.updated),
        "status": "annotation",
        "dimension": "2d",
        "organization": None,
        "organization_id": None,
        "target_storage": None,
        "source_storage": None,
        "tasks": {"count": len(cvat.tasks), **_urls("tasks")},
        "labels": _urls("labels"),
    }


def _task(cvat: Cvat, asked: Asked) -> Any:
    task = cvat.tasks.get(asked.number)
    return task and of_task(task)


def _job(cvat: Cvat, asked: Asked) -> Any:
    task = cvat.tasks.get(asked.number)
    return task and _of_job(task)


def _tasks(cvat: Cvat, asked: Asked) -> Any:
    return _page([of_task(task) for task in cvat.tasks.values()], asked)


def _labels(cvat: Cvat, asked: Asked) -> Any:
    return _page(cvat.labels, asked, 100)


def _page(items: list[Any], asked: Asked, size: int = _PAGE) -> Any:
    page = int(asked.query.get("page", "1"))
    more = "http://127.0.0.1/next" if page * size < len(items) else None
    shown = items[(page - 1) * size : page * size]
    return {"count": len(items), "next": more, "previous": None, "results": shown}


def _meta(cvat: Cvat, asked: Asked) -> Any:
    task = cvat.tasks[asked.number]
    if not task.frames:
        return None
    return {
        "chunks_updated_date": when(task.changed),
        "chunk_size": 3,
        "size": len(task.frames),
        "image_quality": 70,
        "start_frame": task.start,
        "stop_frame": task.start + task.step * (len(task.frames) - 1),
        "frame_filter": f"step={task.step}" if task.step > 1 else "",
        "frames": [
            {"name": frame.name, "width": frame.width, "height": frame.height, "related_files": 0}
            for frame in task.frames
        ],
        "deleted_frames": sorted(task.deleted),
        "included_frames": None,
        "storage": "local",
    }


def _data(cvat: Cvat, asked: Asked) -> Any:
    task = cvat.tasks[asked.number]
    assert asked.query["quality"] == "original"
    place = int(asked.query["number"])
    if asked.query["type"] == "frame":
        return task.frames[place].data if place < len(task.frames) else None
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for index, frame in enumerate(task.frames[3 * place : 3 * place + 3]):
            archive.writestr(f"{index:06}{Path(frame.name).suffix}", frame.data)
    return stream.getvalue()


def _export(cvat: Cvat, asked: Asked) -> Any:
    assert asked.query["format"] == "CVAT for images 1.1"
    number = cvat.number()
    images = asked.query["save_images"].lower() == "true"
    cvat.exports[number] = cvat.export(asked.kind, asked.number, images=images)
    return {"rq_id": f"export-{number}"}


def _request(_: Cvat, asked: Asked) -> Any:
    return {
        "status": "finished",
        "id": f"export-{asked.number}",
        "message": "",
        "created_date": when(0),
        "operation": {"type": "export:dataset", "target": "project"},
        "result_url": f"{asked.host}/api/export-{asked.number}.zip",
    }


def _zip(cvat: Cvat, asked: Asked) -> Any:
    return cvat.exports[asked.number]


def _annotations(cvat: Cvat, asked: Asked) -> Any:
    task = cvat.tasks[asked.number]
    return {"version": 0, "tags": task.tags, "shapes": task.shapes, "tracks": task.tracks}


def _change(cvat: Cvat, asked: Asked) -> Any:
    """PATCH: add what has no number, or delete what has."""
    task, action = cvat.tasks[asked.number], asked.query["action"]
    assert action in ("create", "delete")
    for kind, there in (("shapes", task.shapes), ("tags", task.tags)):
        brought = asked.body.get(kind, [])
        if action == "create":
            for each in brought:
                cvat.check(each, len(task.frames))
            there += [{**each, "id": cvat.number()} for each in brought]
        else:
            gone = {each["id"] for each in brought}
            there[:] = [each for each in there if each["id"] not in gone]
    cvat.touch(task)
    return _annotations(cvat, asked)


def _replace(cvat: Cvat, asked: Asked) -> Any:
    task = cvat.tasks[asked.number]
    task.shapes = [{**each, "id": cvat.number()} for each in asked.body.get("shapes", [])]
    cvat.touch(task)
    return _annotations(cvat, asked)


_OWNER = r"/api/(?P<kind>task|job)s/(?P<number>\d+)"

ROUTES: list[tuple[str, Callable[[Cvat, Asked], Any]]] = [
    (r"GET /api/server/about", _about),
    (r"GET /api/projects/(?P<number>\d+)", _project),
    (r"GET /api/tasks", _tasks),
    (r"GET /api/tasks/(?P<number>\d+)", _task),
    (r"GET /api/jobs/(?P<number>\d+)", _job),
    (r"GET /api/labels", _labels),
    (rf"GET {_OWNER}/data/meta", _meta),
    (rf"GET {_OWNER}/data/?", _data),
    (r"POST /api/(?P<kind>project|task|job)s/(?P<number>\d+)/dataset/export", _export),
    (r"GET /api/requests/export-(?P<number>\d+)", _request),
    (r"GET /api/export-(?P<number>\d+)\.zip", _zip),
    (rf"GET {_OWNER}/annotations/", _annotations),
    (rf"PATCH {_OWNER}/annotations/", _change),
    (rf"PUT {_OWNER}/annotations/", _replace),
]
