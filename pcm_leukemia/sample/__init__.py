"""A synthetic cohort, written as the export of a CVAT project, for demonstrations and tests.

It shows no patient. It is marked as synthetic in every image's pixels, name and description,
in the project, the patients' ids and the zip file itself.
"""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import PIL.ExifTags
import PIL.Image

from pcm_leukemia.colours import of_label
from pcm_leukemia.errors import counted
from pcm_leukemia.files import check_zip, new_zip, zip_name
from pcm_leukemia.progress import track
from pcm_leukemia.sample import sites, smear
from pcm_leukemia.sample.sites import HOME, SITES, Site
from pcm_leukemia.taxonomy import NINE

__all__ = ["DIAGNOSES", "SITES", "SUBSET", "Site", "write"]

SUBSET = "Synthetic"
DATE = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest date that a zip can hold, so that the same arguments give the same bytes
SEALED = b"pcm-leukemia: synthetic blood smears, no patient's data"
ABOUT = "SYNTHETIC blood smear drawn by pcm-leukemia; it shows no patient"
README = """SYNTHETIC blood smears, drawn by pcm-leukemia and laid out as a CVAT project export.

No image shows a patient, and the patient ids (SYN-P001, ...) and diagnoses are invented.
Use them to try the tools out. Do not train a model that anyone relies on with them, and report
no result on them as one on blood smears.

Drawn with: {arguments}
"""

SOME = {"Lymphocyte": 3, "Neutrophil": 4, "Basophil": 1, "Eosinophil": 1, "Monocyte": 2, "Other": 2}
DIAGNOSES: Mapping[str, Mapping[str, int]] = {
    "ALL": {"Lymphoblast": 22, **SOME},
    "AML": {"Myeloblast_AML": 22, **SOME},
    "APL": {"Myeloblast_APL": 22, **SOME},
    "Normal": {**SOME, "Lymphocyte": 6, "Neutrophil": 12},
}
"""For each diagnosis, the classes that occur and their relative frequencies.

The numbers are not clinical statistics: rare cells are drawn more often than they occur, so that
a small sample has some of each class.
"""

REVIEWED = "Reviewed"
WHEN = "1980-01-01 00:00:00+00:00"
RODS = {"auer_rods": ("checkbox", "false\ntrue")}
ATTRIBUTES = {
    "Myeloblast_AML": RODS,
    "Myeloblast_APL": RODS,
    "Other": {"kind": ("select", "smudge\nartifact\nedge")},
}
"""By label, the attributes of a box: name -> (input type, values, one on each line)."""


@dataclass(frozen=True, slots=True)
class _View:
    """One image of the cohort, before it is drawn; `index` counts the patient's images from 0."""

    patient: int
    diagnosis: str
    index: int
    cells: tuple[smear.Wanted, ...]
    rotation: float = 0.0
    reviewed: bool = False

    @property
    def name(self) -> str:
        # numbers start again with each patient, as microscopes do: base names repeat
        return f"{self.diagnosis}/SYN-P{self.patient:03}/synthetic_{self.index + 1:04}.jpg"


