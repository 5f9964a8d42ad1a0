"""Images without annotations: found by their paths, and none of them by its base name alone."""

from __future__ import annotations

import zipfile
from pathlib import Path

import PIL.Image
import pytest

from pcm_leukemia import bare_images, images
from pcm_leukemia.errors import DataNotFound, InvalidExport


def picture(path: Path, size: tuple[int, int] = (64, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size, (200, 20, 90)).save(path)


def test_a_folder_with_folders(tmp_path: Path) -> None:
    picture(tmp_path / "P1" / "img_1.png")
    picture(tmp_path / "P2" / "img_1.png", (32, 16))
    picture(tmp_path / "b.TIF")
    picture(tmp_path / ".hidden" / "c.png")
    (tmp_path / "notes.txt").write_text("no image")
    ds = bare_images.read(tmp_path)
    assert [(image.id, image.width, image.height) for image in ds.images] == [
        ("P1/img_1.png", 64, 48),
        ("P2/img_1.png", 32, 16),
        ("b.TIF", 64, 48),
    ]
    assert images.load(images.files_of(ds), ds.image("P2/img_1.png")).shape == (16, 32, 3)


def test_a_zip_and_a_single_image(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "P1/a.png")
        archive.write(tmp_path / "a.png", "__MACOSX/P1/._a.png")
    zipped = bare_images.read(tmp_path / "new.zip")
    assert [image.id for image in zipped.images] == ["P1/a.png"]
    assert images.load(images.files_of(zipped), zipped.images[0])[0, 0].tolist() == [200, 20, 90]
    single = bare_images.read(tmp_path / "a.png")
    assert [image.id for image in single.images] == ["a.png"]


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"contains no images .* name the folder with the images"):
        bare_images.read(tmp_path)
    with pytest.raises(DataNotFound, match="no such file or folder"):
        bare_images.read(tmp_path / "nowhere")
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no png")
    with pytest.raises(InvalidExport, match=r'image "b.png": .*or take it out'):
        bare_images.read(tmp_path)
