"""Faults on one machine under the shipped settings: the GPU pool, a killed run, a terminated one.

The settings are from `dagster.yaml`, the daemon, the run processes and the avatars are real.
"""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise

import dagster as dg
import psutil
import pytest

from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.operations.retries import RETRY_OF_TAG
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.fleet.conftest import Installation
from sunriza_assets_tests.fleet.runs import process_of, run_of, status, step_spans, step_started
from sunriza_assets_tests.fleet.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STARTED = dg.DagsterRunStatus.STARTED
GPU_STEPS = ["motion_template", "idle_video"]


@pytest.fixture(scope="module")
def instance(machine: Installation) -> Iterator[dg.DagsterInstance]:
    """The machine's instance, as this process sees it."""
    with dg.DagsterInstance.get() as opened:
        yield opened


def test_three_runs_at_once_never_put_two_steps_into_a_pool_of_one(
    machine: Installation, instance: dg.DagsterInstance, clips: list[Sample]
) -> None:
    names = ["a", "b", "c"]
    for name, clip in zip(names, clips, strict=False):
        machine.add(name, clip)
    ready = lambda: all(machine.avatars.get(name).status == "ready" for name in names)  # noqa: E731
    wait_until("all three are published", ready, patience_s=300)

    runs = [run for name in names if (run := run_of(instance, name))]
    spans = sorted(span for run in runs for span in step_spans(instance, run, GPU_STEPS))
    assert len(spans) == len(names) * len(GPU_STEPS)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    whole = sorted(span for run in runs for span in step_spans(instance, run, ["hero_image"]))
    assert whole[-1][0] < spans[-1][0], "the runs did not run at once, so nothing was tried"


def test_a_killed_holder_gives_its_slot_back_and_is_tried_again(
    machine: Installation, instance: dg.DagsterInstance, clips: list[Sample]
) -> None:
    machine.add("killed", clips[3])
    extracts = lambda: step_started(instance, "killed", "motion_template")  # noqa: E731
    wait_until("it holds the slot", extracts, every_s=0.1)
    run = run_of(instance, "killed")
    assert run
    assert instance.event_log_storage.get_concurrency_run_ids() == {run.run_id}
    os.kill(process_of(instance, run), signal.SIGKILL)

    held = lambda: run.run_id in instance.event_log_storage.get_concurrency_run_ids()  # noqa: E731
    wait_until("the slot is free", lambda: not held(), patience_s=240)
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE
    wait_until(
        "the retry publishes it",
        lambda: machine.avatars.get("killed").status == "ready",
        patience_s=400,
    )
    retry = run_of(instance, "killed")
    assert retry
    assert retry.tags[RETRY_OF_TAG] == run.run_id


def test_terminate_ends_the_run_and_its_children_and_tells_the_document(
    machine: Installation, instance: dg.DagsterInstance, clips: list[Sample]
) -> None:
    add_avatar("terminated", clips[3].portrait, clips[3].clip)  # large: it works for a while
    began = lambda: (run := run_of(instance, "terminated")) and run.status is STARTED  # noqa: E731
    wait_until("it is at work", began, every_s=0.1)
    run = run_of(instance, "terminated")
    assert run
    worker = psutil.Process(process_of(instance, run))
    children: list[psutil.Process] = []
    decodes = lambda: children.extend(worker.children(True)) or children  # noqa: E731
    wait_until("it has a child", decodes, every_s=0.02)

    instance.report_run_canceling(run)
    assert instance.run_launcher.terminate(run.run_id)
    wait_until("it is cancelled", lambda: status(instance, run) == dg.DagsterRunStatus.CANCELED)
    _, alive = psutil.wait_procs([worker, *children], timeout=60)
    assert not alive
    wait_until("its document says so", lambda: machine.avatars.get("terminated").status == "error")
    assert "cancel" in machine.avatars.get("terminated").basic["error"]["message"].lower()
    assert run.run_id not in instance.event_log_storage.get_concurrency_run_ids()