def write(
    out: str | Path,
    *,
    patients: int = 12,
    images: int = 48,
    seed: int = 0,
    site: str | Site = "home",
    progress: bool = False,
) -> Path:
    """Draw `images` smears of 1920 x 1080 pixels, of `patients` patients, into the zip file `out`.

    `site` is the hospital that stains and photographs them: a name in `SITES`, or a `Site`. Another site has images of
    another size if its camera has another resolution; the patients and the classes of their cells stay the same.

    Patients have different numbers of images, at least one each. A path inside the export,
    ``ALL/SYN-P001/synthetic_0001.jpg``, holds the diagnosis and the patient, for the pattern
    ``(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/``. The same arguments give the same bytes.

    Raises
    ------
    ValueError
        If there are fewer images than patients, or no patients, or the seed is negative, or the site is unknown.
    ExportError
        If `out` exists and is not an earlier sample, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     zip_file = write(Path(folder) / "sample.zip", patients=1, images=1)
    ...     zipfile.ZipFile(zip_file).namelist()
    ['images/Synthetic/ALL/SYN-P001/synthetic_0001.jpg', 'annotations.xml', 'README.txt']
    """
    if patients < 1:
        raise ValueError(f"sample: {patients} patients; give 1 or more")
    if images < patients:
        raise ValueError(
            f"sample: {counted(images, 'image')} for {counted(patients, 'patient')}; give each patient 1 or more"
        )
    if seed < 0:
        raise ValueError(f"sample: the seed is {seed}; give 0 or more")
    hospital = sites.find(site)
    path = check_zip(zip_name(out), SEALED, " and is not a synthetic sample")
    views = _cohort(patients, images, seed)
    annotations: list[ET.Element] = []
    with new_zip(path, SEALED) as archive:
        for number, view in track(list(enumerate(views)), "drawing", shown=progress):
            image, drawn = _draw(view, seed, hospital)
            _add(archive, f"images/{SUBSET}/{view.name}", _jpeg(image, hospital.quality))
            annotations.append(_image_element(number, view, image.size, drawn))
        _add(archive, "annotations.xml", _document(views, annotations))
        drawn_with: dict[str, object] = {"patients": patients, "images": images, "seed": seed}
        if hospital != HOME:
            drawn_with["site"] = asdict(hospital)
        _add(archive, "README.txt", README.format(arguments=json.dumps(drawn_with)).encode())
    return path


# ----------------------------------------------------------------------------------------------
# The cohort


def _cohort(patients: int, images: int, seed: int) -> list[_View]:
    """Every image to draw, sorted by name."""
    rng = np.random.default_rng([seed])
    names = list(DIAGNOSES)
    sizes = 1 + rng.multinomial(images - patients, rng.dirichlet(np.full(patients, 4.0)))
    views = [
        view
        for patient, size in enumerate(sizes.tolist())
        for view in _patient(patient + 1, names[patient % len(names)], size, seed)
    ]
    # accidents of annotators, in a few images
    with_cells = [number for number, view in enumerate(views) if view.cells]
    chosen = rng.permutation(with_cells)[:3].tolist()
    for number, rotation in zip(chosen, (359.4, 0.3, 358.7), strict=False):
        views[number] = replace(views[number], rotation=rotation)
    for number in rng.permutation(with_cells)[:2].tolist():
        views[number] = replace(views[number], reviewed=True)
    return sorted(views, key=lambda view: view.name)


def _patient(patient: int, diagnosis: str, size: int, seed: int) -> Iterator[_View]:
    """The images of one patient: each class of the diagnosis at least once, the rest by the mix.

    A patient with four images or more has one without any cell.
    """
    rng = np.random.default_rng([seed, patient])
    mix = DIAGNOSES[diagnosis]
    sick = diagnosis != "Normal"
    counts = rng.integers(5, 12, size) if sick else rng.integers(2, 6, size)
    if size >= 4:
        counts[rng.integers(size)] = 0
    counts[counts.argmax()] += max(len(mix) - int(counts.sum()), 0)
    odds = np.array(list(mix.values())) / sum(mix.values())
    drawn = rng.choice(list(mix), int(counts.sum()) - len(mix), p=odds).tolist()
    labels = [*mix, *drawn]
    rng.shuffle(labels)
    start = 0
    for index, count in enumerate(counts.tolist()):
        cells = tuple(_wanted(label, mix, rng) for label in labels[start : start + count])
        start += count
        yield _View(patient, diagnosis, index, cells)


def _wanted(label: str, mix: Mapping[str, int], rng: np.random.Generator) -> smear.Wanted:
    """The cell to draw for a label: for some of "Other", a cell of the mix that the image's edge cuts."""
    if label == "Other" and rng.random() < 0.45:
        whole = [name for name in mix if name != "Other"]
        return smear.Wanted(whole[rng.integers(len(whole))], cut=True)
    return smear.Wanted(label)


def _draw(view: _View, seed: int, site: Site) -> tuple[PIL.Image.Image, list[smear.DrawnCell]]:
    """Draw a view, from random numbers that do not depend on other views."""
    style = smear.Style.random(np.random.default_rng([seed, view.patient, 0]))
    rng = np.random.default_rng([seed, view.patient, 1 + view.index])
    return smear.draw(style, view.cells, rng, site)


