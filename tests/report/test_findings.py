"""The view of the findings: what is wrong, where, how to mend it, pictures of a sample, and no secret."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from browser import Opened
from commands import Run
from exports import SHARED
from PIL.TiffImagePlugin import IFDRational
from playwright.sync_api import Page, expect

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, checks, report
from pcm_leukemia.checks import KINDS, Checked, Finding
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.remote import Place
from pcm_leukemia.report import findings as view
from pcm_leukemia.report import frames
from pcm_leukemia.schema import ImageId, PatientId

SECRETS = ("Erika Mustermann", "SN-48151623", "51.477222")


def picture(seed: int) -> PIL.Image.Image:
    """A picture with much detail, unlike that of any other seed."""
    noise = np.random.default_rng(seed).integers(90, 200, (60, 80, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((640, 480), PIL.Image.Resampling.BICUBIC)


def exif() -> PIL.Image.Exif:
    """What a camera may write: who took the picture, with which device, and where."""
    found = PIL.Image.Exif()
    found[0x013B] = SECRETS[0]
    found.get_ifd(0x8769)[0xA431] = SECRETS[1]
    found.get_ifd(0x8825).update({1: "N", 2: (IFDRational(51477222, 1000000), 0.0, 0.0)})
    return found


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four patients: one cell annotated twice, a copy across parts, an odd box, identifiers, a file that is gone."""
    folder = tmp_path_factory.mktemp("planted")
    seeds = {"a.jpg": 0, "b.png": 1, "c.png": 2, "d.png": 3, "e.png": 1}
    for name, seed in seeds.items():
        picture(seed).save(folder / name, exif=exif() if name == "a.jpg" else PIL.Image.Exif())
    images = tuple(
        Image(ImageId(name), 640, 480, PatientId(f"P{number}"), file=name)
        for number, name in enumerate([*seeds, "gone.png"])
    )
    usual = [
        Cell(ImageId("c.png"), n, "Neutrophil", Box(x, y, x + 60, y + 64))
        for n, (x, y) in enumerate((10 + 70 * (n % 8), 10 + 74 * (n // 8)) for n in range(24))
    ]
    cells = (
        *(
            Cell(ImageId("a.jpg"), n, label, Box(200, 100, 300, 200))
            for n, label in enumerate(("Monocyte", "Other"))
        ),
        *usual,
        Cell(ImageId("c.png"), 99, "Neutrophil", Box(600, 10, 612, 430)),
    )
    people = tuple(Patient(image.patient) for image in images if image.patient)
    parts = {image.id: "test" if image.id in ("b.png", "d.png") else "train" for image in images}
    return Dataset("planted", NINE, images, cells, people, root=folder).with_split(Split("s", parts))


@pytest.fixture(scope="module")
def checked(planted: Dataset) -> Checked:
    return checks.check(planted)


@pytest.fixture(scope="module")
def written(planted: Dataset, checked: Checked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(planted, tmp_path_factory.mktemp("page") / "planted.html", checked=checked)


def data_of(page: Path) -> Any:
    return json.loads(re.findall(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)[0])


def sentences(page: Page) -> list[str]:
    return [text.replace("\n", " ") for text in page.locator(".finding > p:first-child").all_inner_texts()]


def said(findings: Sequence[Finding], root: Place | None) -> list[str]:
    """Each finding as the page shows it; the page names the folder of the data, and not where that is."""
    texts = (f"{each.severity.title()} – {each.where}: {each.what}" for each in findings)
    return sorted(text.replace(str(root), root.name) if root else text for text in texts)


def test_every_kind_has_a_heading() -> None:
    assert view.MEANINGS.keys() == KINDS.keys()


def test_every_finding_is_there_with_severity_place_and_fix(
    chromium: Opened, written: Path, planted: Dataset, checked: Checked
) -> None:
    kinds = {each.kind for each in checked.findings}
    assert kinds >= {"cell-twice", "same-pixels", "unusual-box", "identifier", "unreadable"}
    with chromium.page(written, "#findings") as page:
        assert sorted(sentences(page)) == said(checked.findings, planted.root)
        text = page.locator("main").inner_text()
        for each in checked.findings:
            assert f"Fix: {each.fix}" in text
        listed = text.split("Looked for and not found")[1]
        for kind in KINDS:
            absent = kind in checked.searched and kind not in kinds
            assert (f"{kind}: {view.MEANINGS[kind]}" in listed) == absent
        assert "paper" not in listed  # nobody compared with it


def test_both_boxes_of_a_cell_annotated_twice_are_in_one_picture_with_their_captions(
    chromium: Opened, written: Path
) -> None:
    with chromium.page(written, "#findings?finding=cell-twice") as page:
        (tile,) = page.locator(".finding-tiles figure").all()
        assert tile.locator("figcaption").inner_text().splitlines() == [
            "a.jpg",
            "cell 0: Monocyte, 100 x 100 px",
            "cell 1: Other, 100 x 100 px",
            "the boxes overlap by 1.00 (IoU)",
            "train, patient P0",
        ]
        assert tile.locator("img").evaluate("image => image.naturalWidth") == view.TILE
        assert [each.evaluate("e => e.style.borderTopStyle") for each in tile.locator(".stroke").all()] == [
            "solid",
            "dashed",
        ]
        page.get_by_role("link", name="a.jpg").click()
        expect(page.get_by_role("heading", name="Frames", exact=True)).to_be_visible()
        assert page.evaluate("location.hash") == "#frames/a.jpg?finding=cell-twice"


def test_an_image_whose_frame_is_not_in_the_page_leads_to_its_patient(
    planted: Dataset, checked: Checked, chromium: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "FRAMES", 0)
    file = report.write(planted, tmp_path / "page.html", checked=checked)
    with chromium.page(file, "#findings?finding=cell-twice") as page:
        page.get_by_role("link", name="a.jpg").click()
        expect(page.get_by_role("button", name="Patient: P0 (remove)")).to_be_visible()


@pytest.mark.parametrize(
    ("address", "kinds"),
    [
        ("#findings?finding=unusual-box", {"unusual-box"}),
        ("#findings?finding=unusual-box&finding=cell-twice&part=train", {"unusual-box", "cell-twice"}),
        ("#findings?class=Monocyte", {"cell-twice", "identifier"}),
        ("#findings?class=Neutrophil", {"unusual-box"}),
        ("#findings?patient=P3", set()),
        ("#findings?patient=P2", {"unusual-box"}),
        ("#findings?part=test", {"same-pixels"}),
        ("#findings?patient=P5", {"unreadable"}),
    ],
)
def test_facets_filter_the_findings(
    chromium: Opened, written: Path, planted: Dataset, checked: Checked, address: str, kinds: set[str]
) -> None:
    with chromium.page(written, address) as page:
        expected = [each for each in checked.findings if each.kind in kinds]
        assert sorted(sentences(page)) == said(expected, planted.root)


@pytest.mark.parametrize(
    ("kinds", "passing"),
    [
        (("unusual-box",), "1 of 6 images, 1 of 27 cells, "),
        (("cell-twice",), "1 of 6 images, 2 of 27 cells, "),
        (
            ("identifier",),
            "1 of 6 images, 2 of 27 cells, ",
        ),  # it is about the image, so all of its cells pass
        (("unusual-box", "identifier"), "2 of 6 images, 3 of 27 cells, "),
    ],
)
def test_a_finding_keeps_the_cells_that_it_names_or_all_of_its_image(
    chromium: Opened, written: Path, kinds: tuple[str, ...], passing: str
) -> None:
    asked = "&".join(f"finding={kind}" for kind in kinds)
    with chromium.page(written, f"#findings?{asked}") as page:
        assert page.get_by_role("status").inner_text().startswith(passing)


def test_an_identifier_is_named_and_its_value_is_nowhere_in_the_page(
    planted: Dataset, written: Path, checked: Checked
) -> None:
    assert planted.root
    raw = (planted.root / "a.jpg").read_bytes()
    assert all(secret.encode() in raw for secret in SECRETS[:2])
    fields = " ".join(each.what for each in checked.findings if each.kind == "identifier")
    assert "Artist" in fields
    page = written.read_text("utf-8")
    assert "Artist" in page
    pictures = [base64.b64decode(each) for each in data_of(written)["pictures"] if each]
    assert pictures
    for secret in SECRETS:
        assert secret not in page
    for jpeg in pictures:
        assert b"Exif" not in jpeg
        assert not any(secret.encode() in jpeg for secret in SECRETS)


def test_no_path_of_the_disk_is_in_the_page(planted: Dataset, written: Path) -> None:
    assert planted.root
    page = written.read_text("utf-8")
    assert str(planted.root) not in page
    assert str(planted.root.parent) not in page


def test_what_the_reader_left_out_is_listed_and_counted_without_folders(
    chromium: Opened, planted: Dataset, tmp_path: Path
) -> None:
    root = planted.root
    assert root
    two = f'{root.parent}/export.xml:7 image "a.jpg": box has no area and is left out; delete it\n{root}/b.png: odd; look'
    path = report.write(planted, tmp_path / "page.html", warned=[two, "<b>3 lines: not shapes of cells"])
    assert str(root.parent) not in path.read_text("utf-8")
    with chromium.page(path, "#findings") as page:
        expect(page.get_by_role("heading", name="Reading the data: 3 warnings")).to_be_visible()
        assert page.locator("main li").all_inner_texts() == [
            'export.xml:7 image "a.jpg": box has no area and is left out; delete it',
            f"{root.name}/b.png: odd; look",
            "<b>3 lines: not shapes of cells",
        ]


def test_the_command_shows_what_the_reader_left_out(chromium: Opened, run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export.xml"
    box = '<box label="Monocyte" occluded="0" xtl="{0}" ytl="10" xbr="50" ybr="50" z_order="0"></box>'
    export.write_text(
        '<annotations><version>1.1</version><image id="0" name="a.png" width="200" height="100">'
        f"{box.format(10)}{box.format(50)}</image></annotations>"
    )
    out = tmp_path / "page.html"
    done = run("report", export, out)
    assert done.status == 0, done.err
    assert "has no area and is left out" in done.err
    with chromium.page(out, "#findings") as page:
        expect(page.get_by_role("heading", name="Reading the data: 1 warning")).to_be_visible()
        assert (
            'image "a.png": box of "Monocyte" (50.00, 10.00, 50.00, 50.00) has no area'
            in page.locator("main").inner_text()
        )
    assert str(tmp_path) not in out.read_text("utf-8")


def test_without_a_check_the_view_says_how_to_make_one(
    planted: Dataset, chromium: Opened, tmp_path: Path
) -> None:
    with chromium.page(report.write(planted, tmp_path / "page.html"), "#findings") as page:
        expect(page.locator("main")).to_contain_text("pcm-leukemia report DATA OUT.html checks the data, too")


def test_without_image_files_the_findings_have_no_pictures(
    planted: Dataset, chromium: Opened, tmp_path: Path
) -> None:
    bare = replace(planted, root=None)
    checked = checks.check(bare, paper=True)
    assert "blank" not in checked.searched
    with chromium.page(report.write(bare, tmp_path / "page.html", checked=checked), "#findings") as page:
        main = page.locator("main")
        assert main.locator("img").count() == 0
        expect(main).to_contain_text("there are no image files: only the annotations were checked")
        expect(main).to_contain_text("6 / 19,191 differs")


def test_a_sound_data_set_says_what_was_looked_for(chromium: Opened, tmp_path: Path) -> None:
    ds = Dataset(
        "sound",
        NINE,
        (Image(ImageId("a.png"), 200, 100),),
        (Cell(ImageId("a.png"), 0, "Other", Box(1, 1, 9, 9)),),
    )
    with chromium.page(report.write(ds, tmp_path / "p.html", checked=checks.check(ds)), "#findings") as page:
        main = page.locator("main")
        expect(main).to_contain_text("No check found anything.")
        expect(main).to_contain_text("cell-twice: cells that are annotated twice")
        assert "patient-in-two-parts" not in main.inner_text()  # there is no split


def test_thousands_of_findings_are_counted_and_the_first_are_listed(
    planted: Dataset, checked: Checked, chromium: Opened, tmp_path: Path
) -> None:
    (twice,) = (each for each in checked.findings if each.kind == "cell-twice")
    many = replace(checked, findings=checked.findings + (twice,) * 7_000)
    page_file = report.write(planted, tmp_path / "page.html", checked=many)
    data = data_of(page_file)
    assert sum("what" in each for each in data["check"]["findings"]) == view.MOST_TEXTS
    assert sum(len(each.get("tiles", ())) for each in data["check"]["findings"]) <= view.MOST_TILES
    assert page_file.stat().st_size < 6.5e6  # noise is hard to compress: of real cells, it would be 4 MB
    with chromium.page(page_file, "#findings?finding=cell-twice") as page:
        assert page.locator(".finding").count() == 200
        row = page.get_by_role("row", name="cell-twice")
        assert row.get_by_role("cell").nth(1).inner_text() == "7,001"
        main = page.locator("main")
        expect(main).to_contain_text("and 6,801 more findings of this kind")
        expect(main).to_contain_text(
            re.compile(r"\d+ of 7,0\d\d findings that a picture helps to judge have one")
        )


def test_the_sample_of_the_pictures_is_the_same_every_time(
    planted: Dataset, checked: Checked, written: Path, tmp_path: Path
) -> None:
    again = report.write(planted, tmp_path / "page.html", checked=checked, workers=1)
    assert again.read_bytes() == written.read_bytes()


def test_the_findings_in_real_frames(chromium: Opened, tmp_path: Path) -> None:
    export = SHARED / "bccd-cvat-images-1.1.zip"
    if not export.is_file():
        pytest.skip(f"{export} is not there")
    with pytest.warns(DataWarning, match="has no area"):
        ds = pcm.load_dataset(export, taxonomy="declared")
    checked = checks.check(ds)
    with chromium.page(report.write(ds, tmp_path / "bccd.html", checked=checked), "#findings") as page:
        assert sorted(sentences(page)) == said(checked.findings, ds.root)
        assert page.locator(".finding-tiles img").count() >= 20
