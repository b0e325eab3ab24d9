"""What the routes of jobs share: finding a caller's own order, its JSON, waiting, cancelling."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from resources.orders.order import Order
from resources.orders.order_json import order_to_json
from sunriza_assets.errors import AccessError, AvatarError, StoreError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.changes import change_feed
from sunriza_assets.service.context import Service, in_thread, read_orders

__all__ = [
    "cancelled",
    "changed_order",
    "ended_order",
    "etag_of",
    "job_json",
    "job_now",
    "job_response",
    "no_such_job",
    "own_order",
    "withdraw",
]

_log = logging.getLogger(__name__)


async def own_order(service: Service, principal: Principal, order_id: str) -> Order:
    """An order that the caller may see.

    Raises:
        AccessError: `access.missing` there is none, or it is somebody else's: the same text, after
            the same work; `access.expired` its time is over.
    """
    order = await read_orders(service, service.orders.get, order_id)
    if order is None or not principal.owns(order.owner):
        raise no_such_job()
    if order.is_terminal and order.expires_at is not None and order.expires_at <= datetime.now(UTC):
        raise AccessError(
            "This job has expired", remedy="Jobs are kept for 30 days.", code="expired"
        )
    return order


def no_such_job() -> AccessError:
    """The error for a job that is not there or belongs to somebody else."""
    return AccessError("There is no such job", code="missing")


def job_now(service: Service, order: Order) -> dict[str, Any]:
    """The job as callers see it now, with its place in the queue; blocking if it waits.

    While it waits, its forecast covers the jobs before it, as if each took as long.
    """
    position = service.orders.queue_position(order) if order.status == "queued" else None
    job = order_to_json(order, queue_position=position, base=service.base_path)
    if order.eta_s is not None and position is not None:
        job["eta_seconds"] = order.eta_s * (position + 1)
    return job


async def job_json(service: Service, order: Order) -> dict[str, Any]:
    """`job_now`, without blocking."""
    if order.status != "queued":
        return job_now(service, order)
    return await read_orders(service, job_now, service, order)


async def job_response(service: Service, order: Order, status: int = 200) -> Response:
    """The answer that carries a job, with its ETag."""
    return Response(
        json.dumps(await job_json(service, order)),
        status_code=status,
        media_type="application/json",
        headers={"ETag": etag_of(order), "Cache-Control": "no-store"},
    )


def etag_of(order: Order) -> str:
    """The entity tag of an order's present state."""
    return f'"{order.revision}"'


async def changed_order(
    service: Service, principal: Principal, order_id: str, *, revision: int | None, wait_s: float
) -> Order:
    """The caller's order as soon as its revision is another one, or after `wait_s` seconds.

    Args:
        revision: what the caller knows; None: what the order has now. An order that has ended is
            returned at once.

    Raises:
        AccessError: as `own_order`.
    """
    until = asyncio.get_running_loop().time() + wait_s
    async with change_feed(service).of_order(order_id) as changes:
        order = await own_order(service, principal, order_id)
        known = order.revision if revision is None else revision
        while order.revision == known and not order.is_terminal:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await changes.take(left)  # the change that the caller knows may arrive late
            order = await own_order(service, principal, order_id)
        return order


async def ended_order(service: Service, order: Order, *, wait_s: float) -> Order:
    """The order once it has ended, or as it is after `wait_s` seconds (`Prefer: wait`)."""
    until = asyncio.get_running_loop().time() + wait_s
    async with change_feed(service).of_order(order.order_id) as changes:
        while True:
            present = await read_orders(service, service.orders.get, order.order_id)
            order = present or order
            left = until - asyncio.get_running_loop().time()
            if order.is_terminal or left <= 0:
                return order
            await changes.take(left)


async def cancelled(service: Service, order: Order) -> Order:
    """Ask for the end of an order; it as it is then.

    An order without a run ends at once, and nobody else looks at it any more. So its wish is taken
    out of the avatar's document first: killed in between, the order still waits, its caller has no
    answer and asks again.
    """
    if order.status == "queued" and order.run_id is None:
        await in_thread(withdraw, service, order)
    return await in_thread(service.orders.request_cancel, order.order_id) or order


def withdraw(service: Service, order: Order) -> None:
    """Let the document show that its request was cancelled, unless it waits for another job."""
    if order.kind != "dynamics" or order.avatar_id is None or not order.inputs.get("publish", True):
        return
    avatars = service.stores.avatars
    try:
        document = avatars.get(order.avatar_id)
        if document.basic.get("jobId") == order.order_id:
            avatars.fail(
                order.avatar_id,
                order.order_id,
                code="run.cancelled",
                message="The job was cancelled before it began.",
                requested_inputs=document.inputs_version,
            )
    except AvatarError:  # deleted, or another owner's by now: nothing waits for this job
        return
    except StoreError as problem:
        _log.warning("%s: a cancelled request stays in the document: %s", order.order_id, problem)
        raise
