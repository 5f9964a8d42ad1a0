"""The view of the suspects: the likeliest errors first, with both boxes, filtered as the page is; and how they are read."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageColor
import pytest
from browser import Opened
from commands import Run
from playwright.sync_api import Locator, Page, expect

from pcm_leukemia import NINE, Dataset, report, store
from pcm_leukemia.colours import FOUND, MISSED
from pcm_leukemia.errors import CorruptFile, DataNotFound, UnfitForTask
from pcm_leukemia.images import files_of, load
from pcm_leukemia.report import Suspect, read_suspects
from pcm_leukemia.report import suspects as view


def scores(page: Page) -> list[str]:
    """The score and the kind of each suspect that is shown."""
    return page.locator(".suspect > p:first-child").all_inner_texts()


def said(suspects: list[Suspect]) -> list[str]:
    return [f"{each.score:.2f} {each.kind}" for each in suspects]


def test_all_are_listed_with_what_is_known_the_likeliest_errors_first(
    chromium: Opened, page_of_ds: Path, ds: Dataset, suspects: tuple[Suspect, ...]
) -> None:
    with chromium.page(page_of_ds, "#suspects") as page:
        assert scores(page) == said(list(suspects))
        for each, shown in zip(suspects, page.locator(".suspect").all(), strict=True):
            text = shown.inner_text()
            assert f"annotated: {each.cell.label if each.cell else 'no box'}" in " ".join(text.split())
            if each.suggested_label or each.suggested_box:
                assert f"suggested: {each.suggested_label or 'another box'}" in " ".join(text.split())
            assert each.reason in text.splitlines()
            cell = f" cell {each.cell.id}" if each.cell else ""
            assert (
                f"{each.image.id}{cell}, patient {each.image.patient}, part {ds.part_of(each.image)}" in text
            )
        row = page.get_by_role("row", name="missing-box")
        count = str(sum(each.kind == "missing-box" for each in suspects))
        assert row.get_by_role("cell").all_inner_texts()[:2] == [count, count]


def strokes(shown: Locator) -> list[str]:
    return [each.evaluate("e => e.style.borderTopStyle") for each in shown.locator(".stroke").all()]


def test_the_boxes_are_drawn_and_told_apart_without_colour(
    chromium: Opened, page_of_ds: Path, suspects: tuple[Suspect, ...]
) -> None:
    with chromium.page(page_of_ds, "#suspects") as page:
        for each, shown in list(zip(suspects, page.locator(".suspect").all(), strict=True))[:8]:
            drawn = [bool(each.cell), bool(each.suggested_box)]
            assert strokes(shown) == [
                line for line, there in zip(("solid", "dashed"), drawn, strict=True) if there
            ]
            source = shown.locator("img").get_attribute("src") or ""
            jpeg = base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))
            pixels = np.asarray(PIL.Image.open(io.BytesIO(jpeg)).convert("RGB"), int)
            assert max(pixels.shape) == view.TILE
            for colour, there in zip((FOUND, MISSED), drawn, strict=True):
                near = np.abs(pixels - PIL.ImageColor.getrgb(colour)).sum(axis=-1) < 60
                assert (near.sum() > 100) == there, (each.kind, colour)


def test_a_picture_shows_the_suggested_box_where_it_is(ds: Dataset, suspects: tuple[Suspect, ...]) -> None:
    (moved, *_) = (each for each in suspects if each.kind == "misplaced-box")
    pictures = report.Pictures(ds)
    view.section(ds, pictures, [replace(moved, cell=None)])
    pictures.cut()
    (jpeg,) = (base64.b64decode(each) for each in pictures.encoded if each)
    shown = PIL.Image.open(io.BytesIO(jpeg)).convert("RGB")
    box = moved.suggested_box
    assert box
    corners = [round(each) for each in (box.x1 - 50, box.y1 - 50, box.x2 + 50, box.y2 + 50)]
    around = PIL.Image.fromarray(load(files_of(ds), moved.image)).crop(tuple(corners)).resize(shown.size)  # type: ignore[arg-type]
    assert np.abs(np.asarray(shown, float) - np.asarray(around, float)).mean() < 20


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("#suspects/wrong-class", {"kind": "wrong-class"}),
        ("#suspects?part=test", {"part": "test"}),
        ("#suspects/two-labels?part=train", {"kind": "two-labels", "part": "train"}),
        ("#suspects?class=Lymphoblast", {"label": "Lymphoblast"}),
        ("#suspects?class=Basophil", {"label": "Basophil"}),
        ("#suspects?diagnosis=AML", {"diagnosis": "AML"}),
    ],
)
def test_facets_and_the_address_filter_them(
    chromium: Opened,
    page_of_ds: Path,
    ds: Dataset,
    suspects: tuple[Suspect, ...],
    address: str,
    wanted: dict[str, str],
) -> None:
    """A missing box has no label: it is filtered by the one that is suggested."""
    facts = [
        {
            "kind": each.kind,
            "part": ds.part_of(each.image),
            "label": each.cell.label if each.cell else each.suggested_label,
            "diagnosis": ds.diagnosis_of(each.image),
        }
        for each in suspects
    ]
    passing = [each for each, known in zip(suspects, facts, strict=True) if wanted.items() <= known.items()]
    assert 0 < len(passing) < len(suspects)
    with chromium.page(page_of_ds, address) as page:
        assert scores(page) == said(passing)


def test_links_lead_to_a_kind_and_to_the_cell_in_its_frame(
    chromium: Opened, page_of_ds: Path, suspects: tuple[Suspect, ...]
) -> None:
    first = suspects[0]
    assert first.cell
    with chromium.page(page_of_ds, "#suspects") as page:
        page.get_by_role("link", name=first.kind).click()
        expect(page.locator(".suspect")).to_have_count(sum(each.kind == first.kind for each in suspects))
        page.get_by_role("link", name="Show all kinds").click()
        expect(page.locator(".suspect")).to_have_count(len(suspects))
        page.locator(".suspect").first.get_by_role("link").click()
        expect(page.locator(".outline.marked")).to_have_attribute("data-cell", str(first.cell.id))
        page.goto(f"{page_of_ds.as_uri()}#suspects/nonsense")
        expect(page.locator(".note")).to_have_text("There is no kind of suspect nonsense.")
        expect(page.locator(".suspect")).to_have_count(len(suspects))


def test_pictures_and_sentences_are_those_of_the_likeliest_errors_and_the_page_says_so(
    chromium: Opened,
    ds: Dataset,
    suspects: tuple[Suspect, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "MOST_PICTURES", 5)
    monkeypatch.setattr(view, "MOST_LISTED", 12)
    path = report.write(ds, tmp_path / "few.html", suspects=suspects[::-1])
    with chromium.page(path, "#suspects") as page:
        assert scores(page) == said(list(suspects[:12]))
        pictured = page.locator(".suspect").evaluate_all(
            "all => all.map(each => !!each.querySelector('img'))"
        )
        assert pictured == [True] * 5 + [False] * 7
        main = page.locator("main")
        expect(main).to_contain_text("5 of these 12 have a picture: the likeliest errors of all.")
        expect(main).to_contain_text(
            f"The page has the 12 with the highest scores of {len(suspects)} suspects"
        )
        page.goto(f"{path.as_uri()}#frames")
        expect(page.locator("#frame-choice option")).to_have_count(len(ds.images))


def test_without_suspects_there_is_no_view_and_without_any_it_says_so(
    chromium: Opened, ds: Dataset, tmp_path: Path
) -> None:
    bare = Dataset(ds.name, ds.taxonomy, ds.images, ds.cells, ds.patients)
    with chromium.page(report.write(bare, tmp_path / "without.html"), "#suspects") as page:
        expect(page.get_by_role("alert")).to_contain_text("no view suspects")
    with chromium.page(report.write(bare, tmp_path / "none.html", suspects=()), "#suspects") as page:
        expect(page.locator("main")).to_contain_text("There are no suspects.")


def test_without_image_files_they_have_no_pictures(
    chromium: Opened, ds: Dataset, suspects: tuple[Suspect, ...], tmp_path: Path
) -> None:
    bare = replace(ds, root=None)
    with chromium.page(report.write(bare, tmp_path / "page.html", suspects=suspects), "#suspects") as page:
        assert scores(page) == said(list(suspects))
        assert page.locator("main").locator("img, .unread, .stroke").count() == 0
        expect(page.locator("main")).to_contain_text("There are no pictures of these.")


# The folder


@pytest.fixture
def folder(ds: Dataset, suspects: tuple[Suspect, ...], tmp_path: Path) -> Path:
    """What the command suspects wrote."""
    found = pytest.importorskip("pcm_leukemia.baselines.suspects")
    rows = tuple(
        found.Suspect(
            *(
                each.kind,
                each.score,
                each.image.id,
                each.cell and each.cell.id,
                each.cell and each.cell.label,
            ),
            *(each.suggested_label, each.cell and each.cell.box, each.suggested_box),
            *(each.image.patient, ds.part_of(each.image), each.reason),
        )
        for each in suspects
    )
    written = found.write(found.Suspects(ds.name, rows, len(ds.images), (), 0.3), ds, tmp_path / "suspects")
    return Path(written.out)


def test_what_the_command_wrote_is_read_back(
    ds: Dataset, suspects: tuple[Suspect, ...], folder: Path
) -> None:
    read = read_suspects(folder, ds)
    assert len(read) == len(suspects)
    for one, other in zip(read, suspects, strict=True):
        assert replace(one, suggested_box=None) == replace(other, suggested_box=None)
        assert (one.suggested_box is None) == (other.suggested_box is None)
        if one.suggested_box and other.suggested_box:
            assert one.suggested_box.x1 == pytest.approx(other.suggested_box.x1, abs=0.01)
            assert one.suggested_box.y2 == pytest.approx(other.suggested_box.y2, abs=0.01)
    assert read_suspects(folder, replace(ds, split=None)) == read  # another split gives no other suspects


def test_suspects_of_other_data_and_folders_without_any_are_refused(
    ds: Dataset, folder: Path, tmp_path: Path
) -> None:
    other = replace(ds, cells=ds.cells[:-1])
    with pytest.raises(UnfitForTask) as refused:
        read_suspects(folder, other)
    assert str(refused.value) == (
        f'{folder}: its suspects are those of other data, or of an earlier state: of "{ds.name}", fingerprint '
        f'{ds.fingerprint[:8]}, and not of "{ds.name}", {other.fingerprint[:8]}; find the suspects of these data: '
        "run pcm-leukemia suspects"
    )
    for nothing in (tmp_path / "nowhere", tmp_path, folder / "suspects.csv"):
        with pytest.raises(
            DataNotFound, match="holds no suspects; name the folder that pcm-leukemia suspects"
        ):
            read_suspects(nothing, ds)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("score", "high", 'score "high" is not a number'),
        ("score", "1.5", "the score 1.5 is not from 0 to 1"),
        ("score", "nan", "the score nan is not from 0 to 1"),
        ("kind", "odd", 'the kind "odd" is not one of wrong-class, missing-box,'),
        ("image", "nowhere.png", 'the data have no image "nowhere.png"'),
        ("cell", "999", '" has no cell "999"'),
        ("cell", "", 'label or box are not those of cell ""'),
        ("label", "Other2", "label or box are not those of cell"),
        ("x1", "1", "label or box are not those of cell"),
        ("x1", "", 'x1 "" is not a number'),
        ("y2", "-1", "has no area or is not finite"),
        ("suggested_x1", "1", 'suggested_y1 "" is not a number'),
    ],
)
def test_a_damaged_row_is_one_clear_sentence(
    ds: Dataset, folder: Path, column: str, value: str, said: str
) -> None:
    table = folder / "suspects.csv"
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    rows[1][rows[0].index(column)] = value
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(CorruptFile) as refused:
        read_suspects(folder, ds)
    text = str(refused.value)
    assert said in text
    assert text.startswith(f"{table}:2: ")
    assert text.endswith("; run pcm-leukemia suspects again")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "suspects.csv:1: the columns must be image,cell,"),
        (b"image,cell\n", "suspects.csv:1: the columns must be image,cell,"),
        (",".join(view.SUSPECTS_COLUMNS).encode() + b"\na,b\n", "suspects.csv:2: has 2 fields, not 17"),
        (",".join(view.SUSPECTS_COLUMNS).encode() + b'\n"a', "is not a CSV in UTF-8"),
        (b"\xff\xfe\x00", "is not a CSV in UTF-8"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_damaged_table_is_refused(ds: Dataset, folder: Path, content: bytes | None, said: str) -> None:
    table = folder / "suspects.csv"
    table.unlink()
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(CorruptFile) as refused:
        read_suspects(folder, ds)
    assert said in str(refused.value)


def test_a_record_without_a_fingerprint_is_refused(ds: Dataset, folder: Path) -> None:
    path = folder / "pcm-leukemia.json"
    record = json.loads(path.read_text("utf-8"))
    del record["fingerprint"]
    path.write_text(json.dumps(record), "utf-8")
    with pytest.raises(CorruptFile, match="is damaged"):
        read_suspects(folder, ds)


def test_a_suggested_box_outside_of_its_image_is_refused(
    ds: Dataset, suspects: tuple[Suspect, ...], folder: Path
) -> None:
    table = folder / "suspects.csv"
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    at = rows[0].index("suggested_x1")
    (number,) = (
        n for n, row in enumerate(rows) if row[2] == "missing-box" and row[0] == suspects[1].image.id
    )
    rows[number][at : at + 4] = ["9000", "9000", "9009", "9009"]
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(CorruptFile, match="the suggested box is not in image"):
        read_suspects(folder, ds)


def test_the_command_shows_them_and_refuses_those_of_other_data_before_the_work(
    run: Run, chromium: Opened, ds: Dataset, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = tmp_path / "data", tmp_path / "page.html"
    store.write(ds, data)
    done = run("report", data, out, "--suspects", folder, "--no-pixels")
    assert done.status == 0, done.err
    with chromium.page(out, "#suspects") as page:
        assert page.locator(".suspect img").count() == page.locator(".suspect").count() > 10
    out.unlink()
    other = tmp_path / "other"
    store.write(Dataset("other", NINE, ds.images[:1], (), ds.patients, root=ds.root), other)
    worked: list[object] = []
    monkeypatch.setattr("pcm_leukemia.checks.check", worked.append)
    refused = run("report", other, out, "--suspects", folder)
    assert (refused.status, worked, out.exists()) == (1, [], False)
    assert "its suspects are those of other data" in " ".join(refused.err.split())
    missing = run("report", data, out, "--suspects", tmp_path / "nowhere")
    assert missing.status != 0
    assert "nowhere" in missing.err
