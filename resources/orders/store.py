"""The protocol of the stores of orders.

`SqliteOrders` is the embedded default, `PostgresOrders` is for the fleet; both pass the contract
suite in `sunriza_assets_tests/resources/orders`. A store is thread-safe, and several processes may
use it at once. Every method is one transaction: after a kill at any line it has happened or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from resources.orders.order import Kind, Order, Status

__all__ = [
    "KEEP_KEYS_S",
    "KEEP_ORDERS_S",
    "Acceptance",
    "ApiKey",
    "Delivery",
    "IdempotencyKey",
    "Lease",
    "Notice",
    "OrderPage",
    "OrderStore",
    "Quota",
    "RateLimit",
    "RateResult",
    "StoredAnswer",
]

KEEP_ORDERS_S: Final = 30 * 86_400
"""How long ended orders stay."""
KEEP_KEYS_S: Final = 7 * 86_400
"""How long idempotency keys stay."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An HTTP answer that is given again to the same idempotency key."""

    status: int
    """HTTP status."""
    body: Mapping[str, Any]
    """JSON body; `{job_id}` stands for no order but is stored as it was answered."""


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
    outcome: Literal["new", "same_inputs", "replayed"]
    """`same_inputs`: an unfinished order of the same owner, kind, avatar and inputs is at work;
    `replayed`: the idempotency key was used before for the same request."""
    answer: StoredAnswer | None = None
    """For `replayed`: the first answer."""


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


