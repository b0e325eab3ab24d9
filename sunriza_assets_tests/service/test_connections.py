"""What a well-behaved client may expect of a connection, under the deadlines of a hostile one."""

import asyncio
import socket
import time

import pytest
import websockets
from fastapi import APIRouter, Request, WebSocket
from starlette.responses import Response, StreamingResponse
from websockets.sync.client import connect

from sunriza_assets.service import policies
from sunriza_assets.service.deadline import DeadlineProtocol, Deadlines
from sunriza_assets.service.policies import Policy
from sunriza_assets.service.uploads import UploadRules, uploaded
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()
MULTIPART = {"requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}


class Impatient(DeadlineProtocol):
    """Deadlines that a test can wait for."""

    deadlines = Deadlines(first_byte_s=5.0, head_s=1.0, body_s=1.0, keep_alive_s=5.0)


@router.get("/things/{number}")
async def thing(number: int) -> int:
    return number


@router.post("/upload", openapi_extra=MULTIPART)
async def upload(request: Request) -> int:
    async with uploaded(request, UploadRules(files=("clip",))) as form:
        return form.files["clip"][0].size


@router.get("/slow")
async def slow() -> None:
    await asyncio.sleep(2.5)


@router.get("/impatient-slow")
async def impatient_slow() -> None:
    raise TimeoutError("of its own")


@router.get("/endless")
async def endless() -> Response:
    async def pieces():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    return StreamingResponse(pieces())


@router.websocket("/ws/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        if text == "bug":
            raise ZeroDivisionError
        await websocket.send_text(text)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("home"))
    with serving(service, router, protocol=Impatient) as served:
        yield served


def test_pipelined_requests_are_answered_in_order(served):
    request = b"GET /things/%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    many = [request % (n, b"Connection: close\r\n" if n == 9 else b"") for n in range(10)]
    answer = served.raw(b"".join(many))
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200")[1:]]
    assert [int(body) for body in bodies] == list(range(10))


def test_a_slow_handler_is_no_slow_client(served):
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(1.5)
        with pytest.raises(TimeoutError):  # neither head's nor body's deadline ends it
            connection.recv(1)


def test_a_handler_that_takes_too_long_is_503(served, monkeypatch):
    monkeypatch.setitem(policies._POLICIES, ("GET", "/slow"), Policy(answer_s=0.3))
    with served.client() as client:
        answer = client.get("/slow")
        assert (answer.status_code, answer.json()["code"]) == (503, "request.timeout")
        assert answer.headers["x-request-id"]
        assert client.get("/impatient-slow").json()["code"] == "internal"


def test_a_large_upload_may_take_longer_than_a_small_one(served):
    """A body at 100 kB/s is faster than the slowest that is allowed."""
    part = b"--b\r\nContent-Disposition: form-data; name=clip; filename=c\r\n\r\n"
    size = 200_000
    head = (
        b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data;"
        b" boundary=b\r\nContent-Length: %d\r\n\r\n" % (len(part) + size + 9)
    )
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(head + part)
        for _ in range(20):
            connection.sendall(bytes(size // 20))
            time.sleep(0.1)
        connection.sendall(b"\r\n--b--\r\n")
        connection.settimeout(20)
        assert connection.recv(65536).endswith(b"%d" % size)


def test_continue_is_said_only_to_bodies_that_are_wanted(served):
    head = (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"
    )
    body = b"--b\r\nContent-Disposition: form-data; name=clip; filename=c\r\n\r\nx\r\n--b--\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(20)
        connection.sendall(head % (b"/upload", len(body)))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert served.raw(head % (b"/upload", 10**9)).startswith(b"HTTP/1.1 413")


def test_head_of_an_endless_answer_ends(served):
    with served.client() as client:
        answer = client.head("/endless")
        assert answer.status_code == 200 and answer.content == b""
        assert client.get("/things/1").json() == 1


def test_a_socket_outlives_the_deadlines_of_requests(served):
    with connect(f"ws://127.0.0.1:{served.port}/ws/echo") as one:
        time.sleep(1.2)
        one.send("still here")
        assert one.recv() == "still here"


def test_a_bug_closes_a_socket_with_1011(served):
    with connect(f"ws://127.0.0.1:{served.port}/ws/echo") as one:
        one.send("bug")
        with pytest.raises(websockets.ConnectionClosed):
            one.recv()
        assert one.close_code == 1011


def test_pages_of_foreign_origins_get_no_socket_in_open_mode(served):
    url = f"ws://127.0.0.1:{served.port}/ws/echo"
    for options in ({"origin": "https://evil.example"}, {"additional_headers": {"Host": "evil"}}):
        with pytest.raises((websockets.InvalidStatus, websockets.InvalidMessage)):
            connect(url, **options)
    with connect(url, origin=served.url) as one:
        one.send("a")
        assert one.recv() == "a"
