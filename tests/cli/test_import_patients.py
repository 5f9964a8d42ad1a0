"""What `import` prints of the patients, and `import --dry-run`, which writes nothing."""

from __future__ import annotations

from pathlib import Path

from commands import Run

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_patient_is_printed_with_its_images_and_diagnosis(
    run: Run, export: Path, tmp_path: Path
) -> None:
    done = run("import", export, tmp_path / "data", "--patients", PATTERN)
    assert '\n  10 patients:\n    "P00": 2 images, AML\n    "P01": 2 images, AML\n' in done.out
    assert done.err == ""


def test_of_many_patients_the_first_are_printed_and_a_pattern_that_is_too_wide_is_a_warning(
    run: Run, export: Path, tmp_path: Path
) -> None:
    done = run("import", export, tmp_path / "data", "--patients", r"(?P<patient>P.+)\.png")
    assert done.status == 0
    assert '\n  20 patients:\n    "P00/0": 1 image, no diagnosis\n' in done.out
    assert "\n    ... and 8 more\n" in done.out
    assert 'data: 20 images have 20 patients, one for each image (the first is "P00/0", of' in done.err
    split = run("split", tmp_path / "data")
    assert split.status == 0
    assert "have 20 patients, one for each image" in split.err
    assert "warning: 20 images: have 20 patients" in run("check", tmp_path / "data", "--no-pixels").out


def test_a_dry_run_shows_the_same_and_writes_nothing(run: Run, export: Path, tmp_path: Path) -> None:
    dry = run("import", export, tmp_path / "data", "--patients", "(?P<patient>P)", "--dry-run")
    assert dry.status == 0
    assert '  1 patient:\n    "P": 20 images, no diagnosis\n' in dry.out
    assert "20 images have the same patient" in dry.err
    assert dry.out.endswith("nothing was written; leave out --dry-run to write it\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip"]
    done = run("import", export, tmp_path / "data", "--patients", "(?P<patient>P)")
    assert dry.out.startswith(done.out)
    assert dry.err == done.err


def test_a_dry_run_over_a_data_set_refuses_what_would_be_lost(run: Run, export: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run("import", export, data, "--patients", PATTERN).status == 0
    before = content(data)
    lossy = run("import", export, data, "--dry-run")
    assert lossy.status == run("import", export, data).status == 2
    assert "would lose 10 of 10 patients" in lossy.err
    for option in ("--update", "--replace"):
        assert run("import", export, data, option, "--patients", PATTERN, "--dry-run").status == 0
    assert content(data) == before


def test_data_without_patients_say_how_to_give_them(run: Run, export: Path, tmp_path: Path) -> None:
    hint = (
        "  no patients, which a split needs: import again with --patients, --patients-csv, --patients-tag or"
    )
    assert hint in run("import", export, tmp_path / "bare").out
    assert hint not in run("import", export, tmp_path / "data", "--patients", PATTERN).out


def test_the_page_of_suspects_is_that_of_their_data(run: Run, tmp_path: Path) -> None:
    suspects = tmp_path / "suspects"
    suspects.mkdir()
    mark = '{"written_by": "pcm-leukemia", "format": "suspects", "entries": []}'
    (suspects / "pcm-leukemia.json").write_text(mark, encoding="utf-8")
    refused = run("report", suspects, tmp_path / "page.html")
    assert (refused.status, refused.out) == (1, "")
    assert (
        f"holds suspects and no data set; to show them, run: pcm-leukemia report DATA page.html --suspects {suspects};"
        in refused.err
    )
