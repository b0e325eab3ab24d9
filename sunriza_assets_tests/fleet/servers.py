"""Real servers for fleet tests: Redis and PostgreSQL from Debian's packages, and child processes.

Each server gets a folder and a port of its own and dies with the test.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from sunriza_assets_tests.processes import free_port

__all__ = ["Child", "Postgres", "Redis", "postgres", "wait_until", "wait_until_none"]

PATIENCE_S = 240.0


class Child:
    """A child process in a group of its own, with its output in a file."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=None if env is None else dict(env),
                user=user,
                cwd=cwd,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the process and everything it has started in its group."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left after a while."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=15)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(timeout=60)


def wait_until(
    what: str, done: Callable[[], object], *, patience_s: float = PATIENCE_S, every_s: float = 0.5
) -> None:
    """Look again and again; a test fails when it never comes true."""
    wait_until_none(
        what, lambda: None if done() else "not yet", patience_s=patience_s, every_s=every_s
    )


def wait_until_none(
    what: str, left: Callable[[], object], *, patience_s: float = PATIENCE_S, every_s: float = 0.5
) -> None:
    """Look again and again until nothing is left; a test fails with what still is."""
    end = time.monotonic() + patience_s
    while seen := left():
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience_s:.0f} s in vain: {what} ({seen!r})")
        time.sleep(every_s)


class Redis:
    """A Redis server that forgets everything when it ends, as a broker may.

    Args:
        folder: for its log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._server: Child | None = None

    @property
    def url(self) -> str:
        """Its address, the same after a restart."""
        return f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> "Redis":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, with nothing in it."""
        arguments = [
            "--port",
            self._port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        command = [_found("redis-server"), *map(str, arguments), "--dir", self._folder]
        self._server = Child(command, self._folder / "redis.log")
        wait_until("Redis answers", lambda: _listens(self._port), every_s=0.1)

    def kill(self) -> None:
        """SIGKILL; what was in it is gone."""
        assert self._server is not None
        self._server.kill()

    def stop(self) -> None:
        """End it; what was in it is gone."""
        if self._server is not None:
            self._server.stop()


class Postgres:
    """A PostgreSQL server. It refuses to run as root, so root lends it a user.

    Args:
        folder: for its data and log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._user = "postgres" if os.geteuid() == 0 else None
        self._server: Child | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(folder, self._user)
        subprocess.run(
            [_found("initdb"), "-D", self._data, "-U", "sunriza", "--auth", "trust", "--no-sync"],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=folder,
        )

    @property
    def url(self) -> str:
        """Its address, the same after a restart."""
        return f"postgresql+psycopg2://sunriza@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> "Postgres":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, with what was committed before."""
        options = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = self._folder / "postgres.log"
        log.write_text("")
        command = [_found("postgres"), "-D", self._data, *settings]
        self._server = Child(command, log, user=self._user, cwd=self._folder)
        wait_until("PostgreSQL starts", lambda: "ready to accept" in log.read_text(), every_s=0.1)

    def kill(self) -> None:
        """SIGKILL to the server and all its processes, as a power cut would end them."""
        assert self._server is not None
        with suppress(psutil.NoSuchProcess):
            # They are in sessions of their own.
            family = psutil.Process(self._server.process.pid).children(recursive=True)
            self._server.kill()
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(family, timeout=15)

    def stop(self, *, at_once: bool = False) -> None:
        """End it; at once, it writes nothing more, and would recover at its next start."""
        # Its fast and its immediate shutdown; a killed one would leave shared memory behind.
        if self._server is not None and self._server.process.poll() is None:
            self._server.process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._server.process.wait(timeout=30)

    @property
    def _data(self) -> Path:
        return self._folder / "data"


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server; yields a URL."""
    with Postgres(folder) as server:
        yield server.url


def _found(program: str) -> str:
    """A server's program; Debian keeps PostgreSQL's out of PATH."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, homes)])
    found = shutil.which(program, path=path)
    if found is None:
        raise AssertionError(f"{program} is not installed: apt-get install redis-server postgresql")
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
