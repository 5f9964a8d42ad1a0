"""What the small CVAT server of the tests answers, in CVAT's schema."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cvat_project import PROJECT, Asked, Cvat, Task, when

_PAGE = 2
"""Tasks on a page of a list; CVAT's own is longer, but then no test would see a second page."""


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
        "segment_size": task.job_size or len(task.frames),
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
