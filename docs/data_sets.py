"""Write docs/data-sets.md from the descriptions of all sources: `python docs/data_sets.py`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pcm_leukemia import sources
from pcm_leukemia.sources import Source

OUT = Path(__file__).with_name("data-sets.md")

HEAD = """\
# Other data sets

<!-- Written by docs/data_sets.py from pcm_leukemia/sources; edit the descriptions there. -->

This package reads these public data sets into one schema, and maps cell types to the nine classes of PCM-Leukemia
where they are named. No data are bundled: get a data set as its section describes, then give it as `NAME:ROOT`.

```
pcm-leukemia sources                    # list all; with a NAME, describe one
pcm-leukemia import lmu:/data/LMU lmu   # as a canonical folder; --variant selects the label map
pcm-leukemia validate lmu:/data/LMU     # compare counts and files with the published ones
```

In Python, `pcm_leukemia.load_dataset("lmu:/data/LMU", variant="lenient")`, or `sources.lmu.read("/data/LMU")`. Every
cell keeps its raw label in all variants. A single-cell crop is an image with one cell that spans it. A point is a
cell without a box, which box tasks refuse. A label of a whole image is its diagnosis. Images that may have
unannotated cells are marked, and detectors refuse them by default.

Images that cannot be read are left out with a warning if they are half of the files or fewer. If they are more, the reader
refuses the folder and names each cause once. After a `git clone`, files may be pointers of Git LFS: run `git lfs pull`.

`pcm-leukemia join` and `pcm_leukemia.concat` join several data sets and keep their ids, patients and groups apart.

Below each data set is its label map: how many cells have each raw label, if that was published; the class that it is read as,
for each variant; how certain that is (H high, M medium, L low), and why.

## At a glance

Cell types, images and annotations as in the paper's Table 1; a star marks the data sets in that table.

"""

COLUMNS = ("data set", "cell types", "images", "annotations", "licence")
NOT_STATED = "not stated"


def text() -> str:
    """Return the page."""
    chosen = [sources.get(name) for name in sources.names()]
    rows = [_row(COLUMNS), _row("---" for _ in COLUMNS)]
    rows += [_row(_glance(source)) for source in chosen]
    return HEAD + "\n".join(rows) + "\n" + "".join(_section(source) for source in chosen)


def _row(cells: Iterator[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _glance(source: Source) -> tuple[str, ...]:
    star = " \\*" if source.in_table_1 else ""
    name = f"[`{source.name}`](#{_anchor(source.title)}){star}"
    return name, source.cell_types, source.total_images, source.annotations, source.licence


def _anchor(title: str) -> str:
    """Return the address of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _section(source: Source) -> str:
    lines = ["", f"## {source.title}", "", f"`{source.name}`: {source.what.rstrip('.')}.", ""]
    shared = "may be passed on" if source.redistributable else "may not be passed on"
    lines += [f"- Licence: {source.licence}; {shared}.", f"- Cite: {source.citation}"]
    lines += [f"- Home: <{source.home}>"] if source.home else []
    lines += [f"- How to get it: {source.how_to_get}."]
    lines += [f"- At a stable address: <{file.url}>" for file in source.downloads]
    lines += [f"- {fact}: {value}" for fact, value in _facts(source).items() if value != NOT_STATED]
    if source.defects:
        lines += ["", "Known defects:", "", *(f"- {defect}" for defect in source.defects)]
    lines += ["", *_labels(source)]
    return "\n".join(lines) + "\n"


def _facts(source: Source) -> dict[str, str]:
    return {
        "Download": source.size,
        "Patients": source.patients,
        "Image size": source.image_size,
        "Stain": source.stain,
        "Magnification": source.magnification,
    }


def _labels(source: Source) -> Iterator[str]:
    """Yield the label map: a row for each raw label, a column for each variant, and the default's reasons."""
    maps = {variant: sources.read_map(source, variant) for variant in source.variants}
    first = next(iter(maps.values()))
    if not first.rules:
        yield "No cell has a label."
        return
    if len(maps) > 1:
        yield from (f"- `{variant}`: {meaning}" for variant, meaning in source.variants.items())
        yield ""
    (usual, _), *others = Counter(rule.source for rule in first.rules.values()).most_common()
    columns = ("raw label", "cells", *(f"`{variant}`" for variant in maps), "confidence", "reason")
    yield _row(columns)
    yield _row(tuple("---" for _ in columns))
    for raw, rule in first.rules.items():
        count = f"{source.counts[raw]:,}" if raw in source.counts else ""
        classes = (labels.rules[raw].label for labels in maps.values())
        by = "" if rule.source == usual else f" [{rule.source}]"
        yield _row((f"`{raw}`", count, *classes, rule.confidence, rule.reason + by))
    yield ""
    unless = ", except where the reason names another" if others else ""
    about = f" Confidence and reason refer to `{first.variant}`." if len(maps) > 1 else ""
    yield f"Version {first.version} of the map. Source{unless}: {usual}.{about}"


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
