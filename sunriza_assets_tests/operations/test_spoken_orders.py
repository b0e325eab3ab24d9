"""Orders to speak: their sound becomes an output, or nothing is left of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.orders.order import Order, new_order_id
from resources.orders.spoken import SpeechWish
from resources.stores import open_stores
from sunriza_assets.graph.tags import ORDER_TAG
from sunriza_assets.operations.order_runs import KILLED, Outcome, Progress, SpeechWork
from sunriza_assets_tests.operations.conftest import NO_QUOTA, Office, empty

AUDIO_ID = "0123456789abcdef" * 2
FACTS: dict[str, Any] = {
    "audio_id": AUDIO_ID, "duration_ms": 1500, "sample_rate": 22050, "cached": False,
    "engine": "espeak", "why": "the best", "voice": "de", "licence": "GPL-3.0-or-later",
    "language": "de", "characters": 5, "wall_s": 2.0, "cost": 0.25, "cost_currency": "USD",
    "price_book": "b",
}  # fmt: skip


def order_to_speak(office: Office, text: str = "Hallo", owner: str = "ann") -> Order:
    order = Order(
        new_order_id(), "tts", owner, "accepted", datetime.now(UTC),
        inputs=SpeechWish(text, "de").to_dict(), inputs_version="tts",
    )  # fmt: skip
    return office.store.accept(order, quota=NO_QUOTA).order


@dg.op
def says(context: dg.OpExecutionContext) -> None:
    """Writes what was made into Dagster's log."""
    context.log_event(dg.AssetMaterialization("spoken_audio", metadata=FACTS))


@dg.job
def speaking() -> None:
    says()


def store(order_id: str, tmp_path: Path) -> None:
    """The files that a run stores."""
    for suffix in ("wav", "json"):
        (tmp_path / suffix).write_bytes(b"x")
        name = f"orders/{order_id}/{AUDIO_ID}.{suffix}"
        open_stores().storage.put(tmp_path / suffix, name, private=True)


def speak(office: Office, work: SpeechWork, tmp_path: Path) -> None:
    """A run that has spoken."""
    store(work.order_id, tmp_path)
    speaking.execute_in_process(instance=office.instance, run_id=work.run_id, tags=dict(work.tags))


def objects(order: Order) -> list[str]:
    return [one.name for one in open_stores().storage.list(f"orders/{order.order_id}/")]


def test_a_sound_becomes_its_owners_output(office: Office, tmp_path: Path) -> None:
    order = order_to_speak(office)
    office.tick()
    (work,) = office.runner.speeches
    assert (work.order_id, work.tags[ORDER_TAG]) == (order.order_id, order.order_id)
    office.runner.reports = [Progress(work.run_id, "spoken_audio")]
    office.tick()
    assert (office.get(order).state, office.get(order).step) == ("running", "spoken_audio")
    speak(office, work, tmp_path)
    office.runner.reports = [Outcome(work.run_id, "ready")]
    office.tick()
    done = office.get(order)
    assert done.state == "done"
    assert done.result["audio_url"] == f"/audio/{AUDIO_ID}"
    assert "characters" not in done.result
    assert done.cost is not None
    assert (done.cost.seconds, done.cost.amount, done.cost.currency) == (2.0, 0.25, "USD")
    for suffix in ("wav", "json"):
        output = office.store.output(f"{AUDIO_ID}.{suffix}")
        assert output is not None
        assert (output.owner, output.order_id) == ("ann", order.order_id)
        assert timedelta(hours=23) < output.expires_at - datetime.now(UTC) < timedelta(hours=25)
    assert office.store.remove(order.order_id)
    assert len(office.store.expired_outputs()) == 2, "its sound goes with it"


def test_two_texts_are_spoken_beside_each_other_and_beside_avatars(office: Office) -> None:
    office.runner.room = 3
    office.order("ada")
    for text in ("eins", "zwei"):
        order_to_speak(office, text)
    office.tick()
    assert (len(office.runner.speeches), len(office.runner.works)) == (2, 1)


def test_what_was_cut_short_is_spoken_again(office: Office, tmp_path: Path) -> None:
    order = order_to_speak(office)
    office.tick()
    (work,) = office.runner.speeches
    store(work.order_id, tmp_path)
    run = office.instance.create_run_for_job(
        empty, run_id=work.run_id, tags=dict(work.tags), status=dg.DagsterRunStatus.STARTED
    )
    office.restart()
    office.tick()
    assert office.get(order).state == "running"
    office.instance.report_run_failed(run)
    office.tick()
    again = office.get(order)
    assert again.attempt == 2
    office.tick()
    (next_work,) = office.runner.speeches
    office.runner.reports = [Outcome(next_work.run_id, "lost", KILLED)]
    office.tick()
    office.tick()
    assert office.get(order).attempt == 3


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        (Outcome("", "error", "speech.worker_crashed", "It crashed."), "failed", None),
        (Outcome("", "error", "model.missing", "Run this."), "failed", None),
        (Outcome("", "cancelled"), "cancelled", "run.cancelled"),
        (Outcome("", "ready"), "cancelled", "run.cancelled"),
    ],
)
def test_nothing_is_left_of_what_was_not_finished(
    office: Office, tmp_path: Path, outcome: Outcome, state: str, code: str | None
) -> None:
    order = order_to_speak(office)
    office.tick()
    (work,) = office.runner.speeches
    speak(office, work, tmp_path)
    if state == "cancelled":
        office.store.request_cancel(order.order_id)
    office.runner.reports = [Outcome(work.run_id, outcome.status, outcome.code, outcome.message)]
    office.tick()
    ended = office.get(order)
    assert ended.state == state
    assert ended.error is not None
    assert ended.error.code == (code or outcome.code)
    assert objects(order) == []
    assert office.store.output(f"{AUDIO_ID}.wav") is None
