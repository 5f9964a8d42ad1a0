"""Lists and split files that do not fit or are damaged: one cause is one problem, and only our errors come out."""

from __future__ import annotations

import unicodedata
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcm_leukemia import splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, InvalidExport, PcmError
from pcm_leukemia.schema import Image, ImageId
from pcm_leukemia.taxonomy import NINE


def paths(*ids: str) -> Dataset:
    return Dataset("demo", NINE, tuple(Image(ImageId(image), 64, 48) for image in ids))


def refused(ds: Dataset, *entries: str) -> list[str]:
    """What is wrong, said without a warning beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidExport) as caught:
            splits.from_lists(ds, {"train": entries})
    return [str(problem) for problem in caught.value.problems]


def test_lists_of_another_data_set_are_one_problem() -> None:
    ds = paths(*(f"P1/{n}.png" for n in range(30)))
    assert refused(ds, *(f"scan {n}.tif" for n in range(30))) == [
        (
            'demo: 30 entries of the lists fit no image, the first is list "train" entry "scan 0.tif", and an image is '
            'called "P1/0.png"; check the paths'
        )
    ]


def test_entries_that_are_left_are_counted_beside_the_images_that_are() -> None:
    assert refused(paths("a.png", "b.png"), "a", "c.png", "d.png") == [
        (
            'demo: 2 entries of the lists fit no image, the first is list "train" entry "c.png", and an image is called '
            '"b.png"; check the paths'
        ),
        'image "b.png": is in no list; add it to one, or leave it out with Dataset.select',
    ]


def test_what_all_images_lack_is_said_once() -> None:
    for make, what in (
        (splits.from_subsets, "has no subset; give every image a subset in CVAT, such as Train or Test"),
        (
            splits.from_folders,
            "is not below the folder of a part; put it below one folder called train, val or test",
        ),
    ):
        with pytest.raises(InvalidExport) as caught:
            make(paths("a.png", "b.png"))
        assert str(caught.value) == f'all 2 images, the first "a.png": {what}'


def test_lists_of_another_system_lead_to_the_images() -> None:
    name = unicodedata.normalize("NFD", "Bläst/Ü 1.png")
    split = splits.from_lists(
        paths(name, "x/b.png"), {"train": [r"C:\data\bläst\ü 1.PNG"], "test": ["x/%62.png"]}
    )
    assert list(split.part_of.values()) == ["train", "test"]


def test_an_image_of_two_patients_in_a_split_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "demo.csv"
    file.write_text("# seed: 0\nimage,patient,part\na.png,P1,train\na.png,P1,train\na.png,P2,train\n")
    with pytest.raises(CorruptFile) as caught:
        splits.read(file)
    assert str(caught.value) == (
        f'{file}:5: image "a.png" is of patient "P1" and of "P2"; keep one of the rows'
    )


PIECES = st.lists(
    st.sampled_from(
        (
            *(
                "image,patient,part\n",
                "a.png",
                "P1",
                "train",
                ",",
                ";",
                "\n",
                "\r",
                '"',
                "# seed: 0\n",
                "# ",
                "\\",
            ),
            *("\0", "é", "/", "..", " ", "%C3", "C:", "*"),
        )
    ),
    max_size=24,
).map("".join)
CONTENTS = (
    st.binary(max_size=60)
    | PIECES.map(str.encode)
    | PIECES.map(lambda text: f"image,patient,part\n{text}".encode())
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONTENTS)
def test_whatever_a_split_file_or_a_list_holds_only_our_errors_come_out(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "demo.csv"
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(PcmError):
            splits.write(splits.read(file), tmp_path / "again.csv", paths("a.png"))
            assert splits.read(tmp_path / "again.csv", "demo") == splits.read(file)
        with suppress(PcmError):
            splits.from_lists(paths("a.png", "P1/é.png"), {"train": file, "test": ["é"]})
