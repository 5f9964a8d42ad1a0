"""Frames on which a track goes on without a box are named; of what CVAT writes, nothing is said."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from exports import document, element, header, line_of, write
from hypothesis import given

from pcm_leukemia import cvat
from pcm_leukemia.cvat.tracks import Frames, Track, gaps
from pcm_leukemia.errors import DataWarning

FIX = "CVAT draws it there: import the file into CVAT and export it again, unless these frames were deleted"


def box(frame: int, *, outside: int = 0, keyframe: int | None = 1) -> str:
    attributes = {"frame": frame, "keyframe": keyframe, "outside": outside}
    attributes |= {"occluded": 0, "xtl": 1, "ytl": 2, "xbr": 11, "ybr": 12}
    return element("box", {name: value for name, value in attributes.items() if value is not None})


def track(*shapes: str, number: int = 0, **more: object) -> str:
    return element("track", {"id": number, "label": "Other", **more}, "\n" + "".join(shapes))


def export(folder: Path, *tracks: str, inner: str = "", meta: str | None = None) -> Path:
    size = "<original_size><width>64</width><height>48</height></original_size>"
    return write(folder / "a.xml", document(*tracks, meta=meta or header(inner=size + inner)))


def said(path: Path) -> list[str]:
    found = cvat.inspect(path)
    assert found.problems == []
    return [f"{each.where}: {each.what}" for each in found.warnings]


def test_frames_between_key_frames_are_named_and_stay_empty(tmp_path: Path) -> None:
    path = export(tmp_path, track(box(0), box(2), box(4, outside=1)))
    line = line_of(path.read_text(), "<track")
    (problem,) = cvat.inspect(path).warnings
    assert (
        str(problem) == f'a.xml:{line} track 0: goes on without a shape of "Other" on 2 frames: 1, 3; {FIX}'
    )
    with pytest.warns(DataWarning, match="on 2 frames: 1, 3"):
        ds = cvat.read(path)
    assert [(each.id, len(ds.cells_of(each.id))) for each in ds.images] == [
        ("frame_000000.PNG", 1),
        ("frame_000002.PNG", 1),
        ("frame_000004.PNG", 0),
    ]


@pytest.mark.parametrize(
    ("shapes", "inner", "frames"),
    [
        ((box(0), box(10), box(11, outside=1)), "", "9 frames: 1 to 9"),
        ((box(0), box(2), box(9), box(10, outside=1)), "", "7 frames: 1, 3 to 8"),
        ((box(4), box(0), box(2, outside=1)), "<size>5</size>", "frame 1"),
        ((box(0), box(3, outside=1), box(6), box(7, outside=1)), "", "2 frames: 1, 2"),
        ((box(0), box(1), box(2)), "<size>10</size>", "7 frames: 3 to 9"),
        ((box(0),), "<size>10</size><start_frame>0</start_frame>", "9 frames: 1 to 9"),
        ((box(10), box(16)), "<size>4</size><start_frame>10</start_frame><frame_filter>step=3</frame_filter>", "2 frames: 13, 19"),
        ((box(0, keyframe=None), box(3, keyframe=None, outside=1)), "", "2 frames: 1, 2"),
        ((box(0), box(10**30), box(10**30 + 1, outside=1)), "", f"{10**30 - 1:,} frames: 1 to {10**30 - 1}"),
        (tuple(box(frame) for frame in (0, 2, 4, 6, 8, 10, 12, 14)), "", "7 frames: 1, 3, 5, 7, 9 and 2 more places"),
    ],
)  # fmt: skip
def test_gaps(tmp_path: Path, shapes: tuple[str, ...], inner: str, frames: str) -> None:
    (line,) = said(export(tmp_path, track(*shapes), inner=inner))
    assert line.endswith(f' track 0: goes on without a shape of "Other" on {frames}')


@pytest.mark.parametrize(
    ("shapes", "inner"),
    [
        ((box(0), box(1, outside=1)), "<size>9</size>"),
        ((box(7),), "<size>9</size>"),  # CVAT does not write the end of a shape on the last frame but one
        ((box(8),), "<size>9</size>"),
        ((box(0), box(1), box(2)), "<size>3</size>"),
        ((box(0), box(1), box(2)), "<size>0</size>"),
        ((box(0), box(1), box(2)), "<size>many</size>"),
        ((box(0), box(1, outside=1), box(5), box(6, outside=1)), ""),
        ((box(0), box(1, keyframe=0), box(3, keyframe=0), box(4, outside=1)), ""),  # frame 2 was deleted
    ],
)
def test_what_cvat_writes(tmp_path: Path, shapes: tuple[str, ...], inner: str) -> None:
    assert said(export(tmp_path, track(*shapes), inner=inner)) == []


def test_other_tracks_show_which_frames_there_are(tmp_path: Path) -> None:
    thinned = track(box(0), box(1, keyframe=0), box(4, keyframe=0), box(5, outside=1))
    whole = track(*(box(frame, keyframe=int(frame != 3)) for frame in (0, 1, 3, 4, 5)), number=1)
    (line,) = said(export(tmp_path, thinned, whole))
    assert line.endswith('track 0: goes on without a shape of "Other" on frame 3')
    unended = track(box(0), box(1))
    (line,) = said(export(tmp_path, unended, whole))
    assert line.endswith('track 0: goes on without a shape of "Other" on 4 frames: 2 to 5')


def test_each_task_of_a_project_has_its_own_frames(tmp_path: Path) -> None:
    tasks = "".join(
        f"<task><id>{number}</id><size>{size}</size><frame_filter>{step}</frame_filter>"
        "<original_size><width>64</width><height>48</height></original_size></task>"
        for number, size, step in ((1, 4, "step=5"), (2, 2, ""))
    )
    tracks = [
        track(*(box(frame) for frame in (0, 5, 10, 15)), task_id=1, subset="Train"),
        track(box(0), box(1), number=1, task_id=2, subset="Train"),
        track(box(0), box(10), box(15, outside=1), number=2, task_id=1, subset="Train"),
    ]
    meta = header("project", inner=f"<tasks>{tasks}</tasks>")
    (line,) = said(export(tmp_path, *tracks, meta=meta))
    assert line.endswith('track 2: goes on without a shape of "Other" on frame 5')


def test_skeletons_do_not_say_where_they_end(tmp_path: Path) -> None:
    skeletons = "".join(element("skeleton", {"frame": frame, "keyframe": 1}) for frame in (0, 5))
    (line,) = said(export(tmp_path, track(skeletons)))
    assert line.startswith("2 skeleton: not a shape of cells, left out")


@given(st.data())
def test_a_track_that_was_interpolated_has_no_gap(data: st.DataObject) -> None:
    """Between the frames that someone drew, and after the last, unless the object is gone."""
    step, start, size = (
        data.draw(st.integers(1, 4)),
        data.draw(st.integers(0, 9)),
        data.draw(st.integers(1, 20)),
    )
    frames = Frames(step, start + (size - 1) * step)
    track, numbers = Track("a.xml:1", "0", "Other", ("", "")), set()
    drawn = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=6)))
    for first, end in zip(drawn, [*drawn[1:], size], strict=True):
        outside = data.draw(st.booleans())
        for frame in range(first, first + 1 if outside else end):
            numbers.add(start + frame * step)
            track.add(start + frame * step, outside=outside, drawn=frame == first)
    assert gaps(track, frames, sorted(numbers)) is None
