"""Tables that people make: CSV of spreadsheets, and .xlsx with what Excel makes of text."""

from __future__ import annotations

import io
import sys
import warnings
import zipfile
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spreadsheets import xlsx

from pcm_leukemia.errors import CorruptFile, MissingExtra, PcmError
from pcm_leukemia.files import read_user_table


def column(path: Path, number: int = 0) -> list[str]:
    taken, problems = read_user_table(path, "id").take(number)
    assert not problems
    return [value for _, (value,) in taken]


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in read_user_table(path, "id").take(0)[1]]


@given(
    st.lists(
        st.one_of(
            st.integers(-(10**15) + 1, 10**15 - 1).map(lambda number: (number, str(number))),
            st.integers(-(2**31), 2**31).map(lambda number: (float(number), str(number))),
            st.from_regex(r"[A-Za-z][\w .:/-]*\w", fullmatch=True).map(lambda text: (text, text)),
            st.sampled_from([("007", "007"), (" P 7 ", "P 7"), (2.5, "2.5"), (True, "TRUE")]),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_are_read_as_excel_shows_them(tmp_path: Path, values: list[tuple[object, str]]) -> None:
    file = xlsx(tmp_path / "a.xlsx", ["id"], *([typed] for typed, _ in values))
    assert column(file) == [text for _, text in values]


def test_zeros_that_only_the_format_shows_are_kept(tmp_path: Path) -> None:
    file = xlsx(tmp_path / "a.xlsx", ["id"], [7], [12345], formats={"A2": "000", "A3": "000"})
    assert column(file) == ["007", "12345"]


def test_empty_rows_and_sheets_do_not_count(tmp_path: Path) -> None:
    file = xlsx(tmp_path / "a.xlsx", [], ["id", None], [None], ["P1"], [None, None], notes=None)
    table = read_user_table(file, "id")
    assert (table.where, [(row.line, row.values[0]) for row in table.rows]) == (f"{file}:2", [(4, "P1")])


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (
            datetime.fromisoformat("2024-05-03T01:02"),
            "is a date (2024-05-03 01:02:00), which Excel also makes of text such as 3-5",
        ),
        (date(2024, 5, 3), "is a date (2024-05-03), which Excel also makes of text such as 3-5"),
        (time(3, 5), "is a date (03:05:00), which Excel also makes of text such as 3-5"),
        (1234567890123456, "is a number of more than 15 digits, which Excel rounds"),
        ("#N/A", "is the error #N/A"),
        ("=1+1", "is a formula without a value"),
    ],
)
def test_what_excel_has_changed_is_named_with_its_cell(tmp_path: Path, value: object, what: str) -> None:
    file = xlsx(tmp_path / "a.xlsx", ["id", "born"], ["P1", value], [value, value])
    (problem,) = problems(file)
    assert problem.startswith(f"{file}: cell A3: {what}; ")


def test_what_is_not_read_may_be_anything(tmp_path: Path) -> None:
    file = xlsx(tmp_path / "a.xlsx", ["id", "born"], ["P1", date(1970, 1, 1)])
    assert column(file) == ["P1"]


def test_several_sheets_with_content_are_refused(tmp_path: Path) -> None:
    file = xlsx(tmp_path / "a.xlsx", ["id"], ["P1"], old="x")
    with pytest.raises(CorruptFile) as caught:
        read_user_table(file, "id")
    assert str(caught.value) == (
        f'{file}: has several sheets with content ("Sheet", "old"); keep the sheet with the table alone'
    )


def test_the_extra_is_named_if_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = xlsx(tmp_path / "a.xlsx", ["id"])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra) as caught:
        read_user_table(file, "id")
    assert str(caught.value) == "openpyxl: not installed; run: pip install 'pcm-leukemia[xlsx]'"


def test_a_workbook_that_is_no_workbook(tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(
        CorruptFile, match=r"a\.xlsx: is an Excel file that cannot be read \(.*\); save it again"
    ):
        read_user_table(file, "id")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_workbooks_give_our_errors(tmp_path: Path, data: st.DataObject) -> None:
    whole = xlsx(tmp_path / "whole.xlsx", ["id", "class"], ["P1", 7]).read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(files)))
    start = data.draw(st.integers(0, len(files[name])))
    end = data.draw(st.integers(start, min(start + 40, len(files[name]))))
    files[name] = files[name][:start] + data.draw(st.binary(max_size=5)) + files[name][end:]
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        for each, content in files.items():
            archive.writestr(each, content)
    with suppress(PcmError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read_user_table(tmp_path / "a.xlsx", "id")
