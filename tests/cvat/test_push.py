"""`push` against a server on loopback: cells arrive with their scores, and nothing that people drew is lost unasked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from cvat_project import Cvat

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, load_dataset
from pcm_leukemia.converters import coco, cvat
from pcm_leukemia.cvat_server import pull, push
from pcm_leukemia.errors import InvalidDataset, ServerError, UnknownLabel
from pcm_leukemia.schema import IGNORE, ImageId, Tag
from pcm_leukemia.shapes import Ellipse, Mask, Polygon, RotatedBox, Shape

pytest.importorskip("cvat_sdk", reason="the extra cvat is not installed")

IMAGES = ("Train/a.png", "Train/P 1/b&c.png", "Test/a.png", "Test/ä/d.png")
"""The four images of the served project, which are 200 pixels wide and 100 high."""


@pytest.fixture(autouse=True)
def no_boxes(request: pytest.FixtureRequest) -> None:
    """Nobody has annotated anything yet."""
    server, _ = request.getfixturevalue("served")
    for task in server.tasks.values():
        for frame in task.frames:
            del frame.element[:]


def predicted(*names: str, score: float = 0.87, **more: Any) -> Dataset:
    """Two predicted cells on each image."""
    names = names or IMAGES
    ds = Dataset("predicted", NINE, tuple(Image(ImageId(name), 200, 100) for name in names), **more)
    boxes = [("Monocyte", Box(10, 20, 50.25, 70), score), ("Other", Box(60, 30, 90, 60), score)]
    return coco.with_results(ds, dict.fromkeys(names, boxes))


def manual(server: Cvat, task: int, frame: int, **more: Any) -> dict[str, Any]:
    shape = {
        "id": server.number(),
        "type": "rectangle",
        "label_id": server.labels[0]["id"],
        "frame": frame,
        "points": [1.0, 2.0, 30.0, 40.0],
        "source": "manual",
        **more,
    }
    server.tasks[task].shapes.append(shape)
    return shape


def on(server: Cvat, task: int, frame: int) -> list[dict[str, Any]]:
    return [shape for shape in server.tasks[task].shapes if shape["frame"] == frame]


# What arrives


def test_predictions_arrive_with_cvats_own_score(served: tuple[Cvat, str]) -> None:
    server, host = served
    pushed = push(predicted(), f"{host}/projects/7")
    assert (pushed.images, pushed.cells, pushed.removed) == (4, 8, 0)
    (shape, other) = on(server, 4, 1)
    names = {label["id"]: label["name"] for label in server.labels}
    assert (names[shape["label_id"]], names[other["label_id"]]) == ("Monocyte", "Other")
    assert (shape["score"], shape["source"], shape["type"]) == (0.87, "auto", "rectangle")
    assert shape["points"] == [10.0, 20.0, 50.25, 70.0]
    assert str(pushed) == f"{host}/projects/7: got 8 cells on 4 images, in place of 0 shapes"


SHAPES: tuple[Shape | None, ...] = (
    None,
    RotatedBox(40, 30, 80, 60, 30.0),
    Polygon(((10.0, 10.0), (60.5, 12.25), (30.0, 50.0))),
    Ellipse(100, 50, 30, 20, 15.0),
    Mask(20, 30, 3, 2, (1, 2, 1, 2)),
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_every_shape_comes_back_as_it_was(
    served: tuple[Cvat, str], tmp_path: Path, shape: Shape | None
) -> None:
    server, host = served
    for label in server.labels:
        label["type"] = "any"
    server.labels[3]["attributes"] = [{**ATTRIBUTE, "id": 77, "name": "size"}]
    assert server.labels[3]["name"] == "Eosinophil"
    box = Box(*shape.envelope()) if shape else Box(3, 4, 50, 60)  # type: ignore[misc]
    cell = Cell(
        image=ImageId("Test/a.png"),
        id=0,
        label="Eosinophil",
        box=box,
        raw_label="Eosinophil",
        shape=shape,
        occluded=True,
        source="manual",
        z_order=2,
        group=3,
        attributes=(("size", "large"),),
    )
    push(replace(predicted(), cells=(cell,)), f"{host}/projects/7")
    pull(f"{host}/projects/7", tmp_path / "smears")
    (back,) = load_dataset(tmp_path / "smears").cells
    assert back == cell


ATTRIBUTE = {"mutable": False, "input_type": "text", "default_value": "", "values": []}


def test_what_predict_wrote_is_pushed(served: tuple[Cvat, str], tmp_path: Path, run: Run) -> None:
    """A zip for CVAT, and the folder of COCO results, give the same shapes."""
    server, host = served
    zipped, folder = tmp_path / "predicted.zip", tmp_path / "predictions"
    cvat.write(predicted(), zipped)
    done = run("push", zipped, f"{host}/projects/7")
    assert (done.status, done.err) == (0, "")
    assert "got 8 cells on 4 images" in done.out
    first = [{**shape, "id": 0} for task in server.tasks.values() for shape in task.shapes]
    for task in server.tasks.values():
        task.shapes.clear()
    folder.mkdir()
    ds = predicted()
    results = [
        coco.Result(cell.image, cell.label, (cell.box.x1, cell.box.y1, cell.box.x2, cell.box.y2), 0.87)
        for cell in ds.cells
    ]
    coco.write_results(results, replace(ds, cells=()), folder)
    mark = {"written_by": "pcm-leukemia", "format": "predictions", "entries": []}
    (folder / "pcm-leukemia.json").write_text(json.dumps(mark))
    done = run("push", folder, f"{host}/projects/7", "--threshold", "0.9")
    assert "got 0 cells on 0 images" in done.out
    assert run("push", folder, f"{host}/projects/7").status == 0
    assert [{**shape, "id": 0} for task in server.tasks.values() for shape in task.shapes] == first
    done = run("push", zipped, f"{host}/projects/7", "--threshold", "0.9")
    assert (done.status, done.err.splitlines()[-1]) == (
        2,
        "Error: --threshold is for --predictions; leave it out",
    )


def test_a_task_and_a_job_get_their_own_frames(served: tuple[Cvat, str]) -> None:
    server, host = served
    pushed = push(predicted("a.png", "Test/ä/d.png"), f"{host}/tasks/4")
    assert (pushed.images, dict(pushed.left)["images that are not there"]) == (2, 0)
    assert sorted(shape["frame"] for shape in server.tasks[4].shapes) == [0, 0, 1, 1]
    pushed = push(predicted("a.png", "z.png"), f"{host}/jobs/3")
    assert (pushed.images, dict(pushed.left)["images that are not there"]) == (1, 1)
    assert len(server.tasks[3].shapes) == 2


# What is there stays, unless somebody says otherwise


def test_images_with_annotations_are_left_as_they_are(served: tuple[Cvat, str]) -> None:
    server, host = served
    drawn = manual(server, 3, 0)
    automatic = manual(server, 4, 0, source="auto")
    pushed = push(predicted(), f"{host}/projects/7")
    assert (pushed.images, pushed.cells) == (2, 4)
    assert (on(server, 3, 0), on(server, 4, 0)) == ([drawn], [automatic])
    assert "left out: 2 images that have annotations" in str(pushed)
    again = push(predicted(), f"{host}/projects/7")
    assert (again.cells, again.left["images that have annotations"]) == (0, 4)


def test_only_what_a_model_drew_and_nobody_corrected_is_replaced(served: tuple[Cvat, str]) -> None:
    server, host = served
    drawn = [manual(server, 3, 0), manual(server, 3, 0, source="auto")]
    corrected = manual(server, 3, 1, source="semi-auto")
    automatic = manual(server, 4, 0, source="auto")
    tag = {"id": automatic["id"], "label_id": server.labels[0]["id"], "frame": 0}
    server.tasks[4].tags.append(tag)
    pushed = push(predicted(), f"{host}/projects/7", existing="auto")
    assert (on(server, 3, 0), on(server, 3, 1)) == (drawn, [corrected])
    assert automatic not in on(server, 4, 0)
    assert (len(on(server, 4, 0)), len(on(server, 4, 1)), pushed.removed) == (2, 2, 1)
    assert server.tasks[4].tags == [tag]
    assert push(predicted(), f"{host}/projects/7", existing="auto").removed == 4
    assert len(server.tasks[4].shapes) == 4


def test_everything_is_replaced_if_that_is_asked_for(served: tuple[Cvat, str]) -> None:
    server, host = served
    manual(server, 3, 0)
    other = manual(server, 3, 1)
    pushed = push(predicted("Train/a.png"), f"{host}/projects/7", existing="all")
    assert (pushed.removed, pushed.cells, on(server, 3, 1)) == (1, 2, [other])
    assert [shape["source"] for shape in on(server, 3, 0)] == ["auto", "auto"]


def test_frames_of_a_track_are_never_touched(served: tuple[Cvat, str]) -> None:
    server, host = served
    shape = {"type": "rectangle", "frame": 1, "points": [1.0, 2.0, 3.0, 4.0], "outside": False}
    server.tasks[3].tracks = [{"id": 5, "label_id": server.labels[0]["id"], "frame": 1, "shapes": [shape]}]
    pushed = push(predicted(), f"{host}/projects/7", existing="all")
    assert (len(on(server, 3, 0)), on(server, 3, 1)) == (2, [])
    assert pushed.left["images that have annotations"] == 1


def test_a_track_keeps_its_frames_from_its_first_one_on(served: tuple[Cvat, str]) -> None:
    server, host = served
    shapes = [
        {"type": "rectangle", "frame": frame, "points": [1.0, 2.0, 3.0, 4.0], "outside": False}
        for frame in (1, 0)
    ]
    server.tasks[3].tracks = [{"id": 5, "label_id": server.labels[0]["id"], "frame": 0, "shapes": shapes}]
    pushed = push(predicted(), f"{host}/projects/7", existing="all")
    assert (server.tasks[3].shapes, pushed.left["images that have annotations"]) == ([], 2)


def test_a_dry_run_sends_nothing(served: tuple[Cvat, str], run: Run, tmp_path: Path) -> None:
    server, host = served
    cvat.write(predicted(), tmp_path / "predicted.zip")
    done = run("push", tmp_path / "predicted.zip", f"{host}/projects/7", "--dry-run")
    assert "would get 8 cells on 4 images" in done.out
    assert not [asked for asked in server.asked if not asked.startswith("GET")]


def test_a_push_that_broke_off_goes_on_without_doubles(served: tuple[Cvat, str]) -> None:
    server, host = served
    calls = iter([0])
    server.fault("/tasks/4/annotations/.action=create", lambda: next(calls, 500) or 500)
    with pytest.raises(ServerError, match="answers with status 500; wait, and run the same command again"):
        push(predicted(), f"{host}/projects/7")
    server.faults.clear()
    assert push(predicted(), f"{host}/projects/7").cells == 4
    assert [len(task.shapes) for task in server.tasks.values()] == [4, 4]


def test_new_shapes_are_there_before_old_ones_go(served: tuple[Cvat, str]) -> None:
    server, host = served
    old = manual(server, 3, 0, source="auto")
    server.fault("action=delete", "drop")
    with pytest.raises(ServerError, match="the connection broke off"):
        push(predicted(), f"{host}/projects/7", existing="auto")
    assert len(on(server, 3, 0)) == 3
    server.faults.clear()
    assert push(predicted(), f"{host}/projects/7", existing="auto").removed == 5
    assert old not in on(server, 3, 0)
    assert [len(task.shapes) for task in server.tasks.values()] == [4, 4]


# Names, sizes and labels


@pytest.mark.parametrize("name", ["TRAIN/A.png", "Train/A.PNG", r"Train\a.png"])
def test_a_name_may_differ_in_case_and_slashes(served: tuple[Cvat, str], name: str) -> None:
    server, host = served
    assert push(predicted(name), f"{host}/projects/7").cells == 2
    assert len(on(server, 3, 0)) == 2


def test_names_are_compared_whole(served: tuple[Cvat, str]) -> None:
    _, host = served
    with pytest.raises(
        InvalidDataset, match='image "a.png": 2 frames of .*/projects/7 have its name; give the address of'
    ):
        push(predicted("a.png"), f"{host}/projects/7")
    with pytest.raises(
        ServerError, match='has none of the 1 images of predicted, not even the first, "d.png"; compare'
    ):
        push(predicted("d.png"), f"{host}/projects/7")


def test_an_image_of_another_size_is_refused(served: tuple[Cvat, str]) -> None:
    server, host = served
    server.tasks[3].frames[0].width = 100
    with pytest.raises(
        InvalidDataset, match='"Train/a.png": has 200 x 100 pixels, and 100 x 100 in .*; find the image'
    ):
        push(predicted(), f"{host}/projects/7")
    assert not server.tasks[4].shapes


def test_a_frame_that_was_deleted_gets_nothing(served: tuple[Cvat, str]) -> None:
    server, host = served
    server.tasks[3].deleted = {0}
    assert push(predicted(), f"{host}/projects/7").left["images that are not there"] == 1


def test_labels_are_found_in_their_other_spellings(served: tuple[Cvat, str]) -> None:
    server, host = served
    (label,) = [label for label in server.labels if label["name"] == "Myeloblast_AML"]
    label["name"] = "Myeloblast(AML)"
    ds = predicted("Train/a.png")
    cells = tuple(replace_label(cell, "Myeloblast_AML") for cell in ds.cells)
    push(replace(ds, cells=cells), f"{host}/projects/7")
    assert {shape["label_id"] for shape in server.tasks[3].shapes} == {label["id"]}


def replace_label(cell: Cell, label: str) -> Cell:
    from msgspec import structs

    return structs.replace(cell, label=label)


def test_a_class_without_a_label_is_refused(served: tuple[Cvat, str]) -> None:
    server, host = served
    server.labels = [label for label in server.labels if label["name"] != "Monocyte"]
    said = r'has no label "Monocyte" \(4 cells\); add it to the labels in CVAT, or read the data with labels={"Monocyte'
    with pytest.raises(UnknownLabel, match=said):
        push(predicted(), f"{host}/projects/7")
    ignored = tuple(
        replace_label(cell, IGNORE) if cell.label == "Monocyte" else cell for cell in predicted().cells
    )
    pushed = push(replace(predicted(), cells=ignored), f"{host}/projects/7")
    assert (pushed.cells, pushed.left["ignored cells"]) == (4, 4)


def test_a_label_that_takes_boxes_gets_the_box_of_an_outline(served: tuple[Cvat, str]) -> None:
    server, host = served
    outline = Polygon(((10.0, 10.0), (60.0, 10.0), (30.0, 50.0)))
    cell = Cell(ImageId("Train/a.png"), 0, "Other", Box(10, 10, 60, 50), shape=outline)
    ds = replace(predicted("Train/a.png"), cells=(cell,))
    pushed = push(ds, f"{host}/projects/7")
    assert pushed.left["outlines, in place of which boxes are sent"] == 1
    assert server.tasks[3].shapes[0]["points"] == [10.0, 10.0, 60.0, 50.0]
    for label in server.labels:
        label["type"] = "mask"
    with pytest.raises(
        UnknownLabel, match='its label "Other" takes mask alone, and 1 cell is polygon; let the label'
    ):
        push(ds, f"{host}/projects/7")


# Tags


def tagged(ds: Dataset, *tags: Tag) -> Dataset:
    return replace(ds, images=tuple(replace(image, tags=tags) for image in ds.images))


def tag_label(server: Cvat, name: str, *attributes: str) -> int:
    number = server.number()
    kinds = {"type": "tag", "color": "#ff00ff", "sublabels": [], "has_parent": False}
    made = [{**ATTRIBUTE, "id": server.number(), "name": each} for each in attributes]
    server.labels.append({**kinds, "id": number, "name": name, "attributes": made})
    return number


WHY = Tag("wrong-class", (("why", "Monocyte instead of Other"),), "auto", 3)


def test_tags_arrive_with_their_attributes(served: tuple[Cvat, str], tmp_path: Path) -> None:
    server, host = served
    label = tag_label(server, "wrong-class", "who", "why")
    pushed = push(tagged(predicted("Train/a.png", "Test/a.png"), WHY), f"{host}/projects/7")
    assert str(pushed).splitlines()[0].endswith(": got 4 cells and 2 tags on 2 images, in place of 0 shapes")
    (tag,) = server.tasks[4].tags
    assert (tag["label_id"], tag["frame"], tag["source"], tag["group"]) == (label, 0, "auto", 3)
    pull(f"{host}/projects/7", tmp_path / "smears")
    assert load_dataset(tmp_path / "smears").image("Test/a.png").tags == (WHY,)
    assert (
        server.asked["PATCH /api/tasks/N/annotations/"] == 2
    )  # cells and tags of a task come together, or not at all


def test_a_tag_is_not_sent_twice(served: tuple[Cvat, str]) -> None:
    server, host = served
    tag_label(server, "wrong-class", "why")
    tag_label(server, "looked at")
    ds = replace(tagged(predicted("Test/a.png"), WHY), cells=())
    assert push(ds, f"{host}/projects/7", dry_run=True).tags == 1
    pushed = push(ds, f"{host}/projects/7")
    assert (pushed.images, pushed.cells, pushed.tags) == (1, 0, 1)
    pushed = push(tagged(ds, WHY, Tag("looked at")), f"{host}/projects/7")
    assert (pushed.tags, pushed.left["tags whose label the image has"]) == (1, 1)
    assert len(server.tasks[4].tags) == 2


def test_images_with_annotations_get_no_tags(served: tuple[Cvat, str]) -> None:
    server, host = served
    tag_label(server, "wrong-class", "why")
    manual(server, 4, 0)
    ds = replace(tagged(predicted("Test/a.png"), WHY), cells=())
    pushed = push(ds, f"{host}/projects/7")
    assert (pushed.tags, pushed.left["images that have annotations"]) == (0, 1)
    assert server.tasks[4].tags == []


def test_tags_that_the_project_does_not_know_are_refused_or_left_out(
    served: tuple[Cvat, str], run: Run, tmp_path: Path
) -> None:
    server, host = served
    cvat.write(tagged(predicted("Train/a.png"), Tag("patient 7")), tmp_path / "data.zip")
    done = run("push", tmp_path / "data.zip", f"{host}/projects/7")
    said = 'has no label "patient 7" (1 tag); add it to the labels in CVAT, or pass --no-tags to leave tags out, or pass --add-labels'
    assert (done.status, done.err) == (1, f"error: {host}/projects/7: {said}\n")
    assert not [asked for asked in server.asked if not asked.startswith("GET")]
    done = run("push", tmp_path / "data.zip", f"{host}/projects/7", "--no-tags")
    assert "got 2 cells on 1 image, in place of 0 shapes\n  left out: 1 tags\n" in done.out


def test_labels_are_added_to_projects_alone(served: tuple[Cvat, str]) -> None:
    server, host = served
    server.labels = [label for label in server.labels if label["name"] != "Monocyte"]
    said = "tasks/3: labels are made in a project; give the address of the project, such as .*/projects/7"
    with pytest.raises(ServerError, match=said):
        push(predicted("a.png"), f"{host}/tasks/3", add_labels=True)
    with pytest.raises(UnknownLabel, match=r"leave the cells out$"):
        push(predicted("a.png"), f"{host}/tasks/3")
    pushed = push(predicted("Train/a.png"), f"{host}/projects/7", add_labels=True)
    assert (pushed.added, pushed.cells) == (("Monocyte",), 2)


def test_an_attribute_that_a_label_lacks_is_refused(served: tuple[Cvat, str]) -> None:
    _, host = served
    from msgspec import structs

    ds = predicted("Train/a.png")
    cells = tuple(
        structs.replace(cell, attributes=(*cell.attributes, ("size", "large"))) for cell in ds.cells
    )
    said = 'its label "Monocyte" lacks the attribute "size"; add it to the label in CVAT as text, or pass add_labels=True\n.*"Other"'
    with pytest.raises(UnknownLabel, match=said):
        push(replace(ds, cells=cells), f"{host}/projects/7")


# Refusals


def test_an_account_that_may_not_annotate_is_told(served: tuple[Cvat, str]) -> None:
    server, host = served
    server.fault("action=create", 403)
    with pytest.raises(
        ServerError, match="projects/7: your account may not annotate it; ask its owner, or use"
    ):
        push(predicted(), f"{host}/projects/7")


def test_an_unknown_way_is_refused(served: tuple[Cvat, str]) -> None:
    _, host = served
    with pytest.raises(ValueError, match='existing "overwrite": must be keep, auto or all'):
        push(predicted(), f"{host}/projects/7", existing="overwrite")  # type: ignore[arg-type]
