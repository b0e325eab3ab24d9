"""Processes killed at random moments: no job is lost, none is published or told of twice."""

from pathlib import Path

import pytest

from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.service.kills import run


@pytest.mark.slow
def test_jobs_survive_kills(tmp_path: Path, models_root: Path, sample: Sample) -> None:
    report = run(tmp_path, models_root, sample, kills=6, jobs=4, seed=2)
    assert report.problems == []
    assert report.kills.total() >= 4, "a process may be gone just when it is chosen"
