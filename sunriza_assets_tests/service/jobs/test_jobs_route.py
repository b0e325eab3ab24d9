"""Jobs: reading, waiting, listing, cancelling, repeating, deleting."""

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from resources.orders.order import OrderError, Webhook
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.changes import change_feed
from sunriza_assets.service.jobs import changed_order
from sunriza_assets.service.schemas.jobs import Job
from sunriza_assets_tests.service.jobs.world import World

STATES = ("accepted", "queued", "starting", "running")


def put_in_state(served: World, job_id: str, state: str) -> None:
    """Bring an order where the dispatcher would."""
    if state == "accepted":
        return
    served.change(job_id, state="queued")
    if state != "queued":
        served.change(job_id, state="starting", run_id="run-1")
    if state == "running":
        served.change(job_id, state="running")


class TestReading:
    def test_a_job_reads_as_documented(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with served.client() as client:
            answer = client.get(f"/jobs/{job_id}")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["etag"] == '"1"'
        job = answer.json()
        assert Job.model_validate(job).model_dump(mode="json") == job
        assert job["job_id"] == job["id"] == job_id
        assert (job["status"], job["state"]) == ("queued", "accepted")
        assert (job["progress"], job["queue_position"], job["revision"]) == (0, 0, 1)
        assert job["eta_seconds"] == 120
        assert job["links"] == {
            "self": f"/jobs/{job_id}",
            "events": f"/jobs/{job_id}/events",
            "ws": f"/ws/jobs/{job_id}",
            "cancel": f"/jobs/{job_id}/cancel",
            "result": None,
        }

    def test_the_forecast_of_a_waiting_job_covers_those_before_it(self, served: World) -> None:
        served.add_avatar()
        served.make_job()
        second = served.make_job(parameters={"fps": 12})
        with served.client() as client:
            job = client.get(f"/jobs/{second}").json()
        assert (job["queue_position"], job["eta_seconds"]) == (1, 240)

    def test_an_unchanged_job_is_304(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with served.client() as client:
            for known in ('"1"', 'W/"1"', '"0", "1"', "*"):
                answer = client.get(f"/jobs/{job_id}", headers={"If-None-Match": known})
                assert (answer.status_code, answer.content) == (304, b"")
                assert answer.headers["etag"] == '"1"'
            served.change(job_id, state="queued")
            answer = client.get(f"/jobs/{job_id}", headers={"If-None-Match": '"1"'})
            assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
            for odd in ("1", '"', "", "W/", '"' * 99):
                answer = client.get(f"/jobs/{job_id}", headers={"If-None-Match": odd})
                assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", ""),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("DELETE", ""),
            ("GET", "/events"),
            ("GET", "/deliveries"),
            ("POST", "/deliveries/1/redeliver"),
            ("GET", "?wait=1"),
        ],
    )
    def test_a_foreign_job_is_an_absent_one(self, served: World, method: str, path: str) -> None:
        served.add_avatar()
        mine = served.make_job()
        absent = "job_" + "0" * 26
        with served.client("mallory") as client:
            foreign, missing, odd = (
                client.request(method, f"/jobs/{one}{path}") for one in (mine, absent, "job_x")
            )
        assert foreign.status_code == missing.status_code == odd.status_code == 404
        known = dict(foreign.json(), instance="")
        assert known == dict(missing.json(), instance="") == dict(odd.json(), instance="")
        assert served.order(mine).revision == 1

    def test_an_expired_job_is_gone(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        served.change(
            job_id,
            state="failed",
            error=OrderError("run.failed", "x", retryable=True),
            expires_at=datetime.now(UTC) - timedelta(seconds=1),
        )
        with served.client() as client:
            assert client.get(f"/jobs/{job_id}").status_code == 410


class TestLongPoll:
    def test_the_answer_comes_with_the_next_revision(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        timer = threading.Timer(0.5, lambda: served.change(job_id, state="queued"))
        timer.start()
        with served.client() as client:
            answer = client.get(f"/jobs/{job_id}", params={"wait": 30})
            assert (answer.status_code, answer.json()["revision"]) == (200, 2)
            began = time.monotonic()
            answer = client.get(
                f"/jobs/{job_id}", params={"wait": 30}, headers={"If-None-Match": '"1"'}
            )
            assert (answer.status_code, answer.json()["revision"]) == (200, 2)
            assert time.monotonic() - began < 20
        timer.join()

    def test_after_the_time_it_is_as_it_was(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with served.client() as client:
            assert client.get(f"/jobs/{job_id}?wait=1").json()["revision"] == 1
            answer = client.get(f"/jobs/{job_id}?wait=1", headers={"If-None-Match": '"1"'})
            assert answer.status_code == 304

    def test_a_change_that_the_caller_knows_does_not_end_the_wait(self, served: World) -> None:
        """It may reach the watcher only after the request that follows it."""
        served.add_avatar()
        job_id = served.make_job()
        service = replace(served.service)  # with a feed of its own
        principal = Principal("alice", "key", frozenset({"jobs"}))

        async def ask() -> bool:
            feed = change_feed(service)
            waiting = asyncio.create_task(
                changed_order(service, principal, job_id, revision=1, wait_s=60)
            )
            async with feed.of_order(job_id):
                await asyncio.sleep(0.3)
                feed._hand_over([served.order(job_id)], feed.position)
                ended, _ = await asyncio.wait([waiting], timeout=0.3)
                waiting.cancel()
            return bool(ended)

        assert not asyncio.run(ask())

    def test_an_ended_job_is_not_waited_for(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        served.orders.request_cancel(job_id)
        began = time.monotonic()
        with served.client() as client:
            assert client.get(f"/jobs/{job_id}?wait=60").json()["status"] == "error"
        assert time.monotonic() - began < 40

    @pytest.mark.parametrize("wait", ["-1", "61", "x", "NaN"])
    def test_a_wait_out_of_range_is_refused(self, served: World, wait: str) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with served.client() as client:
            assert client.get(f"/jobs/{job_id}?wait={wait}").status_code == 422


class TestListing:
    def test_pages_hold_every_job_once_newest_first(self, served: World) -> None:
        served.add_avatar("anna")
        served.add_avatar("ben")
        served.add_avatar("eve", "bob")
        made = [
            served.make_job(avatar, parameters={"fps": number + 1})
            for number in range(4)
            for avatar in ("anna", "ben")
        ]
        served.make_job("eve", "bob")
        found: list[str] = []
        cursor: str | None = ""
        with served.client() as client:
            while cursor is not None:
                params: dict[str, str | int] = {"limit": 3}
                if cursor:
                    params["cursor"] = cursor
                page = client.get("/jobs", params=params).json()
                found += [job["id"] for job in page["jobs"]]
                cursor = page["next_cursor"]
            assert found == made[::-1]
            one = client.get("/jobs", params={"avatar_id": "ben", "limit": 100}).json()
            assert [job["id"] for job in one["jobs"]] == made[::-2]
            served.orders.request_cancel(made[0])
            failed = client.get("/jobs", params={"status": "error"}).json()
            assert [job["id"] for job in failed["jobs"]] == made[:1]
            assert client.get("/jobs", params={"kind": "tts"}).json()["jobs"] == []

    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=101", "status=pending", "kind=x", "cursor=%27;drop", "limit=1e9"],
    )
    def test_a_wrong_filter_is_refused(self, served: World, query: str) -> None:
        with served.client() as client:
            assert client.get(f"/jobs?{query}").status_code in (400, 422)


class TestCancelling:
    @pytest.mark.parametrize("state", STATES)
    def test_a_job_is_cancelled_in_every_state(self, served: World, state: str) -> None:
        served.add_avatar()
        job_id = served.make_job()
        put_in_state(served, job_id, state)
        with served.client() as client:
            answer = client.post(f"/jobs/{job_id}/cancel")
            assert answer.status_code == 202
            job = answer.json()
            if state in ("accepted", "queued"):
                assert (job["status"], job["state"]) == ("error", "cancelled")
                assert job["error"]["code"] == "run.cancelled"
            else:
                assert (job["status"], job["state"]) == ("running", "cancelling")
                assert client.post(f"/jobs/{job_id}/cancel").status_code == 202
                served.change(job_id, state="cancelled")
            again = client.post(f"/jobs/{job_id}/cancel")
            assert (again.status_code, again.json()["state"]) == (200, "cancelled")

    def test_a_done_job_stays_done(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        served.change(job_id, state="running", run_id="run-1")
        served.change(job_id, state="done", result={"video_url": "https://x/idle.mp4"})
        with served.client() as client:
            answer = client.post(f"/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "done")
        assert answer.json()["video_url"] == "https://x/idle.mp4"
        assert answer.json()["links"]["result"] == "/avatars/anna/gallery"

    def test_a_cancelled_request_starts_no_run(self, served: World) -> None:
        """The document would go on asking: the sensor answers what is pending."""
        served.add_avatar()
        job_id = served.make_job()
        assert served.avatars.get("anna").needs_run
        with served.client() as client:
            client.post(f"/jobs/{job_id}/cancel")
        document = served.avatars.get("anna")
        assert not document.needs_run
        assert document.status == "error"
        assert document.basic["error"]["code"] == "run.cancelled"
        assert served.avatars.get("anna").wishes == document.wishes
        again = served.make_job()
        assert again != job_id
        assert served.avatars.get("anna").needs_run

    def test_a_newer_request_is_not_taken_back(self, served: World) -> None:
        served.add_avatar()
        first = served.make_job(parameters={"fps": 12})
        second = served.make_job(parameters={"fps": 13})
        with served.client() as client:
            client.post(f"/jobs/{first}/cancel")
        document = served.avatars.get("anna")
        assert (document.status, document.basic["jobId"]) == ("pending", second)
        assert document.needs_run


class TestRetrying:
    def test_a_failed_job_is_repeated(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job(
            parameters={"fps": 12}, webhook_url="https://example.com/hook", publish=False
        )
        served.change(
            job_id,
            state="failed",
            eta_s=None,
            error=OrderError("run.failed", "x", retryable=True),
        )
        with served.client() as client:
            key = {"Idempotency-Key": "k"}
            answer = client.post(f"/jobs/{job_id}/retry", headers=key)
            assert answer.status_code == 202
            job = answer.json()
            assert (job["retry_of"], job["eta_seconds"]) == (job_id, 120)
            assert answer.headers["location"] == f"/jobs/{job['id']}"
            again = client.post(f"/jobs/{job_id}/retry", headers=key)
            assert again.headers["idempotency-replayed"] == "true"
            assert again.json()["id"] == job["id"]
        new, old = served.order(job["id"]), served.order(job_id)
        assert (new.inputs, new.webhook) == (old.inputs, old.webhook)
        assert new.webhook == Webhook("https://example.com/hook")

    def test_only_a_failed_job_is_repeated(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with served.client() as client:
            assert client.post(f"/jobs/{job_id}/retry").status_code == 409

    def test_prefer_waits_for_the_end(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        served.orders.request_cancel(job_id)

        def finish() -> None:
            while not (waiting := served.orders.waiting()):
                time.sleep(0.05)
            served.orders.request_cancel(waiting[0].order_id)

        finisher = threading.Thread(target=finish)
        finisher.start()
        with served.client() as client:
            answer = client.post(f"/jobs/{job_id}/retry", headers={"Prefer": "wait=30"})
        finisher.join()
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert answer.headers["preference-applied"] == "wait=30"


class TestDeleting:
    def test_a_deleted_job_is_absent(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with served.client() as client:
            assert client.delete(f"/jobs/{job_id}").status_code == 204
            assert client.get(f"/jobs/{job_id}").status_code == 404
            assert client.delete(f"/jobs/{job_id}").status_code == 404

    def test_a_job_at_work_is_cancelled_first(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        put_in_state(served, job_id, "running")

        def dispatcher() -> None:
            while served.order(job_id).state != "cancelling":
                time.sleep(0.02)
            served.change(job_id, state="cancelled")

        ending = threading.Thread(target=dispatcher)
        ending.start()
        with served.client() as client:
            assert client.delete(f"/jobs/{job_id}").status_code == 204
        ending.join()
        assert served.orders.get(job_id) is None


class TestDeliveries:
    def test_tries_are_listed_and_repeated(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job(
            webhook_url="https://example.com/hook", webhook_events=["job.error", "job.running"]
        )
        with served.client() as client:
            assert client.get(f"/jobs/{job_id}/deliveries").json() == {"deliveries": []}
            served.change(job_id, state="running", run_id="r")
            (notice,) = served.orders.due_notices()
            served.orders.record_delivery(
                notice.notice_id, status=500, ms=12, outcome="refused", next_try_at=None
            )
            (one,) = client.get(f"/jobs/{job_id}/deliveries").json()["deliveries"]
            assert (one["number"], one["event"], one["status"]) == (1, "job.running", 500)
            assert one["webhook_id"] == notice.notice_id
            assert served.orders.due_notices() == []
            answer = client.post(f"/jobs/{job_id}/deliveries/1/redeliver")
            assert answer.status_code == 202
            (again,) = served.orders.due_notices()
            assert again.notice_id == notice.notice_id
            assert client.post(f"/jobs/{job_id}/deliveries/2/redeliver").status_code == 404


def test_the_document_describes_jobs_and_messages(served: World) -> None:
    with served.client() as client:
        document = client.get("/openapi.json").json()
    assert document["webhooks"].keys() == {"job.done", "job.error", "job.running"}
    message = document["webhooks"]["job.done"]["post"]
    assert "JobEvent" in str(message["requestBody"])
    assert {one["name"] for one in message["parameters"]} == {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    schemas = document["components"]["schemas"]
    assert schemas["JobEvent"]["properties"]["data"] == {
        "$ref": "#/components/schemas/Job",
        "description": "The job as it was then.",
    }
    paths = document["paths"]
    assert (
        "text/event-stream" in paths["/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]
    )
    assert "video/mp4" in paths["/trimVideo"]["post"]["responses"]["200"]["content"]
    names = {one["name"] for one in paths["/generate-dynamics"]["post"]["parameters"]}
    assert "Idempotency-Key" in names
