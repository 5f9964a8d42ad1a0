"""An image is known by its file: a renamed copy was learned from, another file of the same name was not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, store
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.joining import concat
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.splits import seen


def rows(
    name: str,
    digest_of: Mapping[str, str | None],
    *,
    patients: Mapping[str, str] | None = None,
    parts: Mapping[str, str] | None = None,
) -> Dataset:
    """Images by id with these digests; without `parts` all are in train."""
    people = patients or {}
    images = tuple(
        Image(
            ImageId(image),
            64,
            48,
            PatientId(people[image]) if image in people else None,
            file=image if digest else None,
            digest=digest,
        )
        for image, digest in digest_of.items()
    )
    split = Split("official", {image.id: (parts or {}).get(image.id, "train") for image in images})
    known = tuple(Patient(PatientId(patient)) for patient in sorted(set(people.values())))
    return Dataset(name, NINE, images, (), known, split)


def refused(learned: Dataset, scored: Dataset) -> dict[str, str]:
    """Image -> what the model is said to have learned from."""
    return {
        str(leak.images[0]): leak.problem.what.removeprefix("the model has learned from ")
        for leak in seen(learned, replace(scored, split=None), "run")
    }


LEARNED = rows("here", {"a.png": "1", "b.png": "2"})


def test_another_file_of_the_same_name_in_a_data_set_of_the_same_name_is_another_image() -> None:
    assert refused(LEARNED, rows("here", {"a.png": "8", "b.png": "9"})) == {}


@pytest.mark.parametrize("name", ["here", "there"])
def test_a_renamed_copy_is_the_same_image_in_a_data_set_of_any_name(name: str) -> None:
    scored = rows(name, {"a.png": "2", "new/c.png": "1", "d.png": "3"})
    assert refused(LEARNED, scored) == {"a.png": 'it, as "b.png"', "new/c.png": 'it, as "a.png"'}


def test_the_file_counts_and_not_the_size_on_record() -> None:
    scored = rows("there", {"c.png": "1"})
    turned = replace(scored, images=tuple(replace(i, width=48, height=64) for i in scored.images))
    assert refused(LEARNED, turned) == {"c.png": 'it, as "a.png"'}


def test_copies_are_found_in_what_was_joined_on_either_side() -> None:
    other = rows("other", {"x.png": "7"})
    assert refused(concat([LEARNED, other]), rows("new", {"c.png": "1"})) == {"c.png": 'it, as "here/a.png"'}
    joined = concat([rows("new", {"a.png": "1"}), rows("more", {"a.png": "5"})])
    assert refused(LEARNED, joined) == {"new/a.png": 'it, as "a.png"'}


@pytest.mark.parametrize("lacking", ["learned", "scored", "both"])
def test_names_decide_where_a_digest_is_missing_and_that_is_said(lacking: str) -> None:
    none = {"a.png": None, "b.png": None}
    learned = LEARNED if lacking == "scored" else rows("here", none)
    scored = rows("here", {"a.png": "8"} if lacking == "learned" else {"a.png": None})
    said = "it, judged by its name because a digest of its file is missing"
    assert refused(learned, scored) == {"a.png": said}
    assert refused(learned, replace(scored, name="there")) == {}


@pytest.mark.parametrize("side", ["learned", "scored"])
def test_files_without_a_digest_are_warned_of(side: str) -> None:
    def stripped(ds: Dataset) -> Dataset:
        return replace(ds, images=tuple(replace(image, digest=None) for image in ds.images))

    learned, scored = LEARNED, rows("there", {"c.png": "1"})
    if side == "learned":
        learned, said = (
            stripped(learned),
            "run: of the images that the model has learned from, 2 of 2 have no",
        )
    else:
        scored, said = stripped(scored), "there: of the images to be scored, 1 of 1 have no digest"
    with pytest.warns(DataWarning, match=said):
        assert refused(learned, scored) == {}


def test_data_saved_again_are_known_by_their_boxes() -> None:
    def with_cell(ds: Dataset, box: Box) -> Dataset:
        return replace(ds, cells=(Cell(ImageId("a.png"), 0, "Other", box),))

    learned = with_cell(LEARNED, Box(1, 2, 30.5, 40))
    scored = rows("there", {"a.png": "8", "b.png": "9", "c.png": "10"})
    said = "it, saved again: names and boxes of these data are the same"
    assert refused(learned, with_cell(scored, Box(1, 2, 30.5, 40))) == {"a.png": said, "b.png": said}
    assert refused(learned, with_cell(replace(scored, name="here"), Box(1, 2, 30, 40))) == {}


def test_patients_of_a_data_set_that_shares_files_are_compared_by_their_ids() -> None:
    learned = rows("here", {"a.png": "1", "b.png": "2"}, patients={"a.png": "P1", "b.png": "P2"})
    people = {"x.png": "P1", "y.png": "P2", "z.png": "P3"}
    shares = rows("export", {"x.png": "1", "y.png": "8", "z.png": "9"}, patients=people)
    assert refused(learned, shares) == {
        "x.png": 'patient "P1", and from this image as "a.png"',
        "y.png": 'patient "P2"',
    }
    assert refused(concat([learned, rows("other", {"o.png": "7"})]), shares) == {
        "x.png": 'patient "P1", and from this image as "here/a.png"',
        "y.png": 'patient "P2"',
    }
    shares_nothing = rows("export", {"x.png": "7", "y.png": "8"}, patients={"x.png": "P1", "y.png": "P2"})
    assert refused(learned, shares_nothing) == {}


def test_a_shared_file_tells_that_two_ids_are_one_patient_and_nothing_of_others() -> None:
    learned = rows("here", {"a.png": "1", "b.png": "2"}, patients={"a.png": "P1", "b.png": "P2"})
    people = {"x.png": "007", "y.png": "007", "z.png": "P2"}
    scored = rows("export", {"x.png": "1", "y.png": "8", "z.png": "9"}, patients=people)
    assert refused(learned, scored) == {
        "x.png": 'patient "007", as "P1", and from this image as "a.png"',
        "y.png": 'patient "007", as "P1"',
    }


def test_an_empty_field_says_nothing_of_patients() -> None:
    learned = rows("here", {"a.png": "0", "b.png": "0"}, patients={"a.png": "P1", "b.png": "P2"})
    people = {"x.png": "P1", "y.png": "P1"}
    scored = rows("there", {"x.png": "0", "y.png": "8"}, patients=people)
    assert refused(learned, scored) == {"x.png": 'it, as "a.png"'}


def test_patients_of_a_data_set_of_the_same_name_are_compared_and_the_message_says_what_to_do() -> None:
    learned = rows("here", {"a.png": "1"}, patients={"a.png": "P1"})
    scored = rows("here", {"a.png": "8"}, patients={"a.png": "P1"})
    (leak,) = seen(learned, replace(scored, split=None), "run")
    assert leak.problem.what == 'the model has learned from patient "P1"'
    assert leak.problem.fix.endswith(
        "if it is another one of that name, give the data set a name of its own: load_dataset(..., name=...)"
    )
    assert refused(learned, replace(scored, name="there")) == {}


def test_a_copy_that_the_split_has_held_out_is_scored_with_a_warning() -> None:
    learned = rows(
        "here", {"a.png": "1", "b.png": "1", "c.png": "2"}, parts={"b.png": "test", "c.png": "test"}
    )
    with pytest.warns(DataWarning, match="run: 1 image to be scored has the file of an image that the model"):
        assert refused(learned, learned.part("test")) == {}
    with pytest.warns(DataWarning, match="2 images to be scored"):
        assert refused(learned, learned) == {"a.png": "it"}


def crops(folder: Path, seed: int, names: tuple[str, ...] = ("0001", "0002", "0003")) -> Path:
    """A hospital's crops, numbered as everywhere."""
    for number, name in enumerate(names):
        pixels = np.random.default_rng((seed, number)).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        (folder / "Monocyte").mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(folder / "Monocyte" / f"{name}.png")
    return folder


