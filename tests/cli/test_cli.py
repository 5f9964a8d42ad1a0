"""The command line: what it prints, and its exit status (0 done, 1 problems in the data, 2 wrong usage)."""

from __future__ import annotations

import errno
import json
import zipfile
from pathlib import Path

import pytest
from commands import Run
from exports import box, document, image, write, zipped

from pcm_leukemia import load_dataset, store
from pcm_leukemia.converters import yolo
from pcm_leukemia.errors import ExportError, InvalidExport

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def test_the_main_job(run: Run, export: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    found = run("inspect", export, "--json")
    assert found.status == 0
    counts = json.loads(found.out)
    assert {
        key: counts[key]
        for key in ("version", "header", "images", "empty_images", "shapes", "labels", "problems")
    } == {
        "version": "1.1",
        "header": "task",
        "images": 20,
        "empty_images": 0,
        "shapes": {"box": 30},
        "labels": {"Monocyte": 20, "Other": 10},
        "problems": [],
    }
    imported = run("import", export, data, "--patients", PATTERN)
    assert (imported.status, imported.err) == (0, "")
    assert "Dataset(data: 10 patients, 20 images, 30 cells, 9 labels)" in imported.out
    made = run("split", data, "--test", "0.2", "--val", "0.25", "--seed", "3")
    assert made.status == 0
    assert str(data / "splits" / "official.csv") in made.out
    information = json.loads(run("info", data, "--json").out)
    assert information["images"] == {"train": 12, "val": 4, "test": 4}
    assert information["patients"] == {"train": 6, "val": 2, "test": 2}
    assert information["cells"]["test"] == {
        label: {"Monocyte": 4, "Other": 2}.get(label, 0) for label in information["labels"]
    }
    assert information["overall"]["patients"] == 10
    table = run("info", data).out
    assert "Monocyte" in table
    assert "overall" in table
    for form, task in (("yolo", "wbc"), ("coco", "detection"), ("crops", "classification")):
        converted = run("convert", data, tmp_path / form, "--to", form, "--task", task)
        assert converted.status == 0, converted.err
        assert "train: 12 images" in converted.out
    assert len(list((tmp_path / "crops").rglob("*.png"))) == 20
    assert json.loads((tmp_path / "crops" / "pcm-leukemia.json").read_text())["task"] == "classification"


def test_one_part_and_options(run: Run, export: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("import", export, data, "--patients", PATTERN)
    run("split", data)
    converted = run(
        "convert",
        data,
        tmp_path / "crops",
        "--to",
        "crops",
        "--part",
        "test",
        "--padding",
        "0",
        "--format",
        "jpg",
    )
    assert converted.status == 0, converted.err
    assert [path.name for path in sorted((tmp_path / "crops").iterdir()) if path.is_dir()] == ["test"]
    wrong = run("convert", data, tmp_path / "coco", "--to", "coco", "--padding", "5")
    assert wrong.status == 2
    assert "coco has no option --padding" in wrong.err
    missing = run("convert", data, tmp_path / "coco", "--to", "coco", "--part", "tset")
    assert missing.status == 2
    assert 'part "tset": split "official" has train, val, test; use one of them' in missing.err


def test_an_export_is_converted_without_a_split_as_one_part(run: Run, export: Path, tmp_path: Path) -> None:
    converted = run("convert", export, tmp_path / "coco", "--to", "coco")
    assert converted.status == 0, converted.err
    assert "all: 20 images, 30 cells" in converted.out


def test_crops_that_could_not_be_cut_are_status_1_and_the_rest_is_there(
    run: Run, export: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    with zipfile.ZipFile(export) as archive:
        archive.extractall(folder)
    run("import", folder, tmp_path / "data")
    (folder / "images" / "AML" / "P03" / "0.png").write_bytes(b"no image")
    converted = run("convert", tmp_path / "data", tmp_path / "crops", "--to", "crops")
    assert converted.status == 1
    assert 'problem: image "AML/P03/0.png"' in converted.out
    assert len(list((tmp_path / "crops").rglob("*.png"))) == 29


def test_problems_in_the_data_are_status_1_and_write_nothing(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.xml", document(image("a.png", box("Other", (0, 0, 999, 10)) + box("Blob"))))
    found = run("inspect", path, "--json")
    assert found.status == 1
    problems = json.loads(found.out)["problems"]
    assert [sorted(problem) for problem in problems] == [["fix", "what", "where"]] * 2
    assert problems[0]["where"].endswith('image "a.png"')
    imported = run("import", path, tmp_path / "data")
    assert imported.status == 1
    assert imported.err.startswith("error: bad.xml:")
    assert "Traceback" not in imported.err
    assert not (tmp_path / "data").exists()
    typo = run("inspect", path, "--map", "Blub=ignore", "--clip")
    assert '"Blub" is not a label in this export, the nearest is "Blob"' in typo.out
    mended = run("import", path, tmp_path / "data", "--clip", "--map", "Blob=ignore")
    assert mended.status == 0
    assert "1 cell is to be ignored" in mended.out


def test_without_patients_the_split_says_how_to_give_them(run: Run, export: Path, tmp_path: Path) -> None:
    run("import", export, tmp_path / "data")
    made = run("split", tmp_path / "data")
    assert made.status == 1
    for way in ("--patients", "--patients-csv", "--patients-tag"):
        assert way in made.err
    assert not list((tmp_path / "data" / "splits").iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("convert", "{export}", "out", "--to", "tfrecord"), "tfrecord"),
        (("inspect", "nowhere.zip"), "does not exist"),
        (("import", "{export}", "out", "--map", "Blob"), "must be LABEL=CLASS, LABEL=WBC or LABEL=ignore"),
        (
            ("import", "{export}", "out", "--map", "Blob=Other,Old blob=ignore"),
            "takes pairs apart from each other; give --map Blob=Other 'Old blob=ignore'",
        ),
        (
            ("import", "{export}", "out", "--patients-same", "7=007,8=008"),
            "give --patients-same 7=007 8=008",
        ),
        (
            ("import", "{export}", "out", "--map", "Blob=Limphocyte"),
            '"Limphocyte" is not a class of pcm-leukemia',
        ),
        (("import", "{export}", "out", "--patients", "("), "pattern (: is not a regular expression"),
        (("split", "{export}"), "not a canonical folder; run first: pcm-leukemia import"),
        (("nonsense",), "No such command"),
    ],
)
def test_wrong_usage_is_status_2(run: Run, export: Path, arguments: tuple[str, ...], sentence: str) -> None:
    outcome = run(*(argument.format(export=export) for argument in arguments))
    assert outcome.status == 2
    assert sentence in " ".join(outcome.err.replace("│", " ").split())
    assert "Traceback" not in outcome.err


def test_splits_grow_with_the_data(run: Run, export: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("import", export, data, "--patients", PATTERN)
    run("split", data)
    before = store.read(data).split
    assert before is not None
    names = [f"AML/P{patient:02d}/{number}.png" for patient in range(14) for number in (0, 1)]
    text = document(*(image(name, box("Monocyte"), number=n) for n, name in enumerate(names)))
    grown = zipped(tmp_path / "grown.zip", {"annotations.xml": text})
    assert run("import", grown, data, "--patients", PATTERN).status == 0
    told = run("info", data)
    assert (told.status, "8 of 28 images are in no part of split" in told.err) == (0, True)
    checked = run("check", data, "--json")
    found = {each["kind"]: each for each in json.loads(checked.out)["findings"]}
    assert (checked.status, len(found["in-no-part"]["images"])) == (1, 8)
    assert "is left out" not in checked.err
    assert "8 of 28 images are in no part" in run("check", data, "--split", "official").out
    fix = f"place them: pcm-leukemia split {data} --extend"
    for command in (
        *(
            ("convert", data, tmp_path / "out", "--to", form)
            for form in ("yolo", "coco", "crops", "huggingface")
        ),
        ("convert", data, tmp_path / "out", "--to", "yolo", "--split", "official"),
        ("train", "yolo11m", data, tmp_path / "out"),
        ("embed", "resnet50", data, tmp_path / "out.parquet"),
    ):
        refused = run(*command)
        assert (refused.status, refused.out) == (1, "")
        assert refused.err.count("\n") == 1
        assert f'8 of 28 images are in no part of split "official"; {fix}' in refused.err
    assert not (tmp_path / "out").exists()
    assert run("split", data, "--extend").status == 0
    after = store.read(data).split
    assert after is not None
    assert {image: part for image, part in after.part_of.items() if image in before.part_of} == before.part_of
    assert len(after.part_of) == 28


def test_accepting_tables_that_were_edited(run: Run, export: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("import", export, data)
    cells = data / "cells.csv"
    cells.write_text(cells.read_text().replace("Monocyte", "Basophil", 1))
    refused = run("info", data)
    assert refused.status == 1
    assert "is not what pcm-leukemia wrote" in refused.err
    assert run("import", data, tmp_path / "new").status == 0
    assert json.loads(run("info", tmp_path / "new", "--json").out)["cells"]["all"]["Basophil"] == 1


def test_a_canonical_folder_is_imported_with_its_splits_and_other_patients(
    run: Run, export: Path, tmp_path: Path
) -> None:
    data, table = tmp_path / "data", tmp_path / "patients.csv"
    run("import", export, data, "--patients", PATTERN)
    for name in ("a", "b"):
        run("split", data, "--name", name)
    table.write_text("path,patient\nAML,everybody\n")
    taken = run("import", data, tmp_path / "new", "--patients-csv", table, "--name", "renamed")
    assert taken.status == 0
    assert "splits: a, b" in taken.out
    ds = store.read(tmp_path / "new", with_split=False)
    assert (ds.name, [patient.id for patient in ds.patients]) == ("renamed", ["everybody"])
    assert store.split_names(tmp_path / "new") == ["a", "b"]
    leaking = run("info", tmp_path / "new", "--split", "a")
    assert leaking.status == 1
    assert 'patient "everybody": is in train' in leaking.err
    unclear = run("convert", data, tmp_path / "yolo", "--to", "yolo")
    assert unclear.status == 2
    assert "has the splits a, b; choose one" in unclear.err
    assert run("import", data, tmp_path / "other", "--clip").status == 2


def test_an_import_does_not_lose_the_patients_of_the_folder_it_replaces(
    run: Run, export: Path, tmp_path: Path
) -> None:
    run("import", export, tmp_path / "data", "--patients", PATTERN)
    before = (tmp_path / "data" / "patients.csv").read_bytes()
    status, _, err = run("import", export, tmp_path / "data")
    assert status == 2
    assert "has patient ids, and without them nothing keeps a patient in one part; give them again" in err
    assert (tmp_path / "data" / "patients.csv").read_bytes() == before
    assert run("import", export, tmp_path / "data", "--patients", PATTERN).status == 0
    assert run("import", export, tmp_path / "other").status == 0


def test_a_split_is_not_replaced_by_accident(run: Run, export: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("import", export, data, "--patients", PATTERN)
    run("split", data)
    before = store.read_split(data, "official")
    again = run("split", data, "--seed", "7")
    assert again.status == 2
    assert "has a split official already" in " ".join(again.err.replace("│", " ").split())
    assert run("split", data, "--extend", "--seed", "7").status == 2
    assert store.read_split(data, "official") == before
    assert run("split", data, "--seed", "7", "--replace").status == 0
    assert store.read_split(data, "official").made["seed"] == "7"


def test_nothing_replaces_a_data_set_but_another_import(run: Run, export: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("import", export, data, "--patients", PATTERN)
    run("split", data)
    for out in (data, data / "yolo"):
        refused = run("convert", data, out, "--to", "yolo")
        assert refused.status == 2
        assert "name a" in refused.err
    assert store.read(data).split is not None
    assert run("import", export, data, "--patients", PATTERN).status == 0


def test_a_disk_that_refuses_is_one_sentence(
    run: Run, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    for form in ("yolo", "coco", "crops"):
        refused = run("convert", export, tmp_path / "new" / "out", "--to", form)
        assert refused.status == 3
        assert refused.err.startswith("error: ")
        assert "No space left on device; check the disk and the permissions" in refused.err
    assert run("demo", tmp_path / "new" / "demo").status == 3


def test_check_finds_a_copied_image_and_a_leak(run: Run, tmp_path: Path) -> None:
    run("sample", tmp_path / "sample.zip", "--n-patients", "4", "--n-images", "4")
    data, out = tmp_path / "data", tmp_path / "found"
    run("import", tmp_path / "sample.zip", data, "--patients", PATTERN)
    clean = run("check", data)
    assert clean.status == 0, clean.out
    assert "0 problems" in clean.out
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "sample.zip") as archive:
        archive.extractall(folder)
    first, second = sorted((folder / "images").rglob("*.jpg"))[:2]
    second.write_bytes(first.read_bytes())
    found = run("check", folder, "--json", "--pictures", out)
    assert found.status == 0  # no patients are known here: copies are warnings
    kinds = {finding["kind"] for finding in json.loads(found.out)["findings"]}
    assert kinds == {"same-pixels"}
    assert (out / "index.html").is_file()
    run("import", folder, tmp_path / "copied", "--patients", PATTERN)
    leaking = run("check", tmp_path / "copied")
    assert leaking.status == 1
    assert "has the same pixels as" in leaking.out
    assert run("check", data, "--no-pixels", "--paper").status == 1


def test_to_cvat_and_back_and_what_changed(run: Run, export: Path, tmp_path: Path) -> None:
    data, review = tmp_path / "data", tmp_path / "review.zip"
    run("import", export, data, "--patients", PATTERN)
    assert run("convert", data, review, "--to", "cvat", "--no-include-patients").status == 0
    with zipfile.ZipFile(review) as archive:
        assert "patients.csv" not in archive.namelist()
        text = archive.read("annotations.xml").decode()
    same = json.loads(run("diff", data, review, "--json").out)
    assert (same["unchanged"], len(same["added"]), len(same["removed"])) == (30, 0, 0)
    edited = write(tmp_path / "edited.xml", text.replace('label="Monocyte"', 'label="Basophil"', 1))
    changed = run("diff", data, edited)
    assert changed.status == 0
    assert "Basophil" in changed.out
    agreed = json.loads(run("diff", data, edited, "--agreement", "--json").out)
    assert 0.9 < agreed["kappa"] < 1
    results = write(
        tmp_path / "results.json",
        json.dumps([{"image_id": 1, "category_id": 6, "bbox": [10, 20, 30, 40], "score": 0.9}]),
    )
    refused = run("convert", data, tmp_path / "coco", "--to", "coco", "--predictions", results)
    assert refused.status == 2
    told = run("convert", data, tmp_path / "p.zip", "--to", "cvat", "--predictions", results)
    assert told.status == 0
    assert "1 prediction on images that have cells" in told.err


def test_a_hugging_face_folder_is_known(run: Run, export: Path, tmp_path: Path) -> None:
    made = run("convert", export, tmp_path / "hf", "--to", "huggingface", "--license", "cc-by-4.0")
    assert made.status == 0, made.err
    assert "license: cc-by-4.0" in (tmp_path / "hf" / "README.md").read_text()
    counts = json.loads(run("info", tmp_path / "hf", "--json").out)
    assert counts["overall"]["images"] == 20
    assert counts["overall"]["cells"]["Monocyte"] == 20


def test_sample_and_demo(run: Run, tmp_path: Path) -> None:
    drawn = run("sample", tmp_path / "sample.zip", "--n-patients", "3", "--n-images", "4", "--seed", "5")
    assert drawn.status == 0
    assert json.loads(run("inspect", tmp_path / "sample.zip", "--json").out)["images"] == 4
    shown = run("demo", tmp_path / "demo")
    assert shown.status == 0, shown.err
    assert "Try next:" in shown.out
    for folder in ("data", "yolo", "coco", "crops"):
        assert (tmp_path / "demo" / folder).is_dir()
    again = run("demo", tmp_path / "demo")
    assert again.status == 0, again.err


def test_two_targets_of_one_name_are_refused(run: Run, export: Path, tmp_path: Path) -> None:
    for hospital in ("north", "south"):
        assert run("import", export, tmp_path / hospital / "data").status == 0
    targets = [
        word for hospital in ("north", "south") for word in ("--targets", tmp_path / hospital / "data")
    ]
    crossed = run("cross", tmp_path / "run", tmp_path / "out", *targets)
    assert crossed.status == 2
    assert 'another target is called "data" too; give each a name of its own' in crossed.err


@pytest.mark.parametrize("typed", [("-h",), ("--help",), ("train", "-h"), ("convert", "--help")])
def test_help_is_asked_for_in_both_ways(run: Run, typed: tuple[str, ...]) -> None:
    shown = run(*typed)
    assert shown.status == 0
    assert shown.out.startswith("Usage: pcm-leukemia")


def test_the_shell_completes_commands_and_options(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--install-completion" in run("-h").out
    monkeypatch.setenv("_PCM_LEUKEMIA_COMPLETE", "complete_bash")
    for typed, word, completed in (("pre", 1, "predict"), ("train --pre", 2, "--preset")):
        monkeypatch.setenv("COMP_WORDS", f"pcm-leukemia {typed}")
        monkeypatch.setenv("COMP_CWORD", str(word))
        assert run().out.split() == [completed]


def test_messages_name_what_can_be_typed(run: Run, export: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.xml", document(image("a.png", box("Other", (0, 0, 999, 10)) + box("Blob"))))
    told = run("import", path, tmp_path / "data").err
    assert "fix it in CVAT or pass --clip\n" in told
    assert 'pass --map "Blob=CLASS", "Blob=WBC" (a white cell of unknown type) or "Blob=ignore"' in told
    assert '"Blob=ignore", or --taxonomy declared for the labels' in told
    data = tmp_path / "data"
    run("import", export, data, "--patients", PATTERN)
    linked = run("convert", data, tmp_path / "yolo", "--to", "yolo", "--images", "symlink").err
    assert linked.endswith("is a zip, and images in it cannot be linked to; pass --images copy\n")
    for name in ("a", "b"):
        run("split", data, "--name", name)
    assert "has the splits a, b; choose one: --split, or name one official" in run("info", data).err
    export.unlink()
    assert (
        "give --images-root\n"
        in run("convert", data, tmp_path / "crops", "--to", "crops", "--split", "a").err
    )


def test_the_same_messages_name_arguments_in_python(export: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.xml", document(image("a.png", box("Other", (0, 0, 999, 10)))))
    with pytest.raises(InvalidExport, match=r"fix it in CVAT or pass clip=True$"):
        load_dataset(path)
    ds = load_dataset(export)
    with pytest.raises(ExportError, match=r'pass images="copy"$'):
        yolo.write(ds, tmp_path / "yolo", images="symlink")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("info", "{data}", "--clip"), "--clip does not apply to a canonical folder"),
        (("info", "{data}", "--split", "none"), 'has no split "none"'),
        (("info", "lmuu:/data"), "no public data set is called lmuu: see pcm-leukemia sources"),
        (("split", "{data}"), "Error: {data}: has a split official already; --extend"),
        (
            ("evaluate", "{data}", "{data}"),
            "holds no run (no run.json); give the folder that pcm-leukemia train wrote",
        ),
        (
            ("convert", "{data}", "out", "--to", "coco", "--padding", "3"),
            "Error: coco has no option --padding",
        ),
    ],
)
def test_a_new_user_s_mistakes_are_one_sentence(
    run: Run, export: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    data = str(tmp_path / "data")
    run("import", export, data, "--patients", PATTERN)
    run("split", data)
    outcome = run(*(argument.format(data=data) for argument in arguments))
    assert outcome.status in (1, 2)
    assert sentence.format(data=data) in outcome.err
    assert "Traceback" not in outcome.err


def test_what_was_meant_is_named(run: Run, export: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    run("import", export, data, "--patients", PATTERN)
    predictions = tmp_path / "p.json"
    predictions.write_text("[]")
    mistakes: list[tuple[tuple[object, ...], str]] = [
        (
            ("convert", data, out, "--to", "yolo", "--map", "Other=Basofil"),
            (
                'label map: "Basofil" is not a class of the data or of pcm-leukemia, the nearest is "Basophil"; use one of '
                "Lymphocyte, Neutrophil, Basophil, Eosinophil, Lymphoblast, Monocyte, Myeloblast_AML, Myeloblast_APL, Other, "
                "WBC (a white cell of unknown type) or ignore, or pass --taxonomy declared for a new class"
            ),
        ),
        (
            ("convert", data, out, "--to", "yolo", "--threshold", "0.7"),
            "--threshold is for --predictions; leave it out",
        ),
        (
            ("convert", data, out, "--to", "cvat", "--predictions", predictions, "--threshold", "7"),
            "Invalid value for '--threshold': Input should be less than or equal to 1",
        ),
        (
            ("inspect", data),
            f"{data}: is a canonical folder (dataset.json), not a CVAT export; run: pcm-leukemia info {data}",
        ),
        (
            ("convert", data, out, "--to", "yolov8"),
            "Invalid value for '--to': 'yolov8' is not one of 'coco', 'crops', 'cvat', 'huggingface', 'yolo'.",
        ),
        (
            ("convert", "--to", "yolo", "--part", "train", "val", data),
            "Invalid value for 'DATA': Path 'val' does not exist; give options with several values after the arguments.",
        ),
        (("info", tmp_path / "nowhere"), f"Path '{tmp_path / 'nowhere'}' does not exist."),
        (
            ("info", data, "--map", "strict"),
            '--map "strict": must be LABEL=CLASS, LABEL=WBC or LABEL=ignore; the reading of a public data set is --variant',
        ),
        (
            ("reproduce", "--pcm", data),
            "reproduce has no option --pcm; give DATA and OUT as arguments, without --pcm and --out",
        ),
        (
            ("train", "resnet50", data, out, "--task", "wbc"),
            'task "wbc": resnet50 does classification; use classification',
        ),
    ]
    for words, said in mistakes:
        refused = run(*words)
        assert (refused.status, refused.out) == (2, "")
        assert refused.err.rstrip().endswith(said)
        assert not out.exists()


def test_patients_under_two_spellings_are_named_until_they_are_said_to_be_one(
    run: Run, export: Path, tmp_path: Path
) -> None:
    data, table = tmp_path / "data", tmp_path / "patients.csv"
    rows = [f"AML/P{n:02d},{patient}" for n, patient in enumerate(["007", "7", "7.0", "8", "9", *"abcde"])]
    table.write_text("\n".join(["path,patient", *rows, ""]))
    imported = run("import", export, data, "--patients-csv", table)
    assert (imported.status, imported.err.count("warning:")) == (0, 1)
    assert '"007" and "7" and "7.0"; if they are one, a split' in imported.err
    for command in (("split", data), ("check", data), ("import", data, tmp_path / "copy")):
        said = run(*command)
        assert (said.out + said.err).count("import again with --patients-same 007=7 7.0=7") == 1
    options = ("--patients-csv", table, "--patients-same", "007=7", "7.0=7")
    merged = run("import", export, tmp_path / "merged", *options)
    assert (merged.status, merged.err) == (0, "")
    assert "8 patients" in merged.out
    for wrong, sentence in (
        (
            "07=7",
            'error: --patients-same 07=7: "07" is not a patient of wrong, the nearest is "007"; give two ids',
        ),
        ("7", '--patients-same "7": must be ID=ID, the id that is kept last'),
    ):
        refused = run("import", export, tmp_path / "wrong", "--patients-csv", table, "--patients-same", wrong)
        assert refused.status == 2
        assert sentence in refused.err
