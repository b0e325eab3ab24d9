"""The warm worker: one order through its own code, in this process."""

import json
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from resources.stores import open_stores
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.graph.tags import INPUTS_TAG, ORDER_TAG
from sunriza_assets.runs import order_worker
from sunriza_assets.runs.avatar_runs import AvatarRuns
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
    runs = AvatarRuns(installation.instance, reports.progress)
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
    runs = AvatarRuns(installation.instance, reports.progress)
    order_worker._make(runs, work("there", tags={INPUTS_TAG: version}), commands, reports)
    (end,) = [one for one in messages(ours.recv(1 << 16)) if "finished" in one]
    assert (end["status"], end["error"]["code"]) == ("cancelled", "conflict.published")


def _read_all(connection: socket.socket, received: bytearray) -> None:
    while chunk := connection.recv(1 << 16):
        received += chunk
