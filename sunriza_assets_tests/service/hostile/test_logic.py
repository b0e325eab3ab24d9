"""What goes on beside the requests: forged documents, stale saves, clocks, receivers of webhooks.

Case 18 a forged mapping `users/{uid}/avatars`, 57 an app that saves a stale copy during a job,
59 a clock that is set back, 63 receivers that hang, fail, redirect and never end. Each is tried
from outside, by what the service's answers say.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import firestore

from resources.avatars.firestore import FirestoreAvatars
from resources.home import Home
from resources.storage.local import LocalStorage
from resources.stores import OpenStores
from resources.webhook_post import WebhookPost
from sunriza_assets.operations.notices import Notices
from sunriza_assets_tests.operations.test_notices import authority, poster, receiver
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.resources.avatars.firestore_fixtures import (
    firestore_client,
    firestore_server,
)
from sunriza_assets_tests.resources.downloads.test_public_download import HOST
from sunriza_assets_tests.service.jobs.world import INPUTS, world
from sunriza_assets_tests.service.studio.world import World as Studio
from sunriza_assets_tests.service.studio.world import studio_world

__all__ = ["authority", "firestore_client", "firestore_server", "poster", "receiver"]

DAY_MS = 86_400_000


def test_a_forged_mapping_gives_nobody_an_avatar(
    tmp_path: Path, firestore_client: firestore.Client
) -> None:
    """Clients may write `users/{uid}/avatars` as they like; an avatar belongs to its `userId`."""
    avatars = FirestoreAvatars(firestore_client)
    avatars.merge("anna", INPUTS | {"userId": "alice"})
    mapping = firestore_client.collection("users").document("mallory").collection("avatars")
    mapping.document("anna").set({"avatarId": "anna", "userId": "mallory", "role": "owner"})
    stores = OpenStores(avatars, LocalStorage(Home(tmp_path)), shared=False)
    with world(tmp_path, stores=stores) as served:
        clip = tmp_path / "clip.mp4"
        clip.write_bytes(b"a clip")
        url = stores.storage.put(clip, "avatars/anna/videos/clip.mp4").url

        def answers(user: str) -> list[int]:
            with served.client(user) as client:
                listed = client.get("/avatars").json()["avatars"]
                assert [one["id"] for one in listed] == (["anna"] if user == "alice" else [])
                cut = {"video_url": url, "start_time": 0, "end_time": 1}
                return [
                    answer.status_code
                    for answer in (
                        client.get("/avatars/anna"),
                        client.patch("/avatars/anna", json={"name": "Mine", "render": False}),
                        client.get("/avatars/anna/versions"),
                        client.post("/trimVideo", json=cut),
                        client.post("/generate-dynamics", json={"avatar_id": "anna"}),
                    )
                ]

        assert answers("mallory") == [404] * 5
        assert avatars.get("anna").basic == {}
        assert answers("alice") == [200] * 5


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with studio_world(tmp_path) as served:
        yield served


def test_a_stale_copy_saved_during_a_job_changes_nothing_of_it(studio: Studio) -> None:
    """The app saves whole documents, as they were before the job was asked for."""
    studio.add("anna", "u")
    studio.publish("anna", "run-1")
    client = studio.client("u")
    path = studio.service.home.avatars / "anna.json"
    stale = path.read_bytes()
    body = {"avatar_id": "anna", "force": True}
    job = client.post("/generate-dynamics", json=body).json()["job_id"]
    order = studio.service.orders.get(job)
    assert order is not None
    studio.service.orders.change(order, state="running", run_id="run-2")
    studio.avatars.claim("anna", "run-2")
    path.write_bytes(stale)
    assert json.loads(stale)["dynamics"]["basic"]["status"] == "ready"
    assert client.get(f"/jobs/{job}").json()["status"] == "running"
    studio.avatars.progress("anna", "run-2", 40)
    assert client.get("/avatars/anna").json()["state"] == "generating"
    path.write_bytes(stale)
    studio.publish("anna", "run-2")
    shown = client.get("/avatars/anna/gallery").json()
    assert client.get(shown["idle_url"]).content == b"run-2 idle.mp4"
    assert len(set(re.findall(r"/versions/([^/]+)/", json.dumps(shown)))) == 1
    path.write_bytes(stale)  # and after it
    assert client.get("/avatars/anna/gallery").json() == shown


def test_a_clock_that_is_set_back_locks_nobody_out(tmp_path: Path) -> None:
    """Limits, keys and the order of jobs outlive it; a wait is no longer than without it."""
    offset = 0

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + offset

    limits = {"SUNRIZA_JOBS_PER_MINUTE": "2", "SUNRIZA_JOBS_PER_DAY": "4"}
    with world(tmp_path, now_ms=now_ms, **limits) as served, served.client() as client:
        for avatar in ("anna", "ben", "cleo", "dora"):
            served.add_avatar(avatar)

        def ask(avatar: str) -> httpx.Response:
            headers = {"Idempotency-Key": avatar}
            return client.post("/generate-dynamics", json={"avatar_id": avatar}, headers=headers)

        first, second = ask("anna"), ask("ben")
        assert ask("cleo").status_code == 429
        offset = -DAY_MS
        refused = ask("cleo")
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) <= 60
        offset += 31_000
        third = ask("cleo")
        assert third.status_code == 200
        assert ask("anna").json() == first.json(), "its key is known"
        made = [one.json()["job_id"] for one in (third, second, first)]
        assert [one["id"] for one in client.get("/jobs").json()["jobs"]] == made
        cancelled = client.post(f"/jobs/{made[0]}/cancel").json()
        assert cancelled["state"] == "cancelled"
        assert cancelled["finished_at"] >= cancelled["created_at"]


def test_hostile_receivers_of_webhooks_are_shown_and_delay_nobody(
    tmp_path: Path, receiver: Any, poster: WebhookPost
) -> None:
    """Nothing but a status is shown of what they say, and little of it is read."""
    receiver.answers |= {"/broken": 500, "/moved": 301, "/ok": 204}
    paths = ("/hangs", "/endless", "/broken", "/moved", "/ok")
    limits = {"SUNRIZA_UNFINISHED_JOBS": "10"}
    with world(tmp_path, **limits) as served, served.client() as client:
        jobs = {}
        for number, path in enumerate(paths):
            served.add_avatar(f"a{number}")
            jobs[path] = served.make_job(f"a{number}", webhook_url=f"https://{HOST}{path}")
            served.change(jobs[path], state="done", result={"video_url": "https://x/v.mp4"})
        notices = Notices(served.orders, poster, None)

        def deliveries(path: str) -> list[dict[str, Any]]:
            answer = client.get(f"/jobs/{jobs[path]}/deliveries")
            assert answer.status_code == 200
            found: list[dict[str, Any]] = answer.json()["deliveries"]
            return found

        def told() -> bool:
            notices.deliver_due()
            return all(deliveries(path) for path in paths)

        wait_for(told)
        outcomes = {path: (one["outcome"], one["status"]) for path in paths
                    for one in deliveries(path)[:1]}  # fmt: skip
        assert outcomes == {
            "/hangs": ("failed", None),
            "/endless": ("refused", 500),
            "/broken": ("refused", 500),
            "/moved": ("refused", 301),
            "/ok": ("delivered", 204),
        }
        assert receiver.written < 20_000_000
        asked = [path for path, _, _ in receiver.taken]
        assert asked.count("/ok") == 1, "no redirect is followed"
        assert "xxx" not in client.get(f"/jobs/{jobs['/endless']}/deliveries").text
        again = client.post(f"/jobs/{jobs['/ok']}/deliveries/1/redeliver")
        assert again.status_code == 202
        notices.deliver_due()
        wait_for(lambda: len(deliveries("/ok")) == 2)
        first, second = deliveries("/ok")
        assert first["webhook_id"] == second["webhook_id"]
        notices.stop()
