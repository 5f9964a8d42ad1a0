"""`pcm-leukemia report DATA OUT.html`: the page is written, or nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Run

from pcm_leukemia import checks, load_dataset


def test_it_writes_the_page_of_the_data(run: Run, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = run("report", export, out)
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    found = checks.check(load_dataset(export, check_images=False))
    assert (done.status, done.out.strip().splitlines()) == (
        0,
        [
            f"export: {len(found.problems)} problems, {len(found.warnings)} warnings",
            f"{out}: {size}; open it in a browser",
        ],
    )
    assert "<title>export</title>" in out.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("page.txt", 2, "page.txt: the page is written as .html; give the file such an ending"),
        ("export.zip/page.html", 2, "export.zip is a file; name a place elsewhere"),
        ("folder.html", 2, "folder.html: is a folder; name a file"),
    ],
)
def test_a_wrong_target_is_refused_before_the_work(
    run: Run,
    export: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    said: str,
) -> None:
    (tmp_path / "folder.html").mkdir()
    worked: list[object] = []
    monkeypatch.setattr(checks, "check", worked.append)
    refused = run("report", export, tmp_path / name)
    assert (refused.status, worked) == (status, [])
    assert said in " ".join(refused.err.split())
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".html") == ["folder.html"]


def test_options_of_runs_are_refused_for_data(run: Run, export: Path, tmp_path: Path) -> None:
    refused = run("report", export, tmp_path / "page.html", "--part", "test")
    assert refused.status == 2
    assert "--part is for a run" in refused.err
    assert not (tmp_path / "page.html").exists()
