"""An order as the JSON that HTTP answers, webhooks and streams call a job."""

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
    error, cost = order.error, order.cost
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
        "result": dict(order.result),
        "video_url": order.result.get("video_url"),
        "audio_url": order.result.get("audio_url"),
        "error": error
        and {"code": error.code, "message": error.message, "retryable": error.retryable},
        "log_tail": "\n".join(order.log_tail),
        "cost": cost
        and {"seconds": cost.seconds, "amount": cost.amount, "currency": cost.currency},
        "links": _links(order, base),
    }


def _links(order: Order, base: str) -> dict[str, str | None]:
    """Where more of it is found; `result` once it is done."""
    itself = f"{base}/jobs/{order.order_id}"
    result = None
    if order.state == "done":
        result = order.result.get("video_url") or order.result.get("audio_url")
        if order.kind == "dynamics" and order.avatar_id is not None:
            result = f"{base}/avatars/{quote(order.avatar_id, safe='')}/gallery"
    return {
        "self": itself,
        "events": f"{itself}/events",
        "ws": f"{base}/ws/jobs/{order.order_id}",
        "cancel": f"{itself}/cancel",
        "result": result,
    }
