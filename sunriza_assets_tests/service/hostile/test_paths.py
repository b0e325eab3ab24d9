"""Paths and ids that want to be something else, tried on every route with one in its path.

Case 30 climbing, encoded, absolute and endless paths, 31 reserved and look-alike names, 32 ids with
slashes, dots and emoji.
"""

import http.client
import re

import pytest
from fastapi.routing import iter_route_contexts

from sunriza_assets_tests.service.serving import make_service, serving

IDS = (
    "..",
    ".",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%00",
    "a%00.png",
    "%2Fetc%2Fpasswd",
    "x" * 4096,
    "CON",
    "nul.png",
    "%EF%BC%90" * 16 + ".png",  # full-width digits
    "%F0%9F%98%80",
    "%ff%fe",
    "a%0d%0aX-Y:z",
    "%C0%AE%C0%AE%2f",
    "-",
    "%7Euser",
    "{id}",
    "*",
)
WITHOUT_END = re.compile(r"/events$")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(make_service(tmp_path_factory.mktemp("home"))) as served:
        yield served


def test_no_odd_id_is_answered_with_more_than_a_refusal(served):
    routes = [
        (method, route.path)
        for route in iter_route_contexts(served.app.router.routes)
        for method in (route.methods or ())
        if route.path and not WITHOUT_END.search(route.path)
    ]
    # A client that resolves no dots.
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    for method, path in [*routes, ("GET", "/{anything}")]:
        if "{" not in path:
            continue
        for odd in IDS:
            target = re.sub(r"\{[^}]*\}", lambda _, odd=odd: odd, path)
            connection.request(method, target)
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status in range(400, 500), (method, target, text[:500])
            assert "root:" not in text and "Traceback" not in text
            assert answer.getheader("x-y") is None
    connection.close()


def test_dots_reach_no_other_route(served):
    raw = b"GET /nothing/../health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert served.raw(raw).startswith(b"HTTP/1.1 404")
    raw = b"GET //health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert served.raw(raw).startswith(b"HTTP/1.1 404")
    raw = b"GET /health/live/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = served.raw(raw)
    assert answer.startswith(b"HTTP/1.1 404") and b"location" not in answer.lower()
