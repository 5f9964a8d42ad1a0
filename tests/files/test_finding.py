"""From a name in annotations to the one file that can be meant by it, and to no other."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from exports import box, document, image, png, write, zipped
from hypothesis import given

from pcm_leukemia import bare_images, cvat
from pcm_leukemia.files import Files, Found, find_images, find_paths, open_container
from pcm_leukemia.images import find_at
from pcm_leukemia.schema import Image, ImageId

MUELLER = "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller_01.png"
DECOMPOSED = unicodedata.normalize("NFD", MUELLER)


def folder(root: Path, *files: str) -> Path:
    for file in files:
        write(root / file, png())
    return root


def found(root: Path, *names: str) -> list[str | None]:
    return [each.path for each in find_paths(names, open_container(root))]


def why(root: Path, name: str) -> str:
    (each,) = find_paths([name], open_container(root))
    assert each.path is None
    return each.why


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("P1\\a.png", "P1/a.png"),
        (".\\P1\\a.png", "P1/a.png"),
        ("P1\\sub/a.png", "P1/sub/a.png"),
        ("./P1/a.png", "P1/a.png"),
        ("P1//a.png", "P1/a.png"),
        (MUELLER, DECOMPOSED),
        (DECOMPOSED, MUELLER),
        (f"P\N{LATIN SMALL LETTER E WITH ACUTE}/{MUELLER}", f"Pe\N{COMBINING ACUTE ACCENT}/{DECOMPOSED}"),
        ("P1/a.jpg", "P1/a.JPG"),
        ("p1/A.png", "P1/a.PNG"),
        ("P1/a%20b.png", "P1/a b.png"),
        ("P1/a b.png", "P1/a%20b.png"),
        ("P1%2Fa.png", "P1/a.png"),
        ("P1/M%C3%BCller_01.png", f"P1/{DECOMPOSED}"),
        ("P1/a.png ", "P1/a.png"),
        ("P1 /a.png", "P1/a.png"),
        ("C:\\data\\P1\\a.png", "P1/a.png"),
        ("/home/me/data/P1/a.png", "P1/a.png"),
        ("file:///home/me/data/P1/a.png", "P1/a.png"),
        ("https://host:8080/data/P1/a.png", "P1/a.png"),
        ("../data/P1/a.png", "P1/a.png"),
        ("/P1/a.png", "P1/a.png"),
        ("P1\\a.png", "deep/er/P1/a.png"),
        ("P1\\a.png", "images\\P1\\a.png"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_name_in_another_spelling(tmp_path: Path, name: str, file: str, form: str) -> None:
    if form == "folder":
        root = folder(tmp_path / "e", file, "P2/b.png")
    else:
        root = zipped(tmp_path / "e.zip", {file: png(), "P2/b.png": png()})
        file = file.replace("\\", "/")
    assert found(root, name) == [file]
    assert Files(root).read(file) == png()


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "C:\\etc\\passwd", "..\\secret.png", "a.png/", "", "/", "%00", "%FF"],
)
def test_no_name_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    folder(tmp_path, "secret.png")
    assert found(folder(tmp_path / "e", "P1/b.png"), name) == [None]


def test_a_base_name_alone_is_no_file_not_even_of_an_absolute_path(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", "P2/a.png", "P1/b.png")
    assert found(root, "P1\\a.png", "/data/P1/a.png") == [None, None]


def test_absolute_paths_are_read_below_the_folder_that_they_share(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", "a.png", "P2/a.png", "P2/b.png")
    names = [f"C:\\Users\\me\\smears\\{name}" for name in ("a.png", "P2\\a.png", "P2\\b.png")]
    assert found(root, *names) == ["a.png", "P2/a.png", "P2/b.png"]


def test_two_files_that_can_be_meant_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", "P1/a.JPG", "P1/a.Jpg")
    assert why(root, "P1/a.jpg") == '"P1/a.JPG" and "P1/a.Jpg" differ only in case, blanks or escapes'
    root = folder(tmp_path / "f", "x/a.png", "y/a.png")
    assert why(root, "a.png") == "x/a.png and y/a.png both end with its name"
    one, other = "\N{ANGSTROM SIGN}.png", "A\N{COMBINING RING ABOVE}.png"
    root = folder(tmp_path / "g", one, other)
    assert why(root, "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}.png") == (
        f'"{other}" and "{one}" differ only in how accents are stored'
    )


def test_the_nearest_spelling_is_taken(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", f"P1/{DECOMPOSED}", f"P1/{DECOMPOSED.upper()}", "P1/A.png", "P1/a.png")
    assert found(root, f"P1\\{MUELLER}", "P1\\a.png") == [f"P1/{DECOMPOSED}", "P1/a.png"]


def test_a_file_of_another_image_is_not_taken(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", "P1/A.png")
    taken = Found(None, "P1/A.png has nearly this name, but belongs to another image")
    assert find_paths(["P1/a.png", "P1/A.png"], open_container(root)) == [taken, Found("P1/A.png")]


def test_the_reason_is_part_of_the_message(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", "P2/b.png")
    images = [Image(ImageId("P1\\a.png"), 200, 100)]
    _, _, (problem,) = find_at(images, root)
    assert str(problem) == (
        f'image "P1\\a.png": has no file in {root}: its name has backslashes, and no file is found with "/" for them, '
        "either; add the file, or name another folder: images_root"
    )


def test_an_export_packed_again_by_powershell(tmp_path: Path) -> None:
    text = document(image("P1/a.png", box("Other"), subset="Train"))
    path = zipped(tmp_path / "e.zip", {"one\\annotations.xml": text, "one\\images\\Train\\P1\\a.png": png()})
    (each,) = cvat.read(path).images
    assert (each.id, each.file) == ("Train/P1/a.png", "one/images/Train/P1/a.png")
    assert Files(path).read(str(each.file)) == png()


def test_names_of_a_mac_in_an_export(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", f"images/{DECOMPOSED}", "images/b.png")
    write(root / "annotations.xml", document(image(MUELLER), image("b.png", number=1)))
    for path in (root, root / "annotations.xml"):
        assert [each.file for each in cvat.read(path).images] == [f"images/{DECOMPOSED}", "images/b.png"]


def test_several_exports_keep_to_their_own_folders(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {}
    for task in ("task_1", "task_2"):
        members[f"{task}/annotations.xml"] = document(image("P1\\a.png"))
        members[f"{task}/images/P1/a.png"] = png()
    ds = cvat.read(zipped(tmp_path / "e.zip", members))
    assert [each.file for each in ds.images] == ["task_1/images/P1/a.png", "task_2/images/P1/a.png"]


@pytest.mark.parametrize("member", ["..\\evil.png", "a\\..\\..\\evil.png", "\\evil.png", "C:\\evil.png"])
def test_backslashes_in_a_zip_do_not_lead_outside(tmp_path: Path, member: str) -> None:
    path = zipped(tmp_path / "e.zip", {"annotations.xml": document(image("a.png")), member: b""})
    assert any("leads out of the zip" in problem.what for problem in cvat.inspect(path).problems)


def test_utf_8_names_in_a_zip_that_does_not_say_so(tmp_path: Path) -> None:
    path = tmp_path / "e.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(DECOMPOSED.encode().decode("cp437"), png())
    content = bytearray(path.read_bytes())
    stored, plain = DECOMPOSED.encode().decode("cp437").encode(), DECOMPOSED.encode()
    plain += b"." * (len(stored) - len(plain))  # lengths stay
    content = bytearray(bytes(content).replace(stored, plain))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(signature) + flags
        content[at + 1] &= ~0x08
    path.write_bytes(content)
    assert found(path, plain.decode()) == [plain.decode()]
    assert Files(path).read(plain.decode()) == png()


def test_bare_images_in_a_zip_of_powershell(tmp_path: Path) -> None:
    ds = bare_images.read(zipped(tmp_path / "e.zip", {"P1\\a.png": png()}))
    assert [each.id for each in ds.images] == ["P1/a.png"]


def test_folders(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", "Train/images/P1/a.png", "val/images/b.png")
    names = ["train\\images", ".\\val\\images\\", "test/images", "train"]
    paths = [each.path for each in find_paths(names, open_container(root), folders=True)]
    assert paths == ["Train/images", "val/images", None, "Train"]


def test_backslashes_in_an_export_without_images(tmp_path: Path) -> None:
    path = write(tmp_path / "annotations.xml", document(image("P1\\a.png")))
    assert cvat.read(path).images[0].file is None


def test_files_that_could_be_meant_are_no_export_without_images(tmp_path: Path) -> None:
    root = folder(tmp_path / "e", "images/A.png", "images/a.PNG")
    write(root / "annotations.xml", document(image("a.png")))
    (problem,) = cvat.inspect(root).problems
    assert problem.what.endswith('"images/A.png" and "images/a.PNG" differ only in case, blanks or escapes')


NAMES = st.lists(
    st.one_of(
        st.sampled_from([*"/\\.%:?aAbB ", "..", "%2e%2e", "%2F", "%5C", "%FF", "C:", "file://", "images", ".png", MUELLER]),
        st.text(max_size=2),
    ),
    max_size=6,
).map("".join)  # fmt: skip


@given(st.lists(NAMES, min_size=1, max_size=8))
def test_whatever_a_name_is_only_files_that_are_there_are_found(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    root = tmp_path_factory.getbasetemp() / "finding" / "there"
    files = {"images/a.png", "b/A.PNG", f"images/{DECOMPOSED}", "b/a/b.png", "a.png"}
    if not root.exists():
        folder(root.parent, "outside.png")
        folder(root, *files)
    for container in (open_container(root), open_container(write(root / "a.xml", b""))):
        for each in find_paths(names, container):
            assert each.path is None or each.path in {*files, "a.xml"}
        assert {each.path for each in find_paths(names, container, folders=True)} <= {
            None,
            "images",
            "b",
            "b/a",
        }


PATHS = st.lists(
    st.sampled_from(["a", "A", "b", "/", "/", ".png", ".PNG", ".", "images", "%61", "\\", " ", "ä", "C:"]),
    min_size=1,
    max_size=5,
).map("".join)


@given(st.lists(st.tuples(PATHS, st.sampled_from(["", "b"])), max_size=4, unique=True), st.data())
def test_an_export_is_without_images_only_if_no_name_leads_to_a_file(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str]], data: st.DataObject
) -> None:
    root = tmp_path_factory.getbasetemp() / "finding" / "one"
    files = ["images/a.png", "b/A.PNG", "a/b.png", "images/b/a", f"c/{DECOMPOSED}", "a.b.png", "images/ä.png"]
    for file in files:
        if not (root / file).exists():
            write(root / file / file, b"")
    below = root / data.draw(st.sampled_from(files))
    images = [
        Image(ImageId(str(number)), 1, 1, name=name, subset=subset)
        for number, (name, subset) in enumerate(names)
    ]
    bases = {ImageId("0"): data.draw(st.sampled_from(["", "b", "images"]))}
    for container in (open_container(below), open_container(write(below / "x.xml", b""))):
        asked, missing = find_images(images, container, bases, required=True)
        found, problems = find_images(images, container, bases, required=False)
        assert [image.file for image in found] == [image.file for image in asked]
        assert problems == (missing if any(image.file for image in asked) else [])
