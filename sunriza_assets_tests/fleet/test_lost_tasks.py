"""Where a run's task is between its launch and its start, asked of a real broker."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sunriza_assets.errors import StoreError
from sunriza_assets.platform.celery.launcher import PUBLISH_S, MonitoredCeleryRunLauncher
from sunriza_assets.platform.queue import FindsTasks
from sunriza_assets_tests.fleet.servers import Redis, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path) as server:
        yield server


def test_a_task_that_its_broker_has_forgotten_is_missing(broker: Redis) -> None:
    launcher = MonitoredCeleryRunLauncher(
        default_queue="gpu", broker=broker.url, backend=broker.url
    )
    assert isinstance(launcher, FindsTasks)
    sent = launcher.celery.send_task("execute_job", queue="gpu", priority=6)
    run = dg.DagsterRun(job_name="avatar_dynamics", tags={"dagster-celery/task_id": sent.id})
    assert not launcher.is_task_missing(run, 60.0), "it waits, for there is no worker"
    other = dg.DagsterRun(job_name="avatar_dynamics", tags={"dagster-celery/task_id": "another"})
    assert launcher.is_task_missing(other, 60.0)
    untold = dg.DagsterRun(job_name="avatar_dynamics")
    assert not launcher.is_task_missing(untold, PUBLISH_S - 1), "it is just being launched"
    assert launcher.is_task_missing(untold, PUBLISH_S + 1)

    broker.kill()
    with pytest.raises(StoreError) as away:
        launcher.is_task_missing(run, 60.0)
    assert away.value.code == "store.broker"
    broker.start()

    def is_missing() -> bool:
        try:
            return launcher.is_task_missing(run, 60.0)
        except StoreError:  # a connection that the killed one has left
            return False

    wait_until("what waited in it is gone", is_missing, patience_s=20)
