"""Images at URLs through all that reads them: the same results as from a folder, and nothing secret in what is written."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from commands import Run
from exports import box, document, image, zipped
from storage import SECRET, Unreliable, forget_connections, upload

import pcm_leukemia as pcm
from pcm_leukemia import remote
from pcm_leukemia.errors import DataNotFound, DataWarning, ExportError, InvalidExport, ServerError
from pcm_leukemia.remote import RemotePath


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting."""
    monkeypatch.setattr(remote, "_WAITS", (0, 0, 0))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Images of six patients, with detail, so that none is a copy of another."""
    folder = tmp_path / "frames"
    for number in range(6):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 255, (12, 16, 3), np.uint8)
        file = folder / f"P{number}" / f"a{number}.{'jpg' if number % 2 else 'png'}"
        file.parent.mkdir(parents=True)
        PIL.Image.fromarray(pixels).resize((160, 120), PIL.Image.Resampling.BICUBIC).save(file)
    return folder


@pytest.fixture
def annotated(tmp_path: Path, frames: Path) -> Path:
    files = sorted(file.relative_to(frames).as_posix() for file in frames.rglob("*.*g"))
    shapes = box("Monocyte") + box("Other", (60, 30, 90, 60))
    text = document(*(image(name, shapes, number=n, width=160, height=120) for n, name in enumerate(files)))
    return zipped(tmp_path / "export.zip", {"annotations.xml": text})


@pytest.fixture
def there(storage: str, frames: Path) -> str:
    """The URL of the same images."""
    upload(frames, storage)
    return storage


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def canonical(run: Run, annotated: Path, root: object, out: Path) -> Path:
    """Import and split, as commands do."""
    imported = run("import", annotated, out, "--images-root", root, "--patients", r"(?P<patient>P\d)/")
    assert imported.status == 0, imported.err
    assert run("split", out, "--test", "0.2", "--val", "0.2").status == 0
    return out


def test_commands_give_what_they_give_for_a_folder(
    run: Run, annotated: Path, frames: Path, there: str, tmp_path: Path
) -> None:
    here, data = (
        canonical(run, annotated, root, tmp_path / name / "data")
        for name, root in (("here", frames), ("there", there))
    )
    header = json.loads((data / "dataset.json").read_text())
    assert header["images_root"] == there
    assert header["fingerprint"] == json.loads((here / "dataset.json").read_text())["fingerprint"]
    assert (data / "images.csv").read_bytes() == (here / "images.csv").read_bytes()  # with the digests

    for options in ([], ["--no-cache"]):
        results = [run("check", folder, *options) for folder in (here, data)]
        assert results[0].status == results[1].status
        assert results[0].out.replace(str(here), "") == results[1].out.replace(str(data), "")

    for form in ("crops", "huggingface", "coco", "yolo", "cvat"):
        options = [] if form in ("crops", "huggingface", "cvat") else ["--images", "copy"]
        outs = []
        for folder in (here, data):
            name = "out.zip" if form == "cvat" else "out"
            converted = run("convert", folder, folder.parent / form / name, "--to", form, *options)
            assert converted.status == 0, converted.err
            outs.append(folder.parent / form)
        assert tree(outs[0]) == tree(outs[1]), form


def test_check_keeps_what_it_read_of_files_that_did_not_change(
    run: Run, annotated: Path, frames: Path, s3: str, unreliable: Unreliable, tmp_path: Path
) -> None:
    upload(frames, s3)
    data = canonical(run, annotated, s3, tmp_path / "data")
    run("check", data)
    fetched = [request for request in unreliable.requests if ".png" in request or ".jpg" in request]
    assert fetched
    unreliable.requests.clear()
    forget_connections()
    again = run("check", data)
    assert not [request for request in unreliable.requests if ".png" in request or ".jpg" in request]
    PIL.Image.new("RGB", (160, 120)).save(frames / "P0" / "a0.png")
    upload(frames, s3)
    assert run("check", data).out != again.out


def test_images_that_are_not_there_or_do_not_fit_are_named(
    annotated: Path, frames: Path, storage: str
) -> None:
    (frames / "P0" / "a0.png").unlink()
    PIL.Image.new("RGB", (7, 7)).save(frames / "P2" / "a2.png")
    (frames / "P4" / "a4.png").write_bytes(b"no image")
    upload(frames, storage)
    with pytest.raises(InvalidExport) as caught:
        pcm.load_dataset(annotated, images_root=storage)
    said = [str(problem) for problem in caught.value.problems]
    assert any(f'image "P0/a0.png": has no file in {storage}' in each for each in said)
    assert any("P2/a2.png" in each and "7" in each for each in said)
    assert any("P4/a4.png: is not an image" in each for each in said)
    with pytest.raises(DataNotFound, match=r"no files are there; correct the URL of the images"):
        pcm.load_dataset(annotated, images_root=f"{storage}/nowhere")


def test_a_changed_image_is_reported(annotated: Path, frames: Path, there: str, tmp_path: Path) -> None:
    ds = pcm.load_dataset(annotated, images_root=there)
    PIL.Image.new("RGB", (160, 120)).save(frames / "P0" / "a0.png")
    upload(frames, there)
    for form in ("crops", "coco", "huggingface", "cvat"):
        options: dict[str, Any] = {"images": "copy"} if form == "coco" else {}
        with pytest.warns(
            DataWarning, match=r'1 of 6 image files are not those .* that of image "P0/a0.png"'
        ):
            pcm.converters.get(form).write(ds, tmp_path / f"{form}.out", **options)


def test_a_remote_file_is_read_once(
    annotated: Path, frames: Path, s3: str, unreliable: Unreliable, tmp_path: Path
) -> None:
    upload(frames, s3)
    unreliable.requests.clear()
    ds = pcm.load_dataset(annotated, images_root=s3)

    def read() -> list[str]:
        found = [each for each in unreliable.requests if each.startswith("GET") and "/frames/P" in each]
        unreliable.requests.clear()
        return sorted(found)

    once = read()
    assert len(once) == len(set(once)) == 6
    for form in ("crops", "coco", "huggingface", "cvat", "yolo"):
        options: dict[str, Any] = {"images": "copy"} if form in ("coco", "yolo") else {}
        pcm.converters.get(form).write(ds, tmp_path / f"{form}.out", **options)
        assert read() == once, form
    pcm.checks.check(ds)
    assert read() == once


def test_remote_images_cannot_be_linked_to(annotated: Path, there: str, tmp_path: Path) -> None:
    ds = pcm.load_dataset(annotated, images_root=there)
    for form in ("coco", "yolo"):
        for how in ("symlink", "hardlink"):
            with pytest.raises(
                ExportError, match=r'is a URL, and images in it cannot be linked to; pass images="copy"'
            ):
                pcm.converters.get(form).write(ds, tmp_path / "out", images=how)
            assert not (tmp_path / "out").exists()


def test_a_zip_at_a_url_is_read_like_a_folder(annotated: Path, frames: Path, storage: str) -> None:
    from fsspec.core import url_to_fs

    packed = zipped(
        frames.parent / "frames.zip",
        {file.relative_to(frames).as_posix(): file.read_bytes() for file in frames.rglob("*.*g")},
    )
    files, path = url_to_fs(storage)
    files.pipe_file(f"{path}/frames.zip", packed.read_bytes())
    ds = pcm.load_dataset(annotated, images_root=f"{storage}/frames.zip")
    assert ds.images == pcm.load_dataset(annotated, images_root=frames).images
    found = pcm.images.load(pcm.images.files_of(ds), ds.images[0])
    assert (found == np.asarray(PIL.Image.open(frames / str(ds.images[0].file)))).all()
    named = pcm.load_dataset(annotated, images_root=f"zip://::{storage}/frames.zip")
    assert named.images == ds.images


def test_nothing_secret_is_written(run: Run, annotated: Path, frames: Path, s3: str, tmp_path: Path) -> None:
    upload(frames, s3)
    secret = s3.replace("s3://", "s3://somebody:QpasswordQ@") + "?token=QtokenQ"
    ds = pcm.load_dataset(annotated, images_root=s3)
    ds = replace(ds, root=remote.place_of(secret))
    pcm.store.write(ds, tmp_path / "data")
    assert json.loads((tmp_path / "data" / "dataset.json").read_text())["images_root"] == s3
    said = [
        repr(ds.root),
        str(run("check", tmp_path / "data")),
        str(pcm.load_dataset(tmp_path / "data").root),
    ]
    said += [file.read_text(errors="ignore") for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert not [text for text in said for word in ("QpasswordQ", "QtokenQ", SECRET) if word in text]


def test_a_lost_connection_stops_import_and_crops_and_is_no_problem_of_an_image(
    annotated: Path, frames: Path, s3: str, unreliable: Unreliable, tmp_path: Path
) -> None:
    upload(frames, s3)
    ds = pcm.load_dataset(annotated, images_root=s3)
    unreliable.faults[:] = ["drop", "busy", "cut", "drop"]
    assert pcm.load_dataset(annotated, images_root=s3).images == ds.images
    for form in ("crops", "huggingface"):
        unreliable.faults[:] = ["busy"] * 10_000
        with pytest.raises(ServerError, match="cannot be reached in 4 attempts"):
            pcm.converters.get(form).write(ds, tmp_path / form)
        assert not (tmp_path / form).exists()
    with pytest.raises(ServerError, match="cannot be reached in 4 attempts"):
        pcm.checks.check(ds)
    unreliable.faults.clear()
    assert not pcm.converters.get("crops").write(ds, tmp_path / "crops").problems


def test_annotations_at_a_url_are_refused(run: Run, tmp_path: Path) -> None:
    said = run("import", "s3://ward/export.zip?token=QtokenQ", tmp_path / "data")
    assert said.status == 2
    assert "is a URL, and annotations are read from disk; download them" in said.err
    with pytest.raises(
        DataNotFound, match=r"^s3://ward/export.zip: is a URL, .* of the images: images_root$"
    ):
        pcm.load_dataset("s3://somebody:QpasswordQ@ward/export.zip")


def test_joined_data_sets_have_one_url(frames: Path, annotated: Path, storage: str) -> None:
    upload(frames, f"{storage}/one")
    upload(frames, f"{storage}/two")
    sets = [
        replace(pcm.load_dataset(annotated, images_root=f"{storage}/{name}"), name=name)
        for name in ("one", "two")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the images of both are the same
        both = pcm.concat(sets)
    assert both.root == RemotePath(storage)
    assert {str(image.file).partition("/")[0] for image in both.images} == {"one", "two"}
    assert pcm.images.files_of(both).read(str(both.images[0].file))
    with pytest.raises(ValueError, match="the images are in different places"):
        pcm.concat([sets[0], replace(pcm.load_dataset(annotated, images_root=frames), name="here")])


def test_the_torch_adapters_read_images_at_urls_in_workers_too(
    annotated: Path, frames: Path, s3: str
) -> None:
    from torch.utils.data import DataLoader

    from pcm_leukemia.torchdata import Crops, Detection, collate

    upload(frames, s3)
    here, there = (pcm.load_dataset(annotated, images_root=root) for root in (frames, s3))
    for workers in (0, 2):
        kind = "fork" if workers else None
        loaders = [
            DataLoader(
                Detection(ds),
                batch_size=2,
                num_workers=workers,
                multiprocessing_context=kind,
                collate_fn=collate,
            )
            for ds in (here, there)
        ]
        for ours, theirs in zip(*loaders, strict=True):
            assert all((one == other).all() for one, other in zip(ours[0], theirs[0], strict=True))
    assert (
        np.asarray(Crops(there, transform=np.array)[0][0])
        == np.asarray(Crops(here, transform=np.array)[0][0])
    ).all()
    assert len(pickle.loads(pickle.dumps(Detection(there)))) == 6
