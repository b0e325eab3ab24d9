"""An order as the JSON that HTTP answers, webhooks and streams call a job."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, overload
from urllib.parse import quote

from resources.orders.order import Order

__all__ = ["order_to_json", "rfc3339"]


@overload
def rfc3339(time: datetime) -> str: ...
@overload
def rfc3339(time: None) -> None: ...


def rfc3339(time: datetime | None) -> str | None:
    """RFC 3339 in UTC, cut to milliseconds: `2026-11-30T18:52:28.001Z`; None stays None."""
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order_to_json(
    order: Order, *, queue_position: int | None = None, base: str = ""
) -> dict[str, Any]:
    """The job that an order is outside; the same fields for every order.

    Args:
        order: the order.
        queue_position: how many come before it, if it waits and that is known.
        base: what the links begin with; without it they are absolute paths.
    """
    error, cost, result = order.error, order.cost, _reachable(order.result, base)
    return {
        "job_id": order.order_id,
        "id": order.order_id,
        "kind": order.kind,
        "status": order.status,
        "state": order.state,
        "progress": order.progress,
        "step": order.step,
        "eta_seconds": None if order.is_terminal else order.eta_s,
        "queue_position": queue_position,
        "created_at": rfc3339(order.created_at),
        "started_at": rfc3339(order.started_at),
        "finished_at": rfc3339(order.finished_at),
        "expires_at": rfc3339(order.expires_at),
        "revision": order.revision,
        "avatar_id": order.avatar_id,
        "run_id": order.run_id,
        "attempt": order.attempt,
        "retry_of": order.retry_of,
        "result": result,
        "video_url": result.get("video_url"),
        "audio_url": result.get("audio_url"),
        "error": error
        and {"code": error.code, "message": error.message, "retryable": error.retryable},
        "log_tail": "\n".join(order.log_tail),
        "cost": cost
        and {"seconds": cost.seconds, "amount": cost.amount, "currency": cost.currency},
        "links": _links(order, result, base),
    }


def _reachable(result: Mapping[str, Any], base: str) -> dict[str, Any]:
    """A result whose addresses a caller can follow.

    Files of the local store have none: the service serves them below `/avatars/{id}/versions/…`.
    """
    return {
        name: _served(value, result, base)
        if isinstance(value, str) and value.startswith("file:")
        else value
        for name, value in result.items()
    }


def _served(address: str, result: Mapping[str, Any], base: str) -> str | None:
    """The path that serves a file of the local store; None for one of no version."""
    avatar_id, version = result.get("avatar_id"), result.get("version")
    _, found, name = address.partition(f"/{version}/")
    if not found or not isinstance(avatar_id, str):
        return None
    return f"{base}/avatars/{quote(avatar_id, safe='')}/versions/{version}/files/{name}"


def _links(order: Order, result: Mapping[str, Any], base: str) -> dict[str, str | None]:
    """Where more of it is found; `result` once it is done."""
    itself = f"{base}/jobs/{order.order_id}"
    found = None
    if order.state == "done":
        found = result.get("video_url") or result.get("audio_url")
        if order.kind == "dynamics" and order.avatar_id is not None:
            found = f"{base}/avatars/{quote(order.avatar_id, safe='')}/gallery"
    return {
        "self": itself,
        "events": f"{itself}/events",
        "ws": f"{base}/ws/jobs/{order.order_id}",
        "cancel": f"{itself}/cancel",
        "result": found,
    }
