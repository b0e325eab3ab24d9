"""Orders' ids, and orders as the JSON that callers see."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.orders import order as order_module
from resources.orders.order import OrderCost, OrderError, is_order_id, new_order_id
from resources.orders.order_json import order_to_json, rfc3339
from resources.orders.sql.rows import datetime_of, milliseconds
from sunriza_assets_tests.resources.orders.order_makers import an_order

LINKS = {"self", "events", "ws", "cancel", "result"}


def test_a_new_order_as_json() -> None:
    order = an_order(order_id="job_" + "0" * 26, avatar_id="a/b", eta_s=12.5)
    assert order_to_json(order, queue_position=3) == {
        "job_id": order.order_id,
        "id": order.order_id,
        "kind": "dynamics",
        "status": "queued",
        "state": "accepted",
        "progress": 0,
        "step": None,
        "eta_seconds": 12.5,
        "queue_position": 3,
        "created_at": "2026-11-30T12:00:00.123Z",
        "started_at": None,
        "finished_at": None,
        "expires_at": None,
        "revision": 1,
        "avatar_id": "a/b",
        "run_id": None,
        "attempt": 1,
        "retry_of": None,
        "result": {},
        "video_url": None,
        "audio_url": None,
        "error": None,
        "log_tail": "",
        "cost": None,
        "links": {
            "self": f"/jobs/{order.order_id}",
            "events": f"/jobs/{order.order_id}/events",
            "ws": f"/ws/jobs/{order.order_id}",
            "cancel": f"/jobs/{order.order_id}/cancel",
            "result": None,
        },
    }


def test_an_ended_order_as_json() -> None:
    done = an_order(
        kind="animate",
        state="done",
        result={"video_url": "/output/x.mp4"},
        cost=OrderCost(1.5, 0.25, "EUR"),
        log_tail=("one", "two"),
        eta_s=3.0,
    )
    told = order_to_json(done, base="https://api.example.com")
    assert json.loads(json.dumps(told)) == told
    assert told["status"] == "done"
    assert told["video_url"] == told["links"]["result"] == "/output/x.mp4"
    assert told["cost"] == {"seconds": 1.5, "amount": 0.25, "currency": "EUR"}
    assert told["log_tail"] == "one\ntwo"
    assert told["eta_seconds"] is None
    assert told["links"].keys() == LINKS
    assert told["links"]["self"] == f"https://api.example.com/jobs/{done.order_id}"
    avatar = order_to_json(replace(done, kind="dynamics", avatar_id="ä/b"), base="/v1")
    assert avatar["links"]["result"] == "/v1/avatars/%C3%A4%2Fb/gallery"
    failed = replace(done, state="failed", error=OrderError("face.none", "No face.", False))
    told = order_to_json(failed)
    assert told["error"] == {"code": "face.none", "message": "No face.", "retryable": False}
    assert (told["status"], told["links"]["result"]) == ("error", None)


def test_files_of_the_local_store_have_the_addresses_at_which_they_are_served() -> None:
    folder = "file:///home/ann%20e/storage/avatars/a/dynamics/basic/v000001-ab"
    result = {
        "avatar_id": "a",
        "version": "v000001-ab",
        "video_url": f"{folder}/idle.mp4",
        "idle_chunk1_url": f"{folder}/idle_chunks/idle_chunk1.mp4",
        "poster_url": "https://storage.example/poster.jpg",
        "odd_url": "file:///etc/passwd",
    }
    told = order_to_json(an_order(avatar_id="a", state="done", result=result), base="/v1")
    served = "/v1/avatars/a/versions/v000001-ab/files"
    assert told["result"] == {
        **result,
        "video_url": f"{served}/idle.mp4",
        "idle_chunk1_url": f"{served}/idle_chunks/idle_chunk1.mp4",
        "odd_url": None,
    }
    assert told["video_url"] == f"{served}/idle.mp4"


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)), st.integers(-720, 720))  # noqa: DTZ001
def test_times_are_exact(time: datetime, minutes: int) -> None:
    time = time.replace(tzinfo=UTC)
    cut = time.replace(microsecond=time.microsecond // 1000 * 1000)
    assert datetime_of(milliseconds(time)) == cut
    elsewhere = time.astimezone(timezone(timedelta(minutes=minutes)))
    assert rfc3339(elsewhere) == f"{cut:%Y-%m-%dT%H:%M:%S}.{cut.microsecond // 1000:03d}Z"
    assert datetime.fromisoformat(rfc3339(time)) == cut


def test_ids_grow_even_if_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [new_order_id() for _ in range(1000)]
    now = order_module.time.time_ns()
    monkeypatch.setattr(order_module.time, "time_ns", lambda: now - 3_600_000_000_000)
    ids = [*before, *(new_order_id() for _ in range(1000))]
    assert ids == sorted(set(ids))
    assert all(is_order_id(one) for one in ids)


@pytest.mark.parametrize(
    "text",
    ["", "job_", "job_" + "0" * 25, "job_" + "i" * 26, "JOB_" + "0" * 26, "job_" + "0" * 26 + "\n"],
)
def test_what_is_no_id(text: str) -> None:
    assert not is_order_id(text)
