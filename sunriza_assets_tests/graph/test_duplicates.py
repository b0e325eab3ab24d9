"""Two runs for the same inputs at once: one of them works, the other ends as not needed."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.orders.open import open_orders
from resources.orders.order import Order, new_order_id
from resources.orders.store import Quota
from resources.process_names import this_process
from resources.stores import open_stores
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.graph.partitions import AVATAR_TAG
from sunriza_assets.graph.sensors import avatar_changes, avatar_scan
from sunriza_assets.graph.tags import INPUTS_TAG, PROCESS_TAG
from sunriza_assets.operations.orders_under_way import DISPATCHER_LEASE
from sunriza_assets_tests.graph.conftest import Installation
from sunriza_assets_tests.graph.ticks import asked, document, home, instance, some_job, tick

__all__ = ["home", "instance"]


@pytest.mark.parametrize("other", ["alive", "dead"])
def test_a_run_beside_another_one_ends_without_work(installation: Installation, other: str) -> None:
    name = f"twice-{other}"
    add_avatar(name, installation.sample.portrait, installation.sample.clip)
    avatars = open_stores().avatars
    version = avatars.get(name).inputs_version
    process = this_process() if other == "alive" else this_process().rpartition(":")[0] + ":1.00"
    first = installation.instance.create_run_for_job(
        some_job(),
        tags={AVATAR_TAG: name, INPUTS_TAG: version, PROCESS_TAG: process},
        status=dg.DagsterRunStatus.STARTED,
    )
    avatars.claim(name, first.run_id)
    result = installation.runs.render(
        name, only=["hero_image", "published_avatar"], tags={INPUTS_TAG: version}
    )
    record = avatars.get(name).record
    if other == "alive":
        assert (result["status"], result["error"]["code"]) == ("cancelled", "conflict.duplicate")
        assert (record.run_id, record.state) == (first.run_id, "generating")
    else:
        assert record.run_id == result["run_id"]


def test_a_run_for_what_is_published_ends_without_work(installation: Installation) -> None:
    add_avatar("late", installation.sample.portrait, installation.sample.clip)
    avatars = open_stores().avatars
    version = avatars.get("late").inputs_version
    avatars.claim("late", "first")
    avatars.publish(
        "late", "first", version="v1", results={"idleVideoUrl": "u"}, parameters={}, overridden={}
    )
    before = avatars.get("late")
    result = installation.runs.render("late", tags={INPUTS_TAG: version})
    assert (result["status"], result["error"]["code"]) == ("cancelled", "conflict.published")
    assert result["assets"] == {}
    assert avatars.get("late").data == before.data
    run = installation.instance.get_run_by_id(result["run_id"])
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED


def _asked(instance: dg.DagsterInstance, sensor: dg.SensorDefinition) -> list[str]:
    return sorted(str(name) for name in asked(tick(instance, sensor=sensor)))


@pytest.mark.parametrize("sensor", [avatar_changes, avatar_scan])
def test_no_sensor_requests_what_the_dispatcher_will_make(
    home: Home, instance: dg.DagsterInstance, sensor: dg.SensorDefinition
) -> None:
    avatars = LocalAvatars(home)
    version = avatars.merge("ada", document()).inputs_version
    avatars.merge("bob", document())
    store = open_orders()
    order = Order(
        new_order_id(), "dynamics", "ann", "accepted", datetime.now(UTC),
        avatar_id="ada", inputs_version=version,
    )  # fmt: skip
    store.accept(order, quota=Quota())
    assert _asked(instance, sensor) == ["ada", "bob"], "no dispatcher is there"
    store.hold_lease(DISPATCHER_LEASE, "somebody")
    assert _asked(instance, sensor) == ["bob"]
    store.change(order, state="starting", run_id="run-1")
    avatars.merge("ada", document("other"))
    assert _asked(instance, sensor) == ["ada", "bob"], "these inputs have no order"
    store.close()
