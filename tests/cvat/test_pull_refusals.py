"""What `pull` refuses and how it says so, and where access tokens come from and do not go."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from commands import Run
from cvat_project import Cvat, Task
from cvat_server import TOKEN

from pcm_leukemia.cvat_server import pull
from pcm_leukemia.errors import DataWarning, ExportError, ServerError

pytest.importorskip("cvat_sdk", reason="the extra cvat is not installed")


@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("server/about", 404, "is not a CVAT server; copy the address from the browser"),
        ("server/about", "html", "is not a CVAT server, or asks for something before it answers; copy the"),
        ("server/about", "drop", r"cannot be reached \(\w+\); check the address and the network"),
        (
            "projects/7",
            401,
            r"does not accept the access token; make a new one in CVAT \(Profile, Security\)",
        ),
        ("projects/7", 403, "your account may not see it; ask its owner, or use an access token that may"),
        ("projects/7", 404, "there is nothing at this address that your account may see; check the number"),
        ("export$|export.?", 403, "your account may not export it; ask its owner"),
        (
            "projects/7",
            503,
            r"the server fails \(too many 503 error responses\); wait, and run the same command again to resume",
        ),
        ("data/meta", "drop", r"the connection broke off \(\w+\); run the same command again to resume"),
        ("type=frame", "cut", r"the connection broke off \(\w+\); run the same command again to resume"),
        (
            "type=frame",
            "html",
            "the server sends no image; look at it in CVAT, and run the same command again",
        ),
        (
            "data/meta",
            "html",
            r"the answer is not that of CVAT 2\S+ \(\w+\); install the cvat-sdk of the server",
        ),
        (r"export-\d+\.zip", "html", "its export cannot be read"),
    ],
)
def test_every_refusal_is_one_sentence_and_nothing_is_written(
    served: tuple[Cvat, str], tmp_path: Path, run: Run, path: str, fault: int | str, said: str
) -> None:
    cvat, host = served
    cvat.fault(path, fault)
    with pytest.raises(ServerError, match=said) as caught:
        pull(f"{host}/projects/7", tmp_path / "smears")
    assert str(caught.value).startswith(host)
    assert "\n" not in str(caught.value)
    done = run("pull", f"{host}/projects/7", tmp_path / "smears")
    unavailable = fault in (401, 403, 503, "drop", "cut")
    assert (done.status, done.out.strip()) == (3 if unavailable else 1, "")
    assert done.err.startswith(f"error: {host}")
    assert not (tmp_path / "smears").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "https://cvat.example.org/projects",
            "is not the address of a project, a task or a job; copy it from",
        ),
        ("ftp://cvat.example.org/projects/7", "is not the address of a project"),
        ("http://[::1/projects/7", "is not an address"),
        ("https://me:secret@cvat.example.org/projects/7", "the address contains a user name or password"),
    ],
)
def test_other_addresses_are_refused_before_anything_is_sent(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=said) as caught:
        pull(url, tmp_path / "smears")
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("served")
def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ServerError, match=r"^http://127.0.0.1:9: cannot be reached \(\w+\); check the address"
    ):
        pull("http://127.0.0.1:9/projects/7", tmp_path / "smears")


def test_a_server_of_another_version_is_warned_of(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    cvat.version = "2.31.0"
    with pytest.warns(
        DataWarning, match=r"runs CVAT 2.31.0, and cvat-sdk is of version .*'cvat-sdk==2.31.\*'"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears")


def test_a_project_without_images_is_refused(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    cvat.tasks.clear()
    with pytest.raises(ServerError, match="projects/7: has no images; add a task with images in CVAT"):
        pull(f"{host}/projects/7", tmp_path / "smears")
    cvat.tasks[5] = Task(5, "empty", "")
    with pytest.raises(ServerError, match="tasks/5: has no images"):
        pull(f"{host}/tasks/5", tmp_path / "smears")
    assert not (tmp_path / "smears").exists()


def test_an_export_that_does_not_say_the_tasks_is_refused(
    served: tuple[Cvat, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cvat, host = served
    made = cvat.export
    monkeypatch.setattr(cvat, "export", lambda *_, images: made("task", 3, images=images))
    with pytest.raises(
        ServerError, match="its export does not say which task an image is of; pull each task by itself"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../outside.png", 'image "../../outside.png": its name is empty or leads out of the export'),
        ("/etc/a.png", "its name is empty or leads out of the export; rename it in CVAT"),
        (
            "a.png",
            'image "a.png": two tasks of one subset have an image of this name; pull each task by itself',
        ),
    ],
)
def test_names_that_cannot_be_files_are_refused(
    served: tuple[Cvat, str], tmp_path: Path, name: str, said: str
) -> None:
    cvat, host = served
    cvat.tasks[3].frames[1].element.set("name", name)
    with pytest.raises(ServerError, match=said):
        pull(f"{host}/projects/7", tmp_path / "smears")
    assert not (tmp_path / "smears").exists()
    assert not (tmp_path.parent / "outside.png").exists()


def test_a_folder_of_something_else_is_left_alone(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match='holds "notes.txt", which pcm-leukemia did not write'):
        pull(f"{host}/projects/7", tmp_path / "mine")
    pull(f"{host}/projects/7", tmp_path / "smears")
    with pytest.raises(
        ExportError, match=f"was pulled from {host}/projects/7, not from {host}/tasks/3; name another"
    ):
        pull(f"{host}/tasks/3", tmp_path / "smears")
    assert cvat.asked["GET /api/tasks/N"] == 0


# Access tokens


def save(server: str, name: str, token: str = TOKEN, *, default: bool = False) -> None:
    from cvat_sdk.core.auth import AuthStore, ProfileEntry

    AuthStore().put_profile(name, ProfileEntry(server, token, "2026-01-01"), set_default=default)


def test_the_token_comes_from_a_profile_of_this_server(
    served: tuple[Cvat, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, host = served
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    save("https://elsewhere.org", "other", "not-this", default=True)
    with pytest.raises(
        ServerError, match=f"{host}: there is no access token for it; make one in CVAT .* profile create"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears")
    with pytest.raises(
        ServerError, match="profile other is for https://elsewhere.org, and its access token is sent nowh"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears", profile="other")
    with pytest.raises(
        ServerError, match=r"no profile is called mine \(saved: other\); save it: cvat-cli --server-host"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears", profile="mine")
    save(host, "mine")
    assert pull(f"{host}/projects/7", tmp_path / "smears").images == 4
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "old")
    assert not pull(f"{host}/projects/7", tmp_path / "smears", profile="mine").changed
    with pytest.raises(ServerError, match="does not accept the access token"):
        pull(f"{host}/projects/7", tmp_path / "smears")


def test_a_profile_file_that_others_can_read_is_not_used(
    served: tuple[Cvat, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, host = served
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    save(host, "mine")
    (store,) = (tmp_path / "config").rglob("auth.json")
    store.chmod(0o644)
    with pytest.raises(
        ServerError, match=r"its access token cannot be read \(Refusing to use .*Run: chmod 600"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears")


def test_no_token_is_said_or_written(
    served: tuple[Cvat, str], tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    cvat, host = served
    caplog.set_level(logging.DEBUG)
    said = [run("pull", f"{host}/projects/7", tmp_path / "smears")]
    cvat.touch(cvat.tasks[4], frames=True)
    faults: dict[str, int | str] = {
        "type=frame": "cut",
        "data/meta": "html",
        "projects/7": 401,
        "about": "drop",
    }
    for path, fault in faults.items():
        cvat.fault(path, fault)
        said.append(run("pull", f"{host}/projects/7", tmp_path / "smears"))
        cvat.faults.clear()
    said.append(run("pull", f"{host}/projects/7", tmp_path / "smears"))
    assert [each.status for each in said] == [0, 3, 1, 3, 3, 0]
    assert caplog.text
    assert TOKEN not in "".join((caplog.text, *(each.out + each.err for each in said), *cvat.heard))
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file
