"""Notices reach their receivers, signed, until they are taken; hostile receivers delay nobody."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from standardwebhooks import Webhook as Verifier

from resources.downloads.https_target import public_addresses
from resources.orders.order import Webhook
from resources.orders.records import Notice
from resources.orders.sqlite import SqliteOrders
from resources.orders.store import OrderStore
from resources.push import Push
from resources.webhook_post import WebhookPost, checked_webhook_url
from sunriza_assets.errors import StoreError
from sunriza_assets.operations.notices import PAUSES, Notices
from sunriza_assets_tests.operations.conftest import NO_QUOTA, ordered
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.resources.downloads.test_public_download import HOST, authority

__all__ = ["authority"]


class _Receiver(BaseHTTPRequestHandler):
    """Takes webhooks; its answer depends on the path."""

    def do_POST(self) -> None:
        site: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        site.taken.append((self.path, dict(self.headers.items()), body))
        if self.path == "/hangs":
            site.released.wait(30)
            return
        if self.path == "/endless":
            self.send_response(500)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
                    site.written += 65536
            except OSError:
                return
        status = site.answers.get(self.path, 204)
        self.send_response(status)
        if status in (301, 307):
            self.send_header("Location", f"https://{HOST}/ok")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver(authority: Path) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.taken, server.answers, server.written = [], {}, 0
    server.released = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def poster(receiver: Any, authority: Path) -> WebhookPost:
    """Posts to the receiver, whose address passes for a public one."""

    def addresses(host: str) -> list[str]:
        return ["127.0.0.1"] if host == HOST else public_addresses(host)

    return WebhookPost(
        addresses=addresses,
        port=receiver.server_address[1],
        authorities=str(authority),
        seconds=3,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OrderStore]:
    orders = SqliteOrders(tmp_path / "service.db")
    yield orders
    orders.close()


def end_order(store: OrderStore, path: str = "/ok", owner: str = "ann") -> str:
    """An order with a webhook that has ended; its id."""
    order = replace(ordered("ada", owner), webhook=Webhook(f"https://{HOST}{path}"))
    accepted = store.accept(order, quota=NO_QUOTA).order
    store.change(accepted, state="done", result={"video_url": "https://example.com/ä.mp4"})
    return order.order_id


def settled(store: OrderStore, order_id: str, tries: int = 1) -> Callable[[], bool]:
    return lambda: len(store.deliveries(order_id)) >= tries


def test_a_webhook_is_signed_and_delivered(
    store: OrderStore, poster: WebhookPost, receiver: Any
) -> None:
    order_id = end_order(store)
    rotated = store.rotate_webhook_secret("ann")
    results: list[str] = []
    notices = Notices(store, poster, None, tried=results.append)
    notices.deliver_due()
    wait_for(settled(store, order_id))
    (_, headers, body) = next(one for one in receiver.taken if one[0] == "/ok")
    for secret in store.webhook_secrets("ann"):
        told = Verifier(secret).verify(body, headers)
        assert told["type"] == "job.done"
        assert told["data"]["job_id"] == order_id
        assert told["timestamp"] == told["data"]["finished_at"]
    assert store.webhook_secrets("ann")[0] == rotated
    with pytest.raises(Exception, match="signature"):
        Verifier(store.webhook_secrets("bob")[0]).verify(body, headers)
    (delivery,) = store.deliveries(order_id)
    assert (delivery.outcome, delivery.status, delivery.number) == (
        "delivered",
        204,
        delivery.number,
    )
    assert "delivered" in results
    notices.stop()


@pytest.mark.parametrize("status", [200, 299])
def test_any_2xx_counts(store: OrderStore, poster: WebhookPost, receiver: Any, status: int) -> None:
    receiver.answers["/ok"] = status
    order_id = end_order(store)
    Notices(store, poster).deliver_due()
    wait_for(settled(store, order_id))
    assert [one.outcome for one in store.deliveries(order_id)] == ["delivered"]


@pytest.mark.parametrize(("path", "status"), [("/moved", 301), ("/down", 500), ("/no", 404)])
def test_other_answers_are_tried_again_with_the_same_id(
    store: OrderStore, poster: WebhookPost, receiver: Any, path: str, status: int
) -> None:
    receiver.answers[path] = status
    order_id = end_order(store, path)
    notices = Notices(store, poster)
    notices.deliver_due()
    wait_for(settled(store, order_id))
    (first,) = store.deliveries(order_id)
    assert (first.outcome, first.status) == ("refused", status)
    assert not store.due_notices(), "it waits"
    assert not [one for one in receiver.taken if one[0] == "/ok"], "redirects are not followed"

    receiver.answers[path] = 200
    assert store.redeliver(order_id, first.number)
    notices.deliver_due()
    wait_for(lambda: any(one.status == 200 for one in store.deliveries(order_id)))
    ids = {headers["webhook-id"] for taken, headers, _ in receiver.taken if taken == path}
    assert len(ids) == 1


def test_410_stops_and_tries_run_out(
    store: OrderStore, poster: WebhookPost, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sunriza_assets.operations import notices as module

    monkeypatch.setattr(module, "PAUSES", (timedelta(),) * len(PAUSES))
    receiver.answers |= {"/gone": 410, "/down": 503}
    gone, down = end_order(store, "/gone"), end_order(store, "/down", "bob")
    notices = Notices(store, poster)

    def deliver() -> bool:
        notices.deliver_due()
        return len(store.deliveries(down)) >= 1 + len(PAUSES)

    wait_for(deliver)
    notices.deliver_due()
    time.sleep(0.1)
    assert len(store.deliveries(gone)) == 1
    assert len(store.deliveries(down)) == 8


def test_a_try_that_ends_while_due_notices_are_read_is_not_made_again(
    store: OrderStore, poster: WebhookPost, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = end_order(store)
    reached, go_on = threading.Event(), threading.Event()
    post, due = poster.post, store.due_notices

    def post_late(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        reached.set()
        assert go_on.wait(30)
        return post(url, body, headers)

    def due_until_it_has_ended(limit: int) -> Sequence[Notice]:
        found = due(limit)
        go_on.set()
        wait_for(settled(store, order_id))
        time.sleep(0.1)  # until nothing is under way any more
        return found

    monkeypatch.setattr(poster, "post", post_late)
    notices = Notices(store, poster)
    assert notices.deliver_due() == 1
    assert reached.wait(30)
    monkeypatch.setattr(store, "due_notices", due_until_it_has_ended)
    assert notices.deliver_due() == 0
    assert len(store.deliveries(order_id)) == len(receiver.taken) == 1


def test_a_receiver_that_hangs_or_never_ends_delays_nobody(
    store: OrderStore, poster: WebhookPost, receiver: Any
) -> None:
    hanging = [end_order(store, "/hangs", f"hanging-{number}") for number in range(4)]
    endless = end_order(store, "/endless", "endless")
    good = end_order(store)
    poster._seconds = 60
    notices = Notices(store, poster)
    wait_for(lambda: notices.deliver_due() >= 0 and settled(store, good)())
    wait_for(lambda: notices.deliver_due() >= 0 and settled(store, endless)())
    assert not any(store.deliveries(order_id) for order_id in hanging), "they still hang"
    assert receiver.written < 50_000_000
    notices.stop()


@pytest.mark.parametrize(
    "url",
    [
        "http://media.example.com/",
        "https://media.example.com:8443/",
        "https://user:word@media.example.com/",
        "https:///x",
        "file:///etc/passwd",
        "gopher://media.example.com/",
        "data:text/plain,x",
    ],
)
def test_other_addresses_are_no_webhooks(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        checked_webhook_url(url)
    assert caught.value.code == "store.address"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "0.1.2.3", "169.254.169.254", "2130706433", "0x7f000001",
     "[::ffff:127.0.0.1]", "localhost", "10.0.0.1"],
)  # fmt: skip
def test_private_receivers_are_not_contacted(poster: WebhookPost, receiver: Any, host: str) -> None:
    with pytest.raises(StoreError) as caught:
        poster.post(f"https://{host}/", b"{}", {})
    assert caught.value.code in ("store.address", "store.unavailable")
    assert receiver.taken == []


class _Fcm(BaseHTTPRequestHandler):
    """Firebase Cloud Messaging, as far as it is used."""

    def do_POST(self) -> None:
        site: Any = self.server
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        site.sent.append((self.path, self.headers["Authorization"], sent["message"]))
        answer: dict[str, Any] = {"name": "x"}
        status = 200
        device = sent["message"]["token"]
        if device == "gone":
            status = 404
            answer = {"error": {"status": "NOT_FOUND", "details": [{"errorCode": "UNREGISTERED"}]}}
        if device == "busy":
            status, answer = 503, {"error": {"status": "UNAVAILABLE"}}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class ListedTokens:
    """Devices in a dictionary."""

    devices: dict[str, list[str]]

    def of(self, user_id: str) -> list[str]:
        return list(self.devices.get(user_id, []))

    def drop(self, user_id: str, token: str) -> None:
        self.devices[user_id].remove(token)


@pytest.fixture
def fcm() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Fcm)
    server.sent = []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_end_of_an_order_is_pushed_and_dead_devices_are_forgotten(
    tmp_path: Path, poster: WebhookPost, fcm: Any
) -> None:
    store = SqliteOrders(tmp_path / "pushing.db", push=True)
    tokens = ListedTokens({"ann": ["phone", "gone"]})
    url = f"http://127.0.0.1:{fcm.server_address[1]}"
    push = Push(tokens, "project", AnonymousCredentials(), url=url)
    order_id = end_order(store)
    Notices(store, poster, push).deliver_due()
    wait_for(settled(store, order_id, 2))
    assert [one.outcome for one in store.deliveries(order_id)] == ["delivered", "delivered"]
    assert tokens.devices == {"ann": ["phone"]}
    path, authorization, message = fcm.sent[0]
    assert path == "/v1/projects/project/messages:send"
    assert authorization.startswith("Bearer ")
    assert message["data"] == {"job_id": order_id, "avatar_id": "ada", "status": "done"}

    tokens.devices["ann"] = ["busy"]
    assert push.send("ann", {}) == 503
    store.close()
