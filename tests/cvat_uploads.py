"""What the small CVAT server of the tests answers to cvat-sdk's client that makes a task, uploads its images and adds labels."""

from __future__ import annotations

import base64
import io
import posixpath
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from typing import Any
from xml.etree import ElementTree as ET

import PIL.Image
from cvat_answers import of_task, project_of
from cvat_project import Asked, Cvat, Frame, Reply, Task, when


def _create_task(cvat: Cvat, asked: Asked) -> Any:
    """POST /api/tasks: a task without images."""
    assert asked.query == {"org": ""}  # the project is of no organization
    assert asked.body["project_id"] == 7
    number = cvat.number()
    cvat.tasks[number] = task = Task(number, asked.body["name"], asked.body.get("subset", ""))
    task.job_size = asked.body.get("segment_size", 0)
    assert asked.body.get("overlap") == (0 if task.job_size else None)
    cvat.touch(task)
    return Reply(201, of_task(task))


def _delete_task(cvat: Cvat, asked: Asked) -> Any:
    return Reply(204, None) if cvat.tasks.pop(asked.number, None) else None


def _data(cvat: Cvat, asked: Asked) -> Any:
    """POST /api/tasks/N/data/: the steps of an upload, which their headers name."""
    if asked.number not in cvat.tasks:
        return None
    files = cvat.uploads.setdefault(asked.number, {})
    if "Upload-Start" in asked.headers:
        return Reply(202, None)
    if "Upload-Multiple" in asked.headers:
        for name, content in _parts(asked):
            files[posixpath.basename(name)] = content  # as Django does
        return Reply(200, None)
    if "Upload-Length" in asked.headers:
        metadata = dict(pair.split(" ") for pair in asked.headers["Upload-Metadata"].split(","))
        name = base64.b64decode(metadata["filename"]).decode()
        files[name] = b""
        headers = {
            "Location": f"{asked.host}/api/tasks/{asked.number}/data/{name}",
            "Upload-Filename": name,
        }
        return Reply(201, None, headers)
    assert "Upload-Finish" in asked.headers
    assert asked.body["image_quality"] == 70
    _extract(cvat, cvat.tasks[asked.number], files)
    return Reply(202, {"rq_id": f"action=create&target=task&id={asked.number}"})


def _chunk(cvat: Cvat, asked: Asked) -> Any:
    """PATCH, HEAD /api/tasks/N/data/FILE: a piece of a file by the protocol TUS, and how much has come."""
    files = cvat.uploads[asked.number]
    if asked.method == "PATCH":
        assert asked.headers["Content-Type"] == "application/offset+octet-stream"
        if int(asked.headers["Upload-Offset"]) != len(files[asked.rest]):
            return Reply(409, None)
        files[asked.rest] += asked.raw
    return Reply(
        204 if asked.method == "PATCH" else 200, None, {"Upload-Offset": str(len(files[asked.rest]))}
    )


def _creation(cvat: Cvat, asked: Asked) -> Any:
    """GET /api/requests/...: whether the frames have been made."""
    return {
        "status": "failed" if cvat.cannot_create else "finished",
        "id": f"action=create&target=task&id={asked.number}",
        "message": cvat.cannot_create,
        "created_date": when(0),
        "operation": {"type": "create:task", "target": "task", "task_id": asked.number},
    }


def _change_labels(cvat: Cvat, asked: Asked) -> Any:
    """PATCH /api/projects/7: new labels, and new attributes of labels that are there."""
    for brought in asked.body["labels"]:
        label = next((label for label in cvat.labels if label["id"] == brought.get("id")), None)
        if label is None:
            assert brought["name"] not in {each["name"] for each in cvat.labels}
            label = {"id": cvat.number(), "attributes": [], "sublabels": [], "has_parent": False}
            cvat.labels.append(label)
        label |= {key: brought[key] for key in ("name", "color", "type") if key in brought}
        there = {attribute["name"] for attribute in label["attributes"]}
        assert not there & {attribute["name"] for attribute in brought["attributes"]}
        label["attributes"] += [{**each, "id": cvat.number()} for each in brought["attributes"]]
    cvat.touch()
    return project_of(cvat)


def _parts(asked: Asked) -> list[tuple[str, bytes]]:
    """File name and content of each file in a form."""
    kind = asked.headers["Content-Type"].encode()
    form = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + asked.raw)
    files = [(part.get_filename(), part.get_payload(decode=True)) for part in form.get_payload()]  # type: ignore[union-attr]
    return [(str(name), bytes(content)) for name, content in files if name]


def _extract(cvat: Cvat, task: Task, files: dict[str, bytes]) -> None:
    """Make frames of an archive, in the order of their names, as CVAT does."""
    ((name, content),) = files.items()
    assert name.endswith(".zip")
    if cvat.cannot_create:
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in sorted(archive.namelist()):
            if member in cvat.drops:
                continue
            with PIL.Image.open(io.BytesIO(archive.read(member))) as picture:
                width, height = picture.size
            attributes = {"name": member, "width": str(width), "height": str(height)}
            element = ET.Element("image", attributes)
            task.frames.append(Frame(member, width, height, archive.read(member), element))
    cvat.touch(task, frames=True)


UPLOADS: list[tuple[str, Callable[[Cvat, Asked], Any]]] = [
    (r"POST /api/tasks", _create_task),
    (r"DELETE /api/tasks/(?P<number>\d+)", _delete_task),
    (r"POST /api/tasks/(?P<number>\d+)/data/", _data),
    (r"(PATCH|HEAD) /api/tasks/(?P<number>\d+)/data/(?P<rest>.+)", _chunk),
    (r"GET /api/requests/action%3Dcreate%26target%3Dtask%26id%3D(?P<number>\d+)", _creation),
    (r"PATCH /api/projects/(?P<number>\d+)", _change_labels),
]
