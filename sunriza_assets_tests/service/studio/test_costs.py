"""Costs and forecasts over HTTP."""

from collections.abc import Iterator

import pytest

from sunriza_assets.costs.calls import CALLS_FOLDER, CallBook
from sunriza_assets.costs.devices import Device
from sunriza_assets.costs.events import StepEvent
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.costs.prices import price_book
from sunriza_assets_tests.service.studio.world import World, studio_world

DAY = 86_400.0
BEGIN = 1_790_000_000.0


def step(number: int, asset: str, avatar: str | None, wall_s: float, **facts: object) -> StepEvent:
    """A step that was measured and priced."""
    metadata = {
        "wall_s": wall_s, "cpu_s": wall_s, "device": "A CPU", "device_kind": "cpu",
        "engine": "mesh", "engine_version": "7", "cost": wall_s / 100, "cost_currency": "USD",
        "price_book": "test", "peak_memory_bytes": 2**30, "clip_frames": 100,
    }  # fmt: skip
    return StepEvent(
        run_id=f"run-{number}", asset=asset, partition=avatar, event_id=number,
        timestamp=BEGIN + number * DAY, success=True, metadata=metadata | facts,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with studio_world(tmp_path_factory.mktemp("costs")) as world:
        world.add("anna", "u")
        world.add("bens", "v")
        ledger = Ledger(world.service.home.reports / LEDGER_FOLDER)
        ledger.update(
            [
                step(1, "idle_video", "anna", 20.0),
                step(2, "idle_video", "anna", 30.0),
                step(3, "idle_video", "bens", 500.0),
                step(4, "idle_video", "gone", 700.0),
            ]
        )
        calls = CallBook(world.service.home.reports / CALLS_FOLDER, price_book())
        for owner in ("caller", "caller", "v", None):
            calls.add("render", owner, device=Device("A CPU", "cpu"), wall_s=1.0, cpu_s=0.5)
        calls.flush()
        yield world


def test_a_caller_sees_what_its_own_pictures_cost(world: World) -> None:
    found = world.client("caller").get("/costs", params={"by": "kind", "since": "2026-01-01"})
    [row] = found.json()["rows"]
    assert (row["key"], row["seconds"]) == ("render", 2.0)
    assert row["cost"] == pytest.approx(1.0 * 0.10 / 3600)


def test_a_caller_sees_what_its_own_avatars_cost(world: World) -> None:
    client = world.client("u")
    found = client.get("/costs", params={"by": "avatar", "since": "2026-01-01"}).json()
    [row] = found["rows"]
    assert (row["key"], row["steps"], row["seconds"]) == ("anna", 2, 50.0)
    assert row["cost"] == pytest.approx(0.5)
    assert found["total"] == {"USD": pytest.approx(0.5)}
    days = client.get("/costs", params={"by": "day", "since": "2026-01-01"}).json()["rows"]
    assert [row["seconds"] for row in days] == [30.0, 20.0]
    late = client.get("/costs", params={"by": "avatar", "since": days[0]["key"][:10]}).json()
    assert late["rows"][0]["seconds"] == 30.0
    assert world.client("nobody").get("/costs").json()["rows"] == []


def test_costs_as_a_table(world: World) -> None:
    answer = world.client("u").get(
        "/costs", params={"by": "avatar", "since": "2026-01-01", "format": "csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines()[1].startswith("anna,50.0,")


@pytest.mark.parametrize("asked", [{"by": "x"}, {"since": "x"}, {"since": "0"}, {"format": "x"}])
def test_what_costs_are_not_asked_by(world: World, asked: dict[str, str]) -> None:
    assert world.client("u").get("/costs", params=asked).status_code == 422


def test_a_forecast_for_parameters(world: World) -> None:
    client = world.client("u")
    found = client.get("/forecast", params={"clip_seconds": 4}).json()
    assert found["engine"] == "mesh"
    assert found["clip_frames"] == 100
    assert found["seconds"] > 0
    assert found["seconds"] == pytest.approx(sum(one["seconds"] for one in found["steps"]), abs=0.1)
    short = client.get("/forecast", params={"parameters": '{"maxSeconds": 2}'}).json()
    assert short["clip_frames"] == 50
    performed = client.get("/forecast", params={"avatar_id": "anna"}).json()
    assert performed["clip_frames"] == 175


def test_what_is_no_forecast(world: World) -> None:
    client = world.client("u")
    assert client.get("/forecast", params={"avatar_id": "bens"}).status_code == 404
    for wrong in ({"parameters": "["}, {"parameters": '{"lips": "x"}'}, {"parameters": '{"x": 1}'}):
        assert client.get("/forecast", params=wrong).status_code == 400
    assert client.get("/forecast", params={"performance": "x"}).status_code == 400
    assert client.get("/forecast", params={"clip_seconds": "nan"}).status_code == 422
