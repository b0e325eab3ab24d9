"""The dispatcher process of the service: `runs.dispatcher` with the service's logs and metrics.

python -m sunriza_assets.service.dispatcher_process
"""

import sys
from collections import deque
from typing import Final

from resources.orders.order import Order
from sunriza_assets.errors import SunrizaError
from sunriza_assets.runs.dispatcher import dispatch
from sunriza_assets.service.monitor.logs import configure_logging
from sunriza_assets.service.monitor.metrics import (
    COST,
    JOB_DURATION,
    WEBHOOK_DELIVERIES,
    count_speech,
)

__all__ = ["main"]


_REMEMBERED_RUNS: Final = 1000


def main() -> int:
    """Dispatch until told to stop; the exit code."""
    configure_logging()
    counted: deque[str] = deque(maxlen=_REMEMBERED_RUNS)
    return dispatch(
        ended=lambda order: _observe(order, counted),
        tried=lambda result: WEBHOOK_DELIVERIES.labels(result).inc(),
    )


def _observe(order: Order, counted: deque[str]) -> None:
    """Count an order that has ended; the cost of a run that several orders share counts once."""
    if order.finished_at is not None:
        seconds = (order.finished_at - order.created_at).total_seconds()
        JOB_DURATION.labels(order.kind).observe(max(0.0, seconds))
    if order.kind == "tts" and order.state == "done":
        count_speech(
            engine=order.result["engine"],
            cached=order.result["cached"],
            sound_s=order.result["duration_ms"] / 1000,
            took_s=0.0 if order.cost is None else order.cost.seconds,
        )
    if order.cost is not None and order.run_id not in counted:
        counted.append(order.run_id or "")
        COST.labels(kind=order.kind, currency=order.cost.currency).inc(order.cost.amount)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SunrizaError as error:
        sys.exit(f"error: dispatcher: {error.message}")
