"""`show`: a frame of a data set in a file."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
from commands import Run
from exports import box, document, header, image, png, zipped

from pcm_leukemia.colours import CLASSES, of_label, rgb


def test_a_frame_with_and_without_its_cells(run: Run, export: Path, tmp_path: Path) -> None:
    shown = run("show", export, "AML/P03/1.png", tmp_path / "a.png")
    assert (shown.status, shown.out) == (0, f"{tmp_path / 'a.png'}: 200 x 100 pixels\n")
    with PIL.Image.open(tmp_path / "a.png") as picture:
        assert picture.getpixel((10, 45)) == rgb(CLASSES["Monocyte"])
        assert picture.info == {}
    assert run("show", export, "P03/1", tmp_path / "b.JPG", "--no-cells", "--width", "100").status == 0
    with PIL.Image.open(tmp_path / "b.JPG") as picture:
        assert (picture.format, picture.size) == ("JPEG", (100, 50))
        assert len(picture.getcolors() or ()) == 1


def test_what_cannot_be_shown_leaves_no_file(run: Run, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.png"
    unknown = run("show", export, "AML/P03/7.png", out)
    assert unknown.status == 2
    assert unknown.err.startswith(
        'error: show: image "AML/P03/7.png" is not in export, the nearest is "AML/P0'
    )
    several = run("show", export, "1.png", out)
    assert several.err.startswith(
        'error: show: "1.png" can be 10 images of export, for example "AML/P00/1.png"'
    )
    refused = run("show", export, "AML/P03/1.png", tmp_path / "a.gif")
    assert refused.status == 2
    assert "a.gif: pictures are written as .png, .jpg, .jpeg; give the file such an ending" in refused.err
    bare = zipped(tmp_path / "bare.zip", {"annotations.xml": document(image("a.png", box("Other")))})
    without = run("show", bare, "a.png", out)
    assert without.status == 1
    assert "the images are not there; give --images-root" in without.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.zip", "export.zip"]


def test_hostile_labels_are_drawn(run: Run, tmp_path: Path) -> None:
    labels = ("x" * 200, "\u05d0\u05d1\u05d2", "\U0001f9a0", "a\"b'c & d")
    shapes = [box(label, (40 * n, 40, 40 * n + 30, 90)) for n, label in enumerate(labels)]
    text = document(image("a.png", "".join(shapes)), meta=header(labels=labels))
    data = zipped(tmp_path / "odd.zip", {"annotations.xml": text, "images/a.png": png()})
    shown = run("show", data, "a.png", tmp_path / "a.png", "--taxonomy", "declared")
    assert (shown.status, shown.err) == (0, "")
    with PIL.Image.open(tmp_path / "a.png") as picture:
        for n, label in enumerate(labels):
            assert picture.getpixel((40 * n, 80)) == rgb(of_label(label))
