"""JSON documents are plain, whole, and never hold what JSON has no word for."""

import json
from pathlib import Path

import pytest

from sunriza_assets.errors import StoreError
from sunriza_assets.studio.files import write_json


def test_json_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"name": "Zoë", "values": [1, 2.5]})
    assert json.loads(path.read_text("utf-8")) == {"name": "Zoë", "values": [1, 2.5]}
    assert path.read_bytes().endswith(b"}\n")


def test_what_is_no_json_leaves_the_old_document(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"name": "Zoë"})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"value": float("nan")})
    assert json.loads(path.read_text("utf-8")) == {"name": "Zoë"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        write_json(tmp_path / "none" / "a.json", {})
    assert caught.value.code == "store.write"
