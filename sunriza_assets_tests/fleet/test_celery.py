"""A backfill on Celery workers, with real servers, injected faults and a killed worker.

What must hold: every avatar ends published exactly once or with `error`; no clip is extracted
twice; nothing is lost; a new avatar does not wait behind the backfill.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.fleet.conftest import ROOT, Installation
from sunriza_assets_tests.fleet.faulty_worker import ASSETS, diary, fault_of
from sunriza_assets_tests.fleet.runs import run_of, status, step_started
from sunriza_assets_tests.fleet.servers import Child, wait_until, wait_until_none

pytestmark = pytest.mark.slow

AVATARS = [f"fleet-{number:02d}" for number in range(20)]


@pytest.fixture(scope="module")
def instance(fleet: Installation) -> Iterator[dg.DagsterInstance]:
    """The fleet's instance, as this process sees it."""
    with dg.DagsterInstance.get() as opened:
        yield opened


def faults() -> dict[str, str]:
    """Avatar id -> what it meets, by the same hashes as in the workers."""
    met = {
        avatar_id: fault
        for avatar_id in AVATARS
        for asset in ASSETS
        if (fault := fault_of(avatar_id, asset))
    }
    assert Counter(met.values()) == {"crash": 2, "disk": 2}, "choose other names"
    return met


@pytest.mark.timeout(600)
def test_a_backfill_survives_faults_and_a_killed_worker(
    fleet: Installation, instance: dg.DagsterInstance, clips: list[Sample]
) -> None:
    for number, avatar_id in enumerate(AVATARS):
        fleet.add(avatar_id, clips[number % 3], watched=False)
    workers = [start_worker(fleet, name) for name in ("one", "two")]
    backfill_id = sunriza(fleet, "backfill", "--all", "--no-wait")["backfill"]

    wait_until("some are published", lambda: len(published(fleet)) >= 4, patience_s=180)
    fleet.add("newcomer", clips[3])
    wait_until("worker two renders", lambda: "two" in rendering(instance))
    workers[1].kill()

    done = sunriza(fleet, "backfill", "--list")  # from another process, as an operator would
    assert [row["backfill"] for row in done["backfills"]] == [backfill_id]
    wait_until_none("open", lambda: still_open(fleet, instance), patience_s=400)

    met = faults()
    assert {entry[1]: entry[0] for entry in diary(fleet.root / "diary", "faults")} == met
    for avatar_id in AVATARS:
        document = fleet.avatars.get(avatar_id)
        expected = "error" if met.get(avatar_id) == "disk" else "ready"
        assert document.status == expected, (avatar_id, document.basic)
        assert len(document.record.published) == (expected == "ready"), avatar_id
        folder = fleet.home.storage / "avatars" / avatar_id / "dynamics" / "basic"
        versions = list(folder.glob("v*/idle.mp4"))
        assert len(versions) == (expected == "ready"), avatar_id

    failed = sunriza(fleet, "avatar", "list", "--failed")["avatars"]
    assert sorted(row["id"] for row in failed) == sorted(k for k, v in met.items() if v == "disk")

    extracted = Counter(entry[0] for entry in diary(fleet.root / "diary", "extractions"))
    assert len(extracted) == 4, "three clips of the backfill and the newcomer's"
    assert set(extracted.values()) == {1}

    loads = Counter(map(tuple, diary(fleet.root / "diary", "loads")))
    assert set(loads.values()) == {1}, "every process loads a model once and keeps it"

    launched = launch_order(instance)
    assert launched.index("newcomer") < len(launched) - 1, "it waited behind the whole backfill"

    # What failed is done again on request, and only that.
    again = sunriza(fleet, "backfill", "--failed")
    assert again["avatars"] == again["done"] == 2
    assert all(fleet.avatars.get(avatar_id).status == "ready" for avatar_id in AVATARS)
    assert set(Counter(e[0] for e in diary(fleet.root / "diary", "extractions")).values()) == {1}


