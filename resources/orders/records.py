"""What order stores hand over beside orders: keys, quotas, rates, notices, deliveries, leases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from resources.orders.order import Order

__all__ = [
    "KEEP_KEYS_S",
    "KEEP_ORDERS_S",
    "Acceptance",
    "AnswerOf",
    "ApiKey",
    "Consent",
    "Delivery",
    "IdempotencyKey",
    "Lease",
    "Notice",
    "OrderPage",
    "Outcome",
    "Output",
    "Quota",
    "RateLimit",
    "RateResult",
    "StoredAnswer",
]

KEEP_ORDERS_S: Final = 30 * 86_400
"""How long ended orders stay."""
KEEP_KEYS_S: Final = 7 * 86_400
"""How long idempotency keys stay."""


Outcome = Literal["new", "same_inputs", "replayed"]
"""What became of an order that was offered: see `Acceptance`."""

AnswerOf = Callable[[Order, Outcome], Mapping[str, Any]]
"""The body of an HTTP answer for an order that is new or was there. It is called inside the
transaction, so that answer and order are stored together: it computes and nothing else."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An HTTP answer that is given again to the same idempotency key."""

    status: int
    """HTTP status."""
    body: Mapping[str, Any]
    """JSON body."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes two requests the same."""

    owner: str
    """The principal."""
    route: str
    """Method and path template: `POST /generate-dynamics`."""
    key: str
    """The header's value, 1-255 visible ASCII characters."""
    fingerprint: str
    """sha256 (hex) of the request's content."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome of offering an order."""

    order: Order
    """The new order, or the one that is there already."""
    outcome: Outcome
    """`same_inputs`: an unfinished order of the same owner, kind, avatar and inputs is at work;
    `replayed`: the idempotency key was used before for the same request."""
    answer: StoredAnswer | None = None
    """What to answer: the first answer for `replayed`, else what `answer` has made of the order."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits that are checked in the transaction that accepts an order; None: no limit."""

    unfinished: int | None = 3
    """Unfinished orders of one owner."""
    per_day: int | None = 50
    """Orders of one owner in the last 24 hours."""
    queue: int | None = 500
    """Unfinished orders of everybody."""


@dataclass(frozen=True, slots=True)
class OrderPage:
    """A page of a listing."""

    orders: Sequence[Order]
    """Newest first."""
    next_cursor: str | None
    """Opaque; None on the last page."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A generic cell rate algorithm (ITU-T I.371): `count` units in each `period_s`, all of them
    at once at most."""

    name: str
    """`reads`, `render`, `orders`, `upload_bytes`…"""
    count: int
    """Units."""
    period_s: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class RateResult:
    """What a rate limit says of one request."""

    allowed: bool
    """Whether it may go on."""
    remaining: int
    """Units that may be used at once after it."""
    retry_after_s: float
    """Seconds until it would be allowed; 0 if it is."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key; the secret is shown once when it is made, only its hash is stored."""

    key_id: str
    """Public part: `snz_<key_id>_<secret>`."""
    secret_sha256: str
    """sha256 (hex) of the whole key."""
    owner: str
    """User id that requests with it act for."""
    scopes: frozenset[str]
    """Of render, jobs, metrics, admin."""
    name: str
    """What the owner calls it."""
    created_at: datetime
    """UTC."""
    revoked_at: datetime | None = None
    """UTC; a revoked key stays listed."""
    last_used_at: datetime | None = None
    """UTC, exact to the minute."""
    webhook: Mapping[str, Any] = field(default_factory=dict)
    """Default `url` and `events` for orders made with it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A webhook message or push that waits in the outbox."""

    notice_id: str
    """Stable over all tries: the `webhook-id`."""
    order_id: str
    """The order it tells of."""
    owner: str
    """Whose signing secret is used."""
    channel: Literal["webhook", "push"]
    """How it is delivered."""
    target: str
    """URL of the receiver; empty for a push."""
    event: str
    """`job.done`, `job.error`, `job.running`."""
    body: Mapping[str, Any]
    """The order as it was at the event (`order_to_json`)."""
    due_at: datetime
    """When the next try is due, UTC."""
    tries: int = 0
    """Tries so far."""
    state: Literal["waiting", "delivered", "failed"] = "waiting"
    """Where it stands."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try to deliver a notice."""

    number: int
    """1, 2, … within its order."""
    notice_id: str
    """Which notice."""
    event: str
    """Its event."""
    at: datetime
    """When it was tried, UTC."""
    status: int | None
    """HTTP status; None if there was no answer."""
    ms: int
    """Milliseconds it took."""
    outcome: Literal["delivered", "refused", "failed"]
    """`failed`: no answer, or no address that may be used."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who is the one active dispatcher."""

    holder: str
    """Name of the process."""
    renewed_at: datetime
    """UTC."""
    until: datetime
    """When another may take it over, UTC."""


@dataclass(frozen=True, slots=True)
class Output:
    """Whose an output file is."""

    name: str
    """Its random name."""
    owner: str
    """User id."""
    order_id: str | None
    """The order that has made it; its objects lie below `orders/<order id>/`."""
    expires_at: datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A caller's declaration that a voice may be imitated. Of the sample only its hash is kept."""

    consent_id: str
    """Made of everything below but the time: the same declaration is stored once."""
    owner: str
    """User id of the caller who has declared it."""
    sample_sha256: str
    """sha256 (hex) of the sample's file."""
    who: str
    """Whose voice it is."""
    given_on: str
    """When that person has agreed, as the caller says: an ISO 8601 date or time."""
    statement: str
    """What that person has agreed to."""
    avatar_id: str | None
    """The avatar that it belongs to; it is deleted with it."""
    at: datetime
    """When it was declared here first, UTC."""
