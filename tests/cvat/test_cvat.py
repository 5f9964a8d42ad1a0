"""Reading CVAT: every form and shape, and every problem named with its place."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from exports import SHARED, attribute, box, document, element, header, image, line_of, png, write, zipped
from hypothesis import given, settings

from pcm_leukemia import cvat
from pcm_leukemia.errors import DataNotFound, DataWarning, InvalidExport, PcmError, UnknownLabel
from pcm_leukemia.files import UNPACK, other_archive
from pcm_leukemia.schema import IGNORE
from pcm_leukemia.shapes import Ellipse, Mask, Polygon, RotatedBox
from pcm_leukemia.taxonomy import NINE

ONE = document(image("P1/a.png", box("Lymphocyte")))


def problems(path: Path, **options: object) -> list[str]:
    return [str(problem) for problem in cvat.inspect(path, **options).problems]  # type: ignore[arg-type]


# Forms of an export


@pytest.mark.parametrize("kind", ["task", "job", "project"])
def test_headers(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "annotations.xml", document(image("a.png", box("Other")), meta=header(kind)))
    assert cvat.inspect(path).header == kind
    assert len(cvat.read(path).cells) == 1


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        ONE.replace("\n", "\r\n"),
        "\ufeff" + ONE,
        ONE.encode("utf-16"),
        document(image("P1/a.png", box("Lymphocyte")), declaration=False),
        document(image("P1/a.png", box("Lymphocyte")), meta=""),
        document(image("P1/a.png", box("Lymphocyte")), meta="", version=None),
        document(image("P1/a.png", box("Lymphocyte")), version="1.0"),
        document(image("P1/a.png", box("Lymphocyte", shuffle=3))),
    ],
    ids=["plain", "crlf", "bom", "utf-16", "no declaration", "no meta", "no version", "1.0", "order"],
)
def test_one_content_in_many_writings(tmp_path: Path, text: str | bytes) -> None:
    if isinstance(text, bytes):
        text = text.replace("utf-8".encode("utf-16-le"), "utf-16".encode("utf-16-le"))
    plain = cvat.read(write(tmp_path / "a" / "annotations.xml", ONE), name="x")
    assert cvat.read(write(tmp_path / "b" / "annotations.xml", text), name="x") == plain
    cell = plain.cells[0]
    assert (cell.box.x1, cell.box.y1, cell.box.x2, cell.box.y2) == (10, 20, 50, 70)


def test_without_source_and_z_order(tmp_path: Path) -> None:
    text = document(image("a.png", box("Other", source=None, z_order=None)))
    cell = cvat.read(write(tmp_path / "a.xml", text)).cells[0]
    assert (cell.source, cell.z_order) == ("", 0)


@pytest.mark.parametrize(
    "where", ["images/P1/a.png", "P1/a.png", "images/Train/P1/a.png", "Train/P1/a.png", "deep/er/P1/a.png"]
)
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_images_are_found(tmp_path: Path, where: str, form: str) -> None:
    text = document(image("P1/a.png", box("Other"), subset="Train"))
    members: dict[str, str | bytes] = {"annotations.xml": text, where: png()}
    if form == "zip":
        path = zipped(tmp_path / "e.zip", members)
    else:
        path = tmp_path / "e"
        for name, content in members.items():
            write(path / name, content)
    ds = cvat.read(path)
    assert ds.images[0].file == where
    assert ds.root == path


def test_the_full_name_is_found_before_a_base_name(tmp_path: Path) -> None:
    names = ["images/P1/a.png", "images/P2/a.png"]
    text = document(image("P1/a.png"), image("P2/a.png", number=1))
    path = zipped(tmp_path / "e.zip", {"annotations.xml": text, **dict.fromkeys(names, png())})
    assert [each.file for each in cvat.read(path).images] == names


def test_a_base_name_that_stands_twice_is_not_taken(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "annotations.xml": document(image("a.png"), image("b.png")),
        "x/a.png": png(),
        "y/a.png": png(),
        "b.png": png(),
    }
    lines = problems(zipped(tmp_path / "e.zip", members))
    assert len(lines) == 1
    assert lines[0].startswith('image "a.png": has no file in ')


def test_images_under_a_root_given_by_the_caller(tmp_path: Path) -> None:
    path = write(tmp_path / "xml" / "annotations.xml", ONE)
    write(tmp_path / "pictures" / "P1" / "a.png", png())
    assert cvat.read(path).root is None
    ds = cvat.read(path, images_root=tmp_path / "pictures")
    assert (ds.root, ds.images[0].file) == (tmp_path / "pictures", "P1/a.png")
    with pytest.raises(InvalidExport, match="has no file in"):
        cvat.read(path, images_root=write(tmp_path / "none" / "readme.txt", "").parent)


def test_several_files_keep_their_images_apart(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "task_1/annotations.xml": document(image("a.png", box("Other"))),
        "task_2/annotations.xml": document(image("a.png", box("Monocyte"))),
        "task_1/images/a.png": png(),
        "task_2/images/a.png": png(),
        "__MACOSX/task_2/._annotations.xml": b"\0\5\26\7",
    }
    ds = cvat.read(zipped(tmp_path / "e.zip", members))
    assert [each.id for each in ds.images] == ["task_1/a.png", "task_2/a.png"]
    assert [each.file for each in ds.images] == ["task_1/images/a.png", "task_2/images/a.png"]
    assert [cell.label for cell in ds.cells] == ["Other", "Monocyte"]
    assert [each.name for each in ds.images] == ["a.png", "a.png"]


def test_one_name_in_two_subsets_stays_two_images(tmp_path: Path) -> None:
    text = document(
        image("a.png", box("Other"), subset="Train", task_id=1),
        image("a.png", box("Monocyte"), subset="Test", task_id=2),
        meta=header("project"),
    )
    ds = cvat.read(write(tmp_path / "a.xml", text))
    assert [(each.id, each.subset, each.name) for each in ds.images] == [
        ("Test/a.png", "Test", "a.png"),
        ("Train/a.png", "Train", "a.png"),
    ]
    assert [cell.label for cell in ds.cells] == ["Monocyte", "Other"]


def test_one_name_in_two_tasks_of_a_project_stays_two_images(tmp_path: Path) -> None:
    text = document(
        image("a.png", box("Other"), subset="Train", task_id=1),
        image("a.png", box("Monocyte"), subset="Train", task_id=2, number=1),
        meta=header("project"),
    )
    ds = cvat.read(write(tmp_path / "a.xml", text))
    assert [(each.id, each.name) for each in ds.images] == [
        ("Train/task_1/a.png", "a.png"),
        ("Train/task_2/a.png", "a.png"),
    ]
    assert [(cell.image, cell.label) for cell in ds.cells] == [
        ("Train/task_1/a.png", "Other"),
        ("Train/task_2/a.png", "Monocyte"),
    ]
    twice = text.replace('task_id="2"', 'task_id="1"')
    assert "appears twice, first in line" in problems(write(tmp_path / "b.xml", twice))[0]


def test_two_images_never_share_one_file(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "one.xml": document(image("a.png")),
        "two.xml": document(image("a.png")),
        "images/a.png": png(),
    }
    (line,) = problems(zipped(tmp_path / "e.zip", members))
    assert line.startswith('image "two/a.png": its file images/a.png is also that of image "one/a.png"; put')


def test_a_base_name_alone_is_no_file(tmp_path: Path) -> None:
    text = document(image("ALL/P1/a.png"), image("b.png"))
    members: dict[str, str | bytes] = {"annotations.xml": text, "AML/P2/a.png": png(), "deep/b.png": png()}
    (line,) = problems(zipped(tmp_path / "e.zip", members))
    assert line.startswith('image "ALL/P1/a.png": has no file in ')


def test_links_beside_an_export_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "here" / "a.xml", document(image("P1/a.png", box("Other"))))
    write(tmp_path / "here" / "P1" / "a.png", png())
    (tmp_path / "here" / "P1" / "notes").symlink_to("/etc/hostname")
    (tmp_path / "here" / "other.zip").symlink_to(tmp_path / "elsewhere.zip")
    assert cvat.read(path).images[0].file == "P1/a.png"
    assert cvat.read(path.parent).images[0].file == "P1/a.png"


@pytest.mark.parametrize(
    "name", ["a b/ü & <é>'\".png", "日本/ผู้ป่วย 7/ภาพ.png", "x" * 200 + ".png", "a;b,c.png", "..a/b...png"]
)
def test_names_survive(tmp_path: Path, name: str) -> None:
    path = zipped(
        tmp_path / "e.zip", {"annotations.xml": document(image(name, box("Other"))), f"images/{name}": png()}
    )
    ds = cvat.read(path)
    assert (ds.images[0].id, ds.images[0].file, ds.cells[0].image) == (name, f"images/{name}", name)


def test_images_without_shapes_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xml", document(image("a.png"), image("b.png", box("Other"), number=1)))
    ds = cvat.read(path)
    assert [each.id for each in ds.images] == ["a.png", "b.png"]
    assert ds.cells_of("a.png") == ()
    assert cvat.inspect(path).empty_images == 1


# Shapes


def test_a_rotated_box_keeps_its_angle_and_its_envelope(tmp_path: Path) -> None:
    text = document(
        image("a.png", box("Other", (80, 40, 120, 60), rotation="90.00") + box("Other", rotation="0.00"))
    )
    path = write(tmp_path / "a.xml", text)
    turned, upright = cvat.read(path).cells
    assert turned.shape == RotatedBox(80, 40, 120, 60, 90)
    assert (turned.box.x1, turned.box.y1, turned.box.x2, turned.box.y2) == pytest.approx((90, 30, 110, 70))
    assert (turned.rotation, upright.rotation, upright.shape) == (90, 0, None)
    assert cvat.inspect(path).rotated == 1


def test_a_small_angle_is_kept_not_rounded(tmp_path: Path) -> None:
    cell = cvat.read(
        write(tmp_path / "a.xml", document(image("a.png", box("Other", rotation="359.40"))))
    ).cells[0]
    assert cell.rotation == 359.4
    angle = math.radians(0.6)
    assert cell.box.width == pytest.approx(40 * math.cos(angle) + 50 * math.sin(angle))


def test_polygon_ellipse_and_mask(tmp_path: Path) -> None:
    shapes = (
        element(
            "polygon",
            {"label": "Other", "points": "1.00,2.00;30.50,4.00;6.00,50.00", "occluded": 1, "z_order": 2},
        )
        + element("ellipse", {"label": "Other", "cx": 50, "cy": 50, "rx": 30, "ry": 10, "rotation": 90})
        + element(
            "mask", {"label": "Other", "rle": "1, 2, 2, 1", "left": 10, "top": 5, "width": 3, "height": 2}
        )
    )
    polygon, ellipse, mask = cvat.read(write(tmp_path / "a.xml", document(image("a.png", shapes)))).cells
    assert polygon.shape == Polygon(((1, 2), (30.5, 4), (6, 50)))
    assert (polygon.box.x1, polygon.box.y1, polygon.box.x2, polygon.box.y2) == (1, 2, 30.5, 50)
    assert (polygon.occluded, polygon.z_order) == (True, 2)
    assert ellipse.shape == Ellipse(50, 50, 30, 10, 90)
    assert (ellipse.box.x1, ellipse.box.y1, ellipse.box.x2, ellipse.box.y2) == (40, 20, 60, 80)
    assert isinstance(mask.shape, Mask)
    assert mask.shape.array().tolist() == [[False, True, True], [False, False, True]]
    assert (mask.box.x1, mask.box.y1, mask.box.x2, mask.box.y2) == (11, 5, 13, 7)


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_mask_is_the_bitmap_it_was(width: int, height: int, data: st.DataObject) -> None:
    bits = np.array(data.draw(st.lists(st.booleans(), min_size=width * height, max_size=width * height)))
    changes = np.flatnonzero(np.diff(bits.astype(int), prepend=0))
    runs = np.diff(np.concatenate(([0], changes, [bits.size])))
    mask = Mask(4, 7, width, height, tuple(int(run) for run in runs))
    bitmap = bits.reshape(height, width)
    assert (mask.array() == bitmap).all()
    assert mask.area == bitmap.sum()
    rows, columns = np.nonzero(bitmap)
    expected = (4 + columns.min(), 7 + rows.min(), 5 + columns.max(), 8 + rows.max()) if rows.size else None
    assert mask.envelope() == expected


def test_shapes_that_are_no_cells_are_counted_and_reported(tmp_path: Path) -> None:
    skeleton = element("skeleton", {"label": "Other"}, element("points", {"label": "eye", "points": "1,2"}))
    others = "".join(
        element(kind, {"label": "Other", "points": "1,2;3,4"}) for kind in ("polyline", "points", "cuboid")
    )
    path = write(tmp_path / "a.xml", document(image("a.png", others + skeleton + box("Other"))))
    found = cvat.inspect(path)
    assert found.shapes == {"polyline": 1, "points": 1, "cuboid": 1, "skeleton": 1, "box": 1}
    assert found.problems == []
    with pytest.warns(DataWarning, match="1 skeleton: not a shape of cells, left out") as told:
        assert len(cvat.read(path).cells) == 1
    # what import warns of, inspect counts
    assert str(told[0].message).splitlines() == [str(warning) for warning in found.warnings]
    assert len(found.warnings) == 4
    assert "warnings 4" in str(found)


def test_tags_and_attributes_are_kept_as_text(tmp_path: Path) -> None:
    inner = attribute("number", "007") + attribute("blank", " a & b ") + attribute("flag", "true")
    tag = element("tag", {"label": "blurred", "source": "manual"}, attribute("grade", "1.0"))
    ds = cvat.read(
        write(tmp_path / "a.xml", document(image("a.png", box("Other", inner=inner) + box("Other") + tag)))
    )
    assert ds.cells[0].attributes == (("number", "007"), ("blank", " a & b "), ("flag", "true"))
    assert ds.cells[1].attributes == ()
    assert [(tag.label, tag.attributes) for tag in ds.images[0].tags] == [("blurred", (("grade", "1.0"),))]


# Video


def track(number: int, label: str, shapes: str, **more: object) -> str:
    return element("track", {"id": number, "label": label, "source": "manual", **more}, "\n" + shapes)


def on_frame(frame: int, outside: int = 0, corners: tuple[int, int, int, int] = (1, 2, 11, 12)) -> str:
    x1, y1, x2, y2 = corners
    attributes = {
        "frame": frame,
        "keyframe": 1,
        "outside": outside,
        "occluded": 0,
        "xtl": x1,
        "ytl": y1,
        "xbr": x2,
        "ybr": y2,
    }
    return element("box", attributes, attribute("seen", "yes"))


SIZE = "<original_size><width>64</width><height>48</height></original_size>"


def test_video(tmp_path: Path) -> None:
    text = document(
        track(0, "Other", on_frame(0) + on_frame(3) + on_frame(6, outside=1)),
        track(1, "Monocyte", on_frame(3, corners=(20, 20, 30, 30)) + on_frame(6, outside=1)),
        meta=header(inner=SIZE + "<frame_filter>step=3</frame_filter>"),
    )
    path = write(tmp_path / "a.xml", text)
    ds = cvat.read(path)
    assert [(each.id, each.width, each.height) for each in ds.images] == [
        (f"frame_{frame:06d}.PNG", 64, 48) for frame in (0, 3, 6)
    ]
    assert [(cell.label, cell.track) for cell in ds.cells_of("frame_000003.PNG")] == [
        ("Other", 0),
        ("Monocyte", 1),
    ]
    assert ds.cells_of("frame_000006.PNG") == ()
    assert ds.cells[0].attributes == (("seen", "yes"),)
    found = cvat.inspect(path)
    assert (found.tracks, found.shapes, found.empty_images) == (2, {"box": 3}, 1)


def test_videos_of_two_tasks_in_a_project_stay_apart(tmp_path: Path) -> None:
    tasks = "".join(f"<task><id>{number}</id>{SIZE}</task>" for number in (1, 2))
    text = document(
        *(track(number, "Other", on_frame(0), task_id=number, subset="Train") for number in (1, 2)),
        meta=header("project", inner=f"<tasks>{tasks}</tasks>"),
    )
    ds = cvat.read(write(tmp_path / "a.xml", text))
    assert [each.id for each in ds.images] == [f"Train/task_{task}/frame_000000.PNG" for task in (1, 2)]
    assert len(ds.cells) == 2


def test_frames_of_a_video_have_files_with_an_extension(tmp_path: Path) -> None:
    text = document(image("frame_000003", box("Other")))
    ds = cvat.read(zipped(tmp_path / "e.zip", {"annotations.xml": text, "images/frame_000003.PNG": png()}))
    assert ds.images[0].file == "images/frame_000003.PNG"


# Labels


def test_unknown_labels_are_listed_with_counts_and_nearest_match(tmp_path: Path) -> None:
    text = document(image("a.png", box("Lymphoblst") * 3 + box("RBC") + box("Other")))
    path = write(tmp_path / "a.xml", text)
    with pytest.raises(UnknownLabel) as caught:
        cvat.read(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(
        f'a.xml:{line_of(text, "Lymphoblst")} image "a.png": label "Lymphoblst" is not a class of pcm-leukemia (3 cells, nearest "Lymphoblast")'
    )
    assert (
        'pass labels={"Lymphoblst": CLASS}, {"Lymphoblst": "WBC"} (a white cell of unknown type) or {"Lymphoblst": '
        '"ignore"}, or taxonomy="declared"' in lines[0]
    )
    ds = cvat.read(path, labels={"Lymphoblst": "Lymphoblast", "RBC": IGNORE})
    assert [(cell.label, cell.raw_label) for cell in ds.cells][2:] == [
        ("Lymphoblast", "Lymphoblst"),
        (IGNORE, "RBC"),
        ("Other", "Other"),
    ]


@pytest.mark.parametrize("raw", ["Cat", "Platelets", "RBC", "Thrombocyte", "Erythroblast", "Leukocyte"])
def test_no_class_is_named_for_a_label_that_resembles_none(tmp_path: Path, raw: str) -> None:
    path = write(tmp_path / "a.xml", document(image("a.png", box(raw))))
    with pytest.raises(UnknownLabel, match=rf'label "{raw}" is not a class of pcm-leukemia \(1 cell\);'):
        cvat.read(path)


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("lymphocyte", "Lymphocyte"),
        (" Neutrophils ", "Neutrophil"),
        ("Myeloblast(AML)", "Myeloblast_AML"),
        ("Promyelocyte (APL)", "Myeloblast_APL"),
        ("MYELOBLAST APL", "Myeloblast_APL"),
    ],
)
def test_aliases(tmp_path: Path, raw: str, label: str) -> None:
    cell = cvat.read(write(tmp_path / "a.xml", document(image("a.png", box(raw))))).cells[0]
    assert (cell.label, cell.raw_label) == (label, raw)


def test_declared_labels_are_taken_in_their_order(tmp_path: Path) -> None:
    text = document(
        image("a.png", box("RBC") + box("WBC")), meta=header(labels=["WBC", "RBC", "rbc", "Platelets"])
    )
    ds = cvat.read(write(tmp_path / "a.xml", text), taxonomy="declared")
    assert ds.taxonomy.labels == ("WBC", "RBC", "rbc", "Platelets")
    assert [cell.label for cell in ds.cells] == ["RBC", "WBC"]
    undeclared = document(image("a.png", box("Clump")), meta=header(labels=["WBC"]))
    assert (
        'label "Clump" is not declared in the header'
        in problems(write(tmp_path / "b.xml", undeclared), taxonomy="declared")[0]
    )


def test_a_map_to_no_class_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"Limphocyte" is not a class of pcm-leukemia'):
        cvat.read(write(tmp_path / "a.xml", ONE), labels={"x": "Limphocyte"})


# Problems


def test_every_problem_at_once_with_file_line_and_image(tmp_path: Path) -> None:
    text = document(
        image(
            "a.png", box("Other", (10, 20, "205.50", 70)) + box("Other", ("nan", 20, 50, 70)) + box("Blob")
        ),
        image("a.png"),
        image("b.png", box("Other", (None, 1, 2, 3)) + box("Other", ("x", 1, 2, 3)), width=""),
        image("c.png", box("Other", (50, 70, 10, 20))),
    ).replace(' xtl="None"', "")
    second = text[: text.rindex('"a.png')].count("\n") + 1
    path = write(tmp_path / "a.xml", text)
    lines = problems(path)
    assert lines[0] == (
        f'a.xml:{line_of(text, "205.50")} image "a.png": box of "Other" ends at x=205.50, the image is 200 wide; fix it in CVAT or pass clip=True'
    )
    assert lines[1].startswith(
        f'a.xml:{line_of(text, "nan")} image "a.png": box of "Other" has a coordinate that is not finite'
    )
    assert lines[2].startswith(
        f'a.xml:{second} image "a.png": appears twice, first in line {line_of(text, chr(34) + "a.png")}'
    )
    assert lines[3].startswith(f'a.xml:{line_of(text, "b.png")} image "b.png": its size is "" x "100" pixels')
    assert f'a.xml:{line_of(text, "b.png") + 1} image "b.png": box of "Other" lacks "xtl"' in lines[4]
    assert "could not convert string to float: 'x'" in lines[5]
    assert 'image "c.png": box of "Other" ends before it starts' in lines[6]
    assert 'label "Blob"' in lines[7]
    assert len(lines) == 8
    with pytest.raises(InvalidExport) as caught:
        cvat.read(path)
    assert [str(problem) for problem in caught.value.problems] == lines
    assert not isinstance(caught.value, UnknownLabel)


def test_more_than_twenty_problems_are_counted(tmp_path: Path) -> None:
    text = document(*(image(f"{n}.png", box("Other", (0, 0, 999, 10))) for n in range(25)))
    path = write(tmp_path / "a.xml", text)
    with pytest.raises(InvalidExport, match="and 5 more") as caught:
        cvat.read(path)
    assert len(caught.value.problems) == 25
    assert cvat.inspect(path).outside_image == 25


def test_clip(tmp_path: Path) -> None:
    text = document(image("a.png", box("Other", (-5, 20, 250, 70)) + box("Other", (300, 20, 350, 70))))
    with pytest.warns(DataWarning, match="lies outside the image and is left out"):
        ds = cvat.read(write(tmp_path / "a.xml", text), clip=True)
    assert [(cell.box.x1, cell.box.x2) for cell in ds.cells] == [(0, 200)]


def test_of_a_rotated_shape_the_message_says_where_its_corners_are(tmp_path: Path) -> None:
    ellipse = element(
        "ellipse", {"label": "Other", "cx": 190, "cy": 50, "rx": 5, "ry": 20, "rotation": "90.00"}
    )
    text = document(image("a.png", box("Other", (170, 1, "199.90", 39), rotation="359.50") + ellipse))
    path = write(tmp_path / "a.xml", text)
    assert [line.split('image "a.png": ')[1].split(";")[0] for line in problems(path)] == [
        'box of "Other": turned by 359.5 degrees, it ends at x=200.07, the image is 200 wide',
        'ellipse of "Other": turned by 90 degrees, it ends at x=210.00, the image is 200 wide',
    ]
    with pytest.warns(DataWarning, match="2 boxes: cut at their image's border"):
        box_, _ = cvat.read(path, clip=True).cells
    assert (box_.box.x2, box_.shape) == (200, RotatedBox(170, 1, 199.9, 39, 359.5))


def test_a_box_without_area_is_named_and_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xml", document(image("a.png", box("Other", (5, 5, 5, 9)) + box("Other"))))
    with pytest.warns(
        DataWarning,
        match=r'a\.xml:\d+ image "a\.png": box of "Other" \(5\.00, 5\.00, 5\.00, 9\.00\) has no area',
    ):
        assert len(cvat.read(path).cells) == 1
    assert cvat.inspect(path).without_area == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ONE[:-40], "is not well-formed XML, or cut short"),
        ("", "is not well-formed XML"),
        ("<annotation><object/></annotation>", "is not CVAT: its root is <annotation>"),
        (
            "<annotations><filename>a.jpg</filename><object><bndbox/></object></annotations>",
            "is not CVAT: holds <filename>",
        ),
        ("<annotations></annotations>", "contains neither images nor tracks"),
        (document(), "contains no images"),
        (document(version="7.5"), 'version "7.5" is unknown'),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + document(declaration=False), "contains a DTD"),
        ('<?xml version="1.0" encoding="klingon"?><annotations/>', "is not well-formed XML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = write(tmp_path / "a.xml", text)
    assert any(sentence in line for line in problems(path))
    with pytest.raises(InvalidExport, match=r"a\.xml"):
        cvat.read(path)


def test_an_entity_is_never_expanded(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.txt", "P-SECRET")
    dtd = f'<!DOCTYPE annotations [<!ENTITY leak SYSTEM "{secret.as_uri()}">]>'
    inner = "<attribute name='a'>&leak;</attribute>"
    path = write(
        tmp_path / "a.xml", dtd + document(image("a.png", box("Other", inner=inner)), declaration=False)
    )
    found = cvat.inspect(path)
    assert "P-SECRET" not in str(found)
    assert any("contains a DTD" in problem.what for problem in found.problems)
    assert found.images == 0


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/a.png", "C:/a.png", "x/../../a.png", "..\\a.png", "", ".", "./."]
)
def test_image_names_that_lead_outside(tmp_path: Path, name: str) -> None:
    assert (
        "is empty or leads out of the export" in problems(write(tmp_path / "a.xml", document(image(name))))[0]
    )


@pytest.mark.parametrize("member", ["../evil.png", "/evil.png", "C:/evil.png", "a/../../evil.png"])
def test_zip_members_that_lead_outside(tmp_path: Path, member: str) -> None:
    lines = problems(zipped(tmp_path / "e.zip", {"annotations.xml": ONE, member: b""}))
    assert any("leads out of the zip" in line for line in lines)


def test_links(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("images/P1/a.png")
    info.external_attr = 0o120777 << 16
    path = tmp_path / "e.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations.xml", ONE)
        archive.writestr(info, "/etc/passwd")
    assert any("is a link" in line for line in problems(path))
    outside = write(tmp_path / "outside" / "a.png", png())
    folder = write(tmp_path / "folder" / "annotations.xml", ONE).parent
    (folder / "P1").symlink_to(outside.parent)
    assert any("by a link that leads out of the export" in line for line in problems(folder))


def test_a_zip_that_unpacks_to_far_more_than_it_should(tmp_path: Path) -> None:
    path = zipped(tmp_path / "e.zip", {"annotations.xml": ONE, "images/P1/a.png": bytes(80 * 2**20)})
    assert any("times its size" in line for line in problems(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no zip at all"])
def test_broken_zips(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidExport, match="cannot be read"):
        cvat.read(write(tmp_path / "e.zip", content))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="no such file or folder"):
        cvat.inspect(tmp_path / "none.xml")
    assert "contains no XML file" in problems(write(tmp_path / "d" / "a.txt", "").parent)[0]


OTHER_BYTES = [b"PK\x03\x04", b"PK\x05\x06", b"\xfd7zXZ\0", b"\x1f\x8b\x08"]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_fuzzed_input_never_crashes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever is done to an export's bytes, `inspect` tells and `read` raises a PcmError or reads."""
    folder = tmp_path_factory.mktemp("fuzz")
    zipped_one = zipped(folder / "good.zip", {"annotations.xml": ONE, "images/P1/a.png": png()}).read_bytes()
    good = data.draw(st.sampled_from([ONE.encode(), zipped_one]))
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content)))
        kind = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if kind == "cut":
            del content[at : at + data.draw(st.integers(1, 30))]
        elif kind == "insert":
            content[at:at] = data.draw(
                st.one_of(
                    st.binary(max_size=8),
                    st.sampled_from([b"nan", b"&x;", b"<a>", b"1e999", b"\0", *OTHER_BYTES]),
                )
            )
        elif at < len(content):
            content[at] = data.draw(st.integers(0, 255))
    path = folder / ("e.zip" if good is zipped_one else "e.xml")
    path.write_bytes(content)
    if other_archive(path):
        with pytest.raises(DataNotFound, match=UNPACK):
            cvat.inspect(path)
        return
    found = cvat.inspect(path)
    try:
        ds = cvat.read(path)
    except InvalidExport:
        assert found.problems
    except (PcmError, DataWarning):
        pass
    else:
        assert len(ds.images) == found.images
        assert not found.problems


