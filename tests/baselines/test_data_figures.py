"""The paper's figures of data, 1, 4, 5 and 6: of the right cells, with the right numbers, and legible in print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from other_hospitals import PATTERN
from PIL.ImageFont import FreeTypeFont

import pcm_leukemia as pcm
from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, counting, criteria
from pcm_leukemia.baselines.experiments import count_figures, crop_figures, drawing, frame_figures
from pcm_leukemia.colours import CLASSES, PARTS, of_label
from pcm_leukemia.drawing import draw
from pcm_leukemia.errors import DataNotFound, UnfitForTask
from pcm_leukemia.images import Files, Pixels, load
from pcm_leukemia.schema import ImageId, Split, Taxonomy


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A drawn sample; its images have the cells of all classes but some."""
    export = pcm.sample.write(tmp_path_factory.mktemp("sample") / "export.zip", patients=6, images=9)
    return pcm.load_dataset(export, patients=PATTERN, name="sample")


def frames(**labels: str) -> Dataset:
    """An image for each name, with a file that nobody reads, and a cell for each letter of what it is given."""
    of = {
        "L": "Lymphocyte",
        "N": "Neutrophil",
        "M": "Monocyte",
        "B": "Lymphoblast",
        "O": "Other",
        "I": IGNORE,
    }
    images = tuple(Image(ImageId(name), 300, 100, file=f"{name}.png") for name in labels)
    cells = tuple(
        Cell(ImageId(name), number, of[letter], Box(10 + 20 * number, 10, 25 + 20 * number, 30))
        for name, letters in labels.items()
        for number, letter in enumerate(letters)
    )
    return Dataset("drawn", NINE, images, cells)


def chosen(**labels: str) -> list[str]:
    return [image.id for image in frame_figures.two_frames(frames(**labels))]


def pictures(figure: Figure) -> Iterator[Pixels]:
    for axes in figure.axes:
        (image,) = axes.images
        yield np.asarray(image.get_array())


@cache
def pixels_of(root: Path, image: Image) -> Pixels:
    return load(Files(root), image)


def crop_of(ds: Dataset, cell: Cell) -> Pixels:
    """The square around a cell, as large as its longer side and a sixth of it on all sides."""
    assert ds.root is not None
    box, pixels = cell.box, pixels_of(ds.root, ds.image(cell.image))
    side = max(box.width, box.height) / 2
    x, y, margin = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, round(0.15 * 2 * side)
    left, top = int(np.floor(x - side)) - margin, int(np.floor(y - side)) - margin
    right, bottom = int(np.ceil(x + side)) + margin, int(np.ceil(y + side)) + margin
    return pixels[max(top, 0) : bottom, max(left, 0) : right]


def cells_shown(ds: Dataset, figure: Figure) -> list[Cell]:
    """The cell in each picture of a figure of crops."""
    crops = [(cell, crop_of(ds, cell)) for cell in ds.cells]
    found = []
    for shown in pictures(figure):
        same = [cell for cell, crop in crops if np.array_equal(crop, shown)]
        assert len(same) == 1
        found += same
    return found


def texts(figure: Figure) -> list[Text]:
    """All texts that are seen."""
    return [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
    ]


def require_legible(figure: Figure, file: Path) -> None:
    """All text has 7 points or more after the figure has been fitted into 6 inches, and no two texts touch."""
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    with pcm.images.Files(file.parent).open(file.name) as stream:
        width = pcm.images.size(stream, file.name)[0] / 300
    shrunk = min(6 / width, 1)
    assert width <= 6.01
    assert min(float(text.get_fontsize()) for text in texts(figure)) * shrunk >= 6.99
    boxes = [(text, text.get_window_extent()) for text in texts(figure) if not text.get_rotation()]
    for (one, box), (other, second) in combinations(boxes, 2):
        across = min(box.x1, second.x1) - max(box.x0, second.x0)
        down = min(box.y1, second.y1) - max(box.y0, second.y0)
        assert min(across, down) <= 1.5, (one.get_text(), other.get_text())


# Figure 1


