"""The warm worker: one order through its own code, in this process."""

import json
import socket
import threading
import uuid
import wave
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.accounting.event_log import update_ledger
from resources.orders.open import open_orders
from resources.orders.order import Order, new_order_id
from resources.orders.records import Quota
from resources.orders.spoken import SpeechWish
from resources.stores import open_stores
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.graph.tags import INPUTS_TAG, ORDER_TAG
from sunriza_assets.runs import order_worker
from sunriza_assets.runs.avatar_runs import AvatarRuns
from sunriza_assets.runs.speech_runs import SpeechRuns
from sunriza_assets_tests.graph.conftest import Installation

SMALL = {"max_seconds": 1.0, "stitching_retargeting_eyes_width": 256}


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The dispatcher's end and the worker's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def work(avatar_id: str, **more: Any) -> dict[str, Any]:
    return {
        "run_id": str(uuid.uuid4()),
        "avatar_id": avatar_id,
        "force": False,
        "tags": {ORDER_TAG: "job_x"},
        "parameters": {},
        "is_draft": False,
        **more,
    }


def made_by(installation: Installation, reports: order_worker.Reports) -> order_worker.Runs:
    instance = installation.instance
    return order_worker.Runs(AvatarRuns(instance, reports.progress), SpeechRuns(instance))


def messages(received: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in received.splitlines()]


def test_an_order_reports_its_steps_and_its_end(
    installation: Installation, connection: tuple[socket.socket, socket.socket]
) -> None:
    add_avatar(
        "worked", installation.sample.portrait, installation.sample.clip, parameters=dict(SMALL)
    )
    ours, theirs = connection
    received = bytearray()
    reader = threading.Thread(target=lambda: _read_all(ours, received))
    reader.start()
    reports, commands = order_worker.Reports(theirs), order_worker.Commands(theirs)
    runs = made_by(installation, reports)
    wanted = work("worked")
    order_worker._make(runs, wanted, commands, reports)
    order_worker._make(runs, work("nobody"), commands, reports)
    theirs.shutdown(socket.SHUT_WR)
    reader.join(60)
    told = messages(bytes(received))
    done, missing = [one for one in told if "finished" in one]
    assert (done["finished"], done["status"]) == (wanted["run_id"], "ready")
    assert done["total"]["seconds"] > 0
    assert missing["error"]["code"] == "avatar.missing"
    steps = list(dict.fromkeys(one["step"] for one in told if "progress" in one))
    assert steps[0] == "hero_image"
    assert "published_avatar" in steps
    percents = [one["percent"] for one in told if "percent" in one]
    assert percents[-1] == 100, "it may fall when the clip's length is known; the store's does not"
    lines = [one["text"] for one in told if "line" in one]
    assert [line.split()[0] for line in lines] == steps
    run = installation.instance.get_run_by_id(wanted["run_id"])
    assert run is not None
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert run.tags[ORDER_TAG] == "job_x"
    assert open_stores().avatars.get("worked").status == "ready"


def test_a_run_for_published_inputs_says_why_it_was_not_made(
    installation: Installation, connection: tuple[socket.socket, socket.socket]
) -> None:
    add_avatar("there", installation.sample.portrait, installation.sample.clip)
    avatars = open_stores().avatars
    version = avatars.get("there").inputs_version
    avatars.claim("there", "first")
    avatars.publish(
        "there", "first", version="v1", results={"idleVideoUrl": "u"}, parameters={}, overridden={}
    )
    ours, theirs = connection
    reports, commands = order_worker.Reports(theirs), order_worker.Commands(theirs)
    runs = made_by(installation, reports)
    order_worker._make(runs, work("there", tags={INPUTS_TAG: version}), commands, reports)
    (end,) = [one for one in messages(ours.recv(1 << 16)) if "finished" in one]
    assert (end["status"], end["error"]["code"]) == ("cancelled", "conflict.published")


def test_a_text_is_spoken_for_an_order(
    installation: Installation, connection: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    wish = SpeechWish("Eine Stunde später.", "de")
    order = Order(
        new_order_id(), "tts", "ann", "accepted", datetime.now(UTC), inputs=wish.to_dict()
    )
    open_orders().accept(order, quota=Quota(None, None, None))
    ours, theirs = connection
    reports, commands = order_worker.Reports(theirs), order_worker.Commands(theirs)
    run_id, tags = str(uuid.uuid4()), {ORDER_TAG: order.order_id}
    speaking = {"run_id": run_id, "order_id": order.order_id, "tags": tags}
    runs = made_by(installation, reports)
    order_worker._make(runs, speaking, commands, reports)
    (step, line, end) = messages(ours.recv(1 << 16))
    assert (step["progress"], step["step"]) == (run_id, "spoken_audio")
    assert line["text"].startswith("spoken_audio ")
    assert (end["finished"], end["status"], end["error"]) == (run_id, "ready", None)
    assert end["total"]["seconds"] > 0

    storage = open_stores().storage
    names = [one.name for one in storage.list(f"orders/{order.order_id}/")]
    json_name, wav_name = sorted(names)
    assert json_name.removesuffix(".json") == wav_name.removesuffix(".wav")
    times = json.loads(storage.fetch(json_name, tmp_path).read_text())
    assert times["phones"]
    with wave.open(str(storage.fetch(wav_name, tmp_path))) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    assert seconds == pytest.approx(times["seconds"], abs=0.001)

    # Spoken once more it costs nothing, and takes the place of what a lost run has left.
    again = {**speaking, "run_id": str(uuid.uuid4())}
    order_worker._make(runs, again, commands, reports)
    end = messages(ours.recv(1 << 16))[-1]
    assert (end["status"], end["total"]["cost"]) == ("ready", 0)
    assert len(list(storage.list(f"orders/{order.order_id}/"))) == 2
    nobodys = {**speaking, "run_id": str(uuid.uuid4()), "order_id": new_order_id()}
    order_worker._make(runs, nobodys, commands, reports)
    end = messages(ours.recv(1 << 16))[-1]
    assert (end["status"], end["error"]["code"]) == ("error", "conflict.order")

    ledger = Ledger(installation.home.reports / LEDGER_FOLDER)
    update_ledger(installation.instance, ledger)
    rows = ledger.frame().query("kind == 'tts'").sort_values("event_id")
    assert list(rows["asset"]) == ["spoken_audio"] * 2
    assert list(rows["cache"]) == ["miss", "hit"]
    assert list(rows["characters"]) == [len(wish.text)] * 2
    assert list(rows["sound_s"]) == pytest.approx([seconds] * 2, abs=0.001)
    assert (rows["owner"].iloc[0], rows["engine"].iloc[0]) == ("ann", "espeak")
    assert rows["cost"].iloc[0] > 0
    assert rows["cost"].iloc[1] == 0


def _read_all(connection: socket.socket, received: bytearray) -> None:
    while chunk := connection.recv(1 << 16):
        received += chunk
