"""One order: its states, its fields, its id.

    accepted -> queued -> starting -> running -> done
                  └────────┴──────────┴───-> failed, cancelled, lost, expired

`cancelling` stands between an unfinished state and `cancelled`. A terminal order never changes.
"""

import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

__all__ = [
    "KIND_ORDER",
    "TERMINAL_STATES",
    "WAITING_STATES",
    "Kind",
    "Order",
    "OrderCost",
    "OrderError",
    "State",
    "Status",
    "Webhook",
    "is_order_id",
    "new_order_id",
    "status_of",
]

Kind = Literal["dynamics", "animate", "refine", "tts", "trim", "render_batch"]
"""What an order makes."""

State = Literal[
    "accepted",
    "queued",
    "starting",
    "running",
    "cancelling",
    "done",
    "failed",
    "cancelled",
    "lost",
    "expired",
]
"""Where an order stands."""

Status = Literal["queued", "running", "done", "error"]
"""The four stable words that old clients know; see `status_of`."""

TERMINAL_STATES: Final[frozenset[State]] = frozenset(
    {"done", "failed", "cancelled", "lost", "expired"}
)
"""States that an order never leaves."""

WAITING_STATES: Final[tuple[State, ...]] = ("accepted", "queued")
"""States in which an order waits for its turn."""

KIND_ORDER: Final[tuple[Kind, ...]] = (
    "trim",
    "tts",
    "render_batch",
    "animate",
    "refine",
    "dynamics",
)
"""Kinds in the order in which waiting orders are started: what takes seconds and keeps somebody
waiting comes before what takes minutes."""

_STATUS: Final[Mapping[State, Status]] = {
    "accepted": "queued",
    "queued": "queued",
    "starting": "running",
    "running": "running",
    "cancelling": "running",
    "done": "done",
    "failed": "error",
    "cancelled": "error",
    "lost": "error",
    "expired": "error",
}
# Crockford's base 32: text order is time order, and no letter looks like a digit.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_ORDER_ID: Final = re.compile(rf"job_[{_ALPHABET}]{{26}}")


_RANDOM_BITS: Final = 80


class _Ids:
    """Numbers of 48 bits of milliseconds and 80 random ones that grow within a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = 0

    def next(self) -> int:
        """A number above all before it, even if the clock was set back since."""
        random = secrets.randbits(_RANDOM_BITS)
        with self._lock:
            value = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | random
            if value >> _RANDOM_BITS <= self._newest >> _RANDOM_BITS:
                value = self._newest + 1 + (random >> 8)  # as ULID does within a millisecond
            self._newest = value
        return value


_IDS: Final = _Ids()


def new_order_id() -> str:
    """`job_` and 26 characters: 48 bits of milliseconds since 1970, 80 random bits.

    The ids of one process grow.
    """
    value = _IDS.next()
    return "job_" + "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def is_order_id(text: str) -> bool:
    """Whether a text has the form of an order's id."""
    return _ORDER_ID.fullmatch(text) is not None


def status_of(state: State) -> Status:
    """The stable word for a state."""
    return _STATUS[state]


@dataclass(frozen=True, slots=True)
class OrderError:
    """Why an order did not succeed."""

    code: str
    """Dotted code, as `SunrizaError.code`; `run.cancelled` for a cancelled order."""
    message: str
    """What a user may read: no path, no host, no traceback."""
    retryable: bool
    """Whether the same order may succeed later."""


@dataclass(frozen=True, slots=True)
class OrderCost:
    """What an order cost; equal to the total in the manifest of what it published."""

    seconds: float
    """Seconds of its steps, as `costs.totals.RunTotal.seconds`."""
    amount: float
    """Price of those seconds."""
    currency: str
    """ISO 4217 code of the price book."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told of an order's changes."""

    url: str
    """https address of the receiver."""
    events: tuple[str, ...] = ("job.done", "job.error")
    """Which events are delivered."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it is stored."""

    order_id: str
    """See `new_order_id`."""
    kind: Kind
    """What it makes."""
    owner: str
    """User id of the caller; nobody else sees it."""
    state: State
    """Where it stands."""
    created_at: datetime
    """When it was accepted, UTC, whole milliseconds."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """The order's own request, JSON values: parameters, dynamics id, whether to publish."""
    avatar_id: str | None = None
    """The avatar that it works for."""
    inputs_version: str | None = None
    """`AvatarDocument.inputs_version` when it was accepted; equal ones need one run."""
    progress: int = 0
    """0-100, never falls."""
    step: str | None = None
    """The asset at work."""
    eta_s: float | None = None
    """Seconds to its end as forecast; without the time of waiting."""
    started_at: datetime | None = None
    """When its run began, UTC."""
    finished_at: datetime | None = None
    """When it ended, UTC."""
    expires_at: datetime | None = None
    """When the order or its outputs are removed, UTC."""
    revision: int = 1
    """Grows by one with every change."""
    run_id: str | None = None
    """The Dagster run that works for it."""
    attempt: int = 1
    """1 for the first run, more for repetitions after the loss of one."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """The kind's own result, JSON values; empty before it is done."""
    error: OrderError | None = None
    """Why it did not succeed."""
    log_tail: tuple[str, ...] = ()
    """Its newest lines for users, at most 20 lines and 4 kB."""
    cost: OrderCost | None = None
    """What it cost, once it is done."""
    webhook: Webhook | None = None
    """Who is told."""
    retry_of: str | None = None
    """The order that it repeats."""
    request_id: str | None = None
    """Id of the HTTP request that made it; for logs."""
    former: Mapping[str, Any] = field(default_factory=dict)
    """The avatar's wishes before it (`Wishes.to_dict`), which come back if it is cancelled; empty
    where it writes none."""

    @property
    def status(self) -> Status:
        """The stable word for its state."""
        return status_of(self.state)

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL_STATES
