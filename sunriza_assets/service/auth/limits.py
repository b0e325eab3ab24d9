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

from starlette.types import ASGIApp, Receive, Scope, Send

from resources.orders.store import OrderStore, RateLimit, RateResult
from resources.settings import Settings
from sunriza_assets.errors import LimitError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.policies import Policy

__all__ = ["Limits", "upload_limit"]

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
        name = f"uid:{principal.uid}"  # whichever of its keys it uses
        if principal.via == "anonymous":
            limit = _ANONYMOUS
            result = await in_thread(self.service.orders.take, name, limit)
        elif policy.rate == "reads":
            limit = self.limits["reads"]
            known = self.reads.take_known(name)
            result = await in_thread(self.reads.take, name) if known is None else known
        else:
            limit = self.limits[policy.rate]
            result = await in_thread(self.service.orders.take, name, limit)
        scope["state"].setdefault("answer_headers", {}).update(limit_headers(limit, result))
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
