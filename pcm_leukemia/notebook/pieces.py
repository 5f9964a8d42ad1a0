"""The pieces that every page is made of: a frame, tables of counts with bars, warnings and hints.

Styles are inline, texts have the colour of the page around them, and lines and bars are legible on white and on black: notebooks
are light or dark, and not all of them keep a style sheet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from pcm_leukemia.errors import counted
from pcm_leukemia.notebook.elements import Child, Element, clipped, element

__all__ = [
    "Bar",
    "clipped_sentence",
    "count_table",
    "facts",
    "folded",
    "frame",
    "hint",
    "table",
    "warnings_box",
]

MOST_ROWS = 40
"""A table of counts sums up further rows in one."""
MOST_COLUMNS = 12
"""It leaves out further columns, but never the last, which may be the whole."""
BAR = "#4477aa"
LINE = "1px solid rgba(128,128,128,.4)"
_NAME = "max-width:18em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_CELL = "padding:2px 10px 2px 0;border:0;vertical-align:middle"


class Bar(NamedTuple):
    """A cell of a table: a bar that is filled to a share, 0 to 1, and the text behind it."""

    filled: float
    text: str
    colour: str = BAR
    title: str = ""


Row: TypeAlias = tuple[str, Sequence[str | Bar]]
"""The name of a row, and its cells."""


def frame(kind: str, name: str, *children: Child) -> Element:
    """What a notebook shows of one object: its name, its kind, and what follows."""
    head = element(
        "div",
        element("b", clipped(name), style="font-size:115%"),
        element("span", f" {kind}", style="opacity:.7"),
        style=f"{_NAME};max-width:100%",
    )
    style = "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;max-width:72em"
    return element("div", head, *children, style=style)


def facts(*said: str) -> Element:
    """A line of short facts."""
    return element("div", " · ".join(said), style="opacity:.85;overflow-wrap:anywhere")


def warnings_box(said: Sequence[str], title: str = "Look at this", *, most: int = 8) -> Element | None:
    """A list of sentences that a person should read; None if there are none."""
    if not said:
        return None
    items = [element("li", clipped_sentence(each), style="overflow-wrap:anywhere") for each in said[:most]]
    more = len(said) - most
    if more > 0:
        items.append(element("li", f"and {more:,} more"))
    return element(
        "div",
        element("b", title),
        element("ul", *items, style="margin:2px 0;padding-left:1.4em"),
        style="border-left:4px solid #cc7711;padding:2px 0 2px 10px;margin:8px 0",
    )


def clipped_sentence(sentence: str, longest: int = 600) -> str:
    """A sentence, which may name many things, cut to a length that can be read."""
    return sentence if len(sentence) <= longest else f"{sentence[: longest - 1]}…"


def hint(*lines: tuple[str, str]) -> Element:
    """Where to go on: code, and what it does."""
    items = [
        element("div", element("code", code, style="font-size:95%"), f"  {what}", style="margin:1px 0")
        for code, what in lines
    ]
    return element(
        "div", element("b", "Next"), *items, style=f"border-top:{LINE};margin-top:8px;padding-top:4px"
    )


def folded(title: str, *children: Child, opened: bool = False) -> Element:
    """Children that a click unfolds."""
    attributes = {"open": "open"} if opened else {}
    summary = element("summary", title, style="cursor:pointer")
    return element("details", summary, *children, style="margin:6px 0", **attributes)


def bar(cell: Bar) -> Element:
    """A bar and the text behind it."""
    # the rim shows dark colours on a dark page
    rim = "box-shadow:inset 0 0 0 1px rgba(200,200,200,.75)"
    filled = f"width:{100 * min(max(cell.filled, 0), 1):.1f}%;height:100%;background:{cell.colour};{rim}"
    if cell.filled > 0:
        filled += ";min-width:2px"
    track = "width:64px;height:10px;flex:none;background:rgba(128,128,128,.18)"
    return element(
        "div",
        element("div", element("div", style=filled), style=track),
        element("span", cell.text, style="min-width:3em;text-align:right;flex:1"),
        style="display:flex;align-items:center;gap:6px;font-variant-numeric:tabular-nums",
        **({"title": cell.title} if cell.title else {}),
    )


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Row | None],
    *,
    align: Literal["left", "right"] = "right",
) -> Element:
    """A table with a name in front of each row; None draws a line between two rows.

    Parameters
    ----------
    caption
        What the rows are.
    columns
        The names of the columns, without that of the rows' names.
    rows
        The name of each row, and its cells.
    align
        The side at which the columns are aligned: "right" for numbers, "left" for words.
    """
    cell = f"{_CELL};text-align:{align};font-variant-numeric:tabular-nums"
    name = f"{_CELL};{_NAME};padding-right:14px;text-align:left;font-weight:normal"
    body: list[Element] = []
    line = f";border-top:{LINE}"
    for row in rows:
        if row is None:
            line = f";border-top:{LINE}"
            continue
        title, cells = clipped(row[0]), row[1]
        first = element("th", title, style=name + line, scope="row", title=title)
        drawn = [bar(each) if isinstance(each, Bar) else each for each in cells]
        body.append(element("tr", first, *(element("td", each, style=cell + line) for each in drawn)))
        line = ""
    names = [
        element("th", clipped(column), style=f"{cell};{_NAME}", scope="col", title=clipped(column))
        for column in columns
    ]
    head = element("tr", element("th", caption, style=f"{name};opacity:.7", scope="col"), *names)
    style = "border-collapse:collapse;margin:6px 0;font-size:inherit"
    made = element("table", element("thead", head), element("tbody", *body), style=style)
    return element("div", made, style="overflow-x:auto;max-width:100%")


def count_table(
    caption: str,
    counts: Mapping[str, Mapping[str, int]],
    above: Mapping[str, Mapping[str, int]] | None = None,
    *,
    total: str = "",
    colours: Mapping[str, str] | None = None,
) -> Element:
    """A table of counts; each bar is a share of its column, and the largest share of all fills it.

    Parameters
    ----------
    caption
        What the rows are.
    counts
        Column -> row -> count.
    above
        Row -> column -> count, of rows without bars that come first.
    total
        The name of a last row with the sums; "" for none.
    colours
        Row -> colour of its bars.
    """
    names = list(counts)
    columns = names if len(names) <= MOST_COLUMNS else [*names[: MOST_COLUMNS - 1], names[-1]]
    sums = {column: sum(counts[column].values()) for column in columns}
    rows = list(dict.fromkeys(row for column in columns for row in counts[column]))
    shares = [counts[column].get(row, 0) / max(sums[column], 1) for column in columns for row in rows]
    largest = max(shares, default=0) or 1

    def drawn(row: str, column: str) -> Bar:
        count = counts[column].get(row, 0)
        share = count / max(sums[column], 1)
        said = f"{100 * share:.1f} % of {sums[column]:,}"
        return Bar(share / largest, f"{count:,}", (colours or {}).get(row, BAR), said)

    body: list[Row | None] = [
        (name, [f"{of.get(column, 0):,}" for column in columns]) for name, of in (above or {}).items()
    ]
    body.append(None)
    body += [(row, [drawn(row, column) for column in columns]) for row in rows[:MOST_ROWS]]
    rest = rows[MOST_ROWS:]
    if rest:
        left = [f"{sum(counts[column].get(row, 0) for row in rest):,}" for column in columns]
        body.append((f"{len(rest):,} more", left))
    if total:
        body += [None, (total, [f"{sums[column]:,}" for column in columns])]
    made = table(caption, columns, body)
    more = len(names) - len(columns)
    return element("div", made, facts(f"not shown: {counted(more, 'more column')}")) if more else made
