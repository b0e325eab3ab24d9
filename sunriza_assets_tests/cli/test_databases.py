"""Dagster's databases, damaged in every way: one line that names the file and what to do."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets import cli
from sunriza_assets.errors import StoreError
from sunriza_assets.platform.instance import opened_instance, prepare_instance
from sunriza_assets.platform.storage.databases import MAIN, check_databases


def zero(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def a_picture(path: Path) -> None:
    path.write_bytes(b"\xff\xd8\xff\xe0 JFIF")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_its_header(path: Path) -> None:
    os.truncate(path, 60)


def scrambled_behind_its_header(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


DAMAGES = [zero, garbage, a_picture, cut, cut_in_its_header, scrambled_behind_its_header]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was prepared and used."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUNRIZA_HOME", str(root))
        patch.setenv("DAGSTER_HOME", str(root / "dagster"))
        with opened_instance(Home(root)) as instance:
            instance.add_dynamic_partitions("avatars", ["ada"])
    return root


@pytest.fixture
def home(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of it, to damage."""
    root = tmp_path / "a home"
    shutil.copytree(whole, root)
    monkeypatch.setenv("SUNRIZA_HOME", str(root))
    monkeypatch.setenv("DAGSTER_HOME", str(root / "dagster"))
    return Home(root)


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["sunriza", *command.split()])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_doctor_says_which_file(
    home: Home, name: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    from sunriza_assets.cli.doctor import DIAGNOSTICS

    (look,) = [one for one in DIAGNOSTICS if one.__name__ == "_databases"]
    assert [finding.state for finding in look()] == ["ok"]
    damage(home.dagster / name)
    (finding,) = look()
    assert finding.state == "missing"
    assert str(home.dagster / name) in finding.detail
    assert "history" in finding.remedy


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_command_names_the_file_and_the_remedy_in_one_line(
    home: Home,
    name: str,
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(home.dagster / name)
    deep = name.startswith("schedules") and damage is scrambled_behind_its_header
    assert run("dev" if deep else "backfill --list", monkeypatch) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: A database of Dagster is damaged: ")
    assert str(home.dagster / name) in line
    assert "mv '" in line


@pytest.mark.parametrize(
    "command", ["render ada", "report costs", "backfill --all", "deploy init", "dev"]
)
@pytest.mark.parametrize("name", MAIN)
def test_every_command_that_opens_the_instance_does(
    home: Home,
    name: str,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    LocalAvatars(home).merge("ada", {"avatarImageUrl": "avatars/ada/images/a.jpg"})
    garbage(home.dagster / name)
    assert run(f"{command} --json" if command.startswith("render") else command, monkeypatch) == 2
    told = capsys.readouterr()
    assert told.err.strip().splitlines()[-1].startswith("error: A database of Dagster is damaged: ")
    if "--json" in sys.argv:
        assert json.loads(told.out)["error"]["code"] == "store.database"


def test_the_remedy_works(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    garbage(home.dagster / "history/runs.db")
    with pytest.raises(StoreError) as caught:
        prepare_instance(home)
    assert caught.value.code == "store.database"
    assert caught.value.remedy
    command = caught.value.remedy.partition("elsewhere): ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    with opened_instance(home) as instance:
        assert instance.get_runs_count() == 0
        assert instance.get_dynamic_partitions("avatars") == []
    assert (home.dagster / "history.damaged/runs/index.db").exists()


def test_a_home_that_was_never_ready_may_have_empty_files(home: Home) -> None:
    """A process that was killed while it made them leaves such."""
    (home.dagster / ".prepared").unlink()
    zero(home.dagster / "schedules/schedules.db")
    check_databases(home.dagster)
    with opened_instance(home) as instance:
        assert instance.get_dynamic_partitions("avatars") == ["ada"]
    zero(home.dagster / "schedules/schedules.db")
    with pytest.raises(StoreError):
        check_databases(home.dagster)


def test_the_log_of_one_run_is_found_and_stops_nothing(home: Home) -> None:
    from sunriza_assets.cli.doctor import DIAGNOSTICS

    (look,) = [one for one in DIAGNOSTICS if one.__name__ == "_databases"]
    (home.dagster / "history/runs/1234.db").write_bytes(b"not one")
    check_databases(home.dagster)
    assert sorted(finding.state for finding in look()) == ["ok", "optional"]
