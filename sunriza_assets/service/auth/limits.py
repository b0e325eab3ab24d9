"""Rates: how many requests one caller may send, counted in the store of orders.

Reads are frequent and cheap, and a write to the store for each would cost more than the read: a
process takes them from the store in blocks and hands them out itself. The other rates ask the store
every time.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from resources.orders.store import OrderStore, RateLimit, RateResult
from resources.settings import Settings
from sunriza_assets.errors import LimitError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.policies import Policy

__all__ = ["Charge", "Limits", "charge_of", "upload_limit"]

_ANONYMOUS: Final = RateLimit("anonymous", 6, 3600.0)
_BLOCKS: Final = 30
_CALLERS: Final = 10_000


def rate_limits(settings: Settings) -> dict[str, RateLimit]:
    """The rate of each kind of request."""
    return {
        "reads": RateLimit("reads", settings.reads_per_minute, 60.0),
        "render": RateLimit("render", settings.renders_per_minute, 60.0),
        "orders": RateLimit("orders", settings.jobs_per_minute, 60.0),
    }


def upload_limit(settings: Settings) -> RateLimit:
    """Bytes that one caller may upload in a day."""
    return RateLimit("upload_bytes", settings.upload_bytes_per_day, 86_400.0)


class Limits:
    """Refuses a caller who sends too many requests.

    Every request counts against the rate of reads, and one that makes something against the rate
    of what it makes, too. Whether a request with an Idempotency-Key makes anything is only known
    to its route, which gets the `Charge`: an answer that is given again costs nothing.

    Args:
        app: the next application.
        service: settings and the store.
    """

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self.app = app
        self.service = service
        self.limits = rate_limits(service.settings)
        self.reads = BlockwiseLimit(service.orders, self.limits["reads"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on that its caller may send.

        Raises:
            LimitError: `limit.rate`.
        """
        if scope["type"] == "http":
            principal: Principal | None = scope["state"].get("principal")
            if principal is not None and principal.is_limited:
                await self._check(scope, principal)
        await self.app(scope, receive, send)

    async def _check(self, scope: Scope, principal: Principal) -> None:
        policy: Policy = scope["state"]["policy"]
        headers: dict[str, str] = scope["state"].setdefault("answer_headers", {})
        name = f"uid:{principal.uid}"  # whichever of its keys it uses
        known = self.reads.take_known(name)
        result = await in_thread(self.reads.take, name) if known is None else known
        _note(self.limits["reads"], result, headers)
        anonymous = principal.via == "anonymous"
        if policy.rate == "reads" and not anonymous:
            return
        limit = _ANONYMOUS if anonymous else self.limits[policy.rate]
        charge = Charge(self.service.orders, name, limit, headers)
        if policy.replays and any(header == b"idempotency-key" for header, _ in scope["headers"]):
            scope["state"]["charge"] = charge
        else:
            await in_thread(charge)


@dataclass(frozen=True, slots=True)
class Charge:
    """A unit of a caller's rate, which is used by calling this; blocking."""

    store: OrderStore
    """Where the rate is counted."""
    principal: str
    """Whose rate."""
    limit: RateLimit
    """The rate."""
    headers: dict[str, str]
    """Headers of the answer, which tell what is left."""

    def __call__(self) -> None:
        """Use the unit.

        Raises:
            LimitError: `limit.rate` there is none.
        """
        _note(self.limit, self.store.take(self.principal, self.limit), self.headers)


def charge_of(request: Request) -> Charge | None:
    """What a route with an idempotency key calls before it makes anything; None: nothing."""
    charge: Charge | None = getattr(request.state, "charge", None)
    return charge


def _note(limit: RateLimit, result: RateResult, headers: dict[str, str]) -> None:
    """Tell what is left of a rate, or refuse."""
    headers |= limit_headers(limit, result)
    if not result.allowed:
        raise LimitError(
            "Too many requests",
            remedy=f"Try again in {math.ceil(result.retry_after_s)} seconds.",
            code="rate",
            retry_after_s=result.retry_after_s,
        )


def limit_headers(limit: RateLimit, result: RateResult) -> dict[str, str]:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
    reset = math.ceil(result.retry_after_s) if not result.allowed else 0
    wait = f";t={reset}" if reset else ""
    return {
        "RateLimit": f'"{limit.name}";r={max(0, result.remaining)}{wait}',
        "RateLimit-Policy": f'"{limit.name}";q={limit.count};w={limit.period_s:.0f}',
    }


@dataclass
class _Block:
    left: int
    remaining: int
    until: float


class BlockwiseLimit:
    """A rate whose units are taken from the store in blocks.

    A block is a thirtieth of the rate and held for as long as the rate needs to fill it again, so a
    caller gets at most one block more than the rate in each process.

    Args:
        store: where the rate is counted.
        limit: the rate.
    """

    def __init__(self, store: OrderStore, limit: RateLimit) -> None:
        self.store = store
        self.limit = limit
        self.block = max(1, limit.count // _BLOCKS)
        self.hold_s = limit.period_s / _BLOCKS
        self._blocks: OrderedDict[str, _Block] = OrderedDict()

    def take_known(self, principal: str) -> RateResult | None:
        """Use a unit of the block at hand; None without one."""
        block = self._blocks.get(principal)
        if block is None or block.left < 1 or time.monotonic() >= block.until:
            return None
        block.left -= 1
        return RateResult(True, block.remaining + block.left, 0.0)

    def take(self, principal: str) -> RateResult:
        """Take a block from the store and use a unit of it; a single unit if no block is left."""
        for units in (self.block, 1) if self.block > 1 else (1,):
            result = self.store.take(principal, self.limit, units)
            if result.allowed:
                self._blocks[principal] = _Block(
                    units - 1, result.remaining, time.monotonic() + self.hold_s
                )
                self._blocks.move_to_end(principal)
                while len(self._blocks) > _CALLERS:
                    self._blocks.popitem(last=False)
                return RateResult(True, result.remaining + units - 1, 0.0)
        return result
