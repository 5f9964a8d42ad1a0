"""Plain exports are read quickly, and to the same data as by the reader that names every problem."""

from __future__ import annotations

import io
from dataclasses import fields
from itertools import starmap
from random import Random

import hypothesis.strategies as st
import pytest
from exports import box, document, header, image
from hypothesis import assume, given
from msgspec import structs

from pcm_leukemia.cvat import plain as plain_reader
from pcm_leukemia.cvat.document import Parsed, read_document
from pcm_leukemia.cvat.labels import Labels
from pcm_leukemia.cvat.plain import read_plain
from pcm_leukemia.dataset import Dataset, of_checked_rows
from pcm_leukemia.errors import InvalidDataset
from pcm_leukemia.files import Document
from pcm_leukemia.schema import UNTYPED, Cell, Image, ImageId, Taxonomy
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE


def as_document(text: str | bytes, prefix: str = "") -> Document:
    content = text.encode() if isinstance(text, str) else text
    return Document("a.xml", prefix, prefix, lambda: io.BytesIO(content))


def nothing(taxonomy: Taxonomy | None = NINE) -> Parsed:
    return Parsed(Labels(taxonomy, {"blob": "Other"}))


def everything(parsed: Parsed) -> object:
    """All that later steps can see, with the order of all rows and labels."""
    labels = parsed.labels
    inspection = {each.name: getattr(parsed.inspection, each.name) for each in fields(parsed.inspection)}
    orders = [list(inspection["shapes"].items()), list(inspection["labels"].items())]
    known = (list(labels._used.items()), list(labels._resolved.items()), list(labels._declared))
    return [*parsed.images.items()], parsed.bases, parsed.cells, inspection, orders, known


def by_each_reader(
    *documents: Document, taxonomy: Taxonomy | None = NINE
) -> tuple[Parsed, Parsed, list[bool]]:
    """The documents as the quick reader and as the thorough one reads them, and which of them are plain."""
    quick, judged = nothing(taxonomy), nothing(taxonomy)
    plain = []
    for each in documents:
        before = everything(quick)
        plain.append(read_plain(each, quick))
        if not plain[-1]:
            assert everything(quick) == before
            read_document(each, quick)
        read_document(each, judged)
    return quick, judged, plain


def both(*documents: Document, taxonomy: Taxonomy | None = NINE) -> tuple[Parsed, list[bool]]:
    """The documents as both readers read them, which must be the same, and which of them are plain."""
    quick, judged, plain = by_each_reader(*documents, taxonomy=taxonomy)
    assert everything(quick) == everything(judged)
    return quick, plain


PLAIN = document(
    image(
        "P1/a.png", box("Other", z_order=2, group_id=7) + box("lymphocyte", ("0", "0.00", "200", "100.000"))
    ),
    image("P1/b.png", number=1),
    image("P2/a b.png", box("blob", occluded=1, source=None, z_order=None), number=2),
    meta=header(inner="<subset>default</subset>"),
).replace('P2/a b.png"', 'P2/a b.png" subset="train" task_id="3"')


@pytest.mark.parametrize("prefix", ["", "task_1"])
@pytest.mark.parametrize("taxonomy", [NINE, None])
def test_a_plain_export_is_read_quickly(prefix: str, taxonomy: Taxonomy | None) -> None:
    parsed, plain = both(as_document(PLAIN, prefix), taxonomy=taxonomy)
    assert plain == [True]
    assert len(parsed.cells) == 3
    assert [each.subset for each in parsed.images.values()] == ["default", "default", "train"]
    assert parsed.inspection.empty_images == 1


def test_a_file_of_several_chunks_is_read_quickly() -> None:
    images = [image(f"{n}.png", box("Other") * 40, number=n) for n in range(500)]
    parsed, plain = both(as_document(document(*images, image("last.png", box("Basophil"), number=500))))
    assert plain == [True]
    assert len(parsed.cells) == 20_001


def test_an_image_of_many_boxes_is_read_quickly() -> None:
    many = image("a.png", box("Other") * 5_000) + image("b.png", box("Basophil"), number=1)
    parsed, plain = both(as_document(document(many)))
    assert plain == [True]
    assert len(parsed.cells) == 5_001
    assert both(as_document(document(image("a.png", box("Other") * 12_000))))[1] == [False]


def test_a_box_is_compared_with_its_own_image() -> None:
    large = image("a.png", box("Other", (0, 0, 200, 100)))
    small = image("b.png", box("Other", (0, 0, 150, 90)), number=1)
    assert both(
        as_document(document(large, small.replace('"200"', '"150"').replace('height="100"', 'height="90"')))
    )[1] == [True]
    assert both(as_document(document(large, small.replace('width="200"', 'width="149"'))))[1] == [False]
    assert both(as_document(document(large, small.replace('height="100"', 'height="89"'))))[1] == [False]


@given(st.lists(st.tuples(st.integers(0, 999_999_998), st.integers(0, 999_999_999)), min_size=1))
def test_numbers_are_those_of_python(halves: list[tuple[int, int]]) -> None:
    numbers = [f"{whole % 1_000_000}.{part}" for whole, part in halves]
    text = "".join(box("Other", (0, 0, number, "99.5")) for number in numbers if float(number))
    large = image("a.png", text).replace('width="200"', 'width="1000000"')
    parsed, plain = both(as_document(document(large)))
    assert plain == [True]
    assert [cell.box.x2 for cell in parsed.cells] == [float(number) for number in numbers if float(number)]


