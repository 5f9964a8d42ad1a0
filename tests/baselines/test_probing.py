"""Nearest neighbours and linear probes on embeddings: scikit-learn's, and no patient on both sides."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.neighbors import KNeighborsClassifier

from pcm_leukemia import Box, Cell, Dataset, Image, Patient, Split, Taxonomy
from pcm_leukemia.baselines.embedding import About, probe, read, write
from pcm_leukemia.baselines.metrics import classification
from pcm_leukemia.errors import CorruptFile, DataNotFound, LeakySplit, MissingPart, UnfitForTask
from pcm_leukemia.schema import ImageId, PatientId

LABELS = ("Lymphocyte", "Neutrophil", "Monocyte")
WIDTH = 6
Features = npt.NDArray[np.float32]


def cells_of(images: dict[str, str], *, labels: tuple[str, ...] = LABELS, cells: int = 6) -> Dataset:
    """Images ("patient/number") in their parts, each with cells of all classes."""
    rows = [
        Image(ImageId(name), 99, 99, PatientId(name[: name.index("/")]) if "/" in name else None)
        for name in images
    ]
    found = [
        Cell(image.id, cell, labels[(place + cell) % len(labels)], Box(1, 1, 9, 9))
        for place, image in enumerate(rows)
        for cell in range(cells)
    ]
    people = tuple(Patient(patient) for patient in {row.patient for row in rows} if patient)
    split = Split("demo", {ImageId(name): part for name, part in images.items()})
    return Dataset("demo", Taxonomy("demo", labels), tuple(rows), tuple(found), people, split)


SOUND = {
    **{f"P{number}/{image}": "train" for number in range(4) for image in "ab"},
    **{f"Q{number}/a": "test" for number in range(4)},
    "V/a": "val",
}


def drawn(ds: Dataset, seed: int = 0) -> Features:
    """Features that say something of the class."""
    rng = np.random.default_rng(seed)
    classes = np.array([ds.taxonomy.ids[cell.label] for cell in ds.cells])
    features: Features = (np.eye(WIDTH)[classes] + rng.normal(0, 0.6, (len(classes), WIDTH))).astype(
        np.float32
    )
    return features


def written(path: Path, ds: Dataset, features: Features | None = None, pretraining: str = "") -> Path:
    about = About(
        model="resnet18",
        weights="none",
        architecture="resnet18",
        image_size=32,
        padding=50,
        stain="none",
        width=WIDTH,
        data=ds.name,
        fingerprint=ds.fingerprint,
        split=ds.split.name if ds.split else None,
        val_shares_patients=False,
        labels=ds.taxonomy.labels,
        pretraining=pretraining,
        version="1",
    )
    write(path, ds, about, [(ds.cells, drawn(ds) if features is None else features)])
    return path


def changed(path: Path, **columns: Any) -> Path:
    """The file with other values in some columns, as someone might write it."""
    table = pyarrow.parquet.read_table(path)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(
            place, table.schema.field(name), pyarrow.array(values, table.schema.field(name).type)
        )
    pyarrow.parquet.write_table(table, path)
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    ds = cells_of(SOUND)
    found = read(written(tmp_path / "a.parquet", ds))
    np.testing.assert_array_equal(found.features, drawn(ds))
    assert found.rows["label"] == [cell.label for cell in ds.cells]
    assert found.about.labels == LABELS


def test_scores_are_those_of_scikit_learn(tmp_path: Path) -> None:
    ds = cells_of(SOUND)
    (found,) = probe(written(tmp_path / "a.parquet", ds), draws=20).files
    part = np.array([ds.part_of(ds.image(cell.image)) for cell in ds.cells])
    truths = np.array([ds.taxonomy.ids[cell.label] for cell in ds.cells])
    features = drawn(ds).astype(np.float64)
    train, test = part == "train", part == "test"
    models = {
        "1-NN": KNeighborsClassifier(n_neighbors=1),
        "20-NN": KNeighborsClassifier(n_neighbors=20),
        "linear probe": LogisticRegression(C=WIDTH * 3 / 100, max_iter=1000),
    }
    assert list(found.scores) == list(models)
    for method, model in models.items():
        guessed = model.fit(features[train], truths[train]).predict(features[test])
        scores = found.scores[method]
        assert scores.accuracy == pytest.approx(accuracy_score(truths[test], guessed))
        assert scores.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(truths[test], guessed))
        assert scores.weighted_f1.value == pytest.approx(f1_score(truths[test], guessed, average="weighted"))
        assert (scores.unit, scores.groups, scores.cells) == ("patients", 4, 24)
        assert scores.balanced_accuracy.interval is not None
        assert 0.4 < scores.accuracy < 1


def test_the_penalty_counts_the_classes_of_train(tmp_path: Path) -> None:
    """As the published evaluation does, whatever classes the data set has besides."""
    images = {**dict.fromkeys(SOUND, "train"), "Q9/a": "test"}
    ds = cells_of(images, cells=3)
    path = written(tmp_path / "a.parquet", ds)
    label = [LABELS[place % 2 * 2] for place in range(len(ds.cells))]  # no Neutrophil
    changed(path, label=label)
    (found,) = probe(path, draws=0).files
    test = np.array([ds.part_of(ds.image(cell.image)) for cell in ds.cells]) == "test"
    model = LogisticRegression(C=WIDTH * 2 / 100, max_iter=1000)
    classes = np.array([LABELS.index(each) for each in label])
    chances = np.zeros((3, 3))
    chances[:, [0, 2]] = model.fit(drawn(ds)[~test].astype(float), classes[~test]).predict_proba(
        drawn(ds)[test]
    )
    calibration = found.scores["linear probe"].calibration.to_json()
    assert found.scores["linear probe"].accuracy == np.mean(chances.argmax(axis=1) == classes[test])
    assert (
        calibration
        == classification.score(classes[test], chances, LABELS, ["Q9"] * 3, draws=0).calibration.to_json()
    )


def test_a_table_of_several_files(tmp_path: Path) -> None:
    ds = cells_of(SOUND)
    noise = np.random.default_rng(1).normal(size=(len(ds.cells), WIDTH)).astype(np.float32)
    one, two = written(tmp_path / "one.parquet", ds), written(tmp_path / "two.parquet", ds, noise)
    found = probe(one, two, draws=50, seed=1)
    lines = str(found).splitlines()
    assert lines[0] == "demo: train 48 cells, test 24 cells, 3 classes"
    assert lines[1] == f"{one}: resnet18, weights none, 6 features"
    assert [line.split()[0] for line in lines[4:8]] == ["1-NN", "1-NN", "20-NN", "20-NN"]
    few = "4 patients are few, so the intervals are rough and may be too narrow"
    assert lines[-1] == f"95 % intervals: 50 draws of patients, seed 1; {few}"
    good, bad = (each.scores["linear probe"].accuracy for each in found.files)
    assert good > bad
    (row,) = (line for line in lines if line.startswith("linear probe") and str(one) in line)
    assert f"{100 * good:.2f} (" in row
    plain = found.to_json()
    assert plain["files"][1]["scores"]["linear probe"]["accuracy"] == bad
    assert plain["cells"] == {"train": 48, "test": 24}


def test_without_patients_intervals_are_over_images(tmp_path: Path) -> None:
    images = {name.replace("/", "-"): part for name, part in SOUND.items()}
    found = probe(written(tmp_path / "a.parquet", cells_of(images)), draws=10)
    assert found.files[0].scores["1-NN"].unit == "images"
    assert "without patient ids, they are narrower than they should be" in str(found)


def test_few_cells_have_no_twenty_neighbours(tmp_path: Path) -> None:
    ds = cells_of({"P/a": "train", "P/b": "train", "Q/a": "test"})
    found = probe(written(tmp_path / "a.parquet", ds))
    assert list(found.files[0].scores) == ["1-NN", "linear probe"]
    assert str(found).endswith("a.parquet: 20-NN is left out: train has 12 cells")


def test_a_probe_that_has_not_converged_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcm_leukemia.baselines.embedding.probing.STEPS", 2)
    path = written(tmp_path / "a.parquet", cells_of(SOUND))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = probe(path, draws=0).files
    assert found.notes == (
        "linear probe had not converged after 2 steps, where the published evaluation stops, too",
    )


def test_data_of_the_pretraining_are_named(tmp_path: Path) -> None:
    found = probe(written(tmp_path / "a.parquet", cells_of(SOUND), pretraining="seen before"), draws=0)
    assert found.to_json()["files"][0]["notes"] == ["seen before"]
    assert str(found).endswith("a.parquet: seen before")


# ----------------------------------------------------------------------------------------------
# What is refused


def test_a_patient_in_both_parts_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", cells_of({**SOUND, "P0/c": "test"}))
    with pytest.raises(
        LeakySplit,
        match=r'^split ".*a\.parquet" patient "P0": is in train \(2 images\) and test \(1 image\); put',
    ):
        probe(path)


def test_a_patient_in_validation_alone_matters_not(tmp_path: Path) -> None:
    assert (
        probe(written(tmp_path / "a.parquet", cells_of({**SOUND, "P0/c": "val"})), draws=0).cells["train"]
        == 48
    )


def test_a_group_in_both_parts_is_refused(tmp_path: Path) -> None:
    ds = cells_of(SOUND)
    group = ["slide 1" if cell.image in ("P0/a", "Q0/a") else None for cell in ds.cells]
    path = changed(written(tmp_path / "a.parquet", ds), group=group)
    with pytest.raises(LeakySplit, match='group "slide 1": is in train'):
        probe(path)


def test_an_image_in_both_parts_is_refused(tmp_path: Path) -> None:
    ds = cells_of(SOUND)
    path = written(tmp_path / "a.parquet", ds)
    part = ["train" if ds.image(cell.image).id != "Q0/a" or cell.id else "test" for cell in ds.cells]
    with pytest.raises(
        LeakySplit, match=r'a\.parquet image "Q0/a": has cells in train and in test; embed the data'
    ):
        probe(changed(path, part=part))


@pytest.mark.parametrize(
    ("images", "lacks"),
    [
        (dict.fromkeys(SOUND, "test"), "train"),
        (dict.fromkeys(SOUND, "train"), "test"),
        (dict.fromkeys(SOUND, "all"), "train and test"),
    ],
)
def test_both_parts_are_needed(images: dict[str, str], lacks: str, tmp_path: Path) -> None:
    ds = cells_of(images)
    ds = ds.with_split(None) if "all" in images.values() else ds
    with pytest.raises(
        MissingPart, match=rf"a\.parquet: has no cells in {lacks}, but probing learns from train"
    ):
        probe(written(tmp_path / "a.parquet", ds))


def test_files_of_other_classes_or_cells_are_not_beside_each_other(tmp_path: Path) -> None:
    ds = cells_of(SOUND)
    first = written(tmp_path / "a.parquet", ds)
    other = written(tmp_path / "b.parquet", cells_of(SOUND, labels=("Lymphocyte", "Neutrophil")))
    with pytest.raises(
        UnfitForTask,
        match=r"b\.parquet: has the classes Lymphocyte, Neutrophil, but .*a\.parquet has Lymphocyte, Neutrophil, Monocyte; embed both",
    ):
        probe(first, other)
    fewer = written(tmp_path / "c.parquet", cells_of({**SOUND, "Q9/a": "test"}))
    with pytest.raises(UnfitForTask, match=r"c\.parquet: has other cells, labels or parts than .*a\.parquet"):
        probe(first, fewer)


def test_one_class_cannot_be_learned(tmp_path: Path) -> None:
    ds = cells_of(SOUND)
    label = ["Monocyte" if ds.part_of(ds.image(cell.image)) == "train" else cell.label for cell in ds.cells]
    with pytest.raises(UnfitForTask, match="train has cells of one class only; use a split with more cells"):
        probe(changed(written(tmp_path / "a.parquet", ds), label=label))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="no such file; make it: pcm-leukemia embed"):
        probe(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("text")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other.parquet")
    for name in ("text", "other"):
        with pytest.raises(
            CorruptFile, match=r"parquet: is not a file of embeddings \(.*[^.]\); make one: pcm-"
        ):
            probe(tmp_path / f"{name}.parquet")
    ds = cells_of(SOUND)
    features = drawn(ds)
    features[5, 2] = np.nan
    with pytest.raises(CorruptFile, match="a feature is not a number"):
        probe(written(tmp_path / "nan.parquet", ds, features))
    with pytest.raises(CorruptFile, match='the label "RBC" is not one of its classes; embed the data again'):
        probe(changed(written(tmp_path / "rbc.parquet", ds), label=["RBC"] * len(ds.cells)))
    with pytest.raises(ValueError, match="^probe: no file is given"):
        probe()
