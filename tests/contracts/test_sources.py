"""The contract of every data set: one suite over all readers, each on its real folder layout."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib.util
import inspect
import re
import shutil
import threading
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from damaged.mutations import LFS_POINTER
from source_layouts import Facts

import pcm_leukemia as pcm
from pcm_leukemia import checks, images, sources, store
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, PcmError
from pcm_leukemia.files import IMAGE_SUFFIXES


def made(name: str, root: Path) -> Facts:
    facts: Facts = import_module(f"source_layouts.{name}").make(root)
    return facts


def read(name: str, facts: Facts) -> pcm.Dataset:
    """Read it with its own module; a warning is allowed only if the facts expect one."""
    reader: Any = sources.module(name).read
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ds: pcm.Dataset = reader(facts.root, **facts.options)
    said = [str(each.message) for each in caught]
    assert {each.filename for each in caught} <= {__file__}, (
        "warnings must point to the line that called the reader"
    )
    if facts.warns is None:
        assert said == []
    else:
        assert any(re.search(facts.warns, line) for line in said), said
    return ds


@pytest.fixture(params=sources.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_its_description_is_complete(name: str) -> None:
    source = sources.get(name)
    assert source.name == name
    for text in (source.title, source.what, source.cell_types, source.annotations, source.patients):
        assert text.strip()
    assert source.licence
    assert source.citation
    assert (
        "doi" in source.citation
        or "arXiv" in source.citation
        or "http" in source.citation
        or name == "image_folder"
    )
    assert source.home.startswith("https://") or name == "image_folder"
    assert len(source.how_to_get) > 20
    assert "ROOT" in source.how_to_get
    assert isinstance(source.redistributable, bool)
    assert source.variants
    assert all(count > 0 for count in source.counts.values())
    assert all(file.url.startswith(("https://", "http://")) for file in source.downloads)


def test_the_reader_documents_itself_and_its_module(name: str) -> None:
    module = sources.module(name)
    assert {"SOURCE", "read"} <= set(module.__all__)
    assert "Raises" in (module.read.__doc__ or "")
    parameters = inspect.signature(module.read).parameters
    assert next(iter(parameters)) == "root"
    assert "variant" in parameters


def test_the_map_has_a_row_for_every_code_in_every_variant(name: str) -> None:
    source = sources.get(name)
    for variant in source.variants:
        labels = sources.read_map(source, variant)
        labels.require(source.counts)
        assert labels.version >= 1
        assert {rule.label for rule in labels.rules.values()} <= {*source.taxonomy.written_labels}
    codes = [set(sources.read_map(source, variant).rules) for variant in source.variants]
    assert all(each == codes[0] for each in codes), "a variant lacks a code that another has"


def test_the_map_rejects_unknown_codes(name: str) -> None:
    labels = sources.read_map(sources.get(name))
    with pytest.raises(PcmError, match=f'{name}.csv: has no row for "no such code" .found 2 times, variant'):
        labels.require(["no such code", "no such code"])


def test_counts_patients_and_labels(name: str, tmp_path: Path) -> None:
    facts = made(name, tmp_path)
    ds = read(name, facts)
    assert not list(checks.find_personal_data(ds))
    assert ds.name == name
    assert len(ds.images) == facts.images
    assert Counter(cell.raw_label for cell in ds.cells) == facts.raw
    assert Counter(cell.label for cell in ds.cells) == facts.labels
    assert {patient.id: patient.diagnosis for patient in ds.patients} == facts.patients
    parts = None if ds.split is None else Counter(ds.split.part_of.values())
    assert parts == facts.parts
    states = Counter(image.annotation_state for image in ds.images)
    assert states == (facts.states or {"complete": facts.images})


def test_every_image_is_there_and_has_its_size(name: str, tmp_path: Path) -> None:
    ds = read(name, made(name, tmp_path))
    assert isinstance(ds.root, Path)
    assert ds.root.is_absolute()
    assert images.compare_files(ds.images, ds.root)[1] == []
    assert all(image.file for image in ds.images)


def test_the_order_does_not_depend_on_the_disk(name: str, tmp_path: Path) -> None:
    """A copy whose files were made in the opposite order reads the same."""
    facts = made(name, tmp_path / "a")
    copy = tmp_path / "b"
    shutil.copytree(facts.root, tmp_path / "moved")
    for file in sorted((tmp_path / "moved").rglob("*"), reverse=True):
        if file.is_file():
            target = copy / file.relative_to(tmp_path / "moved")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    again = replace(facts, root=copy)
    first, second = read(name, facts), read(name, again)
    assert first == second
    assert first.fingerprint == second.fingerprint


def test_the_canonical_folder_gives_it_back(name: str, tmp_path: Path) -> None:
    ds = read(name, made(name, tmp_path / "source"))
    again = store.read(store.write(ds, tmp_path / "canonical").out)
    assert again == ds
    assert again.fingerprint == ds.fingerprint
    assert [image.file for image in again.images] == [image.file for image in ds.images]
    assert again.root == ds.root


def test_a_wrong_root(name: str, tmp_path: Path) -> None:
    reader: Any = sources.module(name).read
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("nothing", encoding="utf-8")
    options = made(name, tmp_path / "right").options
    title = re.escape(sources.get(name).title)
    for root in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(DataNotFound, match=rf"{root.name}: .*; to get {title}: "):
            reader(root, **options)


def test_a_missing_file(name: str, tmp_path: Path) -> None:
    facts = made(name, tmp_path)
    reader: Any = sources.module(name).read
    if facts.spoil is None:  # no list of files comes with this data set, so a missing file goes unnoticed
        ds = read(name, facts)
        assert isinstance(ds.root, Path)
        (ds.root / str(ds.images[0].file)).unlink()
        assert len(read(name, facts).images) == facts.images - 1
        return
    facts.spoil()
    with pytest.raises(PcmError, match=facts.said):
        reader(facts.root, **facts.options)


def test_an_unknown_variant(name: str, tmp_path: Path) -> None:
    facts = made(name, tmp_path)
    reader: Any = sources.module(name).read
    with pytest.raises(ValueError, match=f'{name} variant "no such": unknown variant; use one of '):
        reader(facts.root, **{**facts.options, "variant": "no such"})


def test_by_its_name(name: str, tmp_path: Path) -> None:
    facts = made(name, tmp_path)
    options: Any = facts.options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pcm.load_dataset(f"{name}:{facts.root}", **options)
    assert ds == read(name, facts)


def test_every_data_set_has_a_layout_and_a_map() -> None:
    here = Path(__file__).parents[1] / "source_layouts"
    assert sorted(file.stem for file in here.glob("*.py") if file.stem != "__init__") == sources.names()
    maps = Path(sources.__path__[0]) / "maps"
    assert sorted(file.stem for file in maps.glob("*.csv")) == sources.names()


def test_readers_do_not_import_each_other(name: str) -> None:
    text = Path(str(sources.module(name).__file__)).read_text(encoding="utf-8")
    others = set(re.findall(r"pcm_leukemia\.sources(?:\.| import )([a-z]\w*)", text))
    assert not others & set(sources.names())


def test_an_unknown_data_set() -> None:
    with pytest.raises(ValueError, match='source "nothing": unknown data set; use one of .*lmu'):
        sources.get("nothing")
    with pytest.raises(AttributeError):
        _ = sources.nothing


def test_fetch_needs_a_stable_address(tmp_path: Path) -> None:
    source = replace(sources.get("lmu"), downloads=())
    said = re.escape(f"lmu: has no stable download address; {source.how_to_get}")
    with pytest.raises(DataNotFound, match=said):
        sources.fetch(source, tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address under which the files in `tmp_path` can be fetched."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_fetch_checks_hashes_and_unpacks(tmp_path: Path, server: str) -> None:
    pytest.importorskip("pooch")
    with zipfile.ZipFile(tmp_path / "there.zip", "w") as archive:
        archive.writestr("annotations.dat", "x")
    url = f"{server}/there.zip"
    good = hashlib.sha256((tmp_path / "there.zip").read_bytes()).hexdigest()
    lmu = sources.get("lmu")
    wrong = replace(lmu, downloads=(sources.Download(url, "a.zip", f"sha256:{'0' * 64}"),))
    with pytest.raises(DataNotFound, match=r"there\.zip: cannot be downloaded \(.*; download it by hand "):
        sources.fetch(wrong, tmp_path / "out")
    right = replace(lmu, downloads=(sources.Download(url, "a.zip", f"sha256:{good}", unpack=True),))
    assert sources.fetch(right, tmp_path / "out") == [tmp_path / "out" / "a.zip"]
    assert (tmp_path / "out" / "annotations.dat").read_text(encoding="utf-8") == "x"


def test_validation_names_what_is_missing_extra_and_corrupt(tmp_path: Path) -> None:
    facts = made("lmu", tmp_path)
    folder = tmp_path / "AML-Cytomorphology_LMU" / "AML-Cytomorphology"
    (tmp_path / "AML-Cytomorphology_LMU" / "annotations.dat").unlink()
    (folder / "BAS" / "BAS_0001.tiff").write_bytes(b"no image")
    (folder / "EBO" / "copy of EBO_0001.tiff").write_bytes((folder / "EBO" / "EBO_0001.tiff").read_bytes())
    (folder / "NGS" / "NGS_0003.tiff").write_bytes((folder / "NGS" / "NGS_0003.tiff").read_bytes()[:300])
    with pytest.warns(DataWarning, match="1 unreadable file is left out"):
        ds = sources.lmu.read(facts.root)
    found = sources.validate("lmu", ds)
    assert not found.ok
    counts = {raw: (published, there) for raw, published, there in found.counts}
    assert counts["NGS"] == (8484, 4)
    assert counts["BAS"] == (79, 0)
    assert found.missing["PMB"][:2] == ("PMB/PMB_0002.tiff", "PMB/PMB_0003.tiff")
    assert len(found.missing["NGS"]) == 8480
    assert found.extra == {"EBO": ("EBO/copy of EBO_0001.tiff",)}
    assert list(found.corrupt) == ["BAS/BAS_0001.tiff"]
    assert "EBO: 2 of 78, -76" in str(found)
    assert "missing in PMB, 17:\n  PMB/PMB_0002.tiff" in str(found)
    decoded = sources.validate("lmu", ds, pixels=True)
    assert list(decoded.corrupt) == ["BAS/BAS_0001.tiff", "NGS/NGS_0003.tiff"]


def test_the_page_of_data_sets_is_up_to_date() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("data_sets", docs / "data_sets.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    there = (docs / "data-sets.md").read_text(encoding="utf-8")
    assert there == script.text(), "run: python docs/data_sets.py"


def pictures(root: Path) -> list[Path]:
    return sorted(file for file in root.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)


@pytest.mark.filterwarnings("ignore::pcm_leukemia.errors.DataWarning")
def test_most_images_cannot_be_read(name: str, tmp_path: Path) -> None:
    facts = made(name, tmp_path)
    reader: Any = sources.module(name).read
    for file in pictures(tmp_path):
        file.write_bytes(LFS_POINTER)
    said = r"of ([\d,]+) images, \1 cannot be read: \S.* is a Git LFS pointer.*; run git lfs pull"
    with pytest.raises(InvalidExport, match=said) as caught:
        reader(facts.root, **facts.options)
    assert len(caught.value.problems) == 1, "the cause is named, not each file and what follows from it"


def test_images_that_are_not_there(name: str, tmp_path: Path) -> None:
    """The folders and tables are there, and no image is."""
    facts = made(name, tmp_path)
    reader: Any = sources.module(name).read
    for file in pictures(tmp_path):
        file.unlink()
    with pytest.raises(PcmError):
        reader(facts.root, **facts.options)
    for file in sorted(tmp_path.rglob("*"), reverse=True):
        if file.is_file():
            file.unlink()
    with pytest.raises(DataNotFound, match="this folder is empty"):
        reader(facts.root, **facts.options)


def test_half_of_the_images_may_be_left_out(tmp_path: Path) -> None:
    facts = made("bmc", tmp_path)
    files = pictures(tmp_path)
    for file in files[: len(files) // 2]:
        file.write_bytes(b"")
    with pytest.warns(DataWarning, match=f"{len(files) // 2} unreadable files are left out"):
        ds = sources.module("bmc").read(facts.root)
    assert len(ds.images) == len(files) - len(files) // 2
    files[-1].write_bytes(b"\0" * 100)
    with pytest.raises(InvalidExport) as caught:
        sources.module("bmc").read(facts.root)
    first, second = map(str, caught.value.problems)
    assert re.search(rf"of {len(files)} images, {len(files) // 2} cannot be read: \S+ is empty", first)
    assert re.search(rf"of {len(files)} images, 1 cannot be read: \S+ contains only zeros", second)


def test_a_table_that_git_lfs_has_not_fetched(tmp_path: Path) -> None:
    facts = made("lmu", tmp_path)
    (tmp_path / "AML-Cytomorphology_LMU" / "annotations.dat").write_bytes(LFS_POINTER)
    with pytest.raises(CorruptFile, match=r"annotations\.dat: is a Git LFS pointer .*; run git lfs pull"):
        sources.lmu.read(facts.root)


def test_a_root_of_zips_says_so(tmp_path: Path) -> None:
    (tmp_path / "fold_0.zip").write_bytes(b"")
    with pytest.raises(DataNotFound, match=r"\(this folder has 1 \.zip; unzip it first\)"):
        sources.cnmc.read(tmp_path)