@pytest.mark.parametrize("chunk", range(200, 500, 23))
def test_a_chunk_may_end_anywhere(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ["Other", "Basophil", "blob", "Monocyte"] * 3
    text = document(*(image(f"{n}.png", box(label), number=n) for n, label in enumerate(labels)))
    monkeypatch.setattr(plain_reader, "_MOST_HEAD", text.index("<image ") + 20)
    monkeypatch.setattr(plain_reader, "_CHUNK", chunk)
    assert both(as_document(text))[1] == [True]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"lymphocyte"', '"Limphocyte"'),
        ('"lymphocyte"', '"lymph&#111;cyte"'),
        ("P1/b.png", "P1/a.png"),
        ("P1/b.png", "../b.png"),
        ("P1/b.png", "P1//b.png"),
        ("P1/b.png", "P1/ä.png"),
        ("200", "200.01"),
        ('"0.00"', '"100.000"'),
        ('width="200"', 'width="1000001"'),
        ('width="200"', 'width="0"'),
        ("</box>", '<attribute name="sure">no</attribute></box>'),
        ("</box>", "stray</box>"),
        ("<image", "]]><image"),
        ("<image", "<tag></tag><image"),
        ("</image>", '<tag label="x"></tag></image>'),
        ("</image>\n</annotations>", "</annotations>"),
        ("</image>\n<image", "<image"),
        ("</annotations>", ""),
        ("</annotations>", "<track></track></annotations>"),
        ("<annotations>", "<!DOCTYPE x><annotations>"),
        ("<meta>", "<meta><image >"),
        ("1.1", "2.0"),
        ("\n", "\r\n"),
        ("\n", "\r"),
        ("box", "ellipse"),
        ("occluded", "rotation"),
    ],
)
def test_of_another_file_every_problem_is_named(old: str, new: str) -> None:
    assert old in PLAIN
    _, plain = both(as_document(PLAIN.replace(old, new)))
    assert plain == [False]


def test_several_files_are_read_as_one() -> None:
    other = document(image("c.png", box("Other") + box("Basophil")))
    assert both(as_document(PLAIN), as_document(other))[1] == [True, True]
    assert both(as_document(PLAIN), as_document(PLAIN))[1] == [True, False]
    assert both(as_document(PLAIN, "x"), as_document(PLAIN, "y"), taxonomy=None)[1] == [True, True]


NUMBERS = st.sampled_from(
    ["0", "007", "0.5", "10.00", "99.999", "100", "150", "-1", "1e1", "nan", "201", " 7", "1_0"]
)
BOXES = st.builds(
    box,
    st.sampled_from(["Other", "Basophil", "blob", "neutrophil", "unknown", "", "a'b"]),
    st.tuples(*[NUMBERS] * 4) | st.just((1, 2, 3, 4)),
    z_order=st.sampled_from(["0", "-3", "x", None]),
    group_id=st.sampled_from([None, "4"]),
    occluded=st.sampled_from([0, 1, "no"]),
)
IMAGES = st.lists(
    st.tuples(
        st.sampled_from(["a.png", "P/a.png", "b", "ü.png", "a/../b", "x y.png"]),
        st.lists(BOXES, max_size=3).map("".join),
    ),
    max_size=4,
    unique_by=lambda each: each[0],
).map(lambda rows: "".join(starmap(image, rows)))
PIECES = st.sampled_from(
    [*"\n <>&\"'/=1", "</image>", "</box>", "<box ", "<image ", "<!-- -->", "\x00", "\ufffe", "ä", ' x="1"']
)


@given(IMAGES)
def test_both_readers_read_the_same(images: str) -> None:
    quick, judged, _ = by_each_reader(as_document(document(images)))
    assert everything(quick) == everything(judged)


@given(IMAGES | st.just(PLAIN), st.data())
def test_both_readers_read_the_same_of_a_damaged_file(images: str, data: st.DataObject) -> None:
    text = images if images == PLAIN else document(images)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)) | st.just(start))
    damaged = text[:start] + data.draw(PIECES) + text[end:]
    quick, judged, _ = by_each_reader(as_document(damaged.encode()))
    assert everything(quick) == everything(judged)


@given(st.lists(IMAGES, max_size=3), st.sampled_from([NINE, None]), st.randoms())
def test_the_rows_of_plain_files_pass_every_check_of_a_data_set(
    files: list[str], taxonomy: Taxonomy | None, random: Random
) -> None:
    parsed = nothing(taxonomy)
    for number, content in enumerate(files):
        read_plain(as_document(document(content), f"{number}" * (len(files) > 1)), parsed)
    assume(not parsed.labels.problems())  # `read` raises them
    classes = parsed.labels.taxonomy()
    quick = of_checked_rows("x", classes, parsed.images.values(), parsed.cells)
    images, cells = [*parsed.images.values()], [*parsed.cells]
    random.shuffle(images)
    random.shuffle(cells)
    checked = Dataset("x", classes, tuple(images), tuple(cells))
    assert vars(quick) == vars(checked)
    assert quick.fingerprint == checked.fingerprint


def test_a_label_that_is_no_class_is_refused_in_rows_that_were_checked() -> None:
    image = Image(ImageId("a.png"), 200, 100)
    cells = [Cell(image.id, 0, " ", Box(1, 2, 3, 4))]
    with pytest.raises(InvalidDataset, match=r'label " " is not a class'):
        of_checked_rows("x", NINE, [image], cells)
    assert of_checked_rows("x", NINE, [image], [structs.replace(cells[0], label=UNTYPED)]).untyped == 1
