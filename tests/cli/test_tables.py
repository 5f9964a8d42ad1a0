"""What `info` prints below its table: the share of each class in each part, as a bar."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import datasets

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Split, Taxonomy
from pcm_leukemia.cli import tables
from pcm_leukemia.schema import ImageId


def drawn(cells: dict[str, list[str]], taxonomy: Taxonomy = NINE) -> Dataset:
    """A data set with one image for each part, which has cells with these labels."""
    ids = {part: ImageId(f"{part}.png") for part in cells}
    images = tuple(Image(image, 100, 100) for image in ids.values())
    rows = tuple(
        Cell(ids[part], number, label, Box(0, 0, 9, 9))
        for part, labels in cells.items()
        for number, label in enumerate(labels)
    )
    return Dataset("demo", taxonomy, images, rows, split=Split("s", {ids[part]: part for part in cells}))


def shown(
    ds: Dataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    tables.show(ds)
    return capsys.readouterr().out


def test_each_bar_is_as_long_as_the_share(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = drawn({"train": ["Monocyte"] * 3 + ["Other"], "test": ["Monocyte", "Other"]})
    lines = shown(ds, capsys, monkeypatch, 60).splitlines()
    bars = lines[lines.index(next(line for line in lines if line.startswith("cells, %"))) :]
    assert [line.rstrip() for line in bars] == [
        "cells, %        train                  test",
        *("Lymphocyte", "Neutrophil", "Basophil", "Eosinophil", "Lymphoblast"),
        "Monocyte        ███████████████  75.0  ██████████       50.0",
        *("Myeloblast_AML", "Myeloblast_APL"),
        "Other           █████            25.0  ██████████       50.0",
    ]


@pytest.mark.parametrize("parts", range(1, 7))
@pytest.mark.parametrize("width", [80, 100, 200])
def test_one_to_six_parts_fit_with_their_bars_aligned(
    parts: int, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = ["Monocyte"] * 300 + list(NINE.labels)
    ds = drawn({f"site{number}": rare[number:] for number in range(parts)})
    lines = shown(ds, capsys, monkeypatch, width).splitlines()
    head, *bars = lines[-10:]
    assert len(bars) == len(NINE.labels)
    assert all(len(line) <= width for line in lines)
    assert "…" not in "".join(bars)
    starts = [match.start() for match in re.finditer("site", head)]
    for line in bars:
        assert len(re.findall(r"\d\.\d", line)) == parts
        assert all(line[start] in tables.EIGHTHS[1:] for start in starts)  # a class with one cell of 309, too
        assert all(line[start - 2 : start] == "  " for start in starts)


def test_without_room_for_bars_the_numbers_are_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = drawn({f"site{number}": ["Monocyte"] for number in range(6)})
    line = next(
        line
        for line in reversed(shown(ds, capsys, monkeypatch, 60).splitlines())
        if line.startswith("Monocyte")
    )
    assert line.split() == ["Monocyte", *["100.0"] * 6]


def test_without_cells_there_are_no_bars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cells, %" not in shown(drawn({"train": [], "test": []}), capsys, monkeypatch, 80)


def test_a_terminal_without_unicode_has_bars_of_number_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", "80")
    tables.show(drawn({"train": ["Monocyte"]}))
    out.seek(0)
    assert f"Monocyte        {24 * '#'} 100.0" in out.read()


def test_names_are_text_and_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ("[red]blast[/]", "[/]", "x" * 200)
    out = shown(drawn({"[b]": [*labels]}, Taxonomy("demo", labels)), capsys, monkeypatch, 100)
    assert "[red]blast[/]" in out
    assert "│ [/] " in out
    assert "┃ [b] ┃" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "…" not in out
    assert out.count("x") == 2 * 200


def test_long_names_are_not_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ("Promyelocyte_with_bundles_of_Auer_rods", "Other")
    parts = {f"hospital_number_{number}": [*labels] for number in range(3)}
    out = shown(drawn(parts, Taxonomy("demo", labels)), capsys, monkeypatch, 80)
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    assert out.count("Auer_rods") == 2  # the end of the name, in both tables


def test_a_part_may_be_called_overall(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shown(drawn({"overall": ["Monocyte"], "test": ["Monocyte"] * 2}), capsys, monkeypatch, 80)
    assert re.search(r"│ Monocyte +│ +2 │ +1 │ +3 │", out)


@given(ds=datasets(), width=st.integers(20, 200))
def test_any_data_set_can_be_shown(ds: Dataset, width: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        out = io.StringIO()
        patched.setattr("sys.stdout", out)
        patched.setenv("COLUMNS", str(width))
        tables.show(ds)
    assert "\x1b" not in out.getvalue()