def read(folder: Path) -> Dataset:
    return pcm.load_dataset(f"image_folder:{folder}")


def test_two_hospitals_crop_folders_of_the_same_file_names_are_two_data_sets(tmp_path: Path) -> None:
    run = pytest.importorskip("pcm_leukemia.baselines.run")
    here, there = read(crops(tmp_path / "here", 0)), read(crops(tmp_path / "there", 1))
    assert (here.name, [i.id for i in here.images]) == (there.name, [i.id for i in there.images])
    split = Split("official", {i.id: ("train", "val", "test")[n] for n, i in enumerate(here.images)})
    store.write(here.with_split(split), tmp_path / "run" / "data")
    its = run.Run(tmp_path / "run", {})
    its.require_unseen(there)
    its.require_unseen(here.with_split(split).part("test"))
    crops(tmp_path / "there", 0, ("0001", "copy"))  # the first is now a file of the other hospital
    with pytest.raises(pcm.errors.LeakySplit) as caught:
        its.require_unseen(read(tmp_path / "there"))
    assert [str(problem).partition(";")[0] for problem in caught.value.problems] == [
        f'{tmp_path / "run"} image "Monocyte/0001.png": the model has learned from it',
        (
            f'{tmp_path / "run"} image "Monocyte/copy.png": the model has learned from it, as '
            '"Monocyte/0002.png"'
        ),
    ]


