"""Processes killed at random moments: no job is lost, none is published or told of twice."""

from pathlib import Path

import pytest

from sunriza_assets_tests.service.kills import run


@pytest.mark.slow
def test_jobs_survive_kills(tmp_path: Path, models_root: Path) -> None:
    report = run(tmp_path, models_root, kills=12, jobs=6, seed=2)
    assert report.problems == []
    assert report.kills.total() >= 10
