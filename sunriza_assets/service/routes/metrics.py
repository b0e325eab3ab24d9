"""Metrics for Prometheus: callers on this machine, or a key with the scope `metrics`."""

from fastapi import APIRouter
from starlette.responses import Response

from sunriza_assets.service.context import ServiceDep
from sunriza_assets.service.monitor.exposition import StoreCollector, answer_metrics

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Metrics in Prometheus' text format",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: ServiceDep) -> Response:
    """Counters of all processes, and the gauges of jobs, queue, engine and dispatcher."""
    collector = service.one(StoreCollector, lambda: StoreCollector(service.orders))
    return await answer_metrics(service, collector)
