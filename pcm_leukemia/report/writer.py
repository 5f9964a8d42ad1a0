"""Writes the page: sections, pictures and scripts become one HTML file that needs nothing else.

The Content-Security-Policy in the file admits its own script and style by their digests, and nothing else, so that a
name in the data could do nothing even if it got into the page as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from pcm_leukemia.checks import Checked
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.files import new_file
from pcm_leukemia.report import classes, findings, frames, sizes, split
from pcm_leukemia.report import suspects as of_suspects
from pcm_leukemia.report.columns import columns
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.report.sections import Section, legible, script, style
from pcm_leukemia.report.suspects import Suspect, worst_images
from pcm_leukemia.schema import Image

__all__ = ["data_sections", "write", "write_sections"]

_CORE = ("page", "filters", "charts")


def write(
    ds: Dataset,
    out: str | Path,
    *,
    checked: Checked | None = None,
    suspects: Sequence[Suspect] | None = None,
    warned: Iterable[str] = (),
    workers: int | None = None,
    progress: bool = False,
) -> Path:
    """Write the page of a data set: one HTML file that works offline.

    Crops and frames are a sample, drawn evenly over classes and patients, and the page says so. Metadata of image files
    are never shown.

    Parameters
    ----------
    ds
        The data set. Without image files, the page has no pictures.
    out
        The file; it is replaced if it exists.
    checked
        What `checks.check` found, to be shown, too.
    suspects
        Annotations that are probably wrong, as `read_suspects` returns them, to be shown, too.
    warned
        Warnings from reading the data, such as of boxes without area, to be shown above the findings.
    workers
        Threads; by default one for each core.
    progress
        Whether to show a progress bar.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ExportError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia import NINE
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write(Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),)), Path(folder) / "demo.html")
    ...     "<title>demo</title>" in page.read_text()
    True
    """
    pictures = Pictures(ds)
    worst = None if not suspects else frames.to_show(pictures, worst_images(suspects))
    sections = [
        *data_sections(ds, pictures, worst, "those with the likeliest errors first"),
        findings.section(ds, pictures, checked, warned),
        *([] if suspects is None else [of_suspects.section(ds, pictures, suspects)]),
        split.section(ds),
    ]
    return write_sections(ds, out, sections, pictures, checked=checked, workers=workers, progress=progress)


def data_sections(
    ds: Dataset, pictures: Pictures, shown: Sequence[Image] | None = None, shown_are: str = ""
) -> list[Section]:
    """The views that show images and cells, which the page of a run has, too; see `frames.section`."""
    return [
        Section(script("counts")),
        Section(script("patients")),
        classes.section(ds, pictures),
        frames.section(ds, pictures, shown, shown_are),
        sizes.section(ds, pictures),
    ]


def write_sections(
    ds: Dataset,
    out: str | Path,
    sections: Sequence[Section],
    pictures: Pictures,
    *,
    title: str = "",
    checked: Checked | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Path:
    """Write a page with these sections, after all pictures that they ask for have been cut; see `write`."""
    pictures.cut(workers=workers, progress=progress)
    content: dict[str, object] = {
        "title": title or legible(ds.name),
        **columns(ds, checked.findings if checked else ()),
        "pictures": pictures.encoded,
    }
    for section in sections:
        content.update(section.content())
    subtitle = ", ".join(
        [
            *([counted(len(ds.patients), "patient")] if ds.patients else []),
            counted(len(ds.images), "image"),
            counted(len(ds.cells), "cell"),
        ]
    )
    path = Path(out)
    with new_file(path) as work:
        work.write_text(_page(content, sections, subtitle), encoding="utf-8")
    return path


def _page(content: dict[str, object], sections: Sequence[Section], subtitle: str) -> str:
    import jinja2

    scripts = [*(script(name) for name in _CORE), *dict.fromkeys(each.script for each in sections)]
    code = '(() => {\n"use strict";\n' + "\n".join(scripts) + "\nstart();\n})();\n"
    page = resources.files("pcm_leukemia.report") / "page"
    look = "\n".join(dict.fromkeys([style("style"), *(each.style for each in sections)]))
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((page / "page.html.j2").read_text("utf-8")).render(
        title=content["title"],
        subtitle=subtitle,
        version=version("pcm-leukemia"),
        style=look,
        style_hash=_digest(look),
        script=code,
        script_hash=_digest(code),
        data=data,
    )


def _digest(text: str) -> str:
    """The digest of an inline script or style, as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
