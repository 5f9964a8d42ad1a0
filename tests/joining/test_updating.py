"""`update`: corrected images come back into their data set, and everything else stays."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from exports import png, write
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from strategies import datasets

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, Taxonomy, update
from pcm_leukemia.errors import DataWarning, InvalidDataset, UnknownLabel
from pcm_leukemia.images import files_of
from pcm_leukemia.schema import IGNORE, ImageId, PatientId, Tag

BOX = Box(8, 8, 20, 20)


def cell(image: str, label: str = "Other", number: int = 0) -> Cell:
    return Cell(ImageId(image), number, label, BOX)


def smear(image: str, **more: object) -> Image:
    return replace(Image(ImageId(image), 64, 64), **more)  # type: ignore[arg-type]


@pytest.fixture
def ds() -> Dataset:
    """Three images of two patients, with everything that an export does not hold."""
    tags = (Tag("reviewed"),)
    images = (
        smear(
            "P1/a.png",
            patient=PatientId("P1"),
            group="slide 1",
            annotation_state="partial",
            tags=tags,
            file="a",
            digest="1",
        ),
        smear("P1/b.png", patient=PatientId("P1"), group="slide 1", file="b", digest="2"),
        smear("P2/c.png", patient=PatientId("P2"), diagnosis="AML", annotation_state="none"),
    )
    people = (Patient(PatientId("P1"), "ALL"), Patient(PatientId("P2")), Patient(PatientId("P3"), "AML"))
    parts = dict(zip((image.id for image in images), ("train", "train", "test"), strict=True))
    split = Split(
        "official",
        parts,
        {"method": "by hand"},
        {image.id: image.patient for image in images if image.patient},
    )
    return Dataset(
        "demo", NINE, images, (cell("P1/a.png"), cell("P1/b.png")), people, split=split, root=Path("/images")
    )


def export(
    *images: Image,
    cells: tuple[Cell, ...] = (),
    people: tuple[Patient, ...] = (),
    taxonomy: Taxonomy = NINE,
    root: Path | None = None,
) -> Dataset:
    return Dataset("review", taxonomy, images, cells, people, root=root)


@pytest.mark.filterwarnings("ignore:.* cells that are replaced:pcm_leukemia.errors.DataWarning")
@settings(max_examples=200, deadline=None)
@given(ds=datasets(told=True, points=True), data=st.data())
def test_what_was_not_corrected_stays(ds: Dataset, data: st.DataObject) -> None:
    chosen = set(
        data.draw(st.lists(st.sampled_from([image.id for image in ds.images]), min_size=1, unique=True))
    )
    part = ds.select(images=chosen)
    assert update(ds, part) == ds
    labels = st.sampled_from((*ds.taxonomy.labels, IGNORE))
    kept = [each for each in part.cells if data.draw(st.booleans())]
    cells = tuple(structs.replace(each, label=data.draw(labels)) for each in kept)
    bare = tuple(Image(image.id, image.width, image.height) for image in part.images)
    corrected = Dataset("review", ds.taxonomy, bare, cells)
    found = update(ds, corrected)
    assert update(found, corrected) == found
    assert (found.patients, found.split, found.taxonomy, found.name) == (
        ds.patients,
        ds.split,
        ds.taxonomy,
        ds.name,
    )
    assert found.select(images=chosen).cells == corrected.cells
    rest = [image.id for image in ds.images if image.id not in chosen]
    assert found.select(images=rest) == ds.select(images=rest)
    for before, after in zip(ds.images, found.images, strict=True):
        state = (
            "unknown"
            if before.annotation_state == "none" and found.cells_of(after) and before.id in chosen
            else before.annotation_state
        )
        assert after == replace(before, annotation_state=state)


def test_what_an_export_does_not_hold_is_kept(ds: Dataset) -> None:
    found = update(
        ds,
        export(smear("P1/a.png"), smear("P2/c.png"), cells=(cell("P1/a.png", "Monocyte"), cell("P2/c.png"))),
    )
    assert found.images == (*ds.images[:2], replace(ds.images[2], annotation_state="unknown"))
    assert [image.file for image in found.images] == ["a", "b", None]
    assert [image.digest for image in found.images] == ["1", "2", None]
    assert (found.root, found.split, found.patients) == (ds.root, ds.split, ds.patients)
    assert [(each.image, each.label) for each in found.cells] == [
        ("P1/a.png", "Monocyte"),
        ("P1/b.png", "Other"),
        ("P2/c.png", "Other"),
    ]


def test_what_an_export_says_beyond_that_is_taken(ds: Dataset) -> None:
    image = smear(
        "P2/c.png", patient=PatientId("P2"), group="slide 7", tags=(Tag("good"),), annotation_state="partial"
    )
    found = update(ds, export(image, people=(Patient(PatientId("P2"), "AML"),)))
    assert found.images[2] == replace(
        ds.images[2], group="slide 7", tags=(Tag("good"),), annotation_state="partial"
    )
    assert found.patients[1] == Patient(PatientId("P2"), "AML")


@pytest.mark.parametrize(
    ("image", "people", "said"),
    [
        (
            Image(ImageId("P1/a.png"), 64, 48),
            (),
            'image "P1/a.png": its size in pixels is 64 x 48, and 64 x 64 in demo',
        ),
        (
            smear("P1/a.png", patient=PatientId("P9")),
            ("P9",),
            "its patient is P9, and P1 in demo; correct one of them",
        ),
        (smear("P1/a.png", group="slide 2"), (), "its group is slide 2, and slide 1 in demo"),
        (smear("P2/c.png", diagnosis="ALL"), (), "its diagnosis is ALL, and AML in demo"),
        (smear("P1/a.png"), ("P1",), 'patient "P1": its diagnosis is APL, and ALL in demo'),
        (
            smear("P1/a.png", digest="9"),
            (),
            "its file is not the file of this image in demo; give the annotations",
        ),
    ],
)
def test_a_contradiction_is_refused(ds: Dataset, image: Image, people: tuple[str, ...], said: str) -> None:
    patients = tuple(Patient(PatientId(patient), "APL") for patient in people)
    with pytest.raises(InvalidDataset) as caught:
        update(ds, export(image, people=patients))
    assert said in str(caught.value)


def test_every_contradiction_is_listed(ds: Dataset) -> None:
    with pytest.raises(InvalidDataset) as caught:
        update(
            ds,
            export(
                Image(ImageId("P1/a.png"), 10, 10),
                smear("P1/b.png", group="x"),
                smear("P2/c.png", diagnosis="x"),
            ),
        )
    assert len(caught.value.problems) == 3


def test_images_are_known_by_id_or_name_or_file(ds: Dataset) -> None:
    named = replace(ds, images=tuple(replace(image, name=image.id[3:]) for image in ds.images), split=None)
    for image in (
        smear("Train/b.png", name="b.png"),  # CVAT's subset begins the id
        smear("renamed.png", digest="2"),
    ):
        found = update(named, export(smear("P1/a.png"), image, cells=(cell(image.id, "Monocyte"),)))
        assert [each.id for each in found.images] == [each.id for each in ds.images]
        assert [(each.image, each.label) for each in found.cells] == [("P1/b.png", "Monocyte")]


def test_a_name_that_two_images_have_tells_neither() -> None:
    images = smear("train/a.png", name="a.png"), smear("val/a.png", name="a.png"), smear("b.png")
    ds = Dataset("demo", NINE, images)
    with pytest.raises(
        InvalidDataset, match=r'image "a\.png": may be image "(train|val)/a\.png" of demo, by the end'
    ):
        update(ds, export(smear("b.png"), smear("a.png")))
    # the other one of that name is in the export, too: it is no longer open which is meant, and still not said
    with pytest.raises(InvalidDataset, match='may be image "val/a.png"'):
        update(ds, export(smear("train/a.png"), smear("a.png")))


def test_an_image_of_the_same_name_and_another_file_is_not_overwritten(ds: Dataset) -> None:
    other = smear("north/b.png", name="P1/b.png", digest="9")
    with pytest.raises(InvalidDataset, match='image "north/b.png": may be image "P1/b.png" of demo'):
        update(ds, export(smear("P1/a.png"), other))


def test_an_export_of_other_images_is_refused(ds: Dataset) -> None:
    with pytest.raises(
        InvalidDataset, match='review: none of its 1 image is in demo, not even the first, "x.png"; check'
    ):
        update(ds, export(smear("x.png")))
    with pytest.raises(InvalidDataset, match="review: none of its 0 images is in demo; check"):
        update(ds, export())


def test_new_images_are_added_in_no_part(ds: Dataset) -> None:
    new = smear("P3/d.png", patient=PatientId("P3"))
    corrected = export(smear("P1/a.png"), new, cells=(cell("P3/d.png"),), people=(Patient(PatientId("P3")),))
    with pytest.warns(
        DataWarning, match="demo: 1 image was added that is in no part, so the split is left out"
    ):
        found = update(ds, corrected)
    assert found.images == (*ds.images, new)
    assert found.split is None
    assert update(replace(ds, split=None), corrected) == found


def test_labels_are_matched_and_new_ones_are_asked_for(ds: Dataset) -> None:
    spelled = export(
        smear("P1/a.png"),
        cells=(cell("P1/a.png", "monocytes"),),
        taxonomy=Taxonomy("declared", ("monocytes",)),
    )
    assert update(ds, spelled).cells[0].label == "Monocyte"
    new = export(
        smear("P1/a.png"), cells=(cell("P1/a.png", "Blast"),), taxonomy=Taxonomy("declared", ("Blast", "RBC"))
    )
    with pytest.raises(
        UnknownLabel,
        match='review: label "Blast" is not a class of pcm-leukemia.*taxonomy="declared" for new',
    ):
        update(ds, new)
    assert update(ds, new, taxonomy="declared").taxonomy.labels == (*NINE.labels, "Blast")
    assert update(ds, spelled, taxonomy="declared").taxonomy == NINE
    given = Taxonomy("mine", ("Other", "Blast"))
    assert update(ds, new, taxonomy=given).taxonomy == given
    with pytest.raises(UnknownLabel, match='demo: label "Other" is not a class of mine'):
        update(ds, new, taxonomy=Taxonomy("mine", ("Blast",)))


def test_details_that_a_format_cannot_hold_are_not_lost_in_silence(ds: Dataset) -> None:
    detailed = replace(
        ds,
        cells=tuple(structs.replace(each, attributes=(("nucleus", "lobed"),), track=3) for each in ds.cells),
    )
    plain = export(smear("P1/a.png"), cells=(cell("P1/a.png", "Monocyte"),))
    said = "demo: of the 1 cell that is replaced, 1 have attributes and 1 have tracks, and none of the corrected cells has any; update"
    with pytest.warns(DataWarning, match=said):
        update(detailed, plain)
    assert update(detailed, export(smear("P1/a.png"))).cells == detailed.cells[1:]  # deleted, not lost


def test_files_in_two_places_are_all_found(tmp_path: Path) -> None:
    write(tmp_path / "here" / "a.png", png(64, 64))
    with zipfile.ZipFile(tmp_path / "there.zip", "w") as archive:
        archive.writestr("images/b.png", png(64, 64))
        archive.writestr("images/a.png", png(64, 64))
    ds = Dataset("demo", NINE, (smear("a.png", file="a.png"), smear("c.png")), root=tmp_path / "here")
    corrected = export(
        *(smear(f"{name}.png", file=f"images/{name}.png") for name in "ab"), root=tmp_path / "there.zip"
    )
    found = update(ds, corrected)
    assert [image.file for image in found.images] == ["here/a.png", "there.zip/images/b.png", None]
    files = files_of(found)
    assert all(files.read(str(image.file)) == png(64, 64) for image in found.images[:2])
    # annotations that get their images
    bare = replace(ds, images=(smear("a.png"), smear("c.png")), root=None)
    assert [image.file for image in update(bare, corrected).images] == ["images/a.png", "images/b.png", None]
    assert update(bare, corrected).root == tmp_path / "there.zip"


@pytest.mark.parametrize(("before", "after"), [("P-7K3M9QX4TZ", "4711007"), ("4711007", "P-7K3M9QX4TZ")])
def test_pseudonyms_are_not_mixed_with_ids(before: str, after: str) -> None:
    def of(patient: str, *names: str) -> Dataset:
        pictures = tuple(smear(name, patient=patient) for name in names)
        return Dataset("demo", NINE, pictures, patients=(Patient(PatientId(patient)),))

    known = smear("a.png")
    added = of(after, "b.png")
    brought = replace(added, images=(known, *added.images))
    with pytest.raises(
        InvalidDataset, match='image "b.png": patients have (pseudonyms|other ids) in demo and'
    ):
        update(of(before, "a.png"), brought)
    assert len(update(of(after, "a.png"), brought).images) == 2


def test_pseudonyms_of_another_key_are_not_added() -> None:
    patient = Patient(PatientId("P-7K3M9QX4TZ"))
    ds = Dataset("demo", NINE, (smear("a.png", patient=patient.id),), patients=(patient,))
    other = Patient(PatientId("P-8QK3GN1C7E"))
    more = (smear("a.png"), smear("b.png", patient=other.id))
    brought = Dataset("more", NINE, more, patients=(other,), pseudonym_keys=("00aa",))
    with pytest.raises(InvalidDataset, match="more: its pseudonyms are of another key than those of demo"):
        update(replace(ds, pseudonym_keys=("11bb",)), brought)
    assert update(ds, brought).pseudonym_keys == ("00aa",)  # an older folder, whose key is unknown
    assert len(update(replace(ds, pseudonym_keys=("00aa",)), brought).images) == 2
