"""What is compared and recorded at import, beside sizes: pages, and the scale of images without annotations."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from pcm_leukemia import bare_images, images
from pcm_leukemia.environment import WHITE_LEVEL
from pcm_leukemia.errors import CorruptFile, DataWarning, InvalidExport
from pcm_leukemia.images.pixels import require_fit
from pcm_leukemia.schema import Image, ImageId

PAGES = [PIL.Image.new("RGB", (60, 40), (level, 90, 160)) for level in (200, 150, 100)]


def stacked(form: str, pages: list[PIL.Image.Image], **options: Any) -> bytes:
    out = io.BytesIO()
    pages[0].save(out, form, save_all=True, append_images=pages[1:], **options)
    return out.getvalue()


def pyramid() -> bytes:
    """A TIFF whose second page is a smaller copy of the first."""
    small = PAGES[0].resize((30, 20))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    return stacked("TIFF", [PAGES[0], small])


def compared(folder: Path, *files: bytes) -> tuple[Image, ...]:
    for number, data in enumerate(files):
        (folder / f"{number}.img").write_bytes(data)
    rows = [Image(ImageId(f"{number}.img"), 60, 40, file=f"{number}.img") for number in range(len(files))]
    found, problems = images.compare_files(rows, folder)
    assert problems == []
    return found


@pytest.mark.parametrize("form", ["TIFF", "GIF", "PNG", "WEBP"])
def test_files_of_several_pages_are_named(tmp_path: Path, form: str) -> None:
    one = stacked(form, PAGES[:1])
    with pytest.warns(
        DataWarning, match="2 image files have several pages or frames, and only the first is"
    ) as said:
        compared(tmp_path, one, stacked(form, PAGES), stacked(form, PAGES[:2]))
    assert "the first file is 1.img" in str(said[0].message)


def test_one_page_a_preview_and_a_pyramid_are_not_named(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compared(tmp_path, stacked("TIFF", PAGES[:1]), stacked("MPO", PAGES), pyramid())


def test_other_files_than_those_on_record_are_named(tmp_path: Path) -> None:
    known = compared(tmp_path, *(stacked("PNG", [page]) for page in PAGES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.compare_files(known, tmp_path)[0][1].digest == known[1].digest
    (tmp_path / "1.img").write_bytes(stacked("PNG", PAGES[2:]))
    with pytest.warns(
        DataWarning, match=r'1 of 3 image files are not .* the first is that of image "1\.img"; look at'
    ):
        found, problems = images.compare_files(known, tmp_path)
    assert (problems, found[1].digest) == ([], known[2].digest)


def test_bare_images_are_scaled_as_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = np.linspace(0, 4095, 2400).reshape(40, 60).astype(np.uint16)
    PIL.Image.fromarray(deep).save(tmp_path / "a.png")
    PAGES[0].save(tmp_path / "b.png")
    with pytest.raises(InvalidExport, match="a.png: has values up to 4,095, and its file does not say which"):
        bare_images.read(tmp_path)
    monkeypatch.setenv(WHITE_LEVEL, "4095")
    ds = bare_images.read(tmp_path)
    monkeypatch.delenv(WHITE_LEVEL)
    assert [image.white_level for image in ds.images] == [4095.0, None]
    assert images.load(images.files_of(ds), ds.images[0]).max() == 255


def test_exports_of_whole_files_note_images_that_others_show_black() -> None:
    deep = Image(ImageId("a"), 5, 5, file="a.tif", white_level=4095.0)
    plain = Image(ImageId("b"), 5, 5, file="b.tif")
    assert images.notes_on_depth([plain, Image(ImageId("c"), 5, 5, white_level=1.0)]) == []
    (note,) = images.notes_on_depth([deep, plain, deep])
    assert note.startswith(
        "2 images with more than 8 bits a channel, some of them unused, which other programs"
    )


GRAIN = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("TIFF", {}),
    ],
)
def test_a_file_that_is_cut_short_is_a_problem(tmp_path: Path, form: str, options: dict[str, Any]) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(GRAIN).save(out, form, **options)
    whole = out.getvalue()
    row = Image(ImageId("a"), 60, 40, file="a")
    for data, cut in (
        (whole, False),
        (whole + b"more", False),
        (whole + bytes(99), False),
        (whole[:-300], True),
    ):
        (tmp_path / "a").write_bytes(data)
        places = [tmp_path]
        for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            places.append(tmp_path / f"{compression}.zip")
            with zipfile.ZipFile(places[-1], "w", compression) as archive:
                archive.writestr("a", data)
        for place in places:
            _, problems = images.compare_files([row], place)
            assert bool(problems) == cut, place
            if cut:
                with pytest.raises(CorruptFile, match="cannot be decoded"):
                    images.measure(images.Files(place), "a")
                with pytest.raises(CorruptFile, match="cannot be decoded"):
                    require_fit(images.Files(place), row)
            else:
                assert images.measure(images.Files(place), "a").width == 60
                require_fit(images.Files(place), row)
    assert "a: cannot be decoded" in problems[0].what