class OrderStore(Protocol):
    """Orders and what belongs to them: keys, limits, notices, deliveries, the dispatcher's lease.

    All times are the store's own (`now` arguments exist for tests alone). Errors: `StoreError` if
    the database cannot be reached, read or written; nothing has changed then.
    """

    # -- orders -----------------------------------------------------------------------------------

    def accept(
        self,
        order: Order,
        *,
        quota: Quota,
        key: IdempotencyKey | None = None,
        answer: Mapping[str, Any] | None = None,
        answer_status: int = 200,
        credits: int = 0,
    ) -> Acceptance:
        """Store a new order with its idempotency key; or return the one that is there.

        Equal unfinished orders (owner, kind, avatar, inputs version, `inputs`) are one, unless
        `inputs_version` is None.

        Args:
            order: in state `accepted`, revision 1.
            quota: see `Quota`; an order that is there already is not counted again.
            key: makes the acceptance repeatable.
            answer: what a replay answers; kept with the key.
            answer_status: the HTTP status of that answer.
            credits: how many credits of the owner are reserved; 0 for none.

        Raises:
            LimitError: `limit.unfinished`, `limit.per_day`, `limit.queue`, or
                `credits.insufficient`.
            ConflictError: `conflict.idempotency` the key was used for another request.
        """
        ...

    def get(self, order_id: str) -> Order | None:
        """One order, or None."""
        ...

    def page(
        self,
        owner: str,
        *,
        status: Status | None = None,
        kind: Kind | None = None,
        avatar_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> OrderPage:
        """Orders of one owner, newest first.

        Raises:
            ParameterError: the cursor is none of this store's.
        """
        ...

    def change(self, order: Order, **changes: Any) -> Order:
        """Write changed fields of an unfinished order; its revision grows by one.

        `progress` never falls: the larger value stays. A change to a terminal state sets
        `finished_at` and `expires_at`, and puts a notice for its webhook and for push into the
        outbox, in the same transaction; a change to `running` does so for `job.running`.

        Returns:
            The order as it is stored now.

        Raises:
            ConflictError: `conflict.revision` the order was changed by somebody else, has ended,
                or is gone.
        """
        ...

    def request_cancel(self, order_id: str) -> Order | None:
        """`cancelling` for an unfinished order, at once `cancelled` while it has no run; a
        terminal one stays. Idempotent. None if there is no such order."""
        ...

    def remove(self, order_id: str) -> bool:
        """Delete a terminal order with its deliveries; whether there was one.

        Raises:
            ConflictError: `conflict.unfinished`.
        """
        ...

    def unfinished(self) -> Sequence[Order]:
        """All unfinished orders, oldest first."""
        ...

    def queue_position(self, order: Order) -> int | None:
        """How many orders come before it (0: it is next); None unless it waits."""
        ...

    def counts(self) -> Mapping[tuple[Kind, Status], int]:
        """Number of stored orders by kind and status, for metrics."""
        ...

    def oldest_waiting(self) -> datetime | None:
        """When the oldest waiting order was accepted."""
        ...

    # -- the stream of changes --------------------------------------------------------------------

    def position(self) -> int:
        """The number of the newest change; costs microseconds while nothing changes."""
        ...

    def changed_since(self, position: int, limit: int = 500) -> tuple[Sequence[Order], int]:
        """Orders changed after a position, each once in its present state, and the new position.

        An order's terminal state is never skipped.
        """
        ...

    # -- limits -----------------------------------------------------------------------------------

    def take(self, principal: str, limit: RateLimit, units: int = 1) -> RateResult:
        """Use units of a principal's rate limit."""
        ...

    def credits(self, owner: str) -> int | None:
        """Credits left; None for an owner without an account here."""
        ...

    def add_credits(self, owner: str, amount: int) -> int:
        """Add credits to an owner's account (made if missing); what it holds now."""
        ...

    # -- API keys, signing secrets ----------------------------------------------------------------

    def add_key(self, key: ApiKey) -> None:
        """Store a new key."""
        ...

    def find_key(self, key_id: str) -> ApiKey | None:
        """A key by its public part, revoked ones too."""
        ...

    def keys(self, owner: str | None = None) -> Sequence[ApiKey]:
        """All keys, or one owner's, newest first."""
        ...

    def revoke_key(self, key_id: str) -> bool:
        """Revoke a key; whether there was one that was not revoked."""
        ...

    def touch_key(self, key_id: str, at: datetime) -> None:
        """Note that a key was used, exact to the minute."""
        ...

    def webhook_secrets(self, owner: str) -> Sequence[str]:
        """Valid signing secrets (`whsec_…`), the newest first; one is made if there is none."""
        ...

    def rotate_webhook_secret(self, owner: str) -> str:
        """Make a new signing secret; the former one stays valid for 24 hours."""
        ...

    # -- notices ----------------------------------------------------------------------------------

    def due_notices(self, limit: int = 50) -> Sequence[Notice]:
        """Waiting notices whose time has come, the longest due first, at most one per target."""
        ...

    def record_delivery(
        self,
        notice_id: str,
        *,
        status: int | None,
        ms: int,
        outcome: Literal["delivered", "refused", "failed"],
        next_try_at: datetime | None,
    ) -> None:
        """Store a try; `next_try_at` None ends the notice (delivered or failed)."""
        ...

    def deliveries(self, order_id: str) -> Sequence[Delivery]:
        """All tries of an order's notices, oldest first."""
        ...

    def redeliver(self, order_id: str, number: int) -> bool:
        """Make the notice of a try due now; whether there is such a try."""
        ...

    # -- outputs ----------------------------------------------------------------------------------

    def add_output(
        self, name: str, owner: str, *, order_id: str | None, expires_at: datetime
    ) -> None:
        """Note whose output file this is."""
        ...

    def output_owner(self, name: str) -> str | None:
        """The owner of an output that has not expired."""
        ...

    def remove_output(self, name: str) -> bool:
        """Forget an output; whether it was known."""
        ...

    def expired_outputs(self, limit: int = 500) -> Sequence[str]:
        """Names of outputs whose time is over."""
        ...

    # -- the dispatcher ---------------------------------------------------------------------------

    def hold_lease(self, name: str, holder: str, *, seconds: float = 10.0) -> Lease:
        """Take or renew a lease; the result's holder is another one if that one's has not ended."""
        ...

    def release_lease(self, name: str, holder: str) -> None:
        """Give a lease back."""
        ...

    def lease(self, name: str) -> Lease | None:
        """Who holds a lease."""
        ...

    # -- upkeep -----------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Write and read back a row, for readiness."""
        ...

    def sweep(self) -> int:
        """Remove orders, keys and notices whose time is over; how many rows."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...
