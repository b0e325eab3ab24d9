"""A backfill on Celery workers, with real servers, injected faults and a killed worker.

What must hold: every avatar ends published exactly once or with `error`; no clip is extracted
twice; nothing is lost; a new avatar does not wait behind the backfill; a broker that restarts costs
no run; runs and steps go to the queue that their tags name.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.fleet.conftest import LONGER, ROOT, Installation
from sunriza_assets_tests.fleet.faulty_worker import ASSETS, diary, fault_of
from sunriza_assets_tests.fleet.runs import (
    history,
    launch_order,
    run_of,
    runs_of,
    status,
    step_started,
    step_workers,
    worker_of,
)
from sunriza_assets_tests.fleet.servers import Child, wait_until, wait_until_none

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AVATARS = [f"sail-{number:02d}" for number in range(12)]


@pytest.fixture(scope="module")
def instance(fleet: Installation) -> Iterator[dg.DagsterInstance]:
    """The fleet's instance, as this process sees it."""
    with dg.DagsterInstance.get() as opened:
        yield opened


@pytest.fixture(scope="module")
def gpu0(fleet: Installation) -> Child:
    """The worker that lives through all of it."""
    return start_worker(fleet, "gpu", "--gpu", "0")


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


def test_a_backfill_survives_faults_and_a_killed_worker(
    fleet: Installation, instance: dg.DagsterInstance, clips: list[Sample], gpu0: Child
) -> None:
    for number, avatar_id in enumerate(AVATARS):
        # Two in a row share a clip, so that two workers want it extracted at once.
        fleet.add(avatar_id, clips[number // 2 % 3], watched=False)
    gpu1 = start_worker(fleet, "gpu", "--gpu", "1")
    backfill_id = sunriza(fleet, "backfill", "--all", "--no-wait")["backfill"]

    wait_until("one is published", lambda: published(fleet), patience_s=180)
    fleet.add("newcomer", clips[3])
    wait_until("some are published", lambda: len(published(fleet)) >= 4, patience_s=180)
    lost = kill_at_work(instance, gpu1, "gpu1")

    told = sunriza(fleet, "backfill", "--list")  # from another process, as an operator would
    assert [row["backfill"] for row in told["backfills"]] == [backfill_id]
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

    assert status(instance, lost) == dg.DagsterRunStatus.FAILURE
    retried = runs_of(instance, lost.tags["dagster/partition"])
    assert lost.run_id in {run.parent_run_id for run in retried}

    failed = sunriza(fleet, "avatar", "list", "--failed")["avatars"]
    assert sorted(row["id"] for row in failed) == sorted(k for k, v in met.items() if v == "disk")

    assert extractions(fleet) == [1] * 4, "three clips of the backfill and the newcomer's"

    loads = Counter(map(tuple, diary(fleet.root / "diary", "loads")))
    assert set(loads.values()) == {1}, "every process loads a model once and keeps it"
    assert {gpu for *_, gpu in loads} == {"gpu:0", "gpu:1"}, "a worker sees the GPU that it is for"

    launched = launch_order(instance)
    assert launched.index("newcomer") < len(launched) - 1, "it waited behind the whole backfill"

    # What failed is done again on request, and only that.
    again = sunriza(fleet, "backfill", "--failed")
    assert again["avatars"] == again["done"] == 2
    assert all(fleet.avatars.get(avatar_id).status == "ready" for avatar_id in AVATARS)
    assert extractions(fleet) == [1] * 4


def test_a_broker_that_restarts_and_forgets_costs_no_run(
    fleet: Installation, instance: dg.DagsterInstance, sample: Sample, gpu0: Child
) -> None:
    """Redis says that nobody has heard of the run's task; its worker has, and is asked."""
    assert fleet.broker
    fleet.add("steady", sample, LONGER, watched=False)
    sunriza(fleet, "backfill", "--avatars", "steady", "--no-wait")
    wait_until("it works", lambda: step_started(instance, "steady", "motion_template"), every_s=0.1)
    fleet.broker.stop()
    fleet.broker.start()
    ended = lambda: fleet.avatars.get("steady").status in ("ready", "error")  # noqa: E731
    wait_until("it is published", ended)
    assert fleet.avatars.get("steady").status == "ready"
    wait_until("its run is over", lambda: run_of(instance, "steady").is_finished)  # type: ignore[union-attr]
    assert [run.status for run in runs_of(instance, "steady")] == [dg.DagsterRunStatus.SUCCESS]
    # And the worker listens again.
    assert sunriza(fleet, "backfill", "--avatars", "steady")["done"] == 1


def test_a_terminated_run_is_cancelled_and_its_worker_stays(
    fleet: Installation, instance: dg.DagsterInstance, sample: Sample, gpu0: Child
) -> None:
    fleet.add("stopped", sample, LONGER)
    fleet.add("next", sample, watched=False)
    wait_until("it works", lambda: step_started(instance, "stopped", "idle_video"), every_s=0.1)
    run = run_of(instance, "stopped")
    assert run
    instance.report_run_canceling(run)
    assert instance.run_coordinator.cancel_run(run.run_id)

    wait_until("it is cancelled", lambda: status(instance, run) == dg.DagsterRunStatus.CANCELED)
    wait_until("its document says so", lambda: fleet.avatars.get("stopped").status == "error")
    assert run.run_id not in instance.event_log_storage.get_concurrency_run_ids()
    assert gpu0.process.poll() is None
    assert sunriza(fleet, "backfill", "--avatars", "next")["done"] == 1


def test_runs_and_steps_go_to_the_queue_that_their_tags_name(
    fleet: Installation, instance: dg.DagsterInstance, clips: list[Sample], gpu0: Child
) -> None:
    start_worker(fleet, "cpu")
    dagster(fleet, "job", "launch", "-j", "refresh_reports")
    (reports,) = instance.get_runs(dg.RunsFilter(job_name="refresh_reports"))
    wait_until("it is at work", lambda: worker_of(instance, reports) == "cpu", every_s=0.1)
    wait_until("reports are made", lambda: status(instance, reports).value == "SUCCESS")

    # Under the celery executor every step is a task of its own.
    fleet.add("apart", clips[0], watched=False)
    instance.add_dynamic_partitions("avatars", ["apart"])
    tags = json.dumps({"dagster/partition": "apart"})
    arguments = ("job", "execute", "-j", "avatar_dynamics", "--tags", tags)
    dagster(fleet, *arguments, SUNRIZA_EXECUTOR="celery")
    run = run_of(instance, "apart")
    assert run
    assert fleet.avatars.get("apart").status == "ready"
    workers = step_workers(instance, run)
    gpu_steps = {step for step, worker in workers.items() if worker == "gpu0"}
    assert gpu_steps == {"motion_template", "idle_video"}
    assert set(workers.values()) == {"gpu0", "cpu"}


def test_containers_know_whether_they_are_well(fleet: Installation, gpu0: Child) -> None:
    assert healthy(fleet, "sunriza worker gpu --gpu 0")
    assert healthy(fleet, "dagster-daemon run -m sunriza_assets.definitions")
    nobody = fleet.env["SUNRIZA_CELERY_BROKER"].removesuffix("/0") + "/1"
    assert not healthy(fleet, "sunriza worker gpu", SUNRIZA_CELERY_BROKER=nobody)


def healthy(fleet: Installation, command: str, **settings: str) -> bool:
    """What the image's health check says of a container that was started with this command."""
    script = ROOT / "deploy" / "docker" / "healthy.sh"
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**fleet.env, "PATH": programs, **settings}
    told = subprocess.run(
        ["sh", script, command], env=env, cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    return told.returncode == 0


def start_worker(fleet: Installation, kind: str, *arguments: str) -> Child:
    """A worker; its name is made of its kind and its GPU."""
    module = "sunriza_assets_tests.fleet.faulty_worker"
    name = kind + "".join(arguments[1:])
    child = fleet.start(f"worker-{name}", sys.executable, "-m", module, kind, *arguments)
    wait_until(f"worker {name} is ready", lambda: "ready." in child.log.read_text(), every_s=0.1)
    return child


def kill_at_work(instance: dg.DagsterInstance, worker: Child, name: str) -> dg.DagsterRun:
    """Kill a worker and its children in the middle of a run, before its idle is there.

    They are stopped first and looked at, so that the run is sure not to end meanwhile.
    """
    caught: list[dg.DagsterRun] = []

    def look() -> bool:
        os.killpg(worker.process.pid, signal.SIGSTOP)
        caught[:] = at_work(instance, name)
        if not caught:
            os.killpg(worker.process.pid, signal.SIGCONT)
        return bool(caught)

    wait_until(f"worker {name} renders", look)
    worker.kill()
    return caught[0]


def at_work(instance: dg.DagsterInstance, worker: str) -> list[dg.DagsterRun]:
    """The worker's run of the backfill, when its idle is not there yet."""
    found = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        stats = instance.get_run_step_stats(run.run_id, ["idle_video"])
        begun = run.tags["dagster/partition"] in AVATARS and not any(one.end_time for one in stats)
        if begun and worker_of(instance, run) == worker:
            found.append(run)
    return found


def sunriza(fleet: Installation, *arguments: str) -> dict:
    """A command of an operator, from a process of its own."""
    told = _process(fleet, "sunriza", *arguments, "--json")
    assert told.returncode in (0, 1), told.stderr
    return json.loads(told.stdout)


def dagster(fleet: Installation, *arguments: str, **settings: str) -> None:
    """One of Dagster's own commands about this code location."""
    location = ("-m", "sunriza_assets.definitions")
    told = _process(fleet, "dagster", *arguments, *location, **settings)
    assert told.returncode == 0, told.stderr[-3000:]


def _process(
    fleet: Installation, program: str, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        env={**fleet.env, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def published(fleet: Installation) -> list[str]:
    """Avatars of the backfill that are ready."""
    return [one for one in AVATARS if fleet.avatars.get(one).status == "ready"]


def extractions(fleet: Installation) -> list[int]:
    """How often each clip was extracted."""
    return list(Counter(e[0] for e in diary(fleet.root / "diary", "extractions")).values())


def still_open(fleet: Installation, instance: dg.DagsterInstance) -> dict[str, object]:
    """What is, or will be, at work: documents, runs, and runs that wait for their retry."""
    documents = [fleet.avatars.get(one) for one in [*AVATARS, "newcomer"]]
    runs = instance.get_runs()
    retried = {run.parent_run_id for run in runs}
    found = {
        "documents": {
            one.avatar_id: [one.record.state, *history(instance, one.avatar_id)]
            for one in documents
            if one.status not in ("ready", "error")
        },
        "runs": Counter(run.status.value for run in runs if not run.is_finished),
        "retries": [
            run.run_id
            for run in runs
            if run.tags.get("dagster/will_retry") == "true" and run.run_id not in retried
        ],
    }
    return {name: value for name, value in found.items() if value}
