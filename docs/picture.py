"""Draws the README's picture, the main job on one synthetic smear: `python docs/picture.py`.

What CVAT's boxes say, the crops that a classifier gets, and the patients in their parts.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

import pcm_leukemia as pcm
from pcm_leukemia.colours import PARTS

OUT = Path(__file__).with_name("main-job.jpg")
WIDTH, SMEAR, CROP, MARGIN = 1200, 675, 96, 12


def main() -> None:
    """Draw a cohort, import it, split it, and put one image and its crops into a picture."""
    with tempfile.TemporaryDirectory() as folder:
        export = pcm.sample.write(Path(folder) / "export.zip", patients=12, images=24, seed=3)
        ds = pcm.load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/")
        ds = ds.with_split(pcm.splits.by_patient(ds, seed=0))
        image = max(ds.images, key=lambda each: len({cell.label for cell in ds.cells_of(each)}))
        pixels = pcm.images.load(pcm.images.Files(export), image)
        smear = ds.show(image, width=WIDTH)
    picture = PIL.Image.new("RGB", (WIDTH, SMEAR + CROP + 3 * MARGIN + 90), "white")
    pen = PIL.ImageDraw.Draw(picture)
    picture.paste(smear, (0, 0))
    for number, cell in enumerate(ds.cells_of(image)):
        crop = PIL.Image.fromarray(pcm.images.crop(pixels, cell.box)).resize((CROP, CROP))
        picture.paste(crop, (MARGIN + number * (CROP + MARGIN), SMEAR + MARGIN))
    patients(pen, ds, SMEAR + CROP + 3 * MARGIN)
    picture.save(OUT, quality=85)
    print(f"{OUT}: {OUT.stat().st_size // 1000} kB")


def patients(pen: PIL.ImageDraw.ImageDraw, ds: pcm.Dataset, top: int) -> None:
    """One bar a patient, as long as it has images, in the colour of its part."""
    left: float = MARGIN
    room = WIDTH - 2 * MARGIN - 4 * (len(ds.patients) - 1)
    for part, colour in PARTS.items():
        rows = ds.part(part)
        title = f"{part}: {len(rows.patients)} patients, {len(rows.images)} images"
        text(pen, (left, top), title, 17)
        for patient in rows.patients:
            images = [image for image in rows.images if image.patient == patient.id]
            right = left + room * len(images) / len(ds.images)
            pen.rectangle([left, top + 30, right, top + 62], fill=colour)
            text(pen, (left + 4, top + 66), f"{patient.id[-4:]}", 13)
            left = right + 4


def text(pen: PIL.ImageDraw.ImageDraw, place: tuple[float, float], words: str, size: int) -> None:
    """Words in the default font."""
    pen.text(place, words, fill="black", font=PIL.ImageFont.load_default(size))


if __name__ == "__main__":
    main()
