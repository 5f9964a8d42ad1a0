"""Hypothesis strategies: whole data sets as they may come from real, untidy exports."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import strategies as st

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import leads_outside
from pcm_leukemia.schema import (
    IGNORE,
    PARTS,
    STATES,
    UNTYPED,
    Attributes,
    Cell,
    Image,
    ImageId,
    Patient,
    PatientId,
    Split,
    Tag,
    Taxonomy,
)
from pcm_leukemia.shapes import Box, Ellipse, Mask, Point, Polygon, RotatedBox, Shape
from pcm_leukemia.splits import unit_of
from pcm_leukemia.taxonomy import NINE

__all__ = ["datasets"]

HOSTILE = (
    "images",
    "labels",
    "a,b",
    'say "hi"',
    "it's",
    "-1",
    "007",
    "=1+1",
    "#1",
    "null",
    "yes",
    " leading",
    "trailing ",
    ".hidden",
    "a: b",
    "Ümlaut ß",
    "白血病",
    "e\u0301",
    "é",
    "P{0}",
    "50%",
    "*?[x]",
    "UPPER",
    "upper",
    "a\\b",
    "CON",
)
SUFFIXES = (".jpg", ".png", ".JPG", ".tif", ".xyz", "", ".txt", ".jpg ")


@st.composite
def datasets(draw: st.DrawFn, *, told: bool = False, points: bool = False) -> Dataset:
    """Valid data sets: hostile names, every drawn shape, negatives, with and without patients and split.

    With `told`, images may be annotated in part, have a diagnosis of their own and a group; with `points`, cells
    may be points. Cells may be white cells of unknown type. No patient, and no group, is in two parts. Coordinates are multiples of 0.01 px, as CVAT writes them; no
    box is below 0.5 px. Names hold no control characters, and no file is there.
    """
    taxonomy = draw(taxonomies())
    patients = draw(st.lists(people(), max_size=3, unique_by=lambda patient: patient.id))
    ids = draw(st.lists(image_ids(), min_size=1, max_size=5, unique=True))
    images = [draw(smears(image, patients)) for image in ids]
    if told:
        images = [draw(told_of(image)) for image in images]
    cells = [
        draw(drawn_cells(image, number, taxonomy, points=points))
        for image in images
        for number in draw(st.lists(st.integers(0, 999), max_size=4, unique=True))
    ]
    ds = Dataset(draw(names()), taxonomy, tuple(images), tuple(cells), tuple(patients))
    return ds.with_split(draw(st.none() | whole_patient_splits(ds)))


@cache
def names() -> st.SearchStrategy[str]:
    """One line of text that is not blank."""
    line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn"]), min_size=1, max_size=8)
    return st.sampled_from(HOSTILE) | line.filter(lambda text: bool(text.strip()))


@cache
def taxonomies() -> st.SearchStrategy[Taxonomy]:
    labels = st.lists(names().filter(lambda label: label != IGNORE), min_size=1, max_size=4, unique=True)
    return st.just(NINE) | labels.map(lambda labels: Taxonomy("declared", tuple(labels)))


@cache
def people() -> st.SearchStrategy[Patient]:
    diagnosis = st.none() | st.sampled_from(("Normal", "ALL", "AML", "APL")) | names()
    return st.builds(Patient, names().map(PatientId), diagnosis)


@cache
def image_ids() -> st.SearchStrategy[ImageId]:
    """Relative POSIX paths that stay inside their folder."""
    step = names().filter(lambda text: "/" not in text and text not in (".", ".."))
    path = st.builds(
        lambda folders, stem, suffix: "/".join((*folders, stem + suffix)),
        st.lists(step, max_size=2),
        step,
        st.sampled_from(SUFFIXES),
    )
    return path.filter(lambda text: not leads_outside(text)).map(ImageId)


@st.composite
def smears(draw: st.DrawFn, image: ImageId, patients: list[Patient]) -> Image:
    return Image(
        image,
        draw(st.integers(4, 4000)),
        draw(st.integers(4, 4000)),
        draw(st.sampled_from([None, *(patient.id for patient in patients)])),
        draw(st.just("") | names()),
        draw(st.just("") | names()),
        None,
        tuple(draw(st.lists(tags(), max_size=2))),
    )


def told_of(image: Image) -> st.SearchStrategy[Image]:
    """The image with what else may be known of it."""
    return st.builds(
        lambda state, diagnosis, group, white: replace(
            image, annotation_state=state, diagnosis=diagnosis, group=group, white_level=white
        ),
        st.sampled_from(STATES),
        st.none() | st.sampled_from(("AML", "ALL")) | names(),
        st.none() | st.sampled_from(("slide 1", "slide 2")) | names(),
        st.sampled_from((None, 1.0, 4095.0)),
    )


@cache
def tags() -> st.SearchStrategy[Tag]:
    return st.builds(Tag, names(), attributes(), st.sampled_from(("", "manual")), st.integers(0, 3))


@cache
def attributes() -> st.SearchStrategy[Attributes]:
    pairs = st.lists(st.tuples(names(), st.just("") | names()), max_size=2, unique_by=lambda pair: pair[0])
    return pairs.map(tuple)


@st.composite
def drawn_cells(
    draw: st.DrawFn, image: Image, number: int, taxonomy: Taxonomy, *, points: bool = False
) -> Cell:
    if points and draw(st.booleans()):
        point = Point(draw(st.floats(0, image.width)), draw(st.floats(0, image.height)))
        label = draw(st.sampled_from((*taxonomy.labels, IGNORE, UNTYPED)))
        return Cell(image.id, number, label, point.pixel(image.width, image.height), label, point)
    box = draw(boxes(image.width, image.height))
    shape = draw(st.none() | shapes(box))
    return Cell(
        image.id,
        number,
        draw(st.sampled_from((*taxonomy.labels, IGNORE, UNTYPED))),
        _envelope(shape, image) or box,
        draw(st.just("") | names()),
        shape if _envelope(shape, image) else None,
        draw(st.booleans()),
        draw(st.sampled_from(("", "manual", "auto"))),
        draw(st.integers(-1, 3)),
        draw(st.integers(0, 3)),
        draw(st.none() | st.integers(0, 9)),
        draw(attributes()),
    )


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> Box:
    """Boxes inside an image, often at its border, at least 0.5 px wide and high."""

    def span(size: int) -> st.SearchStrategy[tuple[float, float]]:
        places = st.integers(0, size * 100)
        pairs = st.tuples(places, places).map(sorted).filter(lambda pair: pair[1] - pair[0] >= 50)
        return (st.just([0, size * 100]) | pairs).map(lambda pair: (pair[0] / 100, pair[1] / 100))

    (x1, x2), (y1, y2) = draw(span(width)), draw(span(height))
    return Box(x1, y1, x2, y2)


@st.composite
def shapes(draw: st.DrawFn, box: Box) -> Shape:
    """A shape about where the box is; a turned one may leave the image."""
    angle = draw(st.integers(1, 35999)) / 100
    cx, cy = round((box.x1 + box.x2) / 2, 2), round((box.y1 + box.y2) / 2, 2)
    turned = RotatedBox(box.x1, box.y1, box.x2, box.y2, angle)
    ellipse = Ellipse(
        cx, cy, round(box.width / 2, 2), round(box.height / 2, 2), draw(st.sampled_from((0.0, angle)))
    )
    outline = Polygon(((box.x1, cy), (cx, box.y1), (box.x2, cy), (cx, box.y2)))
    kinds: list[Shape] = [turned, ellipse, outline]
    if box.width >= 2 and box.height >= 2:
        kinds.append(draw(masks(box)))
    return draw(st.sampled_from(kinds))


@st.composite
def masks(draw: st.DrawFn, box: Box) -> Mask:
    """A small bitmap at the box's corner, with at least one pixel set."""
    left, top = int(box.x1), int(box.y1)
    width, height = min(int(box.width), 5), min(int(box.height), 4)
    ends = sorted(draw(st.lists(st.integers(0, width * height), max_size=5)))
    runs = [end - start for start, end in zip([0, *ends], [*ends, width * height], strict=True)]
    if not sum(runs[1::2]):
        runs = [0, width * height]
    return Mask(left, top, width, height, tuple(runs))


def _envelope(shape: Shape | None, image: Image) -> Box | None:
    """The box around what is drawn, as far as it is in the image; None if too little of it is."""
    extent = shape.envelope() if shape else None
    box = Box(*extent).clip(image.width, image.height) if extent else None
    return box if box and box.width >= 0.5 and box.height >= 0.5 else None


@st.composite
def whole_patient_splits(draw: st.DrawFn, ds: Dataset) -> Split:
    """Any part for each patient or group, and for each image without one."""
    parts = st.sampled_from((*PARTS, "extra"))
    units = unit_of(ds)
    of_unit = {unit: draw(parts) for unit in sorted(set(units.values()))}
    part_of = {
        image.id: of_unit[units[image.id]] if image.id in units else draw(parts) for image in ds.images
    }
    return Split("official", part_of, {"method": "drawn"})
