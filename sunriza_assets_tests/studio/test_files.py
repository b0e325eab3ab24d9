"""Files are whole or absent, and say so when they cannot be written."""

import json
import os
from pathlib import Path

import pytest

from sunriza_assets.errors import StoreError
from sunriza_assets.studio.files import replacing, write_json


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    child = os.fork()
    if child == 0:
        with replacing(path) as file:
            file.write(b"half")
            file.flush()
            os._exit(9)
    os.waitpid(child, 0)
    assert path.read_text() == "old"


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught, replacing(tmp_path / "none" / "a"):
        pass
    assert caught.value.code == "store.write"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    part = tmp_path / f".a.{os.getpid()}.part"
    part.symlink_to("/dev/full")
    with pytest.raises(StoreError, match="disk is full"), replacing(tmp_path / "a") as file:
        file.write(b"x" * 100)
    assert not (tmp_path / "a").exists()


def test_json_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"name": "Zoë", "values": [1, 2.5]})
    assert json.loads(path.read_text("utf-8")) == {"name": "Zoë", "values": [1, 2.5]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"value": float("nan")})
    assert json.loads(path.read_text("utf-8"))["name"] == "Zoë"
