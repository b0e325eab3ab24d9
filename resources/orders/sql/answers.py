"""Stored answers by idempotency key."""

import json
from dataclasses import dataclass

from resources.orders.records import KEEP_KEYS_S, IdempotencyKey, StoredAnswer
from resources.orders.sql.database import Transaction
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import json_text
from sunriza_assets.errors import ConflictError

__all__ = ["Answers", "KnownAnswer", "known_answer", "store_answer"]


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """What is stored under an idempotency key whose request has been finished."""

    order_id: str | None
    """The order that the request has made."""
    answer: StoredAnswer | None
    """The answer; None if the order was accepted without one."""


class Answers(Part):
    """Answers to requests that make no order."""

    def begin_answer(self, key: IdempotencyKey, *, seconds: float = 180.0) -> StoredAnswer | None:
        """See `OrderStore.begin_answer`."""
        with self._database.write() as transaction:
            known = known_answer(transaction, key)
            if known is not None:
                return known.answer
            until = transaction.now + int(seconds * 1000)
            store_answer(transaction, key, None, order_id=None, until=until)
            return None

    def finish_answer(self, key: IdempotencyKey, answer: StoredAnswer) -> None:
        """See `OrderStore.finish_answer`."""
        with self._database.write() as transaction:
            until = transaction.now + KEEP_KEYS_S * 1000
            store_answer(transaction, key, answer, order_id=None, until=until)

    def abandon_answer(self, key: IdempotencyKey) -> None:
        """See `OrderStore.abandon_answer`."""
        with self._database.write() as transaction:
            transaction.run(
                "delete from answers where owner = ? and route = ? and key = ?"
                " and fingerprint = ? and status is null and order_id is null",
                key.owner,
                key.route,
                key.key,
                key.fingerprint,
            )


def known_answer(transaction: Transaction, key: IdempotencyKey) -> KnownAnswer | None:
    """What is stored under a key; None if nothing is, or its time is over.

    Raises:
        ConflictError: `conflict.idempotency`, `conflict.in_progress`.
    """
    rows = transaction.run(
        "select fingerprint, order_id, status, body, until from answers"
        " where owner = ? and route = ? and key = ?",
        key.owner,
        key.route,
        key.key,
    )
    if not rows:
        return None
    ((fingerprint, order_id, status, body, until),) = rows
    if until <= transaction.now:
        return None
    if fingerprint != key.fingerprint:
        raise ConflictError(
            "This Idempotency-Key was used for another request",
            remedy="Use a new key for a new request.",
            code="idempotency",
        )
    if status is None and order_id is None:
        raise ConflictError(
            "The first request with this Idempotency-Key is still under way",
            remedy="Wait a few seconds and ask again with the same key.",
            code="in_progress",
        )
    answer = None if status is None else StoredAnswer(status, json.loads(body))
    return KnownAnswer(order_id, answer)


def store_answer(
    transaction: Transaction,
    key: IdempotencyKey,
    answer: StoredAnswer | None,
    *,
    order_id: str | None,
    until: int,
) -> None:
    """Put an answer under a key until a time (milliseconds since 1970), over what is there."""
    transaction.run(
        "insert into answers (owner, route, key, fingerprint, order_id, status, body, until)"
        " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (owner, route, key) do update set"
        " fingerprint = excluded.fingerprint, order_id = excluded.order_id,"
        " status = excluded.status, body = excluded.body, until = excluded.until",
        key.owner,
        key.route,
        key.key,
        key.fingerprint,
        order_id,
        None if answer is None else answer.status,
        None if answer is None else json_text(dict(answer.body)),
        until,
    )
