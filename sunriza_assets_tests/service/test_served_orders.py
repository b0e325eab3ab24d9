"""Orders through the real processes: done, cancelled, and interrupted by the service's end."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import psutil
import pytest

from resources.home import Home
from resources.orders.open import open_orders
from resources.orders.order import Order
from resources.orders.store import OrderStore
from resources.stores import open_stores
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.platform.pools import GPU_POOL
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.kills import SMALL, place
from sunriza_assets_tests.service.serving_processes import Serving, begin_serving

LONG = {"max_seconds": 4.0, "stitching_retargeting_eyes_width": 512}


@pytest.fixture
def serving(
    tmp_path: Path, models_root: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Serving]:
    """A service with the avatars `short` and `long`."""
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))
    add_avatar("short", sample.portrait, sample.clip, parameters=dict(SMALL))
    add_avatar("long", sample.portrait, sample.clip, parameters=dict(LONG))
    begun = begin_serving(["--no-ui"], tmp_path / "serve.log")
    begun.wait_until_ready()
    yield begun
    begun.end()


def latest(store: OrderStore, order: Order) -> Order:
    found = store.get(order.order_id)
    assert found is not None
    return found


def speak(serving: Serving, store: OrderStore) -> None:
    """A text that becomes a job: spoken by the worker, fetched from the bucket, deleted with it."""
    with httpx.Client(base_url=serving.url, timeout=90, trust_env=False) as client:
        prefer = {"Prefer": "respond-async, wait=60"}
        job = client.post("/tts", json={"text": "Das dauert."}, headers=prefer).json()
        assert job["status"] == "done", job
        result = job["result"]
        assert (result["language"], result["cached"]) == ("de", False)
        assert job["audio_url"] == job["links"]["result"] == result["audio_url"]
        assert job["cost"]["amount"] > 0
        sound = client.get(result["audio_url"])
        assert (sound.status_code, sound.content[:4]) == (200, b"RIFF")
        times = client.get(f"{result['audio_url']}.json").json()
        assert round(times["seconds"] * 1000) == result["duration_ms"]
        objects = list(open_stores().storage.list(f"orders/{job['job_id']}/"))
        assert {Path(one.name).stem for one in objects} == {result["audio_id"]}
        # What the engine process speaks now is what the worker has spoken.
        again = client.post("/tts", json={"text": "Das dauert."}).json()
        assert again["cached"] is True
        assert client.get(again["audio_url"]).content == sound.content
        assert client.delete(f"/jobs/{job['job_id']}").status_code == 204
        assert client.get(result["audio_url"]).status_code == 404
        assert not list(open_stores().storage.list(f"orders/{job['job_id']}/"))
        assert client.get(again["audio_url"]).status_code == 200
    assert store.output(f"{result['audio_id']}.wav") is None


@pytest.mark.slow
def test_orders_are_made_cancelled_and_survive_the_end_of_the_service(
    serving: Serving, tmp_path: Path
) -> None:
    store = open_orders()
    speak(serving, store)
    order = place(store, "short", 0)
    wait_for(lambda: latest(store, order).is_terminal, 180)
    done = latest(store, order)
    assert done.state == "done"
    assert done.result["video_url"]
    name = f"avatars/short/dynamics/basic/{done.result['version']}/{MANIFEST_NAME}"
    total = Manifest.load(open_stores().storage.fetch(name, tmp_path)).total
    assert done.cost is not None
    assert (done.cost.seconds, done.cost.amount) == (round(total.seconds, 6), total.cost)
    lines = [json.loads(line) for line in (tmp_path / "serve.log").read_text().splitlines()]
    told = [line for line in lines if line.get("job_id") == order.order_id]
    assert {line["part"] for line in told} == {"dispatcher", "worker"}
    assert "idle_video" in {line.get("step") for line in told}
    assert {line.get("run_id") for line in told if line["part"] == "worker"} == {done.run_id}
    assert [line["event"] for line in told if line["part"] == "dispatcher"][-1] == "job is done"

    order, next_order = place(store, "long", 0), place(store, "short", 1)
    wait_for(lambda: latest(store, order).step == "idle_video", 180)
    worker = serving.find("order_worker")
    assert worker is not None
    children = worker.children(recursive=True)
    begin = time.monotonic()
    store.request_cancel(order.order_id)
    wait_for(lambda: latest(store, order).is_terminal, 60)
    cancelled = latest(store, order)
    assert cancelled.state == "cancelled"
    assert open_stores().avatars.get("long").basic["error"]["code"] == "run.cancelled"
    assert not any(child.is_running() for child in children), "a child is left"
    print(f"cancelled after {time.monotonic() - begin:.1f} s")  # noqa: T201
    with opened_instance(Home.from_environment()) as instance:
        run = instance.get_run_by_id(cancelled.run_id or "")
        assert run is not None
        assert run.status == dg.DagsterRunStatus.CANCELED
        slots = instance.event_log_storage.get_concurrency_info(GPU_POOL)
        assert cancelled.run_id not in slots.active_run_ids
    wait_for(lambda: latest(store, next_order).state == "done", 180)

    order = place(store, "long", 2)
    wait_for(lambda: latest(store, order).step == "idle_video", 180)
    family = serving.processes()
    serving.end()
    assert serving.process.returncode == 0
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family)
    returned = latest(store, order)
    assert (returned.state, returned.attempt) in {("queued", 1), ("done", 1)}
    again = begin_serving(["--no-ui"], tmp_path / "again.log")
    try:
        wait_for(lambda: latest(store, order).state == "done", 240)
    finally:
        again.end()
