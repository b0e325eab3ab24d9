"""Processes killed at random moments: no job is lost, none is published or told of twice."""

import os
from pathlib import Path

import pytest

from sunriza_assets_tests.service.kills import Embedded, prepare, run


@pytest.mark.slow
def test_jobs_survive_kills(
    tmp_path: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in os.environ if one.startswith(("SUNRIZA_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))
    names = prepare(tmp_path / "home", models_root, 2)
    opened = Embedded(tmp_path / "serve.log")
    report = run(opened, names, kills=6, jobs=3, seed=2, pause_s=3.0)
    assert report.problems == []
    assert report.kills.total() >= 5
