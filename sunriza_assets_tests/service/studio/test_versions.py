"""Versions over HTTP: history, drafts, putting one in place, discarding."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from resources.orders.order import Order, new_order_id
from resources.orders.store import Quota
from sunriza_assets_tests.service.studio.world import World, studio_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with studio_world(tmp_path_factory.mktemp("versions")) as world:
        yield world


def test_history_with_pictures_costs_and_what_changed(world: World) -> None:
    world.add("anna", "u")
    first = world.publish("anna", "run-1")
    second = world.publish("anna", "run-2", driving_multiplier=1.2)
    draft = world.draft("anna", "run-3", lips="still")
    client = world.client("u")
    rows = client.get("/avatars/anna/versions").json()["versions"]
    assert [(row["version"], row["state"]) for row in rows] == [
        (draft, "draft"),
        (second, "current"),
        (first, "kept"),
    ]
    assert rows[1]["changed"] == {"driving_multiplier": [1.7, 1.2]}
    assert (rows[1]["seconds"], rows[1]["cost"], rows[1]["currency"]) == (25.0, 0.5, "USD")
    assert client.get(rows[0]["idle_url"]).content == b"run-3 idle.mp4"


def test_an_older_version_is_put_in_place_and_back(world: World) -> None:
    world.add("bea", "u")
    first = world.publish("bea", "bea-1")
    second = world.publish("bea", "bea-2", driving_multiplier=1.2)
    client = world.client("u")
    for _ in range(2):
        answer = client.post(f"/avatars/bea/versions/{first}/publish")
        assert answer.status_code == 200
        shown = answer.json()
        assert (shown["version"], shown["state"]) == (first, "ready")
        assert shown["parameters"]["drivingMultiplier"] == 1.7
    assert client.get(shown["idle_url"]).content == b"bea-1 idle.mp4"
    assert not world.avatars.get("bea").needs_run
    answer = client.post("/avatars/bea/versions/2/publish")  # by its number
    assert answer.json()["version"] == second


def test_a_draft_is_published_or_discarded(world: World) -> None:
    world.add("cleo", "u")
    first = world.publish("cleo", "cleo-1")
    draft, other = world.draft("cleo", "cleo-2", lips="still"), world.draft("cleo", "cleo-3")
    client = world.client("u")
    assert client.get("/avatars/cleo").json()["version"] == first
    shown = client.post(f"/avatars/cleo/versions/{draft}/publish").json()
    assert (shown["version"], shown["parameters"]["lips"]) == (draft, "still")
    assert client.delete(f"/avatars/cleo/versions/{other}").status_code == 204
    assert client.delete(f"/avatars/cleo/versions/{other}").status_code == 404
    answer = client.delete(f"/avatars/cleo/versions/{draft}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict.in_place")
    states = [row["state"] for row in client.get("/avatars/cleo/versions").json()["versions"]]
    assert states == ["current", "kept"]


def test_a_job_at_work_is_not_undercut(world: World) -> None:
    world.add("dora", "u")
    first = world.publish("dora", "dora-1")
    world.publish("dora", "dora-2")
    order = Order(new_order_id(), "dynamics", "u", "accepted", datetime.now(UTC), avatar_id="dora")
    world.service.orders.accept(order, quota=Quota())
    client = world.client("u")
    answer = client.post(f"/avatars/dora/versions/{first}/publish")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict.generating")
    world.service.orders.request_cancel(order.order_id)
    assert client.post(f"/avatars/dora/versions/{first}/publish").status_code == 200


@pytest.mark.parametrize(
    "version", ["v000001-00000000", "99", "..", "%2e%2e", "x" * 300, "0", "-1", "v", "é"]
)
def test_an_unknown_version_is_absent(world: World, version: str) -> None:
    if "eve" not in world.avatars.present(["eve"]):
        world.add("eve", "u")
        world.publish("eve", "eve-1")
    client = world.client("u")
    assert client.post(f"/avatars/eve/versions/{version}/publish").status_code == 404
    assert client.get(f"/avatars/eve/versions/{version}/files/idle.mp4").status_code == 404
