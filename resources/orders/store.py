"""The protocol of the stores of orders.

`SqliteOrders` is the embedded default, `PostgresOrders` is for the fleet; both pass the contract
suite in `sunriza_assets_tests/resources/orders`. A store is thread-safe, and several processes may
use it at once. Every method is one transaction: after a kill at any line it has happened or not.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from resources.orders.order import Kind, Order, Status
from resources.orders.records import (
    KEEP_KEYS_S,
    KEEP_ORDERS_S,
    Acceptance,
    AnswerOf,
    ApiKey,
    Consent,
    Delivery,
    IdempotencyKey,
    Lease,
    Notice,
    OrderPage,
    Outcome,
    Output,
    Quota,
    RateLimit,
    RateResult,
    StoredAnswer,
)

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
    "OrderStore",
    "Outcome",
    "Output",
    "Quota",
    "RateLimit",
    "RateResult",
    "StoredAnswer",
]


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
        answer: AnswerOf | None = None,
        answer_status: int = 200,
        credits: int = 0,
        api_key: str | None = None,
        charge: Callable[[], None] | None = None,
    ) -> Acceptance:
        """Store a new order with its idempotency key; or return the one that is there.

        Equal unfinished orders (owner, kind, avatar, inputs version, `inputs`) are one, unless
        `inputs_version` is None or the one that is there is being cancelled.

        Args:
            order: in state `accepted`, revision 1.
            quota: see `Quota`; an order that is there already is not counted again.
            key: makes the acceptance repeatable.
            answer: makes the answer's body, which is kept with the key.
            answer_status: the HTTP status of that answer.
            credits: how many credits of the owner are reserved; 0 for none. They are captured
                when the order is done, and given back when it ends otherwise.
            api_key: public part of the API key that the order came with; its default webhook
                holds for an order that names none.
            charge: called inside the transaction unless the answer is replayed; what it raises
                refuses the order. It may use rates, and nothing else of the store.

        Raises:
            LimitError: `limit.unfinished`, `limit.per_day`, `limit.queue`.
            CreditsError: `credits.insufficient`.
            ConflictError: `conflict.idempotency` the key was used for another request;
                `conflict.in_progress` that request is still under way (see `begin_answer`).
        """
        ...

    def get(self, order_id: str) -> Order | None:
        """One order, or None."""
        ...

    def page(
        self,
        owner: str | None,
        *,
        status: Status | None = None,
        kind: Kind | None = None,
        avatar_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> OrderPage:
        """Orders of one owner, or of everybody for None; newest first.

        Raises:
            ParameterError: the cursor is none of this store's.
        """
        ...

    def change(self, order: Order, **changes: Any) -> Order:
        """Write changed fields of an unfinished order; its revision grows by one.

        `progress` never falls: the larger value stays. A change to a terminal state sets
        `finished_at` and `expires_at`, and puts a notice for its webhook and for push into the
        outbox, in the same transaction; a change to `running` does so for `job.running`, once.
        The first change to `running` sets `started_at`; one to `done` sets `progress` to 100.

        Args:
            order: as it was read; its revision is what the change is based on.
            changes: `state`, `progress`, `step`, `eta_s`, `started_at`, `expires_at`, `run_id`,
                `attempt`, `result`, `error`, `log_tail` or `cost`.

        Returns:
            The order as it is stored now.

        Raises:
            ConflictError: `conflict.revision` the order was changed by somebody else, has ended,
                or is gone; `conflict.cancelling` it is being cancelled and may only end.
        """
        ...

    def request_cancel(self, order_id: str) -> Order | None:
        """`cancelling` for an unfinished order, at once `cancelled` while it waits without a run;
        a terminal one stays. Idempotent. None if there is no such order."""
        ...

    def remove(self, order_id: str) -> bool:
        """Delete a terminal order with its notices, deliveries and idempotency keys; whether there
        was one. Its outputs expire at once: `expired_outputs` names them.

        Raises:
            ConflictError: `conflict.unfinished`.
        """
        ...

    def unfinished(self) -> Sequence[Order]:
        """All unfinished orders, oldest first."""
        ...

    def waiting(self) -> Sequence[Order]:
        """Orders `accepted` or `queued`, in the order in which they are to be started: by kind,
        then round robin over owners, then by age (`fair_order`)."""
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

        An order's terminal state is never skipped; only an order that was removed meanwhile is.
        """
        ...

    # -- answers to requests that make no order ---------------------------------------------------

    def begin_answer(self, key: IdempotencyKey, *, seconds: float = 180.0) -> StoredAnswer | None:
        """Begin a request that spends or makes something, but no order; or its stored answer.

        None: the caller works now, and calls `finish_answer` or `abandon_answer`. If it does
        neither within `seconds`, the key is free again.

        Raises:
            ConflictError: `conflict.idempotency` the key was used for another request;
                `conflict.in_progress` the same request is under way.
        """
        ...

    def finish_answer(self, key: IdempotencyKey, answer: StoredAnswer) -> None:
        """Store the answer that equal requests get from now on."""
        ...

    def abandon_answer(self, key: IdempotencyKey) -> None:
        """Forget a request that was begun and has failed: the same may be tried again."""
        ...

    # -- limits -----------------------------------------------------------------------------------

    def take(self, principal: str, limit: RateLimit, units: int = 1) -> RateResult:
        """Use units of a principal's rate limit; nothing is used if they are not allowed.

        More units than the limit has are never allowed; `retry_after_s` is its period then.
        """
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
        """Waiting notices whose time has come, the longest due first; at most one per receiver
        (URL of a webhook, owner for a push), so that a dead one takes one place."""
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

    def output(self, name: str) -> Output | None:
        """An output that has not expired."""
        ...

    def outputs_of(self, order_id: str) -> Sequence[str]:
        """Names of an order's outputs, expired ones too."""
        ...

    def remove_output(self, name: str) -> bool:
        """Forget an output; whether it was known."""
        ...

    def expired_outputs(self, limit: int = 500) -> Sequence[Output]:
        """Outputs whose time is over, the oldest first."""
        ...

    # -- consents ---------------------------------------------------------------------------------

    def add_consent(
        self,
        owner: str,
        *,
        sample_sha256: str,
        who: str,
        given_on: str,
        statement: str,
        avatar_id: str | None = None,
    ) -> Consent:
        """Store a declaration; the same one again is the one that is there. See `Consent`."""
        ...

    def consents(self, owner: str | None) -> Sequence[Consent]:
        """Declarations of one owner, or of everybody for None, newest first."""
        ...

    def remove_consent(self, consent_id: str) -> bool:
        """Delete a declaration; whether there was one."""
        ...

    def remove_consents_of(self, avatar_id: str) -> int:
        """Delete the declarations that belong to an avatar; how many there were."""
        ...

    # -- the dispatcher ---------------------------------------------------------------------------

    def hold_lease(self, name: str, holder: str, *, seconds: float = 10.0) -> Lease:
        """Take or renew a lease; the result's holder is another one if that one's has not ended.

        A lease that reaches further into the future than `seconds` was written before the clock
        was set back; it is shortened to `seconds` from now.
        """
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
        """Remove orders and keys whose time is over; how many rows. Outputs are left to whoever
        removes their files (`expired_outputs`)."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...