def test_the_frame_with_the_most_classes_and_one_with_several_cells_of_one() -> None:
    assert chosen(a="LL", b="LNM", c="LNMB", d="MMM") == ["c", "d"]
    assert chosen(a="LNMB", b="LNMBB", c="MM") == ["a", "c"]  # as many classes in fewer cells
    assert chosen(a="LN", b="MM", c="MMMMMM", d="MMMMMMM") == ["a", "c"]  # six are several
    assert chosen(a="LN", b="OOOO", c="BB") == ["a", "c"]
    assert chosen(a="LN", b="MMMB", c="MM") == ["a", "c"]  # a single class
    assert chosen(a="LNMB" * 3, b="LNM", c="M" * 9, d="MM") == ["b", "d"]  # the others are crowded
    assert chosen(a="LNMB" * 3, b="LNM" * 3) == ["a", "b"]
    assert chosen(a="LN", b="M") == ["a"]
    assert chosen(a="", b="I", c="IIL") == ["c"]
    assert chosen(a="LN", b="LN", c="MM", d="MM") == ["a", "c"]
    ds = frames(a="LN", b="LNM", c="MM")
    lost = replace(ds, images=(*ds.images[:1], replace(ds.images[1], file=None), ds.images[2]))
    assert [image.id for image in frame_figures.two_frames(lost)] == ["a", "c"]
    with pytest.raises(UnfitForTask, match=r"^drawn: has no image with a file and a cell; choose data"):
        chosen(a="", b="I")


def test_the_cells_below_a_frame() -> None:
    def below(letters: str, *, several: bool = False) -> list[int]:
        ds = frames(a=letters)
        return [cell.id for cell in frame_figures.cells_below(ds, ds.images[0], several=several)]

    assert below("MMMMLN") == [0, 1, 4, 5]  # of each class before another of one
    assert below("OLNMB") == [1, 2, 3, 4]
    assert below("OIL") == [0, 2]
    assert below("MMLMMM", several=True) == [0, 1, 3, 4]
    ds = frames(a="MMMMM")
    at_the_border = (Cell(ImageId("a"), 0, "Monocyte", Box(0, 10, 25, 30)), *ds.cells[1:])
    ds = replace(ds, cells=at_the_border)
    assert [cell.id for cell in frame_figures.cells_below(ds, ds.images[0])] == [1, 2, 3, 4]