# Real files


@pytest.fixture
def samples() -> Path:
    folder = SHARED / "cvat-samples"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "project-3-tasks-3-subsets-same-names.xml",
            {
                "header": "project",
                "images": 6,
                "shapes": {"box": 3, "polyline": 3, "polygon": 3, "points": 3},
            },
        ),
        (
            "task-no-declaration-minimal-meta.xml",
            {"header": "task", "images": 2, "shapes": {"box": 1, "polyline": 1, "polygon": 1, "points": 1}},
        ),
        (
            "video-tracks-frame-step-3.xml",
            {"tracks": 3, "shapes": {"box": 1, "polyline": 1, "points": 1}, "version": "1.1"},
        ),
        ("v1.0-images.xml", {"version": "1.0", "images": 4, "shapes": {"box": 4, "point": 1}}),
        ("v1.0-video.xml", {"version": "1.0", "tracks": 2, "shapes": {"box": 4}}),
        ("job-subset-train-names-with-ampersand.xml", {"header": "job", "images": 5, "empty_images": 4}),
        (
            "job-large-images.xml",
            {"header": "job", "images": 14, "shapes": {"box": 24}, "labels": {"Cat": 19, "Cats": 5}},
        ),
    ],
)
def test_files_that_cvat_wrote(samples: Path, file: str, expected: dict[str, object]) -> None:
    found = cvat.inspect(samples / file, taxonomy="declared").to_json()
    assert {key: found[key] for key in expected} == expected
    unlabelled = 'label "" is not declared in the header'  # a polygon in one of the files
    assert [problem.what for problem in cvat.inspect(samples / file, taxonomy="declared").problems] == (
        [unlabelled] if file.startswith("task-no-declaration") else []
    )


def test_three_subsets_that_repeat_names(samples: Path) -> None:
    with pytest.warns(DataWarning, match="3 points: not a shape of cells"):
        ds = cvat.read(samples / "project-3-tasks-3-subsets-same-names.xml", taxonomy="declared")
    assert [each.id for each in ds.images] == [
        f"{subset}/img{n}.jpg" for subset in ("Test", "Train", "Validation") for n in (0, 1)
    ]
    assert len(ds.cells) == 6


def test_bccd() -> None:
    path = SHARED / "bccd-cvat-images-1.1.zip"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with pytest.warns(DataWarning) as caught:
        ds = cvat.read(path, taxonomy="declared", name="bccd")
    assert [f"BloodImage_{number:05d}.jpg" in str(caught[0].message) for number in (338, 343)] == [True, True]
    assert repr(ds) == "Dataset(bccd: no patients, 364 images, 4,886 cells, 3 labels)"
    assert all(each.file for each in ds.images)
    assert {label: sum(cell.label == label for cell in ds.cells) for label in ds.taxonomy.labels} == {
        "WBC": 372,
        "RBC": 4153,
        "Platelets": 361,
    }
    assert NINE.match("RBC") is None
