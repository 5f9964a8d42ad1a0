"""Maps of labels in a file, for Python and the command line."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path

import pytest
from commands import Run
from exports import box, document, header, image, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spreadsheets import xlsx

from pcm_leukemia import load_dataset, sources
from pcm_leukemia.errors import CorruptFile, InvalidExport
from pcm_leukemia.label_maps import read_label_map

WORDS = st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1, max_size=6)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Three cells: a blast, a smudge and a Monocyte."""
    names = ["blast", "smudge", "Monocyte"]
    shapes = "".join(box(name, (10 * n, 10, 10 * n + 8, 20)) for n, name in enumerate(names))
    return write(tmp_path / "labelled.xml", document(image("a.png", shapes), meta=header(labels=names)))


def table(folder: Path, *lines: str, name: str = "map.csv") -> Path:
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder / name


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        WORDS.filter(lambda word: not word.startswith("=")),
        WORDS.filter(lambda word: not word.startswith("=")),
    ),
    st.sampled_from(",;\t"),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_what_a_spreadsheet_saves_is_read(
    tmp_path: Path, labels: dict[str, str], delimiter: str, encoding: str
) -> None:
    with (tmp_path / "map.csv").open("w", encoding=encoding, newline="") as stream:
        rows = [("Label", "reason", "CLASS"), *((raw, "a, b; c", label) for raw, label in labels.items())]
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    same = {raw: "ignore" if label.casefold() == "ignore" else label for raw, label in labels.items()}
    assert read_label_map(tmp_path / "map.csv") == same


def test_the_columns_of_our_own_maps_are_known(tmp_path: Path) -> None:
    own = files("pcm_leukemia.sources") / "maps" / "txl_pbc.csv"
    file = table(tmp_path, *own.read_text(encoding="utf-8").splitlines())
    rules = sources.read_map(sources.get("txl_pbc")).rules
    assert read_label_map(file) == {raw: rule.label for raw, rule in rules.items()}


def test_a_file_says_what_labels_mean(run: Run, labelled: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "label;class;reason", "blast;Lymphoblast;", "smudge;Ignore;damaged")
    excel = xlsx(tmp_path / "map.xlsx", ["label", "class"], ["blast", "Lymphoblast"], ["smudge", "ignore"])
    for each in (file, excel):
        ds = load_dataset(labelled, labels=each)
        assert [cell.label for cell in ds.cells] == ["Lymphoblast", "ignore", "Monocyte"]
        counted = json.loads(run("info", labelled, "--map-file", each, "--json").out)["cells"]["all"]
        assert (counted["Lymphoblast"], counted["ignore"]) == (1, 1)
    assert run("inspect", labelled, "--map-file", file).status == 0


def test_a_label_in_the_file_and_in_an_option(run: Run, labelled: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "label,class", "blast,Lymphoblast")
    both = ("info", labelled, "--json", "--map-file", file, "--map")
    assert run(*both, "blast=Lymphoblast", "smudge=Other").status == 0
    refused = run(*both, "blast=Other", "smudge=Other")
    assert (refused.status, refused.out) == (2, "")
    assert f'--map "blast=Other": {file} reads blast as Lymphoblast; keep one of them' in refused.err


@pytest.mark.parametrize(
    ("lines", "error", "sentence"),
    [
        (("name,class",), CorruptFile, ":1: has no column for the label; begin it with label,class"),
        (
            ("label,raw,class",),
            CorruptFile,
            ":1: has several columns for the label; begin it with label,class",
        ),
        (("label,class", "a,"), InvalidExport, ":2: has no class; fill it in, or delete the row"),
        (
            ("label,class", ",b", ",c"),
            InvalidExport,
            ": 2 rows (lines 2, 3) name no label; fill it in, or delete the row",
        ),
        (
            ("label,class", "a,Other", "a,ignore"),
            InvalidExport,
            ':3: reads "a" as ignore, and a row above reads it as Other; keep one of them',
        ),
        (
            ("label,class", "a,b,c"),
            InvalidExport,
            ":2: has more values than the 2 columns; quote values with commas",
        ),
    ],
)
def test_a_table_that_is_no_map(
    tmp_path: Path, lines: tuple[str, ...], error: type[Exception], sentence: str
) -> None:
    file = table(tmp_path, *lines)
    with pytest.raises(error) as caught:
        read_label_map(file)
    assert str(caught.value) == f"{file}{sentence}"
