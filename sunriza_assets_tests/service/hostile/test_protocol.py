"""HTTP and WebSockets as broken and hostile clients speak them.

Case 45 slow head, body and reader, 46 idle connections, 47 huge heads and line ends in a request
id, 48 ranges, 49 method override, TRACE and a storm of OPTIONS, 50 foreign hosts, 51 floods, large
frames and silence of a WebSocket.
"""

import json
import socket
import time

import httpx
import pytest
import websockets
from fastapi import APIRouter, Request, WebSocket
from starlette.responses import FileResponse, Response, StreamingResponse
from websockets.sync.client import connect

from sunriza_assets.service.deadline import DeadlineProtocol, Deadlines
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()
MB = 1 << 20


class Impatient(DeadlineProtocol):
    """Deadlines that a test can wait for."""

    deadlines = Deadlines(
        first_byte_s=3.0,
        head_s=0.6,
        body_s=0.6,
        reader_s=1.0,
        keep_alive_s=3.0,
        linger_s=1.0,
    )


@router.get("/things")
async def things() -> list[int]:
    return [1]


@router.post("/things")
async def add(request: Request) -> dict[str, int]:
    return {"size": len(await request.body())}


@router.get("/large")
async def large() -> Response:
    async def pieces():
        for _ in range(400):
            yield bytes(MB // 4)

    return StreamingResponse(pieces())


@router.get("/file", response_model=None)
async def file() -> FileResponse:
    return FileResponse(__file__, media_type="text/plain")


@router.websocket("/ws/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("home"))
    with serving(service, router, protocol=Impatient) as served:
        yield served


def trickle(served, pieces, pause_s=0.1, limit_s=20.0) -> bytes:
    """What the server answers to pieces that come slowly; stops when it closes."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(pause_s)
        received, end = b"", time.monotonic() + limit_s
        for piece in pieces:
            if time.monotonic() > end:
                pytest.fail("the server listens for ever")
            try:
                connection.sendall(piece)
                got = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not got:
                break
            received += got
        return received


def is_problem(answer: bytes, status: int, code: str) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return (
        head.startswith(b"HTTP/1.1 %d " % status)
        and b"application/problem+json" in head
        and json.loads(body)["code"] == code
    )


def endless(start: bytes, more: bytes):
    yield start
    while True:
        yield more


def test_a_slow_head_is_ended(served):
    start = b"GET /things HTTP/1.1\r\nHost: localhost\r\n"
    assert is_problem(trickle(served, endless(start, b"a")), 408, "request.slow")
    assert is_problem(trickle(served, endless(start, b"X-Y: 1\r\n")), 408, "request.slow")


def test_line_ends_before_a_head_do_not_hold_a_connection(served):
    assert is_problem(trickle(served, endless(b"\r\n", b"\r\n")), 408, "request.slow")


def test_a_slow_body_is_ended(served):
    head = b"POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    assert is_problem(trickle(served, endless(head, b"ab")), 408, "request.slow")
    head = b"POST /things HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert is_problem(trickle(served, endless(head, b"1\r\na\r\n")), 408, "request.slow")


def test_the_second_request_of_a_connection_has_deadlines_too(served):
    first = b"GET /things HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = trickle(served, endless(first + b"GET /th", b"i"))
    assert answer.startswith(b"HTTP/1.1 200") and b"request.slow" in answer


def test_a_reader_that_takes_nothing_is_left(served):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", served.port))
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(4)
        connection.settimeout(20)
        size = 0
        with pytest.raises(ConnectionError):
            while piece := connection.recv(MB):
                size += len(piece)
            raise ConnectionError("closed")
        assert size < 100 * MB


def test_a_patient_reader_gets_everything(served):
    with served.client() as client:
        assert len(client.get("/large").content) == 100 * MB


def test_idle_connections_do_not_keep_others_out(served):
    idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(600)]
    try:
        with served.client() as client:
            assert client.get("/things").json() == [1]
        for connection in idle:
            connection.settimeout(20)
        assert all(connection.recv(1) == b"" for connection in idle)  # closed by the server
    finally:
        for connection in idle:
            connection.close()


def test_more_connections_than_the_limit_are_answered_503(tmp_path):
    with serving(make_service(tmp_path), router, concurrency=5) as served:
        idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(5)]
        try:
            time.sleep(0.2)
            with served.client() as client:
                answer = client.get("/things")
            assert (answer.status_code, answer.json()["code"]) == (503, "request.overload")
            assert answer.headers["retry-after"] and answer.headers["x-request-id"]
        finally:
            for connection in idle:
                connection.close()


@pytest.mark.parametrize(
    "extra",
    [
        b"X-Large: " + b"x" * 40_000,
        b"\r\n".join(b"X-%d: %s" % (n, b"y" * 900) for n in range(60)),
        b"\r\n".join(b"X-%d: y" % n for n in range(101)),
    ],
)
def test_a_huge_head_is_refused(served, extra):
    request = b"GET /things HTTP/1.1\r\nHost: localhost\r\n" + extra + b"\r\n\r\n"
    assert is_problem(served.raw(request), 431, "request.headers")


def test_a_header_without_end_is_refused_before_it_fills_the_memory(served):
    start = b"GET /things HTTP/1.1\r\nHost: localhost\r\nX-Endless: "
    answer = trickle(served, endless(start, b"x" * 8192), pause_s=0.01)
    assert is_problem(answer, 431, "request.headers")


def test_a_long_address_is_refused(served):
    with served.client() as client:
        assert client.get("/" + "a" * 9000).json()["code"] == "request.url"
        assert client.get("/things", params={"q": "a" * 9000}).json()["code"] == "request.url"
    answer = served.raw(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert is_problem(answer, 431, "request.headers")


def test_line_ends_in_a_request_id_make_no_header(served):
    request = b"GET /things HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a%s\r\n\r\n"
    for injected in (b"\rSet-Cookie: a=b", b"\nSet-Cookie: a=b", b"%0d%0aSet-Cookie: a=b"):
        answer = served.raw(request % injected, wait_s=1)
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert b"set-cookie" not in head
    assert b"x-request-id: a%0d" not in head


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PURGE", "LINK"])
def test_methods_that_no_route_has(served, method):
    target = b"localhost:80" if method == "CONNECT" else b"/things"
    request = b"%s %s HTTP/1.1\r\nHost: localhost\r\nX-Secret: abc\r\n\r\n"
    answer = served.raw(request % (method.encode(), target), wait_s=1)
    assert answer.split(b" ")[1] in (b"405", b"400")
    assert b"abc" not in answer


def test_method_overrides_are_ignored(served):
    with served.client() as client:
        for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            answer = client.get("/things", headers={header: "DELETE"})
            assert answer.json() == [1]
        assert client.get("/things?_method=DELETE").json() == [1]


def test_a_storm_of_options_is_answered(served):
    with served.client() as client:
        for _ in range(100):
            assert client.options("/things").status_code == 204
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        answer = client.options("/things", headers=preflight)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::2]"]
)
def test_other_hosts_are_refused_in_open_mode(served, host):
    with served.client() as client:
        answer = client.get("/things", headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "request.host")
        for own in ("localhost", f"localhost:{served.port}", "127.0.0.1", "[::1]:80"):
            assert client.get("/things", headers={"Host": own}).status_code == 200


def test_two_hosts_or_none_are_refused(served):
    two = b"GET /things HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert served.raw(two, wait_s=1).split(b" ")[1] in (b"400", b"421")
    assert served.raw(b"GET /things HTTP/1.1\r\n\r\n", wait_s=1).split(b" ")[1] in (b"400", b"421")
    absolute = b"GET http://evil.example/things HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert b"evil" not in served.raw(absolute, wait_s=1)


def test_foreign_pages_are_refused_in_open_mode(served):
    with served.client() as client:
        for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
            answer = client.post("/things", content=b"", headers={"Origin": origin})
            assert (answer.status_code, answer.json()["code"]) == (403, "access.origin")
        own = client.post("/things", headers={"Origin": served.url})
        assert own.status_code == 200


def test_only_public_hosts_are_answered_outside(tmp_path):
    service = make_service(
        tmp_path, open_mode=False, SUNRIZA_PUBLIC_HOSTS="api.example.com, api2.example.com"
    )
    with serving(service, router) as served, served.client() as client:
        assert client.get("/health", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/health", headers={"Host": "api.example.com:443"}).status_code == 200
        # Orchestrators probe by address.
        assert client.get("/health/live").status_code == 200


def test_only_listed_origins_may_read(tmp_path):
    service = make_service(
        tmp_path, open_mode=False, SUNRIZA_CORS_ORIGINS="https://app.example.com"
    )
    with serving(service, router) as served, served.client() as client:
        listed = client.get("/things", headers={"Origin": "https://app.example.com"})
        assert listed.headers["access-control-allow-origin"] == "https://app.example.com"
        assert "access-control-allow-credentials" not in listed.headers
        assert "Origin" in listed.headers["vary"]
        other = client.get("/things", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        preflight = client.options(
            "/things",
            headers={
                "Origin": "https://app.example.com",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, idempotency-key",
            },
        )
        assert preflight.status_code == 204
        assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]


def test_ranges(served):
    with served.client() as client:
        whole = client.get("/file").content
        part = client.get("/file", headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, whole[1:4])
        many = ",".join(f"{n}-{n}" for n in range(0, 2000, 2))
        answer = client.get("/file", headers={"Range": f"bytes={many}"})
        assert (answer.status_code, answer.content) == (200, whole)
        overlapping = client.get("/file", headers={"Range": "bytes=0-5,0-5,2-9,0-5"})
        assert len(overlapping.content) < len(whole) + 1000
        for beyond in ("bytes=99999999-", "bytes=99999999-999999999"):
            assert client.get("/file", headers={"Range": beyond}).status_code == 416
        for broken in ("bytes=b-a", "bytes=5-1", "pages=1-2", "bytes=-", "bytes="):
            status = client.get("/file", headers={"Range": broken}).status_code
            assert status in (200, 400, 416)


def test_large_frames_close_a_socket(served):
    with connect(f"ws://127.0.0.1:{served.port}/ws/echo") as one:
        one.send("a" * 1024)
        assert one.recv() == "a" * 1024
        with pytest.raises(websockets.ConnectionClosed):
            one.send(bytes(MB))
            one.recv()
        assert one.close_code == 1009


def test_a_flood_of_frames_is_held_back(served):
    with connect(f"ws://127.0.0.1:{served.port}/ws/echo") as one:
        one.socket.settimeout(1)
        for _ in range(2000):
            try:
                one.send(b"\0" * 1000)
            except (websockets.ConnectionClosed, TimeoutError):
                break
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        assert client.get("/things").json() == [1]


def test_a_socket_that_answers_no_ping_is_left(tmp_path):
    handshake = (
        b"GET /ws/echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with serving(make_service(tmp_path), router, ping_s=0.5) as served:
        answer = served.raw(handshake)  # until the server closes
    assert answer.startswith(b"HTTP/1.1 101") and b"keepalive ping timeout" in answer


def test_a_socket_that_does_not_exist_is_refused(served):
    with pytest.raises(websockets.InvalidStatus) as refusal:
        connect(f"ws://127.0.0.1:{served.port}/ws/nothing")
    assert refusal.value.response.status_code in (403, 404)


def test_a_connection_is_kept_when_little_of_a_body_is_left_unread(served):
    head = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(20)
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        connection.sendall(bytes(100_000))
        connection.sendall(b"GET /things HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_an_answer_does_not_wait_for_the_rest_of_a_large_body(served):
    head = b"POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(20)
        connection.sendall(head + bytes(100_000))
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413") and b"connection: close" in answer
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                connection.sendall(bytes(65536))
