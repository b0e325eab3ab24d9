"""The clients of `bench_service`, each a process of its own.

    python -m sunriza_assets_tests.service.bench_load requests|sockets|uploads < wish.json

Reads what is to be sent from its standard input as JSON and prints what came back as JSON. Requests
are sent as prepared bytes over kept connections: a client takes less CPU time than the server.
"""

import asyncio
import json
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["request", "run_client", "started_client"]

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_KEPT_BODIES: Final = 64


def request(method: str, path: str, credential: str, body: object = None, **headers: str) -> str:
    """A request as it is sent."""
    text = "" if body is None else json.dumps(body)
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {credential}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        *(["Content-Type: application/json", f"Content-Length: {len(text)}"] if text else []),
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + text


@contextmanager
def started_client(kind: str, wish: Mapping[str, Any]) -> Iterator["subprocess.Popen[str]"]:
    """A client process; each line that it prints is a JSON value."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(wish) + "\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def run_client(kind: str, wish: Mapping[str, Any]) -> dict[str, Any]:
    """What a client process has found."""
    with started_client(kind, wish) as process:
        assert process.stdout is not None
        found: dict[str, Any] = json.loads(process.stdout.readline())
        return found


class _Asker(asyncio.Protocol):
    """One connection: sends the next of the requests as soon as the last one is answered."""

    def __init__(self, waiting: "deque[bytes]", results: "_Results") -> None:
        self.waiting = waiting
        self.results = results
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        if not self.waiting:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(self.waiting.popleft())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        if len(body) < (int(length[1]) if length else 0):
            return
        self.received = b""
        self.results.add(int(head[9:12]), time.perf_counter() - self.sent_at, body)
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class _Results:
    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.bodies: Counter[bytes] = Counter()

    def add(self, status: int, seconds: float, body: bytes) -> None:
        self.statuses[status] += 1
        self.seconds.append(seconds)
        if len(self.bodies) < _KEPT_BODIES:
            self.bodies[body] += 1


async def _requests(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Send `requests` in turn, `count` in all, over `connections` connections.

    Returns:
        seconds; p50_ms, p99_ms; how many answers by status; distinct bodies (the first 64).
    """
    given = [one.encode() for one in wish["requests"]]
    waiting = deque(given[number % len(given)] for number in range(wish["count"]))
    results = _Results()
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    protocols = [
        (
            await loop.create_connection(
                lambda: _Asker(waiting, results), wish["host"], wish["port"]
            )
        )[1]
        for _ in range(wish["connections"])
    ]
    await asyncio.gather(*(one.ended for one in protocols))
    ordered = sorted(results.seconds)
    return {
        "seconds": time.perf_counter() - begin,
        "p50_ms": statistics.median(ordered) * 1000,
        "p99_ms": ordered[int(0.99 * (len(ordered) - 1))] * 1000,
        "statuses": results.statuses,
        "bodies": {body.decode(): count for body, count in results.bodies.items()},
    }


async def _sockets(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Open `sockets` (path and token of each); read each until the server closes it.

    A job's `step` ends with the milliseconds since 1970 at which it was written. Prints a line when
    all are open.

    Returns:
        messages; p50_ms and p99_ms of their age; how many sockets saw `done`, by close code.
    """
    import websockets

    ages: list[float] = []
    closed: Counter[str] = Counter()
    counted = Counter[str]()

    async def read(connection: Any) -> None:
        ended = False
        try:
            async for text in connection:
                message = json.loads(text)
                counted["messages"] += 1
                job = message.get("job", {})
                if (job.get("step") or "").startswith("at "):
                    ages.append(time.time() * 1000 - float(job["step"][3:]))
                ended = ended or job.get("status") == "done"
        except websockets.ConnectionClosed:
            counted["broken"] += 1
        counted["terminal"] += ended
        closed[str(connection.close_code)] += 1

    gate = asyncio.Semaphore(8)

    async def connect(path: str, token: str) -> Any:
        async with gate:
            return await websockets.connect(
                f"ws://{wish['host']}:{wish['port']}{path}",
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
                open_timeout=120,
                ping_interval=None,
                proxy=None,
            )

    open_ones = await asyncio.gather(*(connect(*one) for one in wish["sockets"]))
    reading = [asyncio.create_task(read(one)) for one in open_ones]
    _say({"open": len(open_ones)})
    await asyncio.gather(*reading)
    ordered = sorted(ages) or [float("nan")]
    return {
        **counted,
        "closed": closed,
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[int(0.99 * (len(ordered) - 1))],
    }


def _uploads(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Send a form with the file `path` to `/render`, `count` times at once.

    Returns:
        how many answers by status, and their first bodies.
    """
    results = _Results()

    def send(number: int) -> None:
        path = Path(wish["path"])
        fields = b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % one
            for one in ((b"emotion", b"happy"), (b"intensity", b"0.%d" % (number + 10)))
        )
        head = fields + (
            b'--b\r\nContent-Disposition: form-data; name="source_image"; filename="a.jpg"\r\n\r\n'
        )
        tail = b"\r\n--b--\r\n"
        begin = time.perf_counter()
        with (
            socket.create_connection((wish["host"], wish["port"]), 300) as connection,
            path.open("rb") as file,
        ):
            connection.sendall(
                f"POST /render HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                f"Authorization: Bearer {wish['token']}\r\n"
                f"Content-Type: multipart/form-data; boundary=b\r\n"
                f"Content-Length: {len(head) + path.stat().st_size + len(tail)}\r\n\r\n".encode()
                + head
            )
            connection.sendfile(file)
            connection.sendall(tail)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        results.add(
            int(answer[9:12]), time.perf_counter() - begin, answer.partition(b"\r\n\r\n")[2]
        )

    threads = [threading.Thread(target=send, args=(number,)) for number in range(wish["count"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"statuses": results.statuses, "bodies": [body.decode() for body in results.bodies]}


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """Do what the standard input asks for."""
    import uvloop

    wish = json.loads(sys.stdin.readline())
    if arguments[0] == "uploads":
        _say(_uploads(wish))
        return
    work = {"requests": _requests, "sockets": _sockets}[arguments[0]]
    _say(uvloop.run(work(wish)))


if __name__ == "__main__":
    main(sys.argv[1:])
