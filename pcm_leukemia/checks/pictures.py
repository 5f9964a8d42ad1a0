"""Pictures of findings for a person to look at: images or cells side by side, and an index."""

from __future__ import annotations

import csv
import html
from collections.abc import Iterable, Iterator
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pcm_leukemia.checks.findings import Finding
from pcm_leukemia.colours import FOUND
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import PcmError
from pcm_leukemia.files import Report, new_folder
from pcm_leukemia.images import Files, crop, crop_corners, load
from pcm_leukemia.schema import Cell, Image

__all__ = ["write_pictures"]

SIDE = 480
"""The width and height of each tile, in pixels."""
CAPTION = 40
MARGIN = 50
MOST = 4
"""At most this many images or cells of one finding are shown."""
_PICTURED = frozenset(
    {"blank", "same-pixels", "near-duplicate", "cell-again", "image-is-cell", "cell-twice", "unusual-box"}
)


def write_pictures(findings: Iterable[Finding], out: str | Path, ds: Dataset) -> Report:
    """Write a picture of each finding that has something to show, and an index of all of them.

    ::

        <out>/<number>_<kind>.jpg   up to four images or cells side by side, with their part and patient
        <out>/index.html            all findings with their pictures
        <out>/findings.csv          the same as a table

    Parameters
    ----------
    findings
        The findings, as in `Checked.findings`.
    out
        A new folder, or one that an earlier run wrote.
    ds
        The data set that was checked, with its images.

    Raises
    ------
    ExportError
        If `out` must not be replaced, or cannot be written.
    """
    found = list(findings)
    files = Files(ds.root) if ds.root else None
    with new_folder(out, "pairs") as folder:
        rows: list[tuple[str, Finding]] = []
        lost = 0
        for number, finding in enumerate(found, 1):
            name = f"{number:04}_{finding.kind}.jpg"
            picture = _picture(finding, ds, files) if files and finding.kind in _PICTURED else None
            lost += picture is None and finding.kind in _PICTURED
            if picture:
                picture.save(folder / name, quality=90)
            rows.append((name if picture else "", finding))
        _write_table(rows, folder / "findings.csv")
        (folder / "index.html").write_text(_page(ds.name, rows), encoding="utf-8")
        skipped = {"pictures of images that cannot be read": lost}
        pictures = sum(bool(name) for name, _ in rows)
        notes = (f"{len(rows):,} findings, {pictures:,} with a picture; open index.html",)
        report = Report("pairs", Path(out), {}, {}, skipped, notes)
        report.leave_in(folder, {"name": ds.name, "fingerprint": ds.fingerprint})
    return report


def _picture(finding: Finding, ds: Dataset, files: Files) -> PIL.Image.Image | None:
    """The images or cells side by side; None if no image can be read."""
    tiles = list(_tiles(finding, ds, files))
    if not tiles:
        return None
    sheet = PIL.Image.new("RGB", (len(tiles) * (SIDE + 8) - 8, SIDE + CAPTION), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    font = PIL.ImageFont.load_default(14)
    for column, (tile, caption) in enumerate(tiles):
        left = column * (SIDE + 8)
        sheet.paste(tile, (left + (SIDE - tile.width) // 2, CAPTION + (SIDE - tile.height) // 2))
        for line, text in enumerate(caption):
            draw.text((left + 2, 2 + 18 * line), _fitting(text, font), "black", font)
    return sheet


def _fitting(text: str, font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont) -> str:
    """The end of a text, where paths differ, cut to the width of a tile, in characters that the font has."""
    plain = text.encode("latin-1", "replace").decode("latin-1")
    cut = plain
    while len(cut) > 4 and font.getlength(cut) > SIDE - 4:
        cut = f"...{cut[4:]}"
    return cut


def _tiles(finding: Finding, ds: Dataset, files: Files) -> Iterator[tuple[PIL.Image.Image, tuple[str, str]]]:
    cells = {(cell.image, cell.id): cell for image in finding.images for cell in ds.cells_of(image)}
    shown: list[tuple[Image, Cell | None]] = (
        [(ds.image(image), cells[image, number]) for image, number in finding.cells]
        if finding.cells
        else [(ds.image(image), None) for image in finding.images]
    )
    for image, cell in shown[:MOST]:
        try:
            pixels = load(files, image)
        except PcmError:
            continue
        tile = PIL.Image.fromarray(pixels if cell is None else crop(pixels, cell.box, MARGIN))
        scale = min(SIDE / tile.width, SIDE / tile.height)
        size = max(round(tile.width * scale), 1), max(round(tile.height * scale), 1)
        tile = tile.resize(size, PIL.Image.Resampling.BILINEAR)
        if cell is not None:
            x1, y1, _, _ = crop_corners(cell.box, MARGIN, image.width, image.height)
            box = cell.box
            corners = [(box.x1 - x1, box.y1 - y1), (box.x2 - x1, box.y2 - y1)]
            PIL.ImageDraw.Draw(tile).rectangle(
                [(x * scale, y * scale) for x, y in corners], outline=FOUND, width=2
            )
        part = ds.part_of(image) if ds.split else "no split"
        about = f"cell {cell.id} {cell.label}, " if cell else ""
        yield tile, (image.id, f"{about}{part}, patient {image.patient or 'unknown'}")


def _write_table(rows: list[tuple[str, Finding]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(
            ("picture", "severity", "kind", "distance", "where", "what", "fix", "parts", "patients", "images")
        )
        for name, found in rows:
            distance = "" if found.distance is None else f"{found.distance:.4f}"
            table.writerow(
                (
                    *(name, found.severity, found.kind, distance, found.where, found.what, found.fix),
                    *("; ".join(each) for each in (found.parts, found.patients, found.images)),
                )
            )


def _page(name: str, rows: list[tuple[str, Finding]]) -> str:
    lines = [
        f'<!doctype html><meta charset="utf-8"><title>{html.escape(name)}: findings</title>',
        "<style>body{font:14px sans-serif;margin:2em}img{max-width:100%}.problem{color:#a00}</style>",
        f"<h1>{html.escape(name)}: {len(rows):,} findings</h1>",
    ]
    for picture, found in rows:
        lines.append(f'<p class="{found.severity}">{found.severity}: {html.escape(str(found))}</p>')
        if picture:
            lines.append(f'<img src="{picture}" alt="{html.escape(found.kind)}" loading="lazy">')
    return "\n".join(lines) + "\n"
