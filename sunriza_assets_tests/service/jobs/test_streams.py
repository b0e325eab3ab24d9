"""Jobs as they change: server-sent events and WebSockets on real connections."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from sunriza_assets.service import streams
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.changes import ChangeFeed
from sunriza_assets.service.routes import streams as stream_routes
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.jobs.world import World


def finish(served: World, job_id: str) -> None:
    served.change(job_id, state="running", run_id="run-1")
    for progress in (10, 60):
        served.change(job_id, progress=progress, step="idle_video")
    served.change(job_id, state="done", result={"video_url": "https://x/idle.mp4"})


# -- server-sent events ---------------------------------------------------------------------------


@contextmanager
def events(
    served: World, path: str, user: str = "alice", last: str | None = None
) -> Iterator[Iterator[dict[str, Any]]]:
    """Parsed events of a stream; `data` is decoded."""
    headers = {} if last is None else {"Last-Event-ID": last.encode("latin-1")}
    with served.client(user) as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield parsed(answer)


def parsed(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(":")
            event[name or "comment"] = value.removeprefix(" ")
            continue
        if "data" in event:
            event["data"] = json.loads(event["data"])
        if event.keys() - {"retry"}:
            yield event
        event = {}


class TestEvents:
    def test_a_stream_tells_the_present_and_then_the_end(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with events(served, f"/jobs/{job_id}/events") as told:
            first = next(told)
            assert (first["event"], first["id"], first["data"]["revision"]) == ("job", "1", 1)
            threading.Thread(target=finish, args=(served, job_id)).start()
            rest = list(told)
        assert rest[-1]["data"]["status"] == "done"
        assert rest[-1]["data"]["video_url"] == "https://x/idle.mp4"
        revisions = [int(one["id"]) for one in rest]
        assert revisions == sorted(set(revisions))
        assert revisions[-1] == served.order(job_id).revision

    def test_a_stream_goes_on_where_it_was_broken_off(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        served.change(job_id, state="queued")
        with events(served, f"/jobs/{job_id}/events", last="2") as told:
            served.change(job_id, state="starting", run_id="r")
            assert next(told)["id"] == "3"
        for last in ("1", "99", "x", "-1", "\xb2", "9" * 40):
            with events(served, f"/jobs/{job_id}/events", last=last) as told:
                assert next(told)["id"] == "3"

    def test_an_ended_job_is_told_once(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        served.orders.request_cancel(job_id)
        with events(served, f"/jobs/{job_id}/events") as told:
            assert [one["data"]["state"] for one in told] == ["cancelled"]
        with served.client() as client:
            answer = client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "2"})
        assert answer.status_code == 204

    def test_an_idle_stream_shows_that_it_lives(
        self, served: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_routes, "COMMENT_S", 0.1)
        served.add_avatar()
        job_id = served.make_job()
        with events(served, f"/jobs/{job_id}/events") as told:
            assert next(told)["data"]["revision"] == 1
            assert "comment" in next(told)
            served.orders.request_cancel(job_id)
            served.orders.remove(job_id)
            assert all("comment" in one for one in told)  # it ends: there is no such job any more

    def test_all_own_jobs_come_in_one_stream(self, served: World) -> None:
        served.add_avatar("anna")
        served.add_avatar("eve", "bob")
        ended = served.make_job(parameters={"fps": 1})
        served.orders.request_cancel(ended)
        waiting = served.make_job(parameters={"fps": 2})
        with events(served, "/jobs/events") as told:
            first = next(told)
            assert first["data"]["id"] == waiting
            foreign = served.make_job("eve", "bob")
            served.orders.request_cancel(foreign)
            new = served.make_job(parameters={"fps": 3})
            assert next(told)["data"]["id"] == new
            served.orders.request_cancel(waiting)
            last = next(told)
            assert (last["data"]["id"], last["data"]["state"]) == (waiting, "cancelled")
        served.orders.request_cancel(new)
        with events(served, "/jobs/events", last=last["id"]) as told:
            again = next(told)
            assert (again["data"]["id"], again["data"]["state"]) == (new, "cancelled")

    def test_a_stream_without_jobs_begins_with_its_position(self, served: World) -> None:
        served.add_avatar()
        with events(served, "/jobs/events") as told:
            begun = next(told)
            assert begun.keys() == {"id"}
        job_id = served.make_job()
        with events(served, "/jobs/events", last=begun["id"]) as told:
            assert next(told)["data"]["id"] == job_id

    def test_a_user_has_ten_streams(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with ExitStack() as opened:
            path = f"/jobs/{job_id}/events"
            told = [opened.enter_context(events(served, path)) for _ in range(10)]
            for one in told:
                next(one)
            with served.client() as client:
                answer = client.get("/jobs/events")
            assert (answer.status_code, answer.json()["code"]) == (429, "limit.streams")
            assert next(opened.enter_context(events(served, "/jobs/events", "bob")))["id"]
        wait_for(lambda: stream_is_free(served, job_id))


def stream_is_free(served: World, job_id: str) -> bool:
    with served.client() as client, client.stream("GET", f"/jobs/{job_id}/events") as answer:
        return answer.status_code == 200


# -- WebSockets -----------------------------------------------------------------------------------


def ws(served: World, path: str, user: str | None = "alice", **options: Any) -> ClientConnection:
    headers = {} if user is None else {"Authorization": f"Bearer {served.token(user)}"}
    return connect(
        f"ws://127.0.0.1:{served.port}{path}",
        additional_headers=headers,
        proxy=None,
        open_timeout=30,
        **options,
    )


def closed_with(socket_: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            socket_.recv(timeout=30)
    assert caught.value.rcvd is not None
    return int(caught.value.rcvd.code)


class TestWebSockets:
    def test_a_socket_tells_the_present_the_end_and_closes(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with ws(served, f"/ws/jobs/{job_id}") as open_socket:
            first = json.loads(open_socket.recv(timeout=30))
            assert (first["type"], first["job"]["revision"]) == ("job", 1)
            finish(served, job_id)
            revisions = []
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    message = json.loads(open_socket.recv(timeout=30))
                    revisions.append(message["job"]["revision"])
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1000
        assert message["job"]["status"] == "done"
        assert revisions == sorted(set(revisions))

    def test_a_browser_brings_its_token_as_a_subprotocol(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        offered = [Subprotocol("sunriza.v1"), Subprotocol(f"bearer.{served.token('alice')}")]
        with ws(served, f"/ws/jobs/{job_id}", None, subprotocols=offered) as open_socket:
            assert open_socket.subprotocol == "sunriza.v1"
            assert json.loads(open_socket.recv(timeout=30))["job"]["id"] == job_id

    def test_nobody_watches_without_a_credential_or_what_is_not_his(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        for path in (f"/ws/jobs/{job_id}", "/ws/jobs"):
            with ws(served, path, None) as open_socket:
                assert closed_with(open_socket) == 4401
        for path in (f"/ws/jobs/{job_id}", "/ws/jobs/job_" + "0" * 26, "/ws/jobs/x"):
            with ws(served, path, "mallory") as open_socket:
                assert closed_with(open_socket) == 4404
        with pytest.raises(InvalidStatus):
            ws(served, f"/ws/jobs/{job_id}", origin="https://evil.example.com")

    def test_a_job_is_cancelled_by_a_message(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with ws(served, f"/ws/jobs/{job_id}") as open_socket:
            open_socket.send('{"type":"cancel"}')
            messages = [json.loads(message) for message in open_socket]
        assert messages[-1]["job"]["state"] == "cancelled"
        assert not served.avatars.get("anna").needs_run

    def test_a_stream_of_all_jobs_cancels_the_named_one(self, served: World) -> None:
        served.add_avatar("anna")
        served.add_avatar("eve", "bob")
        mine, foreign = served.make_job(), served.make_job("eve", "bob")
        with ws(served, "/ws/jobs") as open_socket:
            assert json.loads(open_socket.recv(timeout=30))["job"]["id"] == mine
            open_socket.send(json.dumps({"type": "cancel", "job_id": foreign}))
            refused = json.loads(open_socket.recv(timeout=30))
            assert (refused["type"], refused["code"]) == ("error", "access.missing")
            open_socket.send(json.dumps({"type": "cancel", "job_id": mine}))
            told = json.loads(open_socket.recv(timeout=30))
            assert (told["job"]["id"], told["job"]["state"]) == (mine, "cancelled")
        assert served.order(foreign).state == "accepted"

    @pytest.mark.parametrize("message", ["x", "[]", "{}", '{"type":1}', '{"type":"x"}', "[" * 999])
    def test_what_is_no_message_is_said(self, served: World, message: str) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with ws(served, f"/ws/jobs/{job_id}") as open_socket:
            open_socket.recv(timeout=30)
            open_socket.send(message)
            assert json.loads(open_socket.recv(timeout=30))["code"] == "request.message"

    def test_a_hostile_client_is_sent_away(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        for message, code in (("x" * 1025, 1009), ("x" * 1_000_000, 1009), (b"\0" * 100, 1003)):
            with ws(served, f"/ws/jobs/{job_id}") as open_socket:
                open_socket.send(message)
                assert closed_with(open_socket) == code
        with ws(served, f"/ws/jobs/{job_id}") as open_socket:
            with suppress(ConnectionClosed):
                for _ in range(200):
                    open_socket.send('{"type":"pong"}')
            assert closed_with(open_socket) == 1008

    def test_a_user_has_ten_sockets(self, served: World) -> None:
        served.add_avatar()
        job_id = served.make_job()
        with ExitStack() as opened:
            for _ in range(10):
                opened.enter_context(ws(served, f"/ws/jobs/{job_id}")).recv(timeout=30)
            with ws(served, f"/ws/jobs/{job_id}") as eleventh:
                assert closed_with(eleventh) == 4429

    def test_an_idle_socket_is_pinged_and_a_deleted_jobs_one_closed(
        self, served: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_routes, "PING_S", 0.1)
        served.add_avatar()
        job_id = served.make_job()
        with ws(served, f"/ws/jobs/{job_id}") as open_socket:
            open_socket.recv(timeout=30)
            assert json.loads(open_socket.recv(timeout=30)) == {"type": "ping"}
            # The state between is missed: a deleted job is in no listing of changes.
            with monkeypatch.context() as unseen:
                unseen.setattr(ChangeFeed, "_hand_over", lambda *_: None)
                served.orders.request_cancel(job_id)
                served.orders.remove(job_id)
                assert closed_with(open_socket) in (4404, 1000)

    def test_a_credential_that_ends_closes_its_socket(
        self, served: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served.add_avatar()
        job_id = served.make_job()
        soon = datetime.now(UTC) + timedelta(seconds=1)
        monkeypatch.setattr(
            stream_routes,
            "seconds_left",
            lambda principal: streams.seconds_left(
                Principal(principal.uid, "token", principal.scopes, expires_at=soon)
            ),
        )
        with ws(served, f"/ws/jobs/{job_id}") as open_socket:
            assert closed_with(open_socket) == 4408
        with events(served, f"/jobs/{job_id}/events") as told:
            assert all(one["data"]["id"] == job_id for one in told)  # it ends, too

    def test_a_reader_that_takes_nothing_is_closed(
        self, served: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_routes, "STALLED_S", 0.3)
        served.add_avatar()
        job_id = served.make_job()
        big = {"note": "x" * 1_000_000}
        slots = streams.stream_slots(served.service)
        connection = socket.create_connection(("127.0.0.1", served.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(
            f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {served.token('alice')}\r\n\r\n".encode()
        )
        wait_for(lambda: slots.open_streams == 1)
        served.change(job_id, state="running", run_id="r")
        end = time.monotonic() + 60
        while slots.open_streams and time.monotonic() < end:
            served.change(job_id, result=big)
            time.sleep(0.05)
        assert slots.open_streams == 0
        connection.close()

    def test_no_reader_misses_the_end(self, served: World) -> None:
        """Jobs that change as fast as can be, read by sockets that come at any moment."""
        served.add_avatar()
        jobs = [served.make_job(parameters={"fps": 1 + n}) for n in range(9)]
        ends: dict[str, str] = {}

        def watch(job_id: str, user: str) -> None:
            with ws(served, f"/ws/jobs/{job_id}", user) as open_socket:
                for message in open_socket:
                    ends[job_id] = json.loads(message)["job"]["state"]

        readers = [threading.Thread(target=watch, args=(one, "alice")) for one in jobs]
        for reader in readers:
            reader.start()
        for job_id in jobs:
            finish(served, job_id)
        for reader in readers:
            reader.join(60)
        assert ends == dict.fromkeys(jobs, "done")