def test_figure_1_shows_the_frames_and_the_crops_of_their_cells(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fonts = []

    def drawn(*given: Any, font: FreeTypeFont, width: int, **options: Any) -> Any:
        fonts.append((font.size, width))
        return draw(*given, font=font, width=width, **options)

    monkeypatch.setattr(frame_figures, "draw", drawn)
    figure = frame_figures.draw_frames(ds, tmp_path / "figure-1.png")
    require_legible(figure, tmp_path / "figure-1.png")
    first, second = frame_figures.two_frames(ds)
    below = frame_figures.cells_below(ds, first), frame_figures.cells_below(ds, second, several=True)
    shown = list(pictures(figure))
    assert len(shown) == 2 + sum(map(len, below))
    captions = [text.get_text().replace("\n", " ") for text in texts(figure)]
    assert captions == [cell.label.replace("_", " ") for cells in below for cell in cells]
    start = 0
    for (size, width), frame, cells in zip(fonts, (first, second), below, strict=True):
        axes, picture = figure.axes[start], shown[start]
        inches = axes.get_position().width * figure.get_figwidth()
        assert 72 * size / (width / inches) == pytest.approx(7, abs=0.1)  # the tags, in points
        for cell in ds.cells_of(frame):
            x, y = (
                round(side * width / frame.width) for side in (cell.box.x1, (cell.box.y1 + cell.box.y2) / 2)
            )
            assert to_hex(picture[y, max(x, 0) + 2] / 255) in CLASSES.values()  # a line, or a tag
        for number, cell in enumerate(cells, start + 1):
            np.testing.assert_array_equal(shown[number], crop_of(ds, cell))
            assert to_hex(figure.axes[number].spines["top"].get_edgecolor()) == of_label(cell.label)
        start += 1 + len(cells)


# Figure 4


def test_figure_4_has_the_cells_of_each_class_in_its_row(ds: Dataset, tmp_path: Path) -> None:
    other = replace(ds.select(images=[image.id for image in ds.images[4:]]), name="$other_1$")
    figure = crop_figures.draw_side_by_side([ds, other], tmp_path / "figure-4.png")
    require_legible(figure, tmp_path / "figure-4.png")
    rows: dict[float, set[str]] = {}
    for cell, axes in zip(cells_shown(ds, figure), figure.axes, strict=True):
        rows.setdefault(round(axes.get_position(original=True).y0, 3), set()).add(cell.label)
        right = axes.get_position().x0 > 0.55
        assert not right or cell.image in {image.id for image in other.images}
    labels = crop_figures.classes_to_compare([ds, other])
    assert [rows[y] for y in sorted(rows, reverse=True)] == [{label} for label in labels]
    names = [text.get_text().replace("\n", " ") for text in texts(figure)]
    assert set(names) - {"no cells"} == {
        *(name.replace("_", " ") for name in labels),
        "sample",
        r"\$other_1\$",
    }


def test_the_rows_of_figure_4() -> None:
    def of(letters: str) -> Dataset:
        return frames(a=letters)

    assert crop_figures.classes_to_compare([of("BMNLO"), of("OLNMB")]) == (
        "Neutrophil",
        "Monocyte",
        "Lymphoblast",
    )
    assert crop_figures.classes_to_compare([of("MLO"), of("O"), of("MB")]) == ("Monocyte",)
    assert crop_figures.classes_to_compare([of("LO"), of("LO")]) == ("Lymphocyte", "Other")
    with pytest.raises(UnfitForTask, match="^drawn and drawn: have cells of no class in common; read both"):
        crop_figures.classes_to_compare([of("LI"), of("MI")])


# Figure 5


def test_figure_5_has_the_criteria_of_each_class_beside_its_cells(ds: Dataset, tmp_path: Path) -> None:
    ds = ds.select(labels=[label for label in NINE.labels if label != "Basophil"])
    figure = crop_figures.draw_guide(ds, tmp_path / "figure-5.png")
    require_legible(figure, tmp_path / "figure-5.png")
    labels = [cell.label for cell in cells_shown(ds, figure)]
    assert labels == sorted(labels, key=NINE.labels.index)
    for label in NINE.labels:
        assert labels.count(label) == min(ds.counts.get(label, 0), 3)
    written = [text.get_text() for text in texts(figure)]
    assert written.count("no cells") == 1 + sum(not ds.counts[x] for x in NINE.labels if x != "Basophil")
    lines = " ".join(written)
    for label, found in criteria.CRITERIA.items():
        assert label.replace("_", " ") in written
        for what, how in found.items():
            assert f"{what} {how}" in lines
    below = {text.get_text(): text.get_position()[1] for text in texts(figure)}
    assert below["Lymphocyte"] > below["a narrow, pale blue rim"] > below["Neutrophil"]


def test_classes_without_criteria(ds: Dataset, tmp_path: Path) -> None:
    known = Taxonomy("ours", ("Blast", "Other"))
    mixed = ds.relabel({label: "Other" if label == "Other" else "Blast" for label in NINE.labels}, known)
    figure = crop_figures.draw_guide(mixed, tmp_path / "a.png")
    assert "no criteria are known for this class" in [text.get_text() for text in texts(figure)]
    blood = Taxonomy("blood", ("WBC",))
    wrong = r"^sample: has none of the classes that have criteria; read the data into the nine classes$"
    with pytest.raises(UnfitForTask, match=wrong):
        crop_figures.draw_guide(ds.relabel(dict.fromkeys(NINE.labels, "WBC"), blood), tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


# Figure 6


def bars(figure: Figure) -> dict[str, list[Any]]:
    """The bars of each part."""
    return {str(each.get_label()): list(each) for each in figure.axes[0].containers}


def test_figure_6_counts_the_cells_of_each_part(ds: Dataset, tmp_path: Path) -> None:
    part_of = {image.id: ("train", "val", "test", "later")[n % 4] for n, image in enumerate(ds.images)}
    ds = ds.with_split(Split("drawn", part_of, val_shares_patients=True))
    figure = count_figures.draw_counts(ds, tmp_path / "figure-6.png")
    require_legible(figure, tmp_path / "figure-6.png")
    drawn, counts = bars(figure), counting.by_part(ds)
    assert list(drawn) == ["train", "val", "test", "later"]
    for part, each in drawn.items():
        assert [bar.get_width() for bar in each] == list(counts[part].cells.values())
        assert {to_hex(bar.get_facecolor()) for bar in each} == {PARTS.get(part, of_label(part))}
    assert len({each[0].get_hatch() for each in drawn.values()}) == 4  # told apart without colours
    ends = [bar.get_x() + bar.get_width() for bar in drawn["later"]]
    assert ends == list(ds.counts.values())
    totals = [text.get_text() for text in figure.axes[0].texts]
    assert totals == [f"{count:,}" for count in ds.counts.values()]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [label.replace("_", " ") for label in ds.counts]


def test_figure_6_without_a_split_has_the_colours_of_the_classes(ds: Dataset, tmp_path: Path) -> None:
    few = ds.select(labels=["Monocyte"])
    figure = count_figures.draw_counts(few, tmp_path / "a.png")
    ((_, drawn),) = bars(figure).items()
    assert [bar.get_width() for bar in drawn] == list(few.counts.values())
    assert [to_hex(bar.get_facecolor()) for bar in drawn] == list(CLASSES.values())
    assert figure.axes[0].get_legend() is None
    count_figures.draw_counts(ds.select(labels=[]), tmp_path / "b.png")


# All of them


HOSTILE = (
    "$\\frac{1}{0}$",
    "a" * 200,
    "b c " * 50,
    "Monocyte",
    "\U0001f9a0",
    "new\nline",
    "$5_6$",
    "%",
    "Other",
)


def test_hostile_names_are_drawn_as_they_are_and_stay_legible(ds: Dataset, tmp_path: Path) -> None:
    odd = Taxonomy("odd", HOSTILE)
    ds = replace(ds.relabel(dict(zip(NINE.labels, HOSTILE, strict=True)), odd), name=f"<b>$x_1$ {'L' * 200}")
    drawn = {
        "1": frame_figures.draw_frames(ds, tmp_path / "1.png"),
        "4": crop_figures.draw_side_by_side([ds, replace(ds, name="$\\alpha$")], tmp_path / "4.png"),
        "5": crop_figures.draw_guide(ds, tmp_path / "5.png"),
        "6": count_figures.draw_counts(ds, tmp_path / "6.png"),
    }
    for name, figure in drawn.items():
        require_legible(figure, tmp_path / f"{name}.png")
    names = {text.get_text() for text in texts(drawn["6"])}
    assert {r"\$\frac{1}{0}\$", "?", "new line", r"\$5 6\$", "%"} <= names
    assert max(map(len, names)) < 60


@pytest.mark.parametrize("draw_it", [frame_figures.draw_frames, crop_figures.draw_guide])
def test_without_images_there_are_no_crops(draw_it: Any, ds: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"^sample: the images are not there; give images_root$"):
        draw_it(replace(ds, root=None), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.jpg: figures are written as png, pdf, svg"):
        draw_it(ds, tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_text_is_measured_as_it_is_drawn() -> None:
    figure = drawing.blank(1)
    wide = {}
    for size in (7, 9):
        text = drawing.write(figure, "Myeloblast AML", 0, 0, fontsize=size, fontfamily="DejaVu Sans")
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        wide[size] = text.get_window_extent().width / figure.dpi
    for size, width in wide.items():
        assert drawing.column("Myeloblast_AML", 1.05 * width, size) == "Myeloblast AML"
        assert "..." in drawing.column("Myeloblast_AML", 0.95 * width, size)
    assert drawing.wrapped("one two three", 0.5) == "one two\nthree"
    assert drawing.wrapped("one two three", 0.4, most=1).count("\n") == 0