def test_a_run_of_an_older_version_goes_by_names_and_says_so(tmp_path: Path) -> None:
    run = pytest.importorskip("pcm_leukemia.baselines.run")
    here, there = read(crops(tmp_path / "here", 0)), read(crops(tmp_path / "there", 1))
    before = replace(here, images=tuple(replace(image, digest=None) for image in here.images))
    split = Split("official", {image.id: "train" for image in here.images})
    store.write(before.with_split(split), tmp_path / "run" / "data")
    its = run.Run(tmp_path / "run", {})
    with (
        pytest.warns(DataWarning, match="3 of 3 have no digest of their file and are compared by name"),
        pytest.raises(pcm.errors.LeakySplit, match="it, judged by its name because a digest of its file"),
    ):
        its.require_unseen(there)
    with pytest.warns(DataWarning, match="import the data again before you train"):
        its.require_unseen(replace(there, name="there"))


def bitmaps(folder: Path, shades: Mapping[str, int]) -> Dataset:
    """Uncompressed images that differ only between the blocks that a digest reads."""
    (folder / "Monocyte").mkdir(parents=True)
    for name, shade in shades.items():
        pixels = np.zeros((400, 400), np.uint8)
        pixels[30:40] = shade
        PIL.Image.fromarray(pixels).save(folder / "Monocyte" / name)
    return read(folder)


def test_equal_digests_of_different_files_are_told_apart_by_the_whole_files(tmp_path: Path) -> None:
    here = bitmaps(tmp_path / "here", {"a.bmp": 10, "b.bmp": 20})
    there = bitmaps(tmp_path / "there", {"c.bmp": 20, "d.bmp": 30})
    assert len({image.digest for ds in (here, there) for image in ds.images}) == 1
    learned = here.with_split(Split("official", dict.fromkeys((image.id for image in here.images), "train")))
    assert refused(learned, there) == {"Monocyte/c.bmp": 'it, as "Monocyte/b.bmp"'}
    elsewhere = replace(learned, root=tmp_path / "gone")  # the files cannot be read: the digests decide
    assert refused(elsewhere, there).keys() == {"Monocyte/c.bmp", "Monocyte/d.bmp"}


def test_nothing_is_warned_of_where_every_file_has_a_digest() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused(LEARNED, rows("there", {"c.png": "8"})) == {}
