"""Delivery of notices: signed webhooks and push messages, from the outbox, in threads.

A notice is in the outbox since the transaction that ended its order, and stays until a receiver has
taken it (any 2xx), has said that it is gone (410), or all tries are used up. Its id is the same in
every try. The signature is that of Standard Webhooks. A receiver that hangs occupies one thread,
and no more than two of one host do.
"""

import base64
import binascii
import hmac
import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from resources.orders.records import Notice
from resources.orders.store import OrderStore
from sunriza_assets.errors import StoreError, SunrizaError
from sunriza_assets.logs import bound_lines
from sunriza_assets.operations.outages import Outage

__all__ = ["PAUSES", "Notices", "Poster", "Pusher", "Result", "signature"]

_log = logging.getLogger(__name__)

PAUSES: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600, 3 * 3600, 8 * 3600)
)
"""From one try to the next; the first try is made at once."""
JITTER: Final = 0.2
"""A pause is longer by up to this share, so that a receiver that comes back is not overrun."""
_THREADS: Final = 32
_PER_HOST: Final = 2
_PAGE: Final = 200
_PAUSE_S: Final = 0.5

Result = Literal["delivered", "refused", "failed"]
"""What became of a try; see `Delivery.outcome`."""


class Poster(Protocol):
    """Posts to webhooks; see `resources.webhook_post`."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post once; the status of the answer."""
        ...


class Pusher(Protocol):
    """Sends push messages; see `resources.push`."""

    def send(self, user_id: str, data: Mapping[str, str]) -> int:
        """Send to all devices of a user; 200 if nothing failed."""
        ...


def signature(secrets: Sequence[str], notice_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each valid secret.

    Args:
        secrets: `whsec_` and the key in base64.
        notice_id: the header `webhook-id`.
        timestamp: the header `webhook-timestamp`, seconds since 1970.
        body: the body as it is sent.
    """
    content = f"{notice_id}.{timestamp}.".encode() + body
    made = []
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error as problem:
            raise StoreError("A signing secret is damaged", code="secret") from problem
        digest = hmac.digest(key, content, "sha256")
        made.append(f"v1,{base64.b64encode(digest).decode()}")
    return " ".join(made)


class Notices:
    """Delivers the notices of one store.

    Args:
        store: the orders and their outbox.
        poster: posts webhooks.
        pusher: sends push messages; None lets them fail.
        tried: gets the result of each try.
    """

    def __init__(
        self,
        store: OrderStore,
        poster: Poster,
        pusher: Pusher | None = None,
        *,
        tried: Callable[[Result], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._poster = poster
        self._pusher = pusher
        self._tried = tried
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="notices")
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._hosts: Counter[str] = Counter()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Deliver what is due from now on, in threads."""
        threading.Thread(target=self._watch, name="notices", daemon=True).start()

    def stop(self) -> None:
        """Begin no further try."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def deliver_due(self) -> int:
        """Begin a try of each notice that is due; how many were begun. For one thread at a time."""
        begun = 0
        with self._lock:  # a try that ends while due notices are read was read as not made yet
            under_way = frozenset(self._under_way)
        for notice in self._store.due_notices(_PAGE):
            host = _host(notice)
            with self._lock:
                busy = len(self._under_way) >= _THREADS or self._hosts[host] >= _PER_HOST
                if busy or notice.notice_id in under_way:
                    continue
                self._under_way.add(notice.notice_id)
                self._hosts[host] += 1
            self._threads.submit(self._try, notice, host)
            begun += 1
        return begun

    def _watch(self) -> None:
        outage = Outage(_log, "Notices cannot be read")
        while not self._stopping.wait(_PAUSE_S):
            try:
                self.deliver_due()
                outage.over()
            except StoreError as problem:
                outage.failed(problem)
            except RuntimeError:  # stopped meanwhile: no thread takes work any more
                return

    def _try(self, notice: Notice, host: str) -> None:
        with bound_lines(job_id=notice.order_id):
            self._try_once(notice, host)

    def _try_once(self, notice: Notice, host: str) -> None:
        """Try once and store how it went; a try that is not stored is made again."""
        begin = time.monotonic()
        status: int | None = None
        try:
            status = self._post(notice) if notice.channel == "webhook" else self._push(notice)
        except SunrizaError as problem:
            _log.info("%s is not delivered: %s", notice.notice_id, problem)
        ms = round((time.monotonic() - begin) * 1000)
        try:
            result = _result(status)
            self._store.record_delivery(
                notice.notice_id,
                status=status,
                ms=ms,
                outcome=result,
                next_try_at=_next_try(notice, status),
            )
            _log.info(
                "notice %s", result, extra={"notice": notice.notice_id, "status": status, "ms": ms}
            )
            self._tried(result)
        except StoreError as problem:
            _log.warning("The delivery of %s is not stored: %s", notice.notice_id, problem)
        finally:
            with self._lock:
                self._under_way.discard(notice.notice_id)
                self._hosts[host] -= 1
                if not self._hosts[host]:
                    del self._hosts[host]

    def _post(self, notice: Notice) -> int:
        body = json.dumps(_message(notice), separators=(",", ":"), ensure_ascii=False).encode()
        timestamp = int(time.time())
        secrets = self._store.webhook_secrets(notice.owner)
        headers = {
            "webhook-id": notice.notice_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secrets, notice.notice_id, timestamp, body),
        }
        return self._poster.post(notice.target, body, headers)

    def _push(self, notice: Notice) -> int:
        if self._pusher is None:
            raise StoreError("Push messages are switched off", code="push")
        job = notice.body
        data = {
            "job_id": str(job.get("job_id", notice.order_id)),
            "avatar_id": str(job.get("avatar_id") or ""),
            "status": str(job.get("status", "")),
        }
        return self._pusher.send(notice.owner, data)


def _message(notice: Notice) -> dict[str, Any]:
    job = notice.body
    at = job.get("finished_at") or job.get("started_at") or job.get("created_at")
    return {"type": notice.event, "timestamp": at, "data": job}


def _result(status: int | None) -> Result:
    if status is None:
        return "failed"
    return "delivered" if 200 <= status < 300 else "refused"


def _next_try(notice: Notice, status: int | None) -> datetime | None:
    """When the next try is due; None where there is none."""
    gone = status == 410
    if _result(status) == "delivered" or gone or notice.tries >= len(PAUSES):
        return None
    pause = PAUSES[notice.tries] * (1 + JITTER * random.random())  # noqa: S311 - no secret
    return datetime.now(UTC) + pause


def _host(notice: Notice) -> str:
    if notice.channel == "push":
        return "push"
    try:
        return urlsplit(notice.target).hostname or ""
    except ValueError:
        return ""
