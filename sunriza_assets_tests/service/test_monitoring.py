"""Metrics, logs and the audit line, read back.

Of the hostile cases: 61 a flood of random paths, 62 line ends in a text.
"""

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog
from fastapi import APIRouter
from prometheus_client.parser import text_string_to_metric_families

from resources.orders.order import Order, new_order_id
from resources.orders.store import Quota
from sunriza_assets.logs import bound_lines, configure_logging, lines_about, redacted
from sunriza_assets.service.context import PrincipalDep
from sunriza_assets.service.monitor.exposition import metrics_server
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()
NAMES = (
    "liveportrait_requests_total",
    "liveportrait_request_duration_seconds_bucket",
    "liveportrait_errors_total",
    "sunriza_jobs",
    "sunriza_job_duration_seconds_count",
    "sunriza_queue_depth",
    "sunriza_queue_oldest_seconds",
    "sunriza_render_stage_seconds_count",
    "sunriza_engine_ready",
    "sunriza_stream_connections",
    "sunriza_webhook_deliveries_total",
    "sunriza_auth_failures_total",
    "sunriza_dispatcher_lease_age_seconds",
    "sunriza_build_info",
)


@router.post("/things/{thing_id}")
async def add(thing_id: str, principal: PrincipalDep) -> dict[str, str]:
    return {"id": thing_id, "uid": principal.uid}


@pytest.fixture
def lines():
    """The JSON lines that are logged."""
    stream = io.StringIO()
    configure_logging(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    configure_logging()


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def add_order(service):
    from datetime import UTC, datetime

    order = Order(new_order_id(), "dynamics", "user-1", "accepted", datetime.now(UTC))
    service.orders.accept(order, quota=Quota())


def test_every_metric_is_in_a_live_answer(tmp_path):
    service = make_service(tmp_path)
    add_order(service)
    service.orders.hold_lease("dispatcher", "me")
    with serving(service, router) as served, served.client() as client:
        client.get("/nothing")
        found = samples(client.get("/metrics").text)
    names = {key[0] for key in found}
    assert set(NAMES) <= names
    assert found[("sunriza_jobs", ("kind", "dynamics"), ("status", "queued"))] == 1
    assert found[("sunriza_queue_depth",)] == 1
    assert found[("sunriza_engine_ready",)] == 1
    assert 0 <= found[("sunriza_dispatcher_lease_age_seconds",)] < 600


def test_random_paths_make_no_new_labels(tmp_path):
    with serving(make_service(tmp_path), router) as served, served.client() as client:
        for number in range(60):
            client.get(f"/random/{number}")
            client.post(f"/things/{number}")
            client.request(f"METHOD{chr(65 + number % 26)}", "/x")
        text = client.get("/metrics").text
    routes = set(re.findall(r'route="([^"]*)"', text))
    assert "other" in routes and "/things/{thing_id}" in routes
    assert not any("random" in route or route.endswith("7") for route in routes)
    methods = set(re.findall(r'method="([^"]*)"', text))
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"}


def test_metrics_have_a_port_of_their_own(tmp_path):
    import httpx

    server = metrics_server(make_service(tmp_path), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=30)
        assert ("sunriza_engine_ready",) in samples(answer.text)
        assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 404
    finally:
        server.should_exit = True
        thread.join(30)


def test_processes_share_what_they_count(tmp_path):
    """Two processes count, a third one shows the sum."""
    counting = (
        "from sunriza_assets.service.monitor import metrics\n"
        "metrics.WEBHOOK_DELIVERIES.labels(result='delivered').inc()\n"
    )
    showing = (
        "from pathlib import Path\n"
        "from resources.orders.sqlite import SqliteOrders\n"
        "from sunriza_assets.service.monitor.exposition import StoreCollector, exposition\n"
        f"orders = SqliteOrders(Path({str(tmp_path / 'service.db')!r}))\n"
        "print(exposition(StoreCollector(orders), engine_ready=False).decode())\n"
    )
    folder = tmp_path / "metrics"
    folder.mkdir()
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    root = Path(__file__).resolve().parents[2]
    shown = ""
    for code in (counting, counting, showing):
        shown = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    found = samples(shown)
    assert found[("sunriza_webhook_deliveries_total", ("result", "delivered"))] == 2
    assert ("sunriza_auth_failures_total", ("reason", "missing")) in found
    assert found[("sunriza_engine_ready",)] == 0


def test_changing_requests_leave_an_audit_line(tmp_path, lines):
    with serving(make_service(tmp_path), router) as served, served.client() as client:
        client.post("/things/7?token=abc", headers={"X-Request-Id": "r-1"})
        client.get("/health/live")
    audits = [line for line in lines() if line["event"] == "audit"]
    assert len(audits) == 1
    line = audits[0]
    assert (line["uid"], line["action"], line["outcome"]) == (
        "local",
        "POST /things/{thing_id}",
        200,
    )
    assert line["ids"] == {"thing_id": "7"} and line["address"] == "127.0.0.1"
    assert line["request_id"] == "r-1" and line["ts"] and line["level"] == "info"
    requests = [line for line in lines() if line["event"] == "request"]
    assert requests[0]["route"] == "/things/{thing_id}" and requests[0]["ms"] >= 0
    assert "abc" not in json.dumps(lines())


def test_line_ends_in_a_path_make_no_line_of_their_own(tmp_path, lines):
    with serving(make_service(tmp_path), router) as served, served.client() as client:
        client.post("/things/a%0a%7b%22event%22%3a%22audit%22%7d%e2%80%a8b")
    assert [line["event"] for line in lines()].count("audit") == 1


def test_lines_carry_what_they_are_about(lines):
    log = logging.getLogger("a.library")
    with lines_about(job_id="job_1", request_id=None):
        log.warning("begun")
        thread = threading.Thread(target=log.warning, args=("within",))
        thread.start()
        thread.join()
        with bound_lines(job_id="job_2", request_id="r-2"):
            log.warning("another")
    log.warning("over")
    assert [
        (line["event"], line.get("job_id"), line.get("request_id"))
        for line in lines()
        if line["level"] == "warning"
    ] == [
        ("begun", "job_1", None),
        ("within", "job_1", None),
        ("another", "job_2", "r-2"),
        ("over", None, None),
    ]


def test_secrets_stay_out_of_logs(lines):
    key = "snz_abcdefghijkl_" + "K" * 43
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
    log = structlog.get_logger("test")
    error = ValueError(f"GET https://b/o/x?alt=media&token=5ecret failed for Bearer {jwt}")
    log.warning("failed", key=key, authorization=jwt, headers={"X-API-Key": key}, exc_info=error)
    written = json.dumps(lines())
    for secret in ("KKKK", "c2ln", "5ecret", jwt):
        assert secret not in written
    assert "alt=media" in written
    assert redacted("postgresql://user:pass@host/db") == "postgresql://user:...@host/db"
    assert redacted("gs?X-Goog-Signature=abc&x=1") == "gs?X-Goog-Signature=...&x=1"
