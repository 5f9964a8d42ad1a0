"""Public data sets on the command line: which there are, importing one, and comparing a copy with the published one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Run
from source_layouts import all_idb2, image_folder, leukemia_attri, lmu

from pcm_leukemia import load_dataset, sources
from pcm_leukemia.cli.sources import list_sources


def test_all_of_them_are_listed(run: Run) -> None:
    shown = run("sources")
    assert shown.status == 0
    for name in sources.names():
        assert name in shown.out
    listed = json.loads(run("sources", "--json").out)
    assert [row["name"] for row in listed] == sources.names()
    assert next(row for row in listed if row["name"] == "lmu")["counts"]["MYO"] == 3268


def test_one_data_set_in_full(run: Run) -> None:
    shown = run("sources", "lmu")
    assert shown.status == 0
    for text in (
        "CC BY 3.0 (according to third parties); may not be passed on",
        "strict+pmb: 18,108",
        "annotations-dat.zip",
        "swapped in several",
    ):
        assert text in shown.out
    wrong = run("sources", "nothing")
    assert wrong.status == 2
    assert 'error: source "nothing": unknown data set; use one of acevedo, ' in wrong.err


@pytest.mark.parametrize("name", ["", *sources.names()])
def test_nothing_is_cut_in_80_columns_and_in_a_pipe(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    list_sources(name or None)
    out = capsys.readouterr().out
    shown = [sources.get(name)] if name else [sources.get(each) for each in sources.names()]
    texts = [text for source in shown for text in (source.name, source.what, source.licence, source.home)]
    if name:
        texts += [shown[0].how_to_get, shown[0].citation, *shown[0].defects]
        texts += [file.url for file in shown[0].downloads]
    whole = " ".join(out.split())
    assert all(" ".join((text or "").split()) in whole for text in texts)
    # nothing but an address, or the last line, is longer
    assert all(len(line) <= 80 or "://" in line for line in out.splitlines()[: None if name else -1])


def test_import_info_and_convert(run: Run, tmp_path: Path) -> None:
    facts = lmu.make(tmp_path / "LMU")
    place = f"lmu:{facts.root}"
    done = run("import", place, tmp_path / "strict")
    assert done.status == 0
    assert "Dataset(lmu: no patients, 25 images, 25 cells, 9 labels)" in done.out
    assert "9 cells are to be ignored" in done.out
    assert run("import", place, tmp_path / "all", "--variant", "literal").status == 0
    assert {cell.label for cell in load_dataset(tmp_path / "all").cells} >= {"Other", "Myeloblast_APL"}
    assert run("info", place).status == 0
    assert run("convert", place, tmp_path / "crops", "--to", "crops", "--padding", 0).status == 0
    wrong = run("import", place, tmp_path / "no", "--variant", "loose")
    assert wrong.status == 2
    assert (
        'lmu variant "loose": unknown variant; use one of strict, strict+pmb, lenient, literal, nine'
        in wrong.err
    )


def test_a_folder_of_crops_with_a_map(run: Run, tmp_path: Path) -> None:
    facts = image_folder.make(tmp_path)
    done = run(
        *("import", f"image_folder:{facts.root}", tmp_path / "out", "--map", "L1 blasts=Lymphoblast"),
        *("--map", "debris=ignore", "--patients-csv", tmp_path / "patients.csv"),
    )
    assert done.status == 0, done.err
    assert "3 patients, 5 images, 5 cells" in done.out
    ds = load_dataset(tmp_path / "out")
    assert ds.parts == ("train", "val", "test")


def test_what_is_not_there(run: Run, tmp_path: Path) -> None:
    gone = run("import", f"lmu:{tmp_path / 'nowhere'}", tmp_path / "out")
    assert gone.status == 1
    assert "nowhere: no such folder; to get AML-Cytomorphology_LMU: on the home page, download" in gone.err
    typo = run("import", "lmo:/data", tmp_path / "out")
    assert typo.status == 2
    assert "Path 'lmo:/data' does not exist, and no public data set is called lmo" in typo.err.replace(
        "\n", " "
    )
    lmu.make(tmp_path / "LMU")
    useless = run("import", f"lmu:{tmp_path / 'LMU'}", tmp_path / "out", "--clip")
    assert useless.status == 2
    assert "clip does not apply to this public data set; leave it out" in useless.err


def test_images_annotated_in_part_are_kept_on_request(run: Run, tmp_path: Path) -> None:
    leukemia_attri.make(tmp_path / "data")
    place = f"leukemia_attri:{tmp_path / 'data' / 'LeukemiaAttri' / 'H_100X_C1'}"
    refused = run("convert", place, tmp_path / "out", "--to", "coco")
    assert refused.status == 1
    assert "not all cells are known to be annotated (2 partial)" in refused.err
    assert run("convert", place, tmp_path / "out", "--to", "coco", "--incomplete", "keep").status == 0


def test_validate(run: Run, tmp_path: Path) -> None:
    all_idb2.make(tmp_path)
    found = run("validate", f"all_idb2:{tmp_path}")
    assert found.status == 1
    assert "all_idb2: differs from what was published\n  1: 2 of 130, -128\n  0: 3 of 130, -127" in found.out
    as_json = json.loads(run("validate", f"all_idb2:{tmp_path}", "--json", "--pixels").out)
    assert as_json["ok"] is False
    assert as_json["extra"] == {".": ["Thumbs.tif"]}
    wrong = run("validate", tmp_path)
    assert wrong.status == 2
    assert "must be NAME:ROOT, with NAME one of acevedo" in wrong.err.replace("\n", " ")


def test_nothing_to_fetch(run: Run, tmp_path: Path) -> None:
    done = run("fetch", "all_idb2", tmp_path)
    assert done.status == 1
    assert "error: all_idb2: has no stable download address; request it with the form" in done.err
