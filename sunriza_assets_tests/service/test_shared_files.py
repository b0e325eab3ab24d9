"""The files in which the service's processes share their metrics."""

import os
import stat
from pathlib import Path

import pytest

from sunriza_assets.errors import StoreError
from sunriza_assets.service.monitor import shared_files
from sunriza_assets.service.monitor.shared_files import shared_metrics


def test_they_lie_in_memory_and_go_with_the_supervisor(tmp_path: Path) -> None:
    """A process that maps a file of a full disk is ended by SIGBUS."""
    with shared_metrics(tmp_path) as folder:
        assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert shared_files._MEMORY in folder.parents or not shared_files._MEMORY.is_dir()
        (folder / "left").touch()
        with shared_metrics(tmp_path) as again:  # the same home after a kill
            assert list(again.iterdir()) == []
    assert not folder.exists()
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_without_such_memory_they_lie_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_files, "_MEMORY", tmp_path / "none")
    with shared_metrics(tmp_path) as folder:
        assert folder == tmp_path / "metrics"


def test_a_link_in_their_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_files, "_MEMORY", tmp_path / "none")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "metrics").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="belong to the user"), shared_metrics(tmp_path):
        pass
