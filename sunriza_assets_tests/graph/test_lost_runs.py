"""A real process, really killed: the document says so, the old results stay, the next run works."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from resources.avatars_local import LocalAvatars
from sunriza_assets.lost_runs import PROCESS_TAG, close_lost_runs, this_process
from sunriza_assets_tests.graph.conftest import Installation


def test_a_living_process_keeps_its_runs(installation: Installation) -> None:
    instance = installation.instance
    run = _started(instance, this_process())
    try:
        assert close_lost_runs(instance) == []
    finally:
        instance.delete_run(run.run_id)


@pytest.mark.parametrize("process", ["", "elsewhere:1:0.00", "nonsense"])
def test_runs_of_others_are_left_alone(installation: Installation, process: str) -> None:
    instance = installation.instance
    run = _started(instance, process)
    try:
        assert close_lost_runs(instance) == []
    finally:
        instance.delete_run(run.run_id)


def test_a_number_given_again_is_another_process(installation: Installation) -> None:
    """Process ids are reused: the start time tells two processes of one number apart."""
    host, pid, started = this_process().split(":")
    instance = installation.instance
    run = _started(instance, f"{host}:{pid}:{float(started) - 100:.2f}")
    try:
        assert close_lost_runs(instance) == [run.run_id]
        ended = instance.get_run_by_id(run.run_id)
        assert ended is not None
        assert ended.status == dg.DagsterRunStatus.FAILURE
    finally:
        instance.delete_run(run.run_id)


@pytest.mark.slow
def test_kill_minus_nine_leaves_an_error_and_the_old_results(installation: Installation) -> None:
    first = installation.runs.render("demo")
    assert first["error"] is None
    avatars = LocalAvatars(installation.home)
    before = avatars.get("demo")
    renders = _render_in_a_process_of_its_own()
    try:
        _wait_for(lambda: avatars.get("demo").basic.get("progress", 0) >= 35)
    finally:
        os.killpg(renders.pid, signal.SIGKILL)
        renders.wait()
    _wait_for(lambda: avatars.get("demo").status == "error")
    after = avatars.get("demo")
    assert after.basic["error"]["code"] == "run.killed"
    assert after.basic["idleVideoUrl"] == before.basic["idleVideoUrl"]
    _assert_results_are_whole(installation.home.storage, before.basic["idleVideoUrl"])
    again = installation.runs.render("demo")
    assert again["error"] is None
    assert avatars.get("demo").status == "ready"


def _render_in_a_process_of_its_own() -> subprocess.Popen[bytes]:
    sunriza = Path(sys.executable).with_name("sunriza")
    return subprocess.Popen(
        [sunriza, "render", "demo", "--set", "stitching_retargeting_eyes_width=2048"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _assert_results_are_whole(storage: Path, url: str) -> None:
    folder = Path(url.removeprefix("file://")).parent
    assert folder.is_relative_to(storage)
    assert json.loads((folder / "roi.json").read_text())["track"]
    assert (folder / "idle.mp4").stat().st_size > 10_000


def _wait_for(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def _started(instance: dg.DagsterInstance, process: str) -> dg.DagsterRun:
    @dg.op
    def nothing() -> None:
        """Some step."""

    @dg.job
    def anything() -> None:
        nothing()

    return instance.create_run_for_job(
        anything, status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: process} if process else {}
    )
