"""The service on a fleet's configuration, each process and server of which can be killed.

Orders and Dagster's storage are in Postgres, runs go through Dagster's queue and Redis to a Celery
worker. What systemd or compose would do is done here: what has ended is started again.
"""

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import yaml

from resources.home import Home
from sunriza_assets.platform.instance import prepare_instance
from sunriza_assets_tests.fleet.servers import Child, Postgres, Redis
from sunriza_assets_tests.service.kills import kill_process
from sunriza_assets_tests.service.serving_processes import CLI, Serving, begin_serving

__all__ = ["Fleet"]

ROOT = Path(__file__).parents[2]
_DOWN_S = 3.0
"""Longest time for which a server or process stays away."""


class Fleet:
    """All processes of a fleet on one machine; a `World`.

    Args:
        root: for data, logs and settings; the database's user has to be able to enter it.
        chance: how long what was killed stays away.
    """

    targets: Sequence[str] = (
        "api_process",
        "dispatcher_process",
        "engine_process",
        "worker",
        "run",
        "daemon",
        "redis",
        "postgres",
    )
    serving: Serving

    def __init__(self, root: Path, chance: random.Random) -> None:
        self._root = root
        self._chance = chance
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._children: dict[str, Child] = {}
        self._due: dict[str, float] = {}
        self._ended = threading.Event()
        self._redis: Redis
        self._postgres: Postgres

    def __enter__(self) -> "Fleet":
        root = self._root
        for folder in (root, *root.parents[:-2]):
            folder.chmod(folder.stat().st_mode | 0o005)
        (root / "dagster").mkdir(exist_ok=True)
        with self._stack:
            self._redis = self._stack.enter_context(Redis(root))
            self._postgres = self._stack.enter_context(Postgres(root / "postgres"))
            os.environ |= {
                "DAGSTER_HOME": str(root / "dagster"),
                "SUNRIZA_CELERY_BROKER": self._redis.url,
                "SUNRIZA_DISPATCH": "queue",
                "SUNRIZA_ORDERS_URL": self._postgres.url,
                "SUNRIZA_POSTGRES_URL": self._postgres.url,
                "OMP_NUM_THREADS": "1",
            }
            settings = yaml.safe_load((ROOT / "deploy" / "celery" / "dagster.yaml").read_text())
            settings["concurrency"]["runs"]["max_concurrent_runs"] = 2
            (root / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(settings))
            prepare_instance(Home.from_environment(), gpus=1)
            for name in ("daemon", "worker"):
                self._start(name)
            self._stack.callback(self._stop_children)
            keeper = threading.Thread(target=self._keep, daemon=True)
            keeper.start()
            self._stack.callback(keeper.join)
            self._stack.callback(self._ended.set)
            self.serving = begin_serving(["--no-ui"], root / "serve.log")
            self._stack.callback(self.serving.end)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kill(self, target: str) -> bool:
        """See `World`."""
        with self._lock:
            self._due[target] = time.monotonic() + self._chance.uniform(0.0, _DOWN_S)
            return self._kill(target)

    def is_back(self, target: str) -> bool:
        """See `World`."""
        if target in ("redis", "postgres", "worker", "daemon"):
            return target not in self._due
        if target == "run":
            return self._pool_process() is not None
        return self.serving.find(target) is not None

    def _kill(self, target: str) -> bool:
        if target == "redis":
            self._redis.kill()
        elif target == "postgres":
            self._postgres.kill()
        elif target in ("worker", "daemon"):
            self._children[target].kill()
        elif target == "run":
            return kill_process(self._pool_process())
        else:
            return kill_process(self.serving.find(target))
        return True

    def _pool_process(self) -> psutil.Process | None:
        """The child of the Celery worker that executes runs."""
        with suppress(psutil.NoSuchProcess):
            for one in psutil.Process(self._children["worker"].process.pid).children():
                return one
        return None

    def _keep(self) -> None:
        """Start again what was killed, when it is due, and at once what has ended by itself."""
        again: dict[str, Callable[[], object]] = {
            "redis": self._redis.start,
            "postgres": self._postgres.start,
            "worker": lambda: self._start("worker"),
            "daemon": lambda: self._start("daemon"),
        }
        while not self._ended.wait(0.2):
            with self._lock:
                for name, start in again.items():
                    child = self._children.get(name)
                    ended = child is not None and child.process.poll() is not None
                    if name in self._due or ended:
                        if time.monotonic() < self._due.get(name, 0.0):
                            continue
                        start()
                        self._due.pop(name, None)

    def _start(self, name: str) -> None:
        commands = {
            "worker": [*CLI, "worker", "gpu"],
            "daemon": [
                Path(sys.executable).with_name("dagster-daemon"),
                "run",
                "-m",
                "sunriza_assets.definitions",
            ],
        }
        self._children[name] = Child(
            commands[name], self._root / f"{name}.log", env=os.environ, cwd=ROOT
        )

    def _stop_children(self) -> None:
        for child in self._children.values():
            child.stop()