@pytest.mark.timeout(300)
def test_a_terminated_run_is_cancelled_and_its_worker_stays(
    fleet: Installation, instance: dg.DagsterInstance, clips: list[Sample]
) -> None:
    fleet.add("stopped", clips[0])
    fleet.add("next", clips[1], watched=False)
    worker = start_worker(fleet, "three")
    wait_until("it works", lambda: step_started(instance, "stopped", "motion_template"))
    run = run_of(instance, "stopped")
    assert run
    instance.report_run_canceling(run)
    assert instance.run_coordinator.cancel_run(run.run_id)

    wait_until("it is cancelled", lambda: status(instance, run) == dg.DagsterRunStatus.CANCELED)
    wait_until("its document says so", lambda: fleet.avatars.get("stopped").status == "error")
    assert run.run_id not in instance.event_log_storage.get_concurrency_run_ids()
    assert worker.process.poll() is None
    assert sunriza(fleet, "backfill", "--avatars", "next")["done"] == 1


def start_worker(fleet: Installation, name: str) -> Child:
    """A worker of the queue `gpu`."""
    module = "sunriza_assets_tests.fleet.faulty_worker"
    child = fleet.start(f"worker-{name}", sys.executable, "-m", module, "gpu", "--name", name)
    wait_until(f"worker {name} is ready", lambda: "ready." in child.log.read_text())
    return child


def sunriza(fleet: Installation, *arguments: str) -> dict:
    """A command of an operator, from a process of its own."""
    program = Path(sys.executable).with_name("sunriza")
    told = subprocess.run(
        [program, *arguments, "--json"],
        env=fleet.env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode in (0, 1), told.stderr
    return json.loads(told.stdout)


def published(fleet: Installation) -> list[str]:
    """Avatars of the backfill that are ready."""
    return [one for one in AVATARS if fleet.avatars.get(one).status == "ready"]


def rendering(instance: dg.DagsterInstance) -> set[str]:
    """Names of the workers that are in the middle of a run, before its idle is there."""
    names = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        (idle,) = instance.get_run_step_stats(run.run_id, ["idle_video"]) or [None]
        task = instance.run_launcher.celery.AsyncResult(run.tags["dagster-celery/task_id"])
        if isinstance(task.info, dict) and (idle is None or idle.end_time is None):
            names.add(task.info.get("hostname", "").partition("@")[0])
    return names


def still_open(fleet: Installation, instance: dg.DagsterInstance) -> dict[str, object]:
    """What is, or will be, at work: documents, runs, and runs that wait for their retry."""
    documents = [fleet.avatars.get(one) for one in [*AVATARS, "newcomer"]]
    over = {"SUCCESS", "FAILURE", "CANCELED"}
    runs = instance.get_runs()
    retried = {run.parent_run_id for run in runs}
    found = {
        "documents": {
            one.avatar_id: [one.record.state, *(history(instance, one.avatar_id))]
            for one in documents
            if one.status not in ("ready", "error")
        },
        "runs": Counter(run.status.value for run in runs),
        "retries": [
            run.run_id
            for run in runs
            if run.tags.get("dagster/will_retry") == "true" and run.run_id not in retried
        ],
    }
    found["runs"] = {k: v for k, v in found["runs"].items() if k not in over}
    return {name: value for name, value in found.items() if value}


def history(instance: dg.DagsterInstance, avatar_id: str) -> list[str]:
    """The runs of an avatar, the latest first, and why they ended."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": avatar_id}))
    told = ("dagster/failure_reason", "dagster/retry_number", "dagster/will_retry")
    return [
        f"{run.run_id[:8]} {run.status.value} {[run.tags.get(name) for name in told]}"
        for run in runs
    ]


def launch_order(instance: dg.DagsterInstance) -> list[str]:
    """Avatars in the order in which their first run began."""
    records = instance.get_run_records(ascending=True)
    began: dict[str, float] = {}
    for record in records:
        avatar_id = record.dagster_run.tags.get("dagster/partition")
        if avatar_id and record.start_time:
            began[avatar_id] = min(record.start_time, began.get(avatar_id, record.start_time))
    return sorted(began, key=began.__getitem__)
