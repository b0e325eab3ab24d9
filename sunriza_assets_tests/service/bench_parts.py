"""The parts of `bench_service`: each measures one thing of a running service.

CPU time is that of the API process alone, as the kernel counts it.
"""

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from resources.orders.open import open_orders
from resources.orders.order import Order
from resources.stores import open_stores
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.bench_load import request, run_client, started_client
from sunriza_assets_tests.service.bench_modes import MODES
from sunriza_assets_tests.service.bench_rows import Row
from sunriza_assets_tests.service.bench_world import Bench, api_alone, bench_home, whole_service

__all__ = ["PARTS"]

USERS: Final = 200
"""Callers of the status reads: each stays below its 600 a minute."""
CONNECTIONS: Final = 32
ROUNDS: Final = 5
INPUTS: Final = {
    "avatarImageUrl": "avatars/a/images/hero.png",
    "training": {"heroVideoUrl": "avatars/a/videos/clip.mp4"},
}


def status_reads(models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """GET of a job: finished, waiting, unchanged; by token and by key."""
    with api_alone(models) as bench:
        tokens = [bench.token(user) for user in range(USERS)]
        keys = [bench.key(user) for user in range(USERS)]
        done = [
            bench.order(user, state="done", result={"video_url": "https://x.example/v.mp4"})
            for user in range(USERS)
        ]
        waiting = [bench.order(user, state="queued") for user in range(USERS)]

        def asking(orders: list[Order], with_: list[str], **headers: str) -> list[str]:
            return [
                request("GET", f"/jobs/{order.order_id}", one, **headers)
                for order, one in zip(orders, with_, strict=True)
            ]

        wishes = {
            "status read, finished job, token": asking(done, tokens),
            "status read, finished job, API key": asking(done, keys),
            "status read, waiting job, token": asking(waiting, tokens),
            "status read, 304": asking(done, tokens, If_None_Match=f'"{done[0].revision}"'),
        }
        for what, requests in wishes.items():
            bench.ask(requests, 2 * USERS, CONNECTIONS)  # tokens are verified, keys read
            found = figures[what] = bench.rounds([requests] * ROUNDS, 8 * USERS, CONNECTIONS)
            assert found["statuses"] == ["304" if "304" in what else "200"], found
            yield Row(what, found["cpu"], "≤ 0.8 ms CPU", found["cpu_ms"] <= 0.8)
            kept = found["rate"] >= 1000 and found["p99_ms"] < 60
            wall = f"{what}, {CONNECTIONS} connections"
            yield Row(wall, found["wall"], "≥ 1000/s, p99 < 60 ms", kept)


def job_posts(models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """POST of new jobs; 50 equal ones with one key; what the API process has loaded."""
    equal_ones = 50
    with api_alone(models, SUNRIZA_JOBS_PER_MINUTE=str(equal_ones)) as bench:
        avatars = open_stores().avatars
        tokens = [bench.token(user) for user in range(USERS)]
        for user in range(USERS):
            avatars.merge(f"a{user}", INPUTS | {"userId": f"user-{user}"})

        def asking(number: int, key: str) -> str:
            user = number % USERS
            wished = {"drivingMultiplier": 1 + number // USERS / 10}
            body = {"avatar_id": f"a{user}", "parameters": wished}
            path = "/generate-dynamics"
            return request("POST", path, tokens[user], body, Idempotency_Key=key)

        bench.ask([request("GET", "/me", token) for token in tokens], USERS, 8)
        before = len(bench.orders.unfinished())
        equal = bench.ask([asking(0, "equal")], equal_ones, equal_ones)
        made = len(bench.orders.unfinished()) - before
        figures["equal"] = {"statuses": equal["statuses"], "bodies": len(equal["bodies"])}
        yield Row(
            f"{equal_ones} equal POSTs with one key at once",
            f"{made} job, {len(equal['bodies'])} body, answers {equal['statuses']}",
            "1 job, 50 equal answers",
            set(equal["statuses"]) == {"200"} and len(equal["bodies"]) == made == 1,
        )
        numbers = itertools.count(1)
        bench.ask([asking(n, f"k{n}") for n in itertools.islice(numbers, 40)], 40, 8)
        for connections in (1, 8):
            rounds = [
                [asking(n, f"k{n}") for n in itertools.islice(numbers, 40)] for _ in range(ROUNDS)
            ]
            found = figures[f"post_{connections}"] = bench.rounds(rounds, 40, connections)
            assert set(found["statuses"]) == {"200"}, found
            what = f"POST generate-dynamics, {connections} at a time"
            yield Row(what, found["cpu"], "≤ 3 ms CPU", found["cpu_ms"] <= 3)
            if connections > 1:
                kept = found["rate"] >= 200 and found["p99_ms"] < 150
                yield Row(f"{what}, wall", found["wall"], "≥ 200/s, p99 < 150 ms", kept)
        yield _loaded(bench)


def _loaded(bench: Bench) -> Row:
    """Heavy libraries that the API process has mapped after all that."""
    maps = Path(f"/proc/{bench.process.pid}/maps").read_text()
    heavy = [
        name
        for name, mark in {
            "grpc (Dagster's)": "cygrpc", "torch": "libtorch", "OpenCV": "cv2",
            "onnxruntime": "onnxruntime", "numpy": "numpy", "PyAV": "/av/",
        }.items()
        if mark in maps
    ]  # fmt: skip
    code = "import sys, sunriza_assets.service.api_process; print('dagster' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    has_dagster = "True" in said.stdout
    return Row(
        "loaded in the API process",
        f"{', '.join(heavy) or 'none of them'}; dagster: {'yes' if has_dagster else 'no'};"
        f" RSS {bench.process.memory_info().rss / 1e6:.0f} MB",
        "no Dagster, torch, OpenCV",
        not has_dagster and not {"torch", "OpenCV", "grpc (Dagster's)"} & set(heavy),
    )


def sockets(models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """500 WebSockets, four to each job, all of which change once a second."""
    count, each, users, seconds = 500, 4, 63, 20
    with api_alone(models) as bench:
        tokens = [bench.token(user) for user in range(users)]
        orders = [bench.order(n % users, state="running") for n in range(count // each)]
        wishes = [
            (f"/ws/jobs/{order.order_id}", tokens[number % users])
            for number, order in enumerate(orders)
        ] * each
        bench.ask([request("GET", "/me", token) for token in tokens], users, 8)
        before = bench.process.memory_info().rss
        wish = {"host": "127.0.0.1", "port": bench.port, "sockets": wishes}
        with started_client("sockets", wish) as client:
            assert client.stdout is not None
            assert json.loads(client.stdout.readline()) == {"open": count}
            began, spent = time.monotonic(), bench.cpu_s()
            changes = 0
            for second in range(seconds):
                for number, order in enumerate(orders):
                    due = began + second + number / len(orders)
                    if (early := due - time.monotonic()) > 0.002:
                        time.sleep(early)
                    step = f"at {time.time() * 1000:.0f}"
                    orders[number] = bench.orders.change(
                        order, step=step, progress=min(99, second * 5)
                    )
                    changes += 1
            took, spent = time.monotonic() - began, bench.cpu_s() - spent
            more = (bench.process.memory_info().rss - before) / 1e6
            for order in orders:
                bench.orders.change(order, state="done", step=None, result={"video_url": "x"})
            found = json.loads(client.stdout.readline())
    share = spent / took
    found |= {"more_mb": more, "share": share, "seconds": took, "changes": changes}
    figures["sockets"] = found
    yield Row(f"{count} WebSockets, memory", f"+{more:.0f} MB", "≤ 40 MB", more <= 40)
    yield Row(
        f"{count} WebSockets, {changes / took / len(orders):.2f} changes/s each",
        f"{share:.0%} of a core ({spent * 1e6 / changes / each:.0f} us a message)",
        "≤ 15 %",
        share <= 0.15,
    )
    yield Row(
        f"{count} WebSockets, age of a message",
        f"p50 {found['p50_ms']:.0f}, p99 {found['p99_ms']:.0f} ms",
        "p99 < 250 ms",
        found["p99_ms"] < 250,
    )
    yield Row(
        f"{count} WebSockets, ends",
        f"{found['terminal']} seen, closed {found['closed']}",
        "none missed",
        found["terminal"] == count,
    )


def first_steps(models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """From the acceptance of a job to its first step on the warm worker."""
    waits, whole = [], []
    with whole_service(models) as bench:
        token = bench.token(0)
        with httpx.Client(base_url=f"http://127.0.0.1:{bench.port}", trust_env=False) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            for number in range(9):
                wished = {"drivingMultiplier": 1 + number / 20}
                body = {"avatar_id": "short", "parameters": wished}
                began = time.monotonic()
                answer = client.post("/generate-dynamics", json=body, timeout=60)
                job_id = answer.raise_for_status().json()["job_id"]
                wait_for(partial(_has_step, bench, job_id), 120)
                waits.append(time.monotonic() - began)
                wait_for(partial(_has_ended, bench, job_id), 120)
                whole.append(time.monotonic() - began)
                assert _order(bench, job_id).state == "done"
    first, *warm = waits
    figures["first_steps"] = {"waits": waits, "whole": whole}
    middle = statistics.median(warm)
    yield Row(
        "accept to first step, warm worker",
        f"p50 {middle:.2f} s, largest {max(warm):.2f} (the first job {first:.2f})",
        "p50 ≤ 0.6 s on a quiet machine",
        middle <= 0.6,
    )
    yield Row("a small job from its POST to its end", f"p50 {statistics.median(whole[1:]):.1f} s")


def _order(bench: Bench, order_id: str) -> Order:
    order = bench.orders.get(order_id)
    assert order is not None
    return order


def _has_step(bench: Bench, order_id: str) -> bool:
    return _order(bench, order_id).step is not None


def _has_ended(bench: Bench, order_id: str) -> bool:
    return _order(bench, order_id).is_terminal


def uploads(models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """20 pictures of 50 MB sent to `/render` at once."""
    with whole_service(models) as bench:
        path = bench.home / "large.jpg"
        shutil.copy(next((bench.home / "sample").glob("*portrait*")), path)
        os.truncate(path, 49_900_000)
        wish = {"host": "127.0.0.1", "port": bench.port, "path": str(path), "token": bench.token(0)}
        run_client("uploads", {**wish, "count": 1})
        before = bench.process.memory_info().rss
        peak, ended = [before], threading.Event()

        def look() -> None:
            while not ended.wait(0.02):
                peak.append(bench.process.memory_info().rss)

        looking = threading.Thread(target=look)
        looking.start()
        spent = bench.cpu_s()
        try:
            found = run_client("uploads", {**wish, "count": 20})
        finally:
            ended.set()
            looking.join()
        spent = bench.cpu_s() - spent
        left = list((bench.home / "service" / "uploads").iterdir())
    more = (max(peak) - before) / 1e6
    figures["uploads"] = {
        "more_mb": more, "statuses": found["statuses"], "cpu_s": spent, "left": len(left),
        "body": found["bodies"][0][:300],
    }  # fmt: skip
    yield Row(
        "20 uploads of 50 MB at once, API memory",
        f"+{more:.0f} MB, {spent * 1000 / 20:.0f} ms CPU each, answers {found['statuses']},"
        f" {len(left)} files left",
        "< 60 MB",
        more < 60,
    )


def render(models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """Emotion pictures of the mesh engine at 512 pixels."""
    from sunriza_assets.service.bench.render import BARS, measure

    found = figures["render"] = measure(models)
    for name in ("warm_png", "warm_jpg", "warm_webp", "cold"):
        bar = BARS[name.partition("_")[0]]
        spent = found[name]["cpu_ms"]
        yield Row(
            f"/render {name.replace('_', ', ')}", f"{spent} ms CPU", f"≤ {bar:.0f}", spent <= bar
        )
    for name in ("first", "cached", "batch_warm", "batch_cold"):
        yield Row(f"/render {name.replace('_', ', ')}", f"{found[name]['cpu_ms']} ms CPU")


def store(models: Path, figures: dict[str, Any]) -> Iterator[Row]:
    """Calls of the order store in SQLite."""
    from sunriza_assets.service.bench.store import bench_orders

    with bench_home(models):
        orders = open_orders()
        found = figures["store"] = dict(bench_orders(orders))
        orders.close()
    for name, spent in found.items():
        yield Row(f"store: {name}", f"{spent:.3f} ms CPU")


PARTS: Final = {
    "reads": status_reads,
    "posts": job_posts,
    "sockets": sockets,
    "first_steps": first_steps,
    **MODES,
    "render": render,
    "uploads": uploads,
    "store": store,
}
"""The parts by name."""
