"""What an operator does at a terminal, with the command as it is installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.studio.sample.clip import Sample, sample_portrait
from sunriza_assets_tests.fleet.conftest import ROOT, SMALL
from sunriza_assets_tests.fleet.servers import wait_until


@dataclass(frozen=True)
class Desk:
    """A home of one's own, and the command."""

    home: Home

    @property
    def avatars(self) -> LocalAvatars:
        return LocalAvatars(self.home)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [Path(sys.executable).with_name("sunriza"), *arguments, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command to its end."""
        command = self.begin(*arguments)
        told, problems = command.communicate(timeout=300)
        assert command.returncode == code, problems
        return json.loads(told)  # type: ignore[no-any-return]

    def started(self) -> Mapping[str, int]:
        """How many runs each avatar has had."""
        with dg.DagsterInstance.get() as instance:
            return Counter(run.tags["dagster/partition"] for run in instance.get_runs())


@pytest.fixture
def desk(tmp_path: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "dagster").mkdir()
    shutil.copy(ROOT / "dagster.yaml", tmp_path / "dagster")
    return Desk(Home(tmp_path))


def test_a_failed_avatar_is_told_listed_and_makes_the_exit_code(desk: Desk, tmp_path: Path) -> None:
    from sunriza_assets.studio.media.picture import write_picture

    write_picture(sample_portrait(), tmp_path / "portrait.png")
    (tmp_path / "clip.mp4").write_bytes(b"this is no clip")
    add_avatar("broken", tmp_path / "portrait.png", tmp_path / "clip.mp4")
    told = desk.run("backfill", "--stale", code=1)
    assert (told["avatars"], told["failed"]) == (1, 1)
    (row,) = desk.run("avatar", "list", "--failed")["avatars"]
    assert (row["id"], row["state"]) == ("broken", "error")
    assert row["reason"].startswith("media.")
    (backfill,) = desk.run("backfill", "--list")["backfills"]
    assert (backfill["backfill"], backfill["failed"]) == (told["backfill"], 1)
    assert desk.run("backfill", "--cancel", "20200101-000000-abcdef", code=2)["error"]


def test_init_limits_the_pool_and_nobody_widens_it_by_the_way(desk: Desk) -> None:
    assert desk.run("deploy", "init", "--gpus", "3")["gpu_pool"] == 3
    desk.run("backfill", "--list")
    with dg.DagsterInstance.get() as instance:
        limits = instance.event_log_storage.get_pool_limits()
        settings = instance.get_concurrency_config().pool_config
    assert [(pool.name, pool.limit, pool.from_default) for pool in limits] == [("gpu", 3, False)]
    assert settings.pool_granularity is not None
    assert settings.pool_granularity.value == "op"


@pytest.mark.slow
def test_an_interrupted_backfill_is_resumed_with_what_is_missing(
    desk: Desk, sample: Sample
) -> None:
    names = ["a", "b", "c"]
    for name in names:
        add_avatar(name, sample.portrait, sample.clip, parameters=dict(SMALL))
    command = desk.begin("backfill", "--all")
    wait_until("b is at work", lambda: desk.avatars.get("b").status == "generating", every_s=0.05)
    command.send_signal(signal.SIGINT)
    _, problems = command.communicate(timeout=60)
    assert command.returncode == 130
    (backfill,) = desk.run("backfill", "--list")["backfills"]
    assert f"sunriza backfill --resume {backfill['backfill']}" in problems
    assert desk.avatars.get("b").basic["error"]["code"] == "run.cancelled"
    assert desk.started() == {"a": 1, "b": 1}, "an interruption ends all of it"

    rest = desk.run("backfill", "--resume", backfill["backfill"])
    assert rest["avatars"] == rest["done"] == 2
    assert desk.started() == {"a": 1, "b": 2, "c": 1}
    assert all(desk.avatars.get(name).status == "ready" for name in names)
    assert desk.run("backfill", "--resume", backfill["backfill"])["avatars"] == 0


@pytest.mark.slow
def test_a_backfill_at_work_is_cancelled_from_another_terminal(desk: Desk, sample: Sample) -> None:
    for name in ("a", "b", "c"):
        add_avatar(name, sample.portrait, sample.clip, parameters=dict(SMALL))
    command = desk.begin("backfill", "--all", "--set", "driving_multiplier=1.1")
    wait_until("a is at work", lambda: desk.avatars.get("a").status == "generating", every_s=0.05)
    (backfill,) = desk.run("backfill", "--list")["backfills"]
    desk.run("backfill", "--cancel", backfill["backfill"])
    told = json.loads(command.communicate(timeout=120)[0])
    assert told["done"] + told["cancelled"] == 3
    assert told["cancelled"] >= 1
    assert "failed" not in told, "what is at work may finish"
    assert sum(desk.started().values()) == told["done"]
    (shown,) = desk.run("backfill", "--list")["backfills"]
    assert shown["cancelled"] == told["cancelled"]
    parameters = desk.avatars.get("a").basic["parameters"]
    assert parameters["drivingMultiplier"] == 1.1


COUNTED = """
import json, sys
from sunriza_assets.cli import main
from sunriza_assets_tests.fleet.bench_backfill import count_loads
sys.argv = ["sunriza", "backfill", "--all", "--json"]
with count_loads() as loads:
    main()
print(json.dumps(loads))
"""


@pytest.mark.slow
def test_models_are_loaded_once_for_many_avatars(desk: Desk, clips: list[Sample]) -> None:
    for name in ("a", "b", "c", "d", "e"):
        add_avatar(name, clips[0].portrait, clips[0].clip, parameters=dict(SMALL))
    told = subprocess.run(
        [sys.executable, "-c", COUNTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    backfill, loads = told.stdout.strip().rsplit("\n", 1)
    assert json.loads(backfill)["done"] == 5
    counts = json.loads(loads)
    assert "face_landmark_with_attention_a.onnx" in counts
    assert set(counts.values()) == {1}
