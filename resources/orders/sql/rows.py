"""Orders as rows: columns, exact times, JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from resources.orders.order import Order, OrderCost, OrderError, Webhook

__all__ = [
    "DAY_MS",
    "LOG_TAIL_BYTES",
    "LOG_TAIL_LINES",
    "ORDER_COLUMNS",
    "Row",
    "column_values",
    "datetime_of",
    "json_text",
    "milliseconds",
    "order_of",
    "same_as",
    "tail_of",
]

Row = Sequence[Any]
"""One row of a result."""

ORDER_COLUMNS: Final = (
    "order_id, kind, owner, state, created_at, inputs, avatar_id, inputs_version, progress, step,"
    " eta_s, started_at, finished_at, expires_at, revision, run_id, attempt, result, error,"
    " log_tail, cost, webhook, retry_of, request_id, former"
)
"""Columns of `orders` in the order of `Order`'s fields."""

LOG_TAIL_LINES: Final = 20
"""Lines that an order's log tail has at most."""
LOG_TAIL_BYTES: Final = 4096
"""UTF-8 bytes that it has at most, line ends included."""
DAY_MS: Final = 86_400_000
"""Milliseconds of a day."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_TIMES: Final = frozenset({"created_at", "started_at", "finished_at", "expires_at"})


def milliseconds(time: datetime) -> int:
    """Whole milliseconds since 1970; exact, what is finer is cut off."""
    return (time - _EPOCH) // _MS


def datetime_of(ms: int) -> datetime:
    """The UTC time that is so many milliseconds after the start of 1970; exact."""
    return _EPOCH + timedelta(milliseconds=ms)


def json_text(value: object) -> str:
    """JSON without spaces, in ASCII; keys stay in their order.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def order_of(row: Row) -> Order:
    """The order in a row of `ORDER_COLUMNS`."""
    (
        order_id,
        kind,
        owner,
        state,
        created_at,
        inputs,
        avatar_id,
        inputs_version,
        progress,
        step,
        eta_s,
        started_at,
        finished_at,
        expires_at,
        revision,
        run_id,
        attempt,
        result,
        error,
        log_tail,
        cost,
        webhook,
        retry_of,
        request_id,
        former,
    ) = row
    return Order(
        order_id=order_id,
        kind=kind,
        owner=owner,
        state=state,
        created_at=datetime_of(created_at),
        inputs=_map(inputs),
        avatar_id=avatar_id,
        inputs_version=inputs_version,
        progress=progress,
        step=step,
        eta_s=eta_s,
        started_at=None if started_at is None else datetime_of(started_at),
        finished_at=None if finished_at is None else datetime_of(finished_at),
        expires_at=None if expires_at is None else datetime_of(expires_at),
        revision=revision,
        run_id=run_id,
        attempt=attempt,
        result=_map(result),
        error=None if error is None else OrderError(**json.loads(error)),
        log_tail=() if log_tail == "[]" else tuple(json.loads(log_tail)),
        cost=None if cost is None else OrderCost(**json.loads(cost)),
        webhook=None if webhook is None else _webhook(webhook),
        retry_of=retry_of,
        request_id=request_id,
        former=_map(former),
    )


def column_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an order's fields as its columns keep them."""
    return {name: _column(name, value) for name, value in fields.items()}


def same_as(order: Order) -> str | None:
    """What equal orders share: a hash of owner, kind, avatar, inputs and their version.

    None: the order has no version of inputs, so no other one is taken for the same.
    """
    if order.inputs_version is None:
        return None
    parts = [order.owner, order.kind, order.avatar_id, order.inputs_version, dict(order.inputs)]
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(canonical.encode()).hexdigest()


def tail_of(lines: Iterable[str]) -> tuple[str, ...]:
    """The newest lines that a log tail has room for; line breaks inside a line become spaces."""
    kept: list[str] = []
    room = LOG_TAIL_BYTES
    for line in reversed(tuple(lines)[-LOG_TAIL_LINES:]):
        # Lone surrogates can be stored by no database and sent in no JSON.
        text = " ".join(line.splitlines()).encode("utf-8", "replace")
        room -= len(text) + 1
        if room < 0:
            break
        kept.append(text.decode())
    return tuple(reversed(kept))


def _column(name: str, value: Any) -> Any:
    if name == "log_tail":
        return json_text(list(tail_of(value)))
    if name in {"inputs", "result", "former"}:
        return json_text(dict(value))
    if value is None:
        return None
    if name in _TIMES:
        return milliseconds(value)
    if name in {"error", "cost", "webhook"}:
        return json_text(asdict(value))
    return value


def _map(text: str) -> Mapping[str, Any]:
    return {} if text == "{}" else json.loads(text)


def _webhook(text: str) -> Webhook:
    stored = json.loads(text)
    return Webhook(url=stored["url"], events=tuple(stored["events"]))
