"""The dispatcher's warm workers: child processes that it starts, talks to, and replaces.

A worker has a process group of its own, so that it is killed with all that it has started. One that
ends or hangs is replaced; what it was making is reported as lost.
"""

import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg

from sunriza_assets.costs.totals import RunTotal
from sunriza_assets.operations.order_runs import KILLED, Outcome, Progress, SpeechWork, Work

__all__ = ["WorkerPool"]

_log = logging.getLogger(__name__)

CANCEL_S: Final = 2.5
"""How long a worker may take to interrupt its run before it is killed."""
MAX_RUN_S: Final = 7200.0
"""Longest run; a longer one hangs. As `run_monitoring` in dagster.yaml."""
MAX_START_S: Final = 600.0
"""Longest start of a worker."""
_PAUSES: Final = (0.0, 1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before a worker is started again, by the number of failures since it last was ready."""


@dataclass
class _Worker:
    """One child process."""

    process: "subprocess.Popen[bytes]"
    connection: socket.socket
    started_at: float
    buffer: bytearray = field(default_factory=bytearray)
    is_ready: bool = False
    run_id: str | None = None
    run_started_at: float = 0.0
    cancelled_at: float | None = None

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message; a worker that is gone is noticed when it is read."""
        try:
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as problem:
            _log.info("The worker does not listen: %s", problem)

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """The messages that have arrived, and whether the worker has closed its socket."""
        closed = False
        while select.select([self.connection], [], [], 0)[0]:
            try:
                chunk = self.connection.recv(1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                closed = True
                break
            self.buffer += chunk
        *lines, rest = self.buffer.split(b"\n")
        self.buffer = bytearray(rest)
        return [json.loads(line) for line in lines], closed

    def kill(self) -> None:
        """End the worker and everything in its process group, and wait for it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()


class WorkerPool:
    """`Runner` of this machine: one worker per GPU, or one.

    Call it from one thread only. Linux ends a child with the thread that started it.

    Args:
        gpus: number of GPUs; each worker sees one.
    """

    def __init__(self, gpus: int = 0) -> None:
        devices: Sequence[str | None] = (
            [str(number) for number in range(gpus)] if gpus > 1 else [None]
        )
        self._devices = devices
        self._workers: list[_Worker | None] = [None] * len(devices)
        self._failures = [0] * len(devices)
        self._start_at = [0.0] * len(devices)
        self._stopped = False

    def free(self) -> int:
        """Workers that are warm and have nothing to do."""
        return sum(self._is_idle(worker) for worker in self._workers)

    def start(self, work: Work | SpeechWork) -> None:
        """Hand a run to an idle worker."""
        worker = next(one for one in self._workers if one is not None and self._is_idle(one))
        worker.run_id, worker.cancelled_at = work.run_id, None
        worker.run_started_at = time.monotonic()
        told: dict[str, Any] = {"run_id": work.run_id, "tags": dict(work.tags)}
        if isinstance(work, SpeechWork):
            told["order_id"] = work.order_id
        else:
            told |= {
                "avatar_id": work.avatar_id,
                "force": work.force,
                "parameters": dict(work.parameters),
                "is_draft": work.is_draft,
            }
        worker.send({"run": told})

    def is_busy(self) -> bool:
        """Whether a run is being made."""
        return any(worker is not None and worker.run_id is not None for worker in self._workers)

    def has(self, run_id: str) -> bool:
        """Whether a worker makes this run."""
        return any(worker is not None and worker.run_id == run_id for worker in self._workers)

    def is_lost(self, run: dg.DagsterRun) -> bool:
        """False: a run that no worker has was begun elsewhere."""
        del run
        return False

    def cancel(self, run_id: str) -> None:
        """Interrupt a run; its worker is killed if that takes longer than `CANCEL_S`."""
        for worker in self._workers:
            if worker is not None and worker.run_id == run_id and worker.cancelled_at is None:
                worker.cancelled_at = time.monotonic()
                worker.send({"cancel": run_id})

    def poll(self) -> list[Progress | Outcome]:
        """What the workers have reported; starts and replaces them."""
        reports: list[Progress | Outcome] = []
        if self._stopped:
            return reports
        for index, worker in enumerate(self._workers):
            if worker is None:
                self._start_worker(index)
                continue
            messages, closed = worker.read()
            for message in messages:
                reports += self._reports(index, worker, message)
            if closed or worker.process.poll() is not None or self._hangs(worker):
                reports += self._discard(index, worker)
        return reports

    def sockets(self) -> list[socket.socket]:
        """Readable when `poll` has something to report."""
        return [worker.connection for worker in self._workers if worker is not None]

    def kill(self) -> None:
        """Kill all workers and start none any more; `has` still knows their runs."""
        self._stopped = True
        for worker in self._workers:
            if worker is not None:
                worker.kill()

    @staticmethod
    def _is_idle(worker: _Worker | None) -> bool:
        return worker is not None and worker.is_ready and worker.run_id is None

    @staticmethod
    def _reports(index: int, worker: _Worker, message: Mapping[str, Any]) -> list[Any]:
        if "ready" in message:
            worker.is_ready = True
            _log.info("Worker %d is warm", index)
            return []
        if "line" in message:
            return [Progress(message["line"], lines=(message["text"],))]
        if "progress" in message:
            percent, eta_s = message.get("percent"), message.get("eta_s")
            return [Progress(message["progress"], message["step"], percent, eta_s)]
        worker.run_id = None
        return [_outcome(message)]

    def _start_worker(self, index: int) -> None:
        if self._stopped or time.monotonic() < self._start_at[index]:
            return
        device = self._devices[index]
        environment = dict(os.environ)
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "sunriza_assets.runs.order_worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        self._workers[index] = _Worker(process, ours, time.monotonic())

    @staticmethod
    def _hangs(worker: _Worker) -> bool:
        now = time.monotonic()
        if worker.cancelled_at is not None and worker.run_id is not None:
            return now - worker.cancelled_at > CANCEL_S
        if worker.run_id is not None:
            return now - worker.run_started_at > MAX_RUN_S
        return not worker.is_ready and now - worker.started_at > MAX_START_S

    def _discard(self, index: int, worker: _Worker) -> list[Outcome]:
        """Kill a worker that is gone or hangs; report what it was making."""
        worker.kill()
        _log.warning(
            "Worker %d has ended (%s)",
            index,
            worker.process.returncode,
            extra={"run_id": worker.run_id},
        )
        self._failures[index] = 0 if worker.is_ready else self._failures[index] + 1
        pause = _PAUSES[min(self._failures[index], len(_PAUSES) - 1)]
        self._workers[index], self._start_at[index] = None, time.monotonic() + pause
        return [Outcome(worker.run_id, "lost", KILLED)] if worker.run_id is not None else []


def _outcome(message: Mapping[str, Any]) -> Outcome:
    error, total = message.get("error") or {}, message.get("total")
    return Outcome(
        message["finished"],
        message["status"],
        error.get("code", "internal"),
        error.get("public") or (error.get("message") if error.get("code") != "internal" else None),
        RunTotal.from_dict(total) if total else None,
    )
