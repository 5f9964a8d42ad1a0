"""What a writer did, and what a check found, as HTML."""

from __future__ import annotations

from collections import Counter

from pcm_leukemia import colours
from pcm_leukemia.checks import Checked, Finding
from pcm_leukemia.errors import counted
from pcm_leukemia.files import Report
from pcm_leukemia.notebook.elements import Element, element, html
from pcm_leukemia.notebook.pieces import (
    Bar,
    clipped_sentence,
    count_table,
    facts,
    folded,
    frame,
    hint,
    table,
    warnings_box,
)

__all__ = ["of_checked", "of_report"]

MOST_FINDINGS = 20


def of_report(report: Report) -> str:
    """The report of a writer as HTML: what was written by class and part, what was left out, notes and problems."""
    parts = list(dict.fromkeys([*report.images, *report.cells]))
    cells = {part: report.cells.get(part, {}) for part in parts}
    labels = {label for of in cells.values() for label in of}
    left_out = [f"{count:,} {kind}" for kind, count in report.skipped.items() if count]
    return html(
        frame(
            "Report",
            f"{report.format}: {report.out}",
            warnings_box([str(problem) for problem in report.problems], "Problems"),
            warnings_box(left_out, "Left out"),
            count_table(
                "cells by class",
                cells,
                {"images": report.images},
                total="cells",
                colours={label: colours.of_label(label) for label in labels},
            )
            if parts
            else None,
            _notes(report.notes),
        )
    )


def of_checked(checked: Checked) -> str:
    """The findings of a check as HTML: counts by kind, the most severe in words, and what was not checked."""
    looked = [f"{count:,} {what}" for what, count in checked.looked_at.items()]
    if not checked.findings:
        verdict = element("div", element("b", "No check found anything."), style="margin:6px 0")
    else:
        verdict = _kinds(checked)
    return html(
        frame(
            "Checked",
            checked.name,
            facts(
                f"{counted(len(checked.problems), 'problem')}, {counted(len(checked.warnings), 'warning')}",
                f"looked at {', '.join(looked)}",
            ),
            verdict,
            _findings("problems", checked.problems, opened=True),
            _findings("warnings", checked.warnings, opened=not checked.problems),
            _notes(checked.notes),
            folded("beside the paper", element("pre", str(checked.comparison)))
            if checked.comparison
            else None,
            hint(
                ("checked.problems", "the findings that can make scores or boxes wrong"),
                ('pcm.checks.write_pictures(checked.findings, "pairs", ds)', "a picture of each finding"),
            )
            if checked.findings
            else None,
        )
    )


def _kinds(checked: Checked) -> Element:
    """A row for each kind and severity: how many findings, and how many images they concern."""
    found = Counter((each.kind, each.severity) for each in checked.findings)
    images: dict[tuple[str, str], set[str]] = {key: set() for key in found}
    for each in checked.findings:
        images[each.kind, each.severity].update(each.images)
    most = max(found.values())
    shade = {"problem": colours.MISSED, "warning": colours.IGNORED}
    return table(
        "kind",
        ["severity", "findings", "images"],
        [
            (
                kind,
                [
                    severity,
                    Bar(count / most, f"{count:,}", shade[severity]),
                    f"{len(images[kind, severity]):,}",
                ],
            )
            for (kind, severity), count in found.items()
        ],
    )


def _findings(title: str, findings: tuple[Finding, ...], *, opened: bool) -> Element | None:
    if not findings:
        return None
    items = [
        element(
            "li",
            element("b", each.kind),
            f" {clipped_sentence(str(each))}",
            style="overflow-wrap:anywhere;margin:2px 0",
        )
        for each in findings[:MOST_FINDINGS]
    ]
    more = len(findings) - MOST_FINDINGS
    if more > 0:
        items.append(element("li", f"and {more:,} more"))
    words = f"{len(findings):,} {title}"
    return folded(words, element("ul", *items, style="margin:2px 0;padding-left:1.4em"), opened=opened)


def _notes(notes: tuple[str, ...]) -> Element | None:
    if not notes:
        return None
    return element(
        "div",
        *(element("div", f"Note: {note}", style="overflow-wrap:anywhere") for note in notes),
        style="opacity:.85;margin:6px 0",
    )
