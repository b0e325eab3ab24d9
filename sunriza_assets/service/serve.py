"""The supervisor of one machine's service: it starts its processes, and starts them again.

    sunriza serve ─┬─ api         answers HTTP; one or several processes behind one listening socket
                   ├─ engine      warm models: emotion pictures, previews, trims
                   ├─ dispatcher  makes jobs of orders, with its warm workers
                   └─ dagster     UI, daemon and code server

A child that ends is started again, after a pause that grows while it keeps ending. The listening
socket belongs to this process, so nobody is refused while an API process is replaced. Children end
with this process, however it ends. It does no work itself and imports neither Dagster nor torch.
"""

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Final

from filelock import FileLock, Timeout

from resources.home import Home
from resources.orders.open import open_orders
from resources.serving.media_server import available_port
from resources.settings import Settings, current_settings
from sunriza_assets.atomic import make_folder, store_errors
from sunriza_assets.errors import StoreError
from sunriza_assets.service.auth.modes import auth_mode
from sunriza_assets.service.monitor.shared_files import forget_process, shared_metrics
from sunriza_assets.service.readiness import reasons_unready
from sunriza_assets.with_parent import command_with_parent

__all__ = ["Addresses", "serve", "serve_api"]

_log = logging.getLogger("sunriza.serve")

STOP_S: Final = 28.0
"""How long children may take to end before they are killed: requests get 20 s, runs 15."""
_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a child is started again, by how often it ended shortly after its start."""
_STEADY_S: Final = 30.0
"""A child that has run for so long counts as well again."""
_LOOK_S: Final = 0.1
_LOG_BYTES: Final = 20_000_000
"""Size of a log above which a new one is begun at the next start."""
_TELL_AFTER_S: Final = 20.0
"""Seconds after which a start that is not done says why."""
_BIND_S: Final = 3.0
"""How long the port is tried: processes of a supervisor that was killed let go of it first."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the service is found."""

    api: str
    """URL of the API."""
    metrics: str | None
    """URL of the metrics on their own port."""
    dagster: str | None
    """URL of the Dagster UI."""
    log: Path | None
    """What the processes write, if it does not go to the standard error."""


