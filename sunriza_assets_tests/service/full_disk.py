"""Fill the disk of a service under jobs, look at what it says, and free it again.

    python -m sunriza_assets_tests.service.full_disk [--log FILE]

The home is a file system of its own in memory, so this needs the right to mount (root). Nothing may
be torn, no answer may be 500, no process may die of an error without a name, and all jobs have to
be done once there is room again. Exit code 1 if that is not so.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import click
import httpx

from resources.orders.open import open_orders
from resources.orders.store import OrderStore
from resources.publishing.publication import FILES
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.kills import MODELS, SETTINGS, prepare
from sunriza_assets_tests.service.serving_processes import Serving, begin_serving

SIZE_MB = 1400
"""Above the free gigabyte below which uploads are refused."""
FULL_S = 20.0
_PIECE = 1 << 20
_ALWAYS = [name for name in FILES if "chunk" not in name or name.endswith("chunk1.mp4")]
"""A second of clip has one chunk."""


class Ballast:
    """Fills a file system, and takes what becomes free, until it is removed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> "Ballast":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._path.unlink()

    def _fill(self) -> None:
        with self._path.open("wb") as file:
            while not self._ended.wait(0.02):
                for piece in (_PIECE, 4096):
                    with suppress(OSError):  # it is full
                        while True:
                            size = file.seek(0, os.SEEK_END)
                            os.posix_fallocate(file.fileno(), size, piece)


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own."""
    with tempfile.TemporaryDirectory(prefix="sunriza-full-") as name:
        options = f"size={SIZE_MB}m,mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def run(root: Path, serving: Serving, names: list[str], problems: list[str]) -> Counter[str]:
    """Fill, look, free; what was answered meanwhile."""
    store = open_orders()
    answers: Counter[str] = Counter()
    with httpx.Client(base_url=serving.url, trust_env=False, timeout=60) as client:

        def ask(name: str) -> httpx.Response:
            return client.post("/generate-dynamics", json={"avatar_id": name})

        asked = [ask(name).raise_for_status().json()["job_id"] for name in names[:3]]
        wait_for(lambda: any(_step(store, one) == "idle_video" for one in asked), 300)
        portrait = (root / "home" / "sample" / "portrait.jpg").read_bytes()
        with Ballast(root):
            end = time.monotonic() + FULL_S
            while time.monotonic() < end:
                found = {
                    "live": client.get("/health/live"),
                    "ready": client.get("/health/ready"),
                    "job": client.get(f"/jobs/{asked[0]}"),
                    "metrics": client.get("/metrics"),
                    "render": client.post(
                        "/render",
                        files={"source_image": portrait},
                        data={"emotion": "happy"},
                    ),
                    "POST": ask(names[3]),
                }
                for what, answer in found.items():
                    code = _code(answer)
                    answers[f"{what} {answer.status_code} {code}".strip()] += 1
                    if answer.status_code == 500:
                        problems.append(f"{what} was answered {answer.text[:200]}")
                if found["POST"].status_code == 200:
                    asked.append(found["POST"].json()["job_id"])
                time.sleep(1.0)
        asked.append(ask(names[4]).raise_for_status().json()["job_id"])
        begin = time.monotonic()
        wait_for(lambda: all(_ended(store, one) for one in asked), 600)
        click.echo(f"all ended {time.monotonic() - begin:.0f} s after there was room again")
        problems += [f"{one} is {store.get(one)}" for one in asked if _state(store, one) != "done"]
        wait_for(serving.is_ready, 120)
    store.close()
    return answers


def torn(home: Path) -> list[str]:
    """What is not whole."""
    found = []
    for file in home.glob("service/*.db"):
        with closing(sqlite3.connect(file)) as database:
            ((said,),) = database.execute("pragma integrity_check").fetchall()
            found += [f"{file}: {said}"] if said != "ok" else []
    for document in home.glob("avatars/*.json"):
        try:
            json.loads(document.read_text())
        except ValueError:
            found.append(f"{document} is torn")
    for version in home.glob("storage/avatars/*/dynamics/basic/v*"):
        missing = [name for name in _ALWAYS if not (version / name).exists()]
        found += [f"{version} lacks {missing}"] if missing else []
        if (version / "idle.mp4").exists() and not _frames(version / "idle.mp4"):
            found.append(f"{version}/idle.mp4 has no frames")
    return found


def _frames(video: Path) -> int:
    """How many frames can be decoded."""
    import av

    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def _code(answer: httpx.Response) -> str:
    with suppress(ValueError):
        body = answer.json()
        if "parts" in body:
            return ",".join(name for name, part in body["parts"].items() if not part["ready"])
        return str(body.get("code") or "") if answer.status_code >= 400 else ""
    return ""


def _step(store: OrderStore, order_id: str) -> str | None:
    order = store.get(order_id)
    return order.step if order is not None else None


def _state(store: OrderStore, order_id: str) -> str | None:
    order = store.get(order_id)
    return order.state if order is not None else None


def _ended(store: OrderStore, order_id: str) -> bool:
    order = store.get(order_id)
    return order is None or order.is_terminal


@click.command()
@click.option("--log", type=click.Path(path_type=Path), help="Keep what the processes say there.")
def main(log: Path | None) -> None:
    """Fill, free, and print what was answered."""
    for name in [one for one in os.environ if one.startswith(("SUNRIZA_", "DAGSTER_"))]:
        del os.environ[name]
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sunriza-log-") as folder, small_disk() as root:
        home = root / "home"
        os.environ |= SETTINGS | {"SUNRIZA_HOME": str(home), "SUNRIZA_MODELS": str(MODELS)}
        names = prepare(home, MODELS, 5)
        log = log or Path(folder) / "serve.log"
        serving = begin_serving(["--no-ui"], log)
        try:
            serving.wait_until_ready()
            answers = run(root, serving, names, problems)
        finally:
            serving.end()
        problems += torn(home)
        said = log.read_text(errors="replace")
    for answer, count in sorted(answers.items()):
        click.echo(f"{count:3} {answer}")
    if "The disk is full" not in said:
        problems.append("no process has said that the disk is full")
    if said.count("Traceback"):
        problems.append(f"{said.count('Traceback')} tracebacks instead of named errors")
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
