"""`push --new-task`: what is sent comes back equal, and nothing half-done stays without a name."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from cvat_project import Cvat, Task
from cvat_server import TOKEN
from exports import png

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, load_dataset, store
from pcm_leukemia.baselines.suspects import Suspect
from pcm_leukemia.baselines.suspects.writer import marked
from pcm_leukemia.converters import cvat
from pcm_leukemia.cvat_server import create_task, pull, push
from pcm_leukemia.errors import DataNotFound, DataWarning, ExportError, ImpossibleValue, ServerError
from pcm_leukemia.schema import IGNORE, ImageId

pytest.importorskip("cvat_sdk", reason="the extra cvat is not installed")

NAMES = ("P 1/b&c.png", "P 1/ä.png", "P 2/b&c.png")
NAME = "Suspects, fold 2"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """What `suspects` writes for CVAT: the frames of three images, with a suspect or two in each."""
    folder = tmp_path / "images"
    for number, name in enumerate(NAMES):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(color=(number, 90, 60)))
    images = tuple(Image(ImageId(name), 200, 100, file=name) for name in NAMES)
    cells = tuple(
        Cell(ImageId(name), 0, "Monocyte", Box(10, 20, 50.25, 70), "Monocyte", source="manual")
        for name in NAMES
    )
    ds = Dataset("smears", NINE, images, cells, root=folder)
    suspects = [
        suspect("wrong-class", NAMES[0], suggested_label="Lymphoblast"),
        suspect("missing-box", NAMES[0], suggested_box=Box(90, 30, 120, 60)),
        suspect("spurious-box", NAMES[1]),
        suspect("spurious-box", NAMES[2], box=Box(10, 20, 50.25, 70)),
    ]
    found = marked(ds, suspects)
    assert [len(image.tags) for image in found.images] == [2, 1, 1]
    cvat.write(found, tmp_path / "frames.zip")
    return tmp_path / "frames.zip"


def suspect(kind: Any, image: str, **more: Any) -> Suspect:
    fields: dict[str, Any] = dict.fromkeys(
        ("cell", "label", "suggested_label", "box", "suggested_box", "patient")
    )
    fields["box"] = Box(10, 20, 50.25, 70)
    return Suspect(
        kind=kind,
        score=0.75,
        image=ImageId(image),
        part="train",
        reason="the models disagree",
        **(fields | more),
    )


@pytest.fixture
def ready(served: tuple[Cvat, str]) -> tuple[Cvat, str]:
    """The server, with the labels of the suspects on the project: type and attributes are those in frames.zip."""
    server, host = served
    for name, kind, attributes in (
        ("suspect", "any", ("kind", "score", "annotated as", "suggested", "reason")),
        ("wrong-class", "tag", ("why",)),
        ("missing-box", "tag", ("why",)),
        ("spurious-box", "tag", ("why",)),
    ):
        add_label(server, name, kind, attributes)
    return server, host


def add_label(server: Cvat, name: str, kind: str, attributes: Iterable[str]) -> None:
    number = server.number()
    server.labels.append(
        {
            "id": number,
            "name": name,
            "color": "#ff00ff",
            "type": kind,
            "attributes": [{**ATTRIBUTE, "id": server.number(), "name": each} for each in attributes],
            "sublabels": [],
            "has_parent": False,
        }
    )


ATTRIBUTE = {"mutable": False, "input_type": "text", "default_value": "", "values": [""]}


def made(server: Cvat) -> list[Task]:
    """The tasks that were not there from the first."""
    return [task for task in server.tasks.values() if task.number not in (3, 4)]


def read(path: Path) -> Dataset:
    return replace(load_dataset(path, taxonomy="declared", check_images=False), name="")


def came_back(host: str, task: Task, frames: Path, folder: Path) -> bool:
    """Whether the task, when it is pulled, is the data set in frames.zip."""
    pull(f"{host}/tasks/{task.number}", folder)
    sent, back = read(frames), read(folder)
    with zipfile.ZipFile(frames) as archive:
        for name in NAMES:
            assert (folder / "images" / name).read_bytes() == archive.read(f"images/{name}")
    return sent == back


# What arrives


def test_a_new_task_is_the_data_set_that_was_sent(
    ready: tuple[Cvat, str], frames: Path, tmp_path: Path, run: Run
) -> None:
    server, host = ready
    done = run("push", frames, f"{host}/projects/7", "--new-task", NAME)
    (task,) = made(server)
    said = f'{host}/tasks/{task.number}: the new task "{NAME}" got 7 cells and 4 tags on 3 images\n'
    assert (done.status, done.out, done.err) == (0, said, "")
    assert (task.name, task.subset, [frame.name for frame in task.frames]) == (NAME, "", sorted(NAMES))
    assert TOKEN not in done.out + done.err
    assert came_back(host, task, frames, tmp_path / "back")
    back = read(tmp_path / "back")
    (first, second) = back.image("P 1/b&c.png").tags
    assert (first.label, first.source) == ("wrong-class", "auto")
    assert first.attributes == (("why", "Lymphoblast (0.75)"),)
    assert second.label == "missing-box"
    suspects = [cell for cell in back.cells if cell.label == "suspect"]
    kinds = [dict(cell.attributes)["kind"] for cell in suspects]
    assert kinds == ["wrong-class", "missing-box", "spurious-box", "spurious-box"]
    assert dict(suspects[0].attributes)["score"] == "0.75"


def test_python_sends_ignored_cells_under_the_labels_of_their_annotators(
    ready: tuple[Cvat, str], frames: Path, tmp_path: Path
) -> None:
    server, host = ready
    ds = load_dataset(frames, labels={"suspect": "ignore"})
    assert sum(cell.label == IGNORE for cell in ds.cells) == 4
    pushed = create_task(ds, f"{host}/projects/7", NAME)
    assert (pushed.images, pushed.cells, pushed.tags, pushed.added) == (3, 7, 4, ())
    assert came_back(host, made(server)[0], frames, tmp_path / "back")


def test_large_data_are_uploaded_in_pieces(
    ready: tuple[Cvat, str], frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cvat_sdk.core import uploading

    server, host = ready
    monkeypatch.setitem(uploading.DataUploader.__init__.__kwdefaults__, "max_request_size", 100)
    monkeypatch.setattr(uploading, "TUS_CHUNK_SIZE", 500)
    create_task(load_dataset(frames, taxonomy="declared"), f"{host}/projects/7", NAME)
    assert server.asked["PATCH /api/tasks/N/data/frames.zip"] > 2
    assert came_back(host, made(server)[0], frames, tmp_path / "back")


def test_a_project_is_pulled_with_its_new_task_beside_the_others(
    ready: tuple[Cvat, str], frames: Path, tmp_path: Path, run: Run
) -> None:
    _, host = ready
    run("push", frames, f"{host}/projects/7", "--new-task", NAME, "--subset", "Suspects")
    pull(f"{host}/projects/7", tmp_path / "all")
    ids = {image.id for image in read(tmp_path / "all").images}
    assert ids == {"Train/a.png", "Train/P 1/b&c.png", "Test/a.png", "Test/ä/d.png"} | {
        f"Suspects/{name}" for name in NAMES
    }


def test_corrected_cells_come_back_to_their_data_and_images(
    ready: tuple[Cvat, str], tmp_path: Path, run: Run
) -> None:
    server, host = ready
    url = f"{host}/projects/7"
    pull(url, tmp_path / "smears")
    ds = load_dataset(tmp_path / "smears")
    cvat.write(marked(ds, [suspect("wrong-class", "Train/a.png")]), tmp_path / "frames.zip")
    run("push", tmp_path / "frames.zip", url, "--new-task", NAME)
    (task,) = made(server)
    task.shapes = [shape for shape in task.shapes if not shape["attributes"]]  # the suspect is deleted
    other = next(label["id"] for label in server.labels if label["name"] == "Lymphoblast")
    task.shapes[0]["label_id"] = other
    done = run("pull", f"{host}/tasks/{task.number}", tmp_path / "corrected")
    assert (done.status, done.err) == (0, "")
    corrected = load_dataset(tmp_path / "corrected")
    assert [(cell.image, cell.label) for cell in corrected.cells] == [("Train/a.png", "Lymphoblast")]
    done = run("push", tmp_path / "corrected", url, "--existing", "all", "--no-tags")
    assert (
        done.status,
        f"2 frames of {url} have its name; give the address of the one task" in done.err,
    ) == (1, True)
    for frame in server.tasks[3].frames:
        del frame.element[:]
    done = run("push", tmp_path / "corrected", f"{host}/tasks/3", "--existing", "all", "--no-tags")
    assert "got 1 cell on 1 image" in done.out
    assert [shape["label_id"] for shape in server.tasks[3].shapes] == [other]


def test_a_task_is_divided_into_jobs(ready: tuple[Cvat, str], frames: Path, run: Run) -> None:
    server, host = ready
    assert run("push", frames, f"{host}/projects/7", "--new-task", NAME, "--job-size", "2").status == 0
    run("push", frames, f"{host}/projects/7", "--new-task", "whole", "--subset", "whole")
    assert [task.job_size for task in made(server)] == [2, 0]


def test_no_tags_are_sent_if_that_is_asked_for(ready: tuple[Cvat, str], frames: Path, run: Run) -> None:
    server, host = ready
    done = run("push", frames, f"{host}/projects/7", "--new-task", NAME, "--no-tags")
    assert "got 7 cells on 3 images\n  left out: 4 tags" in done.out
    assert made(server)[0].tags == []


def test_a_dry_run_sends_nothing(ready: tuple[Cvat, str], frames: Path, run: Run) -> None:
    server, host = ready
    done = run("push", frames, f"{host}/projects/7", "--new-task", NAME, "--dry-run")
    assert done.out == f'{host}/projects/7: a new task "{NAME}" would get 7 cells and 4 tags on 3 images\n'
    assert not [asked for asked in server.asked if not asked.startswith("GET")]


def test_a_canonical_folder_is_sent_as_well(
    ready: tuple[Cvat, str], frames: Path, tmp_path: Path, run: Run
) -> None:
    server, host = ready
    store.write(load_dataset(frames, labels={"suspect": "ignore"}), tmp_path / "data")
    done = run("push", tmp_path / "data", f"{host}/projects/7", "--new-task", NAME)
    assert (done.status, done.err) == (0, "")
    assert came_back(host, made(server)[0], frames, tmp_path / "back")


# Labels


def test_labels_that_are_missing_are_refused_before_anything_is_sent(
    served: tuple[Cvat, str], frames: Path, run: Run
) -> None:
    server, host = served
    add_label(server, "suspect", "any", ("kind", "score", "suggested"))
    add_label(server, "wrong-class", "rectangle", ("why",))
    done = run("push", frames, f"{host}/projects/7", "--new-task", NAME)
    where = f"{host}/projects/7"
    how = "add them to the label in CVAT as text, or pass --add-labels"
    tail = 'add it to the labels in CVAT, with the text attribute "why", or pass --no-tags to leave tags out, or pass --add-labels'
    assert (done.status, done.err.splitlines()[-4:]) == (
        1,
        [
            f'error: {where}: its label "suspect" lacks the attributes "annotated as", "reason"; {how}',
            f'{where}: has no label "missing-box" (1 tag); {tail}',
            f'{where}: has no label "spurious-box" (2 tags); {tail}',
            f'{where}: its label "wrong-class" takes rectangle alone, and 1 tag needs it; let the label take any shape in CVAT',
        ],
    )
    assert not [asked for asked in server.asked if not asked.startswith("GET")]


def test_labels_that_are_missing_are_added_on_request(
    served: tuple[Cvat, str], frames: Path, tmp_path: Path, run: Run
) -> None:
    server, host = served
    add_label(server, "suspect", "rectangle", ("kind", "score"))
    before = [(label["id"], label["name"], label["type"], label["color"]) for label in server.labels]
    url = f"{host}/projects/7"
    done = run("push", frames, url, "--new-task", NAME, "--add-labels", "--dry-run")
    names = "suspect, missing-box, spurious-box, wrong-class"
    assert f"would be added to the labels, whole or with attributes: {names}\n" in done.out
    assert not [asked for asked in server.asked if not asked.startswith("GET")]
    done = run("push", frames, url, "--new-task", NAME, "--add-labels")
    assert f"  added to the labels, whole or with attributes: {names}\n" in done.out
    after = [(label["id"], label["name"], label["type"], label["color"]) for label in server.labels]
    assert after[: len(before)] == before
    assert [label["type"] for label in server.labels[len(before) :]] == ["tag"] * 3
    assert came_back(host, made(server)[0], frames, tmp_path / "back")
    asked = server.asked["PATCH /api/projects/N"]
    run("push", frames, url, "--new-task", "again", "--add-labels", "--subset", "again")
    assert (server.asked["PATCH /api/projects/N"], asked) == (1, 1)


def test_an_empty_project_gets_all_classes(served: tuple[Cvat, str], frames: Path) -> None:
    server, host = served
    server.labels.clear()
    create_task(
        load_dataset(frames, labels={"suspect": "ignore"}), f"{host}/projects/7", NAME, add_labels=True
    )
    names = [label["name"] for label in server.labels]
    assert names == [*NINE.labels, "suspect", "missing-box", "spurious-box", "wrong-class"]


def test_the_value_of_an_attribute_must_fit(ready: tuple[Cvat, str], frames: Path) -> None:
    server, host = ready
    ds = load_dataset(frames, taxonomy="declared")
    long = replace(ds.images[0].tags[0], attributes=(("why", "x" * 4097),))
    ds = replace(ds, images=(replace(ds.images[0], tags=(long,)), *ds.images[1:]))
    said = 'image "P 1/b&c.png": the attribute "why" has 4,097 characters, and CVAT stores 4,096; shorten it'
    with pytest.raises(ServerError, match=re.escape(said)):
        create_task(ds, f"{host}/projects/7", NAME)
    assert made(server) == []


# Interruptions


def requests_of(server: Cvat, host: str, ds: Dataset) -> int:
    """How many requests a new task takes."""
    before = len(server.heard)
    create_task(ds, f"{host}/projects/7", NAME)
    for task in made(server):
        del server.tasks[task.number]
    return len(server.heard) - before


@pytest.mark.parametrize("fault", ["drop", "lose", 500, "html"])
def test_a_task_that_is_left_incomplete_is_named(
    ready: tuple[Cvat, str], frames: Path, tmp_path: Path, fault: str | int
) -> None:
    """The server breaks off at each request in turn, and stays so; then the push is tried again."""
    server, host = ready
    ds = load_dataset(frames, taxonomy="declared")
    for number in range(requests_of(server, host, ds)):
        start = len(server.heard)
        broken = partial(lambda first: fault if len(server.heard) > first else 0, start + number)
        server.fault("", broken)
        with pytest.raises(ServerError) as raised:
            create_task(ds, f"{host}/projects/7", NAME)
        server.faults.clear()
        said = str(raised.value)
        assert TOKEN not in said
        if not made(server):
            assert "is incomplete" not in said or f'if it has a task "{NAME}" now' in said
            continue
        (task,) = made(server)
        assert "run the same command again" not in said  # it would be refused
        address = f"{host}/tasks/{task.number}"
        delete = f"cvat-cli --server-host {host} task delete {task.number}"
        assert (
            f"{address}: is incomplete; delete it before you try again: {delete}" in said
            or f'{host}/projects/7: if it has a task "{NAME}" now, that is incomplete; delete it in CVAT'
            in said
        )
        with pytest.raises(ServerError) as again:
            create_task(ds, f"{host}/projects/7", NAME)
        assert f'{address}: is called "{NAME}" already' in str(again.value)
        assert str(again.value).endswith(delete)
        assert made(server) == [task]
        del server.tasks[task.number]
    create_task(ds, f"{host}/projects/7", NAME)
    assert came_back(host, made(server)[0], frames, tmp_path / "back")


def test_an_upload_in_pieces_that_breaks_off_is_named(
    ready: tuple[Cvat, str], frames: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from cvat_sdk.core import uploading

    server, host = ready
    monkeypatch.setitem(uploading.DataUploader.__init__.__kwdefaults__, "max_request_size", 100)
    pieces = iter([500, 0, 500, 0, 500])  # between two pieces, the client asks how much has come
    server.fault("data/frames.zip", lambda: next(pieces))
    said = "the upload broke off several times; check the network\n.* is incomplete; delete it before you try again"
    with pytest.raises(ServerError, match=said):
        create_task(load_dataset(frames, taxonomy="declared"), f"{host}/projects/7", NAME)
    assert TOKEN not in caplog.text


def test_the_command_in_the_message_deletes_the_task(ready: tuple[Cvat, str], frames: Path) -> None:
    from cvat_cli.__main__ import main as cvat_cli

    server, host = ready
    server.fault("action=create$", 500)
    with pytest.raises(ServerError) as raised:
        create_task(load_dataset(frames, taxonomy="declared"), f"{host}/projects/7", NAME)
    command = str(raised.value).rpartition("cvat-cli ")[2]
    assert len(made(server)) == 1
    assert cvat_cli(command.split()) in (0, None)
    assert made(server) == []


def test_an_incomplete_task_does_not_keep_a_project_from_being_pushed_to(
    ready: tuple[Cvat, str], frames: Path
) -> None:
    server, host = ready
    server.fault("data/$", "drop")
    ds = load_dataset(frames, taxonomy="declared")
    with pytest.raises(ServerError, match="the connection broke off .*\n.* is incomplete"):
        create_task(ds, f"{host}/projects/7", NAME)
    server.faults.clear()
    assert len(made(server)) == 1
    cell = Cell(ImageId("Test/a.png"), 0, "Other", Box(1, 2, 30, 40))
    ds = Dataset("more", NINE, (Image(ImageId("Test/a.png"), 200, 100),), (cell,))
    assert push(ds, f"{host}/projects/7", existing="all").cells == 1


def test_a_keyboard_interrupt_names_the_task(
    ready: tuple[Cvat, str], frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cvat_sdk.core.proxies.tasks import Task as Proxy

    server, host = ready

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Proxy, "upload_data", interrupt)
    with pytest.warns(DataWarning, match="is incomplete; delete it"), pytest.raises(KeyboardInterrupt):
        create_task(load_dataset(frames, taxonomy="declared"), f"{host}/projects/7", NAME)
    assert len(made(server)) == 1


def test_frames_that_the_server_cannot_make_are_reported(ready: tuple[Cvat, str], frames: Path) -> None:
    server, host = ready
    ds = load_dataset(frames, taxonomy="declared")
    server.cannot_create = "No media data found"
    with pytest.raises(
        ServerError, match="could not make frames of the images \\(No media data found\\); .*\n.*incomplete"
    ):
        create_task(ds, f"{host}/projects/7", NAME)
    server.cannot_create = ""
    server.drops = {NAMES[1]}
    said = f'CVAT took 2 of 3 images, and not "{NAMES[1]}"; rename it, or leave it out\n'
    with pytest.raises(ServerError, match=re.escape(said)):
        create_task(ds, f"{host}/projects/7", "other name")


# Refusals


def test_the_images_of_a_subset_are_not_doubled(ready: tuple[Cvat, str], frames: Path) -> None:
    server, host = ready
    ds = load_dataset(frames, taxonomy="declared")
    create_task(ds, f"{host}/projects/7", NAME)
    said = 'has 3 of the images already, such as "P 1/b&c.png", in the same subset; give the new task another subset (subset)'
    with pytest.raises(ServerError, match=re.escape(said)):
        create_task(ds, f"{host}/projects/7", "again")
    create_task(ds, f"{host}/projects/7", "again", subset="again")
    assert len(made(server)) == 2


def test_a_new_task_needs_a_project(ready: tuple[Cvat, str], frames: Path, run: Run) -> None:
    server, host = ready
    done = run("push", frames, f"{host}/tasks/3", "--new-task", NAME)
    said = f"error: {host}/tasks/3: a new task is made in a project; give the address of the project, such as {host}/projects/7"
    assert (done.status, done.err.splitlines()[-1]) == (1, said)
    assert made(server) == []


def test_options_that_do_not_fit_are_refused(frames: Path, run: Run) -> None:
    url = "https://cvat.hospital.org/projects/7"
    done = run("push", frames, url, "--subset", "Train")
    assert (done.status, "--subset is that of a new task; give --new-task, or leave it out" in done.err) == (
        2,
        True,
    )
    done = run("push", frames, url, "--job-size", "5")
    assert (done.status, "--job-size is that of a new task; give --new-task" in done.err) == (2, True)
    done = run("push", frames, url, "--new-task", NAME, "--existing", "all")
    assert (
        done.status,
        "--existing is for images on the server, and --new-task makes new ones" in done.err,
    ) == (2, True)


def test_what_cvat_cannot_store_is_refused(frames: Path) -> None:
    ds, url = load_dataset(frames, taxonomy="declared"), "https://cvat.hospital.org/projects/7"
    with pytest.raises(ImpossibleValue, match='name " ": has 0 characters; give a name of 1 to 256'):
        create_task(ds, url, " ")
    with pytest.raises(
        ImpossibleValue, match='subset "a/b": is too long, or a path; give a name of at most 64 characters'
    ):
        create_task(ds, url, NAME, subset="a/b")
    with pytest.raises(ImpossibleValue, match="job_size 0: give a number of images, 1 or more"):
        create_task(ds, url, NAME, job_size=0)
    with pytest.raises(DataNotFound):
        create_task(Dataset("bare", NINE, (Image(ImageId("a.png"), 20, 10),)), url, NAME)
    some = replace(ds, images=(replace(ds.images[0], file=None), *ds.images[1:]))
    with pytest.raises(
        ExportError, match='1 of 3 images have no file, the first "P 1/b&c.png"; add the files, or leave'
    ):
        create_task(some, url, NAME)


def test_a_file_that_is_not_its_image_is_refused_before_anything_is_sent(
    ready: tuple[Cvat, str], frames: Path
) -> None:
    server, host = ready
    ds = load_dataset(frames, taxonomy="declared")
    ds = replace(ds, images=(replace(ds.images[0], width=201), *ds.images[1:]))
    with pytest.raises(ExportError, match='image "P 1/b&c.png": .*'):
        create_task(ds, f"{host}/projects/7", NAME, add_labels=True)
    assert not [asked for asked in server.asked if not asked.startswith("GET")]