@dataclass
class _Child:
    """One process that is kept running."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: Sequence[int] = ()
    output: int = 2
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0

    def start(self) -> None:
        """Start it; in a session of its own, so that Ctrl-C does not reach it past us."""
        self.process = subprocess.Popen(
            command_with_parent(self.arguments),
            env={**os.environ, **self.environment},
            pass_fds=list(self.descriptors),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
        )
        self.started_at = time.monotonic()

    def look(self) -> int | None:
        """Start it where that is due; the id of the process that has ended, if it has."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.start_at:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        pid = self.process.pid
        lasted = now - self.started_at
        self.failures = 1 if lasted >= _STEADY_S else self.failures + 1
        pause = _PAUSES[min(self.failures - 1, len(_PAUSES) - 1)]
        _log.warning("The %s ended with code %s; it starts again in %g s", self.name, code, pause)
        self.process, self.start_at = None, now + pause
        return pid

    def stop(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        """Whether no process is left of it."""
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """End it and its process group."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    ui_port: int | None = 3000,
    log: Path | None = None,
    announce: Callable[[Addresses], None] = lambda _: None,
    ready: Callable[[float], None] = lambda _: None,
    waiting: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends everything at once.

    Args:
        host: where the API listens.
        port: likewise; 0 for a free one.
        ui_port: of the Dagster UI, or a free one if that is taken; None for no UI and no daemon.
        log: file to which the processes write; to this process's standard error when None.
        announce: gets the addresses before anything is started.
        ready: gets the seconds that the start has taken, once all of it is ready.
        waiting: gets the reasons why it is not ready, while the start takes long; again when they
            change.

    Raises:
        StoreError: another service runs on this home, the port is taken (`store.port`), or the
            store of orders is damaged or refuses this service.
        ParameterError: a setting is wrong, or would open the service to everybody.
    """
    settings = current_settings()
    auth_mode(settings, host)
    home = Home(settings.home)
    home.make()
    make_folder(home.root / "service")
    os.environ["SUNRIZA_HOME"] = str(home.root)
    with _only_one(home.root / "service" / "serve.lock"), _listening(host, port) as listener:
        metrics_port = available_port(settings.metrics_port) if settings.metrics_port else None
        open_orders().close()  # what is wrong with it is said here, and not by every child
        free = available_port(ui_port) if ui_port is not None else None
        started = _Started(settings, host, listener, metrics_port, free)
        bound = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        announce(
            Addresses(
                f"http://{shown}:{bound}",
                f"http://127.0.0.1:{metrics_port}/metrics" if metrics_port else None,
                started.ui,
                log,
            )
        )
        with shared_metrics(home.root / "service"), _output(log) as output:
            _supervise(replace(started, output=output).children(), listener, ready, waiting)


def serve_api(*, host: str, port: int) -> None:
    """Serve the API alone (SUNRIZA_API_PROCESSES processes) until SIGTERM or SIGINT.

    Raises:
        StoreError: the port is taken (`store.port`).
        ParameterError: a setting is wrong, or would open the service to everybody.
    """
    settings = current_settings()
    auth_mode(settings, host)
    home = Home(settings.home)
    with _listening(host, port) as listener, shared_metrics(home.root / "service"):
        started = _Started(settings, host, listener, settings.metrics_port)
        _supervise(started.api(), listener, lambda _: None, lambda _: None)


@dataclass(frozen=True, slots=True)
class _Started:
    """What children are started with."""

    settings: Settings
    host: str
    listener: socket.socket
    metrics_port: int | None
    ui_port: int | None = None
    output: int = 2

    @property
    def ui(self) -> str | None:
        """Address of the Dagster UI."""
        return None if self.ui_port is None else f"http://127.0.0.1:{self.ui_port}"

    def children(self) -> list[_Child]:
        """All of them, in the order in which they are asked to end."""
        others = {"dispatcher": ["-m", "sunriza_assets.service.dispatcher_process"]}
        if self.ui_port is not None:
            command = "from sunriza_assets.cli import main; main()"
            others["Dagster UI"] = ["-c", command, "dev", "--port", str(self.ui_port)]
        others["engine"] = ["-m", "sunriza_assets.service.engine_process"]
        return self.api() + [
            _Child(name, command, output=self.output) for name, command in others.items()
        ]

    def api(self) -> list[_Child]:
        """The API processes; the first one serves the metrics of all."""
        descriptor, count = self.listener.fileno(), self.settings.api_processes
        ui = self.settings.dagster_ui or self.ui
        return [
            _Child(
                f"API {index}" if count > 1 else "API",
                [
                    *("-m", "sunriza_assets.service.api_process", self.host, str(descriptor)),
                    str((self.metrics_port or 0) if index == 0 else 0),
                ],
                environment={} if ui is None else {"SUNRIZA_DAGSTER_UI": ui},
                descriptors=[descriptor],
                output=self.output,
            )
            for index in range(count)
        ]


def _supervise(
    children: Sequence[_Child],
    listener: socket.socket,
    ready: Callable[[float], None],
    waiting: Callable[[str], None],
) -> None:
    begin = time.monotonic()
    was_ready, told = False, ""
    signals: list[int] = []
    try:
        with _noted_signals(signals):
            looked = 0.0
            while not signals:
                for child in children:
                    ended = child.look()
                    if ended is not None:
                        forget_process(ended)
                now = time.monotonic()
                if not was_ready and now - looked >= 1.0:
                    reasons, looked = reasons_unready(listener), now
                    was_ready = not reasons
                    if was_ready:
                        ready(now - begin)
                    elif now - begin >= _TELL_AFTER_S and reasons != told:
                        waiting(reasons)
                        told = reasons
                time.sleep(_LOOK_S)
            _log.info("Ending")
            listener.close()  # nobody new is accepted
            _stop(children, signals)
    finally:
        for child in children:
            child.kill()


def _stop(children: Sequence[_Child], signals: Sequence[int]) -> None:
    """End the children: the last one, which the others need, when they have ended."""
    *first, engine = children
    end = time.monotonic() + STOP_S
    for child in first:
        child.stop()
    while not all(child.has_ended for child in first) and _may_wait(end, signals):
        time.sleep(_LOOK_S)
    engine.stop()
    while not engine.has_ended and _may_wait(end, signals):
        time.sleep(_LOOK_S)
    for child in children:
        if not child.has_ended:
            _log.warning("The %s is killed", child.name)


def _may_wait(end: float, signals: Sequence[int]) -> bool:
    return time.monotonic() < end and len(signals) < 2


@contextmanager
def _noted_signals(signals: list[int]) -> Iterator[None]:
    def note(number: int, _: FrameType | None) -> None:
        signals.append(number)

    former = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock of this home's service; the kernel frees it when this process ends."""
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as held:
        raise StoreError(
            "Another `sunriza serve` runs on this home",
            where=path.parent.parent,
            remedy="End it, or set SUNRIZA_HOME to another folder.",
            code="locked",
        ) from held
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """The listening socket of the API.

    Raises:
        StoreError: the port is taken, or the host is none of this machine.
    """
    end = time.monotonic() + _BIND_S
    while True:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, kind, protocol, _, address = found[0]
            listener = socket.socket(family, kind, protocol)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
            break
        except OSError as problem:
            if time.monotonic() > end or isinstance(problem, socket.gaierror):
                unknown = isinstance(problem, socket.gaierror)
                raise StoreError(
                    f"Port {port} of {host} cannot be used: {problem.strerror or problem}",
                    remedy=f"Name another with {'--host' if unknown else '--port'}.",
                    code="port",
                ) from problem
            time.sleep(_LOOK_S)
    with listener:
        yield listener


@contextmanager
def _output(log: Path | None) -> Iterator[int]:
    """The descriptor that children write to; an old log beside it is replaced when it is large."""
    if log is None:
        yield 2
        return
    with store_errors("write", log):
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".old"))
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
