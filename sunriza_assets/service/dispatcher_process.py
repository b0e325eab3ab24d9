"""The dispatcher process of the service: `runs.dispatcher` with the service's logs and metrics.

python -m sunriza_assets.service.dispatcher_process
"""

import sys

from resources.orders.order import Order
from sunriza_assets.runs.dispatcher import dispatch
from sunriza_assets.service.monitor.logs import configure_logging
from sunriza_assets.service.monitor.metrics import JOB_DURATION, WEBHOOK_DELIVERIES

__all__ = ["main"]


def main() -> int:
    """Dispatch until told to stop; the exit code."""
    configure_logging()
    return dispatch(ended=_observe, tried=lambda result: WEBHOOK_DELIVERIES.labels(result).inc())


def _observe(order: Order) -> None:
    if order.finished_at is not None:
        seconds = (order.finished_at - order.created_at).total_seconds()
        JOB_DURATION.labels(order.kind).observe(max(0.0, seconds))


if __name__ == "__main__":
    sys.exit(main())