def _jpeg(image: PIL.Image.Image, quality: int) -> bytes:
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.ImageDescription] = ABOUT
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, exif=exif, comment=ABOUT)
    return out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, DATE)
    member.compress_type = zipfile.ZIP_STORED if name.endswith(".jpg") else zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    archive.writestr(member, content)


# ----------------------------------------------------------------------------------------------
# The XML as CVAT writes it: "CVAT for images 1.1", a project. Source: CVAT's documentation, "XML
# annotation format"; coordinates with two decimals, flags as 0 and 1.


def _document(views: list[_View], images: list[ET.Element]) -> bytes:
    root = ET.Element("annotations")
    root.append(ET.Comment(f" {ABOUT} "))
    _leaf(root, "version", "1.1")
    meta = ET.SubElement(root, "meta")
    project = ET.SubElement(meta, "project")
    _leaves(project, id="1", name="SYNTHETIC blood smears (pcm-leukemia sample)", bugtracker="")
    _leaves(project, created=WHEN, updated=WHEN)
    tasks = ET.SubElement(project, "tasks")
    for diagnosis in sorted({view.diagnosis for view in views}):
        size = sum(view.diagnosis == diagnosis for view in views)
        task = ET.SubElement(tasks, "task")
        _leaves(task, id=str(_task(diagnosis)), name=f"SYNTHETIC {diagnosis}", size=str(size))
        _leaves(task, mode="annotation", overlap="0", bugtracker="", created=WHEN, updated=WHEN)
        _leaves(task, subset=SUBSET, start_frame="0", stop_frame=str(size - 1), frame_filter="")
    _leaf(project, "subsets", SUBSET)
    labels = ET.SubElement(project, "labels")
    for label in NINE.labels:
        _label(labels, label, of_label(label), "rectangle", ATTRIBUTES.get(label, {}))
    _label(labels, REVIEWED, of_label(REVIEWED), "tag", {"by": ("text", "")})
    _leaf(meta, "dumped", WHEN)
    root.extend(images)
    ET.indent(root)
    return bytes(ET.tostring(root, "utf-8", xml_declaration=True)) + b"\n"


def _label(
    labels: ET.Element, name: str, colour: str, kind: str, attributes: Mapping[str, tuple[str, str]]
) -> None:
    label = ET.SubElement(labels, "label")
    _leaves(label, name=name, color=colour, type=kind)
    declared = ET.SubElement(label, "attributes")
    for attribute, (input_type, values) in attributes.items():
        element = ET.SubElement(declared, "attribute")
        _leaves(element, name=attribute, mutable="False", input_type=input_type)
        _leaves(element, default_value=values.partition("\n")[0], values=values)


def _image_element(
    number: int, view: _View, size: tuple[int, int], drawn: list[smear.DrawnCell]
) -> ET.Element:
    image = ET.Element(
        "image",
        id=str(number),
        name=view.name,
        subset=SUBSET,
        task_id=str(_task(view.diagnosis)),
        width=str(size[0]),
        height=str(size[1]),
    )
    rotation = view.rotation
    for wanted, cell in zip(view.cells, drawn, strict=True):
        box, traits = cell.box, cell.traits
        label = "Other" if wanted.cut else wanted.label
        corners = {"xtl": box.x1, "ytl": box.y1, "xbr": box.x2, "ybr": box.y2}
        element = ET.SubElement(image, "box", label=label, source="manual", occluded=str(int(cell.occluded)))
        for corner, pixels in corners.items():
            element.set(corner, f"{pixels:.2f}")
        if rotation and not wanted.cut:  # one cell of the image, clear of its edges
            element.set("rotation", f"{rotation:.2f}")
            rotation = 0.0
        element.set("z_order", "0")
        for name, value in ({"kind": "edge"} if wanted.cut else traits).items():
            _leaf(element, "attribute", value, name=name)
    if view.reviewed:
        tag = ET.SubElement(image, "tag", label=REVIEWED, source="manual")
        _leaf(tag, "attribute", "synthetic annotator", name="by")
    return image


def _task(diagnosis: str) -> int:
    return 1 + list(DIAGNOSES).index(diagnosis)


def _leaves(parent: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        _leaf(parent, name, text)


def _leaf(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
