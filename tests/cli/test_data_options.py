"""Options of the commands that read data: each acts on every format, or is refused; none is passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
from commands import Run
from exports import box, document, header, image, png, write, zipped
from source_layouts import apl_aml, bccd, image_folder, lmu

from pcm_leukemia import NINE, Dataset, Taxonomy, load_dataset, store
from pcm_leukemia.baselines import prediction
from pcm_leukemia.converters import coco, huggingface, yolo
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.schema import IGNORE, Patient, PatientId

SPELLED = {"lymphocyte": "Lymphocyte", "promyelocyte (APL)": "Myeloblast_APL"}
"""Labels of two cells -> the class of the nine that each spells."""


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    labels = list(SPELLED)
    shapes = box(labels[0]) + box(labels[1], (60, 30, 90, 60))
    export = zipped(
        tmp_path / "lower.zip",
        {
            "annotations.xml": document(image("a.png", shapes), meta=header(labels=labels)),
            "images/a.png": png(),
        },
    )
    return load_dataset(export, taxonomy="declared")


def as_coco(ds: Dataset, out: Path) -> None:
    coco.write(ds, out, images="copy")


FORMATS: dict[str, Callable[[Dataset, Path], object]] = {
    "canonical": store.write,
    "coco": as_coco,
    "yolo": yolo.write,
    "huggingface": huggingface.write,
}


@pytest.fixture(params=["cvat", *FORMATS])
def data(request: pytest.FixtureRequest, ds: Dataset, tmp_path: Path) -> Path:
    """The same two cells in every format."""
    if request.param == "cvat":
        return tmp_path / "lower.zip"
    FORMATS[request.param](ds, tmp_path / request.param)
    return tmp_path / str(request.param)


def test_the_nine_classes_are_read_from_every_format(run: Run, data: Path, tmp_path: Path) -> None:
    done = run("import", data, tmp_path / "nine", "--taxonomy", "pcm-leukemia")
    assert done.status == 0, done.err
    ds = load_dataset(tmp_path / "nine")
    assert ds.taxonomy == NINE
    assert [cell.label for cell in ds.cells] == list(SPELLED.values())
    assert run("convert", tmp_path / "nine", tmp_path / "yolo2", "--to", "yolo", "--task", "wbc").status == 0
    counted = json.loads(run("info", data, "--taxonomy", "pcm-leukemia", "--json").out)
    assert counted["labels"] == list(NINE.labels)
    converted = run("convert", data, tmp_path / "coco2", "--to", "coco", "--taxonomy", "pcm-leukemia")
    assert converted.status == 0, converted.err
    assert load_dataset(tmp_path / "coco2").taxonomy.labels == NINE.labels
    assert run("check", data, "--taxonomy", "pcm-leukemia", "--no-pixels").status == 0


def test_the_labels_as_they_are_are_read_from_every_format(run: Run, data: Path) -> None:
    counted = json.loads(run("info", data, "--taxonomy", "declared", "--json").out)
    assert counted["labels"] == list(SPELLED)


def test_a_label_is_mapped_in_every_format(run: Run, data: Path) -> None:
    first, second = SPELLED
    words = ("--map", f"{first}=Monocyte", f"{second}=ignore", "--taxonomy", "pcm-leukemia", "--json")
    counted = json.loads(run("info", data, *words).out)
    assert counted["cells"]["all"]["Monocyte"] == 1
    assert counted["cells"]["all"]["ignore"] == 1
    # a new class
    declared = run("info", data, "--map", f"{first}=Blast", "--taxonomy", "declared", "--json")
    assert json.loads(declared.out)["labels"] == ["Blast", second]


def test_labels_that_are_not_among_the_nine_are_refused(run: Run, ds: Dataset, tmp_path: Path) -> None:
    strange = ds.relabel(
        dict(zip(SPELLED, ("Lymphozyt", "RBC"), strict=True)), Taxonomy("declared", ("Lymphozyt", "RBC"))
    )
    for name, write_as in FORMATS.items():
        write_as(strange, tmp_path / name)
        refused = run("info", tmp_path / name, "--taxonomy", "pcm-leukemia")
        assert refused.status == 1, name
        first, second = refused.err.splitlines()
        assert (
            '"Lymphozyt" is not a class of pcm-leukemia, the nearest is "Lymphocyte"; rename it to one of'
            in first
        )
        assert '"RBC" is not a class of pcm-leukemia; rename it to one of Lymphocyte, Neutrophil' in second
        assert second.endswith(
            'Other, or pass --map "RBC=CLASS", "RBC=WBC" (a white cell of unknown type) or "RBC=ignore"'
        )
        words = ("--taxonomy", "pcm-leukemia", "--map", "Lymphozyt=Lymphocyte", "RBC=ignore")
        assert run("info", tmp_path / name, *words).status == 0


def test_both_sides_of_a_diff_are_read_with_the_options(
    run: Run, data: Path, ds: Dataset, tmp_path: Path
) -> None:
    store.write(ds.relabel(SPELLED, NINE), tmp_path / "nine")
    same = json.loads(run("diff", data, tmp_path / "nine", "--taxonomy", "pcm-leukemia", "--json").out)
    assert (same["unchanged"], same["confusion"]) == (2, [])
    mapped = run(
        "diff",
        data,
        tmp_path / "nine",
        "--map",
        "lymphocyte=Basophil",
        "--taxonomy",
        "pcm-leukemia",
        "--json",
    )
    assert json.loads(mapped.out)["confusion"] == [{"before": "Basophil", "after": "Lymphocyte", "cells": 1}]
    assert mapped.err == ""  # the label is in one of them
    typo = run("diff", data, tmp_path / "nine", "--map", "lymfocyte=Basophil", "--taxonomy", "pcm-leukemia")
    assert f'{tmp_path / "nine"}: label map: "lymfocyte" is not a label in this data' in typo.err
    assert f'{data}: label map: "lymfocyte" is not a label in this' in typo.err


def test_a_class_that_diff_ignores_is_ignored_on_both_sides(run: Run, export: Path, tmp_path: Path) -> None:
    assert run("import", export, tmp_path / "data").status == 0
    for before, after in ((tmp_path / "data", export), (export, tmp_path / "data")):
        same = run("diff", before, after, "--map", "Other=ignore", "--json")
        assert same.status == 0, same.err
        assert json.loads(same.out)["unchanged"] == 30


def test_options_that_diff_cannot_use_are_refused(run: Run, ds: Dataset, tmp_path: Path) -> None:
    store.write(ds, tmp_path / "data")
    for words, sentence in (
        (("--clip",), "--clip does not apply to these data, whose boxes were checked before; leave it out"),
        (("--agreement", "--annotator", "source"), "--annotator does not apply to --agreement; leave it out"),
    ):
        refused = run("diff", tmp_path / "data", tmp_path / "data", *words)
        assert (refused.status, refused.out) == (2, "")
        assert sentence in refused.err
    assert (
        run("diff", tmp_path / "lower.zip", tmp_path / "data", "--clip", "--taxonomy", "declared").status == 0
    )


def test_public_data_sets_are_mapped_by_label_or_by_class(run: Run, tmp_path: Path) -> None:
    facts = lmu.make(tmp_path / "LMU")
    place = f"lmu:{facts.root}"

    def cells(*words: str) -> dict[str, int]:
        found: dict[str, int] = json.loads(run("info", place, "--json", *words).out)["cells"]["all"]
        return {label: count for label, count in found.items() if count}

    plain = cells()
    assert plain == facts.labels
    assert cells("--taxonomy", "pcm-leukemia") == cells("--taxonomy", "declared") == plain
    # the label of its authors, which this variant ignores
    assert cells("--map", "PMB=Myeloblast_APL") == plain | {"Myeloblast_APL": 1, "ignore": 8}
    # the class that labels are read as
    assert cells("--map", "Monocyte=ignore") == {k: v for k, v in plain.items() if k != "Monocyte"} | {
        "ignore": 11
    }
    told = run("info", place, "--map", "PMP=Other")
    assert '"PMP" is not a label in this data, the nearest is "PMO"' in told.err or '"PMB"' in told.err


def test_cells_ignored_for_another_reason_stay_ignored_when_their_label_is_mapped(tmp_path: Path) -> None:
    place = f"apl_aml:{apl_aml.make(tmp_path).root}"
    with pytest.warns(DataWarning, match="prefix of another class"):
        ds = load_dataset(place, labels={"AML/Monocyte": "Basophil"})
    found = {
        dict(cell.attributes)["signed"]: cell.label for cell in ds.cells if cell.raw_label == "AML/Monocyte"
    }
    assert found == {"yes": "Basophil", "no": IGNORE}


def test_a_public_data_set_of_its_own_classes_needs_a_map_to_the_nine(run: Run, tmp_path: Path) -> None:
    place = f"bccd:{bccd.make(tmp_path / 'BCCD').root}"
    refused = run("info", place, "--taxonomy", "pcm-leukemia")
    assert refused.status == 1
    assert 'bccd: label "RBC" is not a class of pcm-leukemia; rename it' in refused.err
    words = ("--map", "RBC=ignore", "Platelets=ignore", "WBC=Other", "--taxonomy", "pcm-leukemia", "--json")
    assert json.loads(run("info", place, *words).out)["cells"]["train"]["Other"] == 1


def test_the_folders_names_are_the_classes_of_crops_if_asked_for(run: Run, tmp_path: Path) -> None:
    place = f"image_folder:{image_folder.make(tmp_path).root}"
    assert run("info", place).status == 1
    counted = json.loads(run("info", place, "--taxonomy", "declared", "--json").out)
    assert counted["labels"] == ["L1 blasts", "debris", "neutrophils"]
    words = ("--taxonomy", "declared", "--map", "debris=ignore", "L1 blasts=Blast", "--json")
    assert json.loads(run("info", place, *words).out)["labels"] == ["Blast", "neutrophils"]


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        ("A=x,B=y", "A=x B=y"),
        ("A=x, B=y", "A=x B=y"),
        ("A=x;B=y", "A=x B=y"),
        ("A=x B=y", "A=x B=y"),
        ("large cell=x,B=y,C=z", "'large cell=x' B=y C=z"),
    ],
)
def test_several_pairs_in_one_word_are_refused_with_the_right_form(
    run: Run, tmp_path: Path, typed: str, given: str
) -> None:
    export = write(tmp_path / "a.xml", document(image("a.png", box("Other"))))
    refused = run("info", export, "--map", typed)
    assert (refused.status, refused.out) == (2, "")
    assert f'--map "{typed}": takes pairs apart from each other; give --map {given}\n' in refused.err


def test_a_comma_in_a_label_is_no_second_pair(run: Run, tmp_path: Path) -> None:
    export = write(
        tmp_path / "a.xml",
        document(image("a.png", box("cell, large=old")), meta=header(labels=["cell, large=old"])),
    )
    assert run("info", export, "--map", "cell, large=old=Other").status == 0


def test_typos_in_a_map_name_the_nearest(run: Run, data: Path) -> None:
    refused = run("info", data, "--map", "lymphocyte=Lymphocite", "--taxonomy", "pcm-leukemia")
    assert refused.status == 2
    assert (
        'label map: "Lymphocite" is not a class of pcm-leukemia, the nearest is "Lymphocyte"' in refused.err
    )
    shouted = run("info", data, "--map", "lymphocyte=LYMPHOCYTES", "--taxonomy", "pcm-leukemia")
    assert '"LYMPHOCYTES" is not a class of pcm-leukemia, the nearest is "Lymphocyte"' in shouted.err
    told = run("info", data, "--map", "lymfocyte=ignore", "--taxonomy", "pcm-leukemia")
    assert 'label map: "lymfocyte" is not a label in this' in told.err
    assert 'the nearest is "lymphocyte"' in told.err


def test_a_misspelt_label_in_the_map_is_named_beside_the_label_that_it_missed(
    run: Run, tmp_path: Path
) -> None:
    export = write(tmp_path / "a.xml", document(image("a.png", box("WBC")), meta=header(labels=["WBC"])))
    refused = run("import", export, tmp_path / "out", "--map", "WCB=Other")
    assert refused.status == 1
    assert 'label "WBC" is not a class of pcm-leukemia' in refused.err
    assert (
        'label map: "WCB" is not a label in this export, the nearest is "WBC"; check the spelling'
        in refused.err
    )


def test_every_command_reads_a_public_data_set_in_the_chosen_variant(run: Run, tmp_path: Path) -> None:
    place = f"lmu:{lmu.make(tmp_path / 'LMU').root}"
    options = ("--variant", "literal")
    counted = json.loads(run("info", place, "--json", *options).out)
    assert counted["labels"] == list(load_dataset(place, variant="literal").taxonomy.labels)
    assert counted != json.loads(run("info", place, "--json").out)
    assert run("import", place, tmp_path / "imported", *options).status == 0
    same = run("diff", place, tmp_path / "imported", "--json", *options)  # the variant is for one of them
    assert (json.loads(same.out)["confusion"], same.status) == ([], 0)
    assert run("check", place, "--no-pixels", *options).status == 0
    assert run("convert", place, tmp_path / "coco", "--to", "coco", *options).status == 0
    assert load_dataset(tmp_path / "coco").taxonomy.labels == tuple(counted["labels"])
    refused = run("check", tmp_path / "coco", "--no-pixels", *options)
    assert (refused.status, refused.err) == (
        2,
        f"error: {tmp_path / 'coco'}: --variant does not apply to a COCO file or folder (.json); leave it out\n",
    )
    neither = run("diff", tmp_path / "imported", tmp_path / "coco", *options)
    assert (neither.status, neither.out) == (2, "")
    assert "--variant does not apply to these data; leave it out" in neither.err


def test_commands_find_the_patients_of_data_that_were_not_imported(
    run: Run, export: Path, tmp_path: Path
) -> None:
    pattern = ("--patients", r"(?P<diagnosis>\w+)/(?P<patient>P\d+)/")
    assert json.loads(run("info", export, "--json", *pattern).out)["patients"] == {"all": 10}
    assert run("convert", export, tmp_path / "coco", "--to", "coco", *pattern).status == 0
    ds = load_dataset(tmp_path / "coco")
    assert ds.patients[0] == Patient(PatientId("P00"), "AML")
    same = json.loads(run("info", export, "--json", *pattern, "--patients-same", "P01=P00").out)
    assert same["patients"] == {"all": 9}


def test_images_without_annotations_have_no_labels_to_read(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (64, 48)).save(tmp_path / "P7_a.png")
    ds = prediction.images_at(tmp_path, cells=True, patients="(?P<patient>P[0-9]+)_", name="new")
    assert (ds.name, ds.images[0].patient) == ("new", "P7")
    with pytest.raises(ValueError, match="labels does not apply to images without annotations; leave it out"):
        prediction.images_at(tmp_path, labels={"a": "Other"})
