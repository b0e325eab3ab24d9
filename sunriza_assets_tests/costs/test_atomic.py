"""Files of the ledger are whole or absent."""

from pathlib import Path

import pytest

from sunriza_assets.costs.atomic import replace_file
from sunriza_assets.errors import StoreError


def test_a_writer_that_fails_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "index.json"
    with replace_file(path) as part:
        part.write_text("first")
    with pytest.raises(KeyError), replace_file(path) as part:
        part.write_text("half")
        raise KeyError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_said_in_so_many_words(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    with pytest.raises(StoreError, match="disk is full"), replace_file(tmp_path / "index.json"):
        full.write_text("x" * 100_000)
    assert list(tmp_path.iterdir()) == []
