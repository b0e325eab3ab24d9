"""A real process, really killed: the document says so, the old results stay, the next run works."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psutil
import pytest

from resources.avatars.local import LocalAvatars
from resources.process_names import this_process
from resources.storage.scratch import sweep
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.graph.tags import PROCESS_TAG
from sunriza_assets.operations.lost_runs import close_lost_runs
from sunriza_assets_tests.graph.conftest import SHORT, Installation
from sunriza_assets_tests.processes import has_ended, wait_for
from sunriza_assets_tests.studio.media.films import ffmpeg


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes seconds to be decoded and encoded."""
    clip = tmp_path_factory.mktemp("long") / "long.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30:d=10", "-preset", "ultrafast", clip)
    return clip


def test_a_living_process_keeps_its_runs(installation: Installation) -> None:
    instance = installation.instance
    run = _started(instance, this_process())
    try:
        assert run.run_id not in close_lost_runs(instance)
    finally:
        instance.delete_run(run.run_id)


@pytest.mark.parametrize("process", ["", "elsewhere:1:0.00", "nonsense"])
def test_runs_of_others_are_left_alone(installation: Installation, process: str) -> None:
    instance = installation.instance
    run = _started(instance, process)
    try:
        assert run.run_id not in close_lost_runs(instance)
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
    first = installation.runs.render("demo", parameters=SHORT)
    assert first["error"] is None
    avatars = LocalAvatars(installation.home)
    before = avatars.get("demo")
    renders = _render_in_a_process_of_its_own("demo")
    try:
        wait_for(lambda: avatars.get("demo").basic.get("progress", 0) >= 35)
    finally:
        os.killpg(renders.pid, signal.SIGKILL)
        renders.wait()
    wait_for(lambda: avatars.get("demo").status == "error")
    after = avatars.get("demo")
    assert after.basic["error"]["code"] == "run.killed"
    assert after.basic["idleVideoUrl"] == before.basic["idleVideoUrl"]
    _assert_results_are_whole(installation.home.storage, before.basic["idleVideoUrl"])
    again = installation.runs.render("demo", parameters=SHORT)
    assert again["error"] is None
    assert avatars.get("demo").status == "ready"


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_cancelling_ends_the_decoder_and_leaves_no_temporary_file(
    installation: Installation, long_clip: Path, end: signal.Signals
) -> None:
    """Terminate, a supervisor's signal, or the kernel's: nothing goes on, nothing is left."""
    add_avatar("cancelled", installation.sample.portrait, long_clip)
    scratch = installation.home.cache / "scratch"
    run = _render_in_a_process_of_its_own("cancelled")
    try:
        wait_for(lambda: _half_written(scratch))
        decoders = [
            child
            for child in psutil.Process(run.pid).children(recursive=True)
            if "media.worker" in " ".join(child.cmdline())
        ]
        assert decoders
        run.send_signal(end)
        wait_for(lambda: all(has_ended(decoder) for decoder in decoders))
    finally:
        run.wait(60)
    assert not _half_written(scratch)
    if end is signal.SIGKILL:  # its folder, empty by now, goes when the next step begins
        sweep(installation.home)
    assert not any(scratch.iterdir())


def _half_written(scratch: Path) -> list[str]:
    """Files that are being written below a folder whose folders come and go meanwhile."""
    return [name for _, _, names in os.walk(scratch) for name in names if name.endswith(".part")]


def _render_in_a_process_of_its_own(avatar_id: str) -> subprocess.Popen[bytes]:
    sunriza = Path(sys.executable).with_name("sunriza")
    return subprocess.Popen(
        [sunriza, "render", avatar_id, "--set", "stitching_retargeting_eyes_width=2048"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _assert_results_are_whole(storage: Path, url: str) -> None:
    folder = Path(url.removeprefix("file://")).parent
    assert folder.is_relative_to(storage)
    assert json.loads((folder / "roi.json").read_text())["track"]
    assert (folder / "idle.mp4").stat().st_size > 10_000


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
