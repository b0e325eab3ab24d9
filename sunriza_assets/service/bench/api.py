"""What the API process alone takes: status reads, new jobs, WebSockets, uploads, equal requests.

    python -m sunriza_assets.service.bench.api

The API process serves a home of its own, nobody works on its jobs, and this process sends the
requests. Judged are CPU time, memory and counts of the API process; rates stand beside them, for
they depend on what else the machine does.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import psutil

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.orders.sqlite import SqliteOrders
from sunriza_assets.service.auth.keys import make_key

__all__ = ["BARS", "measure"]

BARS: Final[Mapping[str, tuple[str, float]]] = {
    "status read, CPU ms": ("<=", 0.8),
    "status reads a second and core": (">=", 1000.0),
    "job POST, CPU ms": ("<=", 3.0),
    "500 WebSockets, MB more": ("<=", 40.0),
    "500 WebSockets at 1 Hz, share of a core": ("<=", 0.15),
    "500 WebSockets, ends missed": ("<=", 0.0),
    "20 uploads of 50 MB, MB more": ("<=", 60.0),
    "50 equal requests, jobs": ("<=", 1.0),
    "50 equal requests, different answers": ("<=", 1.0),
}
"""Figure -> how it has to compare with which number."""
_START_S: Final = 60.0
_CONNECTIONS: Final = 32
_JOBS: Final = 50
_SOCKETS: Final = 500
_SECONDS: Final = 8
_MB: Final = 1e6


@dataclass
class _Api:
    """A running API process and how to call it."""

    port: int
    process: psutil.Process
    keys: list[str]
    """API keys of as many users as there are jobs to watch."""
    orders: SqliteOrders
    avatars: LocalAvatars

    def cpu_s(self) -> float:
        """CPU seconds until now."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        """Resident bytes."""
        return int(self.process.memory_info().rss)

    def client(self, user: int = 0) -> httpx.AsyncClient:
        """A client that acts for one of the users."""
        headers = {"Authorization": f"Bearer {self.keys[user]}"}
        limits = httpx.Limits(max_connections=_CONNECTIONS)
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers=headers,
            limits=limits,
            timeout=120,
            trust_env=False,
        )


def measure(*, reads: int = 4000) -> dict[str, float]:
    """Serve and ask; figure -> what was measured.

    Args:
        reads: status reads.
    """
    with TemporaryDirectory(prefix="sunriza-bench-") as folder, _served(Path(folder)) as api:
        return asyncio.run(_measure(api, reads))


async def _measure(api: _Api, reads: int) -> dict[str, float]:
    jobs, posts = await _post_jobs(api)
    figures = {"job POST, CPU ms": posts}
    figures |= await _read_status(api, jobs[0], reads)
    figures |= await _send_equal(api)
    figures |= await _watch(api, jobs)
    figures |= await _upload(api)
    return {name: round(figure, 3) for name, figure in figures.items()}


async def _post_jobs(api: _Api) -> tuple[list[str], float]:
    """Ids of new jobs, one for each user, and CPU milliseconds of a request after a first round."""
    spent = 0.0
    for number in range(2):
        jobs = []
        for user in range(_JOBS):
            avatar = f"bench-{number}-{user}"
            api.avatars.merge(avatar, _document(avatar, user))
            async with api.client(user) as client:
                before = api.cpu_s()
                answer = await client.post("/generate-dynamics", json={"avatar_id": avatar})
                spent += (api.cpu_s() - before) * number
            jobs.append(str(answer.raise_for_status().json()["job_id"]))
    return jobs, spent / _JOBS * 1000


async def _read_status(api: _Api, job: str, reads: int) -> dict[str, float]:
    """Status reads through 32 connections, by a client that parses nothing but lengths."""
    request = (
        f"GET /jobs/{job} HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n"
        f"Authorization: Bearer {api.keys[0]}\r\n\r\n"
    ).encode()

    async def ask(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        for _ in range(count):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode("latin-1"))
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(ask(10) for _ in range(_CONNECTIONS)))
    before, begin = api.cpu_s(), time.perf_counter()
    each = reads // _CONNECTIONS
    await asyncio.gather(*(ask(each) for _ in range(_CONNECTIONS)))
    spent, wall = api.cpu_s() - before, time.perf_counter() - begin
    count = each * _CONNECTIONS
    return {
        "status read, CPU ms": spent / count * 1000,
        "status reads a second and core": count / spent,
        "status reads a second, as it was": count / wall,
    }


async def _send_equal(api: _Api) -> dict[str, float]:
    """Fifty equal requests with one key at once."""
    api.avatars.merge("equal", _document("equal", 0))
    before = _count(api)
    async with api.client() as client:
        answers = await asyncio.gather(
            *(
                client.post(
                    "/generate-dynamics",
                    json={"avatar_id": "equal"},
                    headers={"Idempotency-Key": "bench"},
                )
                for _ in range(50)
            )
        )
    return {
        "50 equal requests, jobs": _count(api) - before,
        "50 equal requests, different answers": len({answer.text for answer in answers}),
    }


async def _watch(api: _Api, jobs: list[str]) -> dict[str, float]:
    """Five hundred WebSockets on fifty jobs that change once a second, and then end."""
    from websockets.asyncio.client import connect

    ended = 0
    rss = api.rss()

    async def watch(user: int) -> None:
        nonlocal ended
        headers = {"Authorization": f"Bearer {api.keys[user]}"}
        address = f"ws://127.0.0.1:{api.port}/ws/jobs/{jobs[user]}"
        async with connect(address, additional_headers=headers, proxy=None) as stream:
            ready.release()
            async for message in stream:
                told = json.loads(message)
                if told["type"] == "job" and told["job"]["status"] in ("done", "error"):
                    ended += 1

    ready = asyncio.Semaphore(0)
    watchers = []
    for number in range(_SOCKETS):
        watchers.append(asyncio.create_task(watch(number % len(jobs))))
        if number % 20 == 19:  # as clients come, not as an attack does
            for _ in range(20):
                await ready.acquire()
    before, begin = api.cpu_s(), time.perf_counter()
    for second in range(_SECONDS):
        await asyncio.to_thread(_change, api, jobs, second)
        await asyncio.sleep(max(0.0, begin + second + 1 - time.perf_counter()))
    share = (api.cpu_s() - before) / (time.perf_counter() - begin)
    more = (api.rss() - rss) / _MB
    await asyncio.to_thread(_end, api, jobs)
    await asyncio.wait(watchers, timeout=60)
    for watcher in watchers:
        watcher.cancel()
    return {
        "500 WebSockets, MB more": more,
        "500 WebSockets at 1 Hz, share of a core": share,
        "500 WebSockets, ends missed": _SOCKETS - ended,
    }


async def _upload(api: _Api) -> dict[str, float]:
    """Twenty uploads of 50 MB at once; there is no engine, so they are refused when complete."""
    rss = api.rss()
    top = rss
    done = asyncio.Event()

    async def look() -> None:
        nonlocal top
        while not done.is_set():
            top = max(top, api.rss())
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    await asyncio.gather(*(_send_large(api) for _ in range(20)))
    done.set()
    await looking
    return {"20 uploads of 50 MB, MB more": (top - rss) / _MB}


async def _send_large(api: _Api) -> None:
    """One form with a file of 50 MB, sent as a stream."""
    size, piece = 50_000_000, bytes(250_000)
    head = (
        b'--bench\r\nContent-Disposition: form-data; name="emotion"\r\n\r\nhappy\r\n'
        b'--bench\r\nContent-Disposition: form-data; name="source_image"; filename="a.jpg"\r\n\r\n'
        b"\xff\xd8\xff\xe0"
    )
    tail = b"\r\n--bench--\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"POST /render HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n"
        f"Authorization: Bearer {api.keys[0]}\r\n"
        f"Content-Type: multipart/form-data; boundary=bench\r\n"
        f"Content-Length: {len(head) + size + len(tail)}\r\n\r\n".encode()
    )
    writer.write(head)
    for _ in range(size // len(piece)):
        writer.write(piece)
        await writer.drain()
    writer.write(tail)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


def _change(api: _Api, jobs: list[str], second: int) -> None:
    for job in jobs:
        order = api.orders.get(job)
        if order is not None:
            changes = {"state": "queued"} if second == 0 else {"progress": second}
            api.orders.change(order, **changes)


def _end(api: _Api, jobs: list[str]) -> None:
    for job in jobs:
        api.orders.request_cancel(job)


def _count(api: _Api) -> int:
    return sum(api.orders.counts().values())


def _document(avatar_id: str, user: int) -> dict[str, Any]:
    return {
        "userId": f"bench-{user}",
        "avatarImageUrl": f"avatars/{avatar_id}/images/hero.png",
        "training": {"heroVideoUrl": f"avatars/{avatar_id}/videos/clip.mp4"},
    }


@contextmanager
def _served(root: Path) -> Iterator[_Api]:
    """An API process on a home of its own, without engine and dispatcher."""
    home = Home(root)
    home.make()
    orders = SqliteOrders(root / "service" / "service.db")
    keys = [make_key(f"bench-{user}", ["jobs", "render"], "bench") for user in range(_JOBS)]
    for _, key in keys:
        orders.add_key(key)
    unlimited = {
        f"SUNRIZA_{name}": "1000000"
        for name in (
            *("READS_PER_MINUTE", "RENDERS_PER_MINUTE", "JOBS_PER_MINUTE", "UNFINISHED_JOBS"),
            *("JOBS_PER_DAY", "QUEUED_JOBS"),
        )
    }
    environment = {
        **os.environ,
        **unlimited,
        "SUNRIZA_HOME": str(root),
        "SUNRIZA_AUTH": "required",
        "SUNRIZA_UPLOAD_BYTES_PER_DAY": "1000000000000",
    }
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    with socket.socket() as listener, (root / "bench.log").open("wb") as log:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        module = "sunriza_assets.service.api_process"
        child = subprocess.Popen(
            [sys.executable, "-m", module, "127.0.0.1", str(listener.fileno()), "0"],
            env=environment,
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            port = listener.getsockname()[1]
            _wait(lambda: httpx.get(f"http://127.0.0.1:{port}/health/live", trust_env=False))
            texts = [text for text, _ in keys]
            yield _Api(port, psutil.Process(child.pid), texts, orders, LocalAvatars(home))
        finally:
            child.terminate()
            child.wait()
            orders.close()


def _wait(ask: Callable[[], httpx.Response]) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            if ask().status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > end:
            raise TimeoutError("The API is not ready")
        time.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))  # noqa: T201 - its answer
