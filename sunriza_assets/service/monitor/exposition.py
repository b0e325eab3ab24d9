"""The text that Prometheus reads: what processes have counted, and what the store knows now."""

import math
import os
import platform
import shutil
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from resources.orders.store import OrderStore
from sunriza_assets import __version__
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.monitor.metrics import REGISTRY
from sunriza_assets.service.standing import DISPATCHER_LEASE, engine_facts

__all__ = ["CONTENT_TYPE", "exposition", "metrics_server"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""

_MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
_KEPT_S: Final = 1.0


class StoreCollector:
    """Gauges that are read off the store of orders, at most once a second.

    Args:
        orders: the store.
    """

    def __init__(self, orders: OrderStore) -> None:
        self.orders = orders
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        """The gauges of jobs, queue and lease.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= _KEPT_S:
                self._families = self._read()
                self._read_at = time.monotonic()
            return list(self._families)

    def _read(self) -> list[Metric]:
        jobs = GaugeMetricFamily("sunriza_jobs", "Stored jobs.", labels=("kind", "status"))
        waiting = 0
        for (kind, status), count in self.orders.counts().items():
            jobs.add_metric((kind, status), count)
            waiting += count if status == "queued" else 0
        now = datetime.now(UTC)
        oldest = self.orders.oldest_waiting()
        lease = self.orders.lease(DISPATCHER_LEASE)
        return [
            jobs,
            _gauge("sunriza_queue_depth", "Jobs that wait.", waiting),
            _gauge(
                "sunriza_queue_oldest_seconds", "Age of the oldest waiting job.", _age(oldest, now)
            ),
            _gauge(
                "sunriza_dispatcher_lease_age_seconds",
                "Seconds since the active dispatcher renewed its lease; +Inf without one.",
                _age(lease.renewed_at, now) if lease else math.inf,
            ),
        ]


def exposition(
    collector: StoreCollector, *, engine_ready: bool, folder: Path | None = None
) -> bytes:
    """All metrics as text.

    Args:
        collector: of the store.
        engine_ready: how the engine process stands.
        folder: whose disk's free bytes are told.
    """
    registry = CollectorRegistry()
    if os.environ.get(_MULTIPROCESS):
        MultiProcessCollector(registry)
    else:
        registry = REGISTRY
    own = CollectorRegistry()
    facts = _facts(engine_ready=engine_ready)
    if folder is not None:
        free = shutil.disk_usage(folder).free
        facts.append(_gauge("sunriza_disk_free_bytes", "Free bytes below SUNRIZA_HOME.", free))
    own.register(_Given([*collector.collect(), *facts]))
    return generate_latest(registry) + generate_latest(own)


async def answer_metrics(service: Service, collector: StoreCollector) -> Response:
    """The answer of a scrape."""
    facts = await engine_facts(service)
    root = service.home.root
    text = await in_thread(exposition, collector, engine_ready=facts.ready, folder=root)
    return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


def metrics_server(service: Service, *, host: str, port: int) -> uvicorn.Server:
    """A server of `/metrics` alone, on a port of its own; `run()` it in a thread.

    Nobody is asked for a credential there: the port is for the network of the operator.

    Args:
        service: used by no other event loop.
        host: where to listen.
        port: likewise.
    """
    collector = StoreCollector(service.orders)

    async def metrics(request: Request) -> Response:
        del request
        return await answer_metrics(service, collector)

    return uvicorn.Server(
        uvicorn.Config(
            Starlette(routes=[Route("/metrics", metrics)]),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=20,
        )
    )


class _Given:
    """A collector of metrics that are there already."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        return self.families


def _facts(*, engine_ready: bool) -> list[Metric]:
    build = GaugeMetricFamily(
        "sunriza_build", "Version of the service.", labels=("version", "python")
    )
    build.name = "sunriza_build_info"
    build.add_metric((__version__, platform.python_version()), 1)
    ready = _gauge("sunriza_engine_ready", "Whether the engine process is warm.", engine_ready)
    return [ready, build]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
