"""`join`: data sets become one, also inside a split that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Run
from exports import box, document, image, png, zipped

from pcm_leukemia import load_dataset, store

PATTERN = r"(?P<patient>P\d+)/"


def an_export(path: Path, patients: range) -> Path:
    names = [f"P{patient:02d}/{path.stem}-{number}.png" for patient in patients for number in (0, 1)]
    text = document(*(image(name, box("Monocyte"), number=n) for n, name in enumerate(names)))
    files = {f"images/{name}": png(color=(n, ord(path.stem[0]), 7)) for n, name in enumerate(names)}
    return zipped(path, {"annotations.xml": text, **files})


@pytest.fixture
def two(run: Run, tmp_path: Path) -> tuple[Path, Path]:
    """A data set of ten patients with a split, and one of three of them and of four new ones."""
    for name, patients in (("first", range(10)), ("later", range(7, 14))):
        export = an_export(tmp_path / f"{name}.zip", patients)
        assert run("import", export, tmp_path / name, "--patients", PATTERN).status == 0
    assert run("split", tmp_path / "first", "--test", "0.2").status == 0
    return tmp_path / "first", tmp_path / "later"


def test_new_data_of_a_hospital_go_into_its_split(run: Run, two: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("join", *two, tmp_path / "all", "--shared-patients", "--extend")
    assert (done.status, done.err) == (0, "")
    assert "Dataset(all: 14 patients, 34 images, 34 cells" in done.out
    assert "\n  3 patients are in several data sets\n" in done.out
    assert '\n  split "official": train' in done.out
    assert done.out.endswith(" images; 14 images were placed, and none was moved\n")
    before, after = load_dataset(two[0]), load_dataset(tmp_path / "all")
    assert all(
        after.part_of(after.image(f"first/{image.id}")) == before.part_of(image) for image in before.images
    )
    assert store.split_names(tmp_path / "all") == ["official"]
    assert run("check", tmp_path / "all", "--no-pixels").status == 0
    assert run("convert", tmp_path / "all", tmp_path / "yolo", "--to", "yolo").status == 0


def test_patients_of_two_hospitals_stay_apart(run: Run, two: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("join", *two, tmp_path / "all", "--no-splits")
    assert (done.status, done.err) == (0, "")
    assert "Dataset(all: 17 patients, 34 images" in done.out
    assert (
        '\n  3 ids of patients, the first "P07", are in several data sets, and count as different patients;'
        in done.out
    )
    assert done.out.endswith(f"\n  left out: the split official of {two[0]}\n")
    assert load_dataset(tmp_path / "all").split is None


def test_what_does_not_fit_is_refused_and_nothing_is_written(
    run: Run, two: tuple[Path, Path], tmp_path: Path
) -> None:
    first, later = two
    export = an_export(tmp_path / "more.zip", range(2))
    assert run("convert", later, tmp_path / "wbc", "--to", "coco", "--task", "wbc").status == 0
    for words, sentence in (
        (
            (first, later),
            "later has no split and the others have one; split it first, place its images in the split of the others: --extend,",
        ),
        (
            (first, first),
            'several data sets are called "first"; give each a name of its own: pcm-leukemia import DATA NEW --name',
        ),
        (
            (later, export, "--extend", "--no-splits"),
            "--extend places images in a split, and --no-splits leaves splits out",
        ),
        (
            (first, tmp_path / "wbc", "--no-splits"),
            "later has WBC, Other; bring them to the same classes: --taxonomy, --map",
        ),
        ((first, export, "--extend"), "have no patient"),
        ((first, later, "--variant", "x"), "--variant does not apply to these data; leave it out"),
    ):
        places = [word for word in words if isinstance(word, Path)]
        refused = run("join", *places, tmp_path / "all", *words[len(places) :])
        assert refused.status in (1, 2), sentence
        assert refused.out == ""
        assert sentence in refused.err
        assert not (tmp_path / "all").exists()
    for out, sentence in (
        (later, "is one of the data sets to join; name a new folder"),
        (first / "all", "is inside"),
    ):
        refused = run("join", first, later, out, "--extend")
        assert (refused.status, refused.out) == (2, "")
        assert sentence in refused.err


def test_a_split_that_lacks_images_is_extended_first(
    run: Run, two: tuple[Path, Path], tmp_path: Path
) -> None:
    first, later = two
    file = first / "splits" / "official.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    refused = run("join", first, later, tmp_path / "all", "--extend")
    assert refused.status == 2
    assert (
        f"{first}: its split does not place all images; run first: pcm-leukemia split {first} --extend"
        in refused.err
    )


def test_a_data_set_in_the_target_must_not_lose_anything(
    run: Run, two: tuple[Path, Path], tmp_path: Path
) -> None:
    first, later = two
    assert run("import", tmp_path / "first.zip", tmp_path / "all", "--patients", PATTERN).status == 0
    refused = run("join", first, later, tmp_path / "all", "--extend")
    assert refused.status == 2
    assert "would lose 20 of 20 images" in refused.err
    assert run("join", first, later, tmp_path / "all", "--extend", "--replace").status == 0
    assert len(load_dataset(tmp_path / "all").images) == 34


def test_exports_are_joined_without_an_import(run: Run, tmp_path: Path) -> None:
    exports = [an_export(tmp_path / f"{name}.zip", range(2)) for name in ("a", "b")]
    done = run("join", *exports, tmp_path / "all", "--patients", PATTERN, "--name", "both")
    assert done.status == 0, done.err
    ds = load_dataset(tmp_path / "all")
    assert (ds.name, [patient.id for patient in ds.patients]) == (
        "both",
        ["a/P00", "a/P01", "b/P00", "b/P01"],
    )


def test_a_forgotten_output_is_not_a_data_set_to_write_over(run: Run, two: tuple[Path, Path]) -> None:
    first, later = two
    before = load_dataset(later).fingerprint
    refused = run("join", first, later)
    assert refused.status == 2
    assert (
        f"join takes two data sets or more, and then OUT; {first} alone is to be joined into {later}"
        in refused.err
    )
    assert load_dataset(later).fingerprint == before
