"""The warm worker of the service: makes avatars and speaks for orders, one run after another.

A child of the dispatcher (`worker_pool.py`). It loads the code location and the models once and
runs each order in its own process, in its main thread. On the socket that it inherits, one JSON
object a line: `run` and `cancel` come in; `ready`, `progress`, `line` and `finished` go out. When
the dispatcher is gone, however it ended, the socket closes, and the worker kills its process group:
whoever dispatches next closes its run and gives the order to another worker.
"""

import gc
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from resources.accounting.event_log import update_ledger
from resources.home import Home
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.errors import SunrizaError
from sunriza_assets.graph.assets.orders import SPEECH_ASSET
from sunriza_assets.graph.assets.progress import run_forecast
from sunriza_assets.graph.assets.run_scope import PUBLISHING_ASSET, assets_until_published
from sunriza_assets.graph.tags import ORDER_TAG, REQUEST_TAG
from sunriza_assets.logs import configure_logging, lines_about
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.runs.avatar_runs import AvatarRuns
from sunriza_assets.runs.speech_runs import SpeechRuns

__all__ = ["main"]

_log = logging.getLogger("sunriza.worker")

_LAST_STEP: Final = PUBLISHING_ASSET.to_user_string()


class Reports:
    """Sends what happens to the dispatcher."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._run_id = ""
        self._step: str | None = None
        self._begun = 0.0

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message; a dispatcher that is gone is noticed by the reading thread."""
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            _log.warning("The dispatcher does not listen any more")

    def begin(self, run_id: str) -> None:
        """From now on, steps belong to this run."""
        self._run_id, self._step = run_id, None

    def progress(self, _: str, asset: str, share: float) -> None:
        """Report a step's share; a line for users is sent when a step has ended."""
        if asset != self._step:
            self.end_step()
            self._step, self._begun = asset, time.monotonic()
        message: dict[str, Any] = {"progress": self._run_id, "step": asset}
        expected = run_forecast(self._run_id)
        if expected is not None:
            left = expected.current.seconds_left(asset, share)
            message["eta_s"] = round(left, 1)
            message["percent"] = expected.current.percent(asset, share) if left > 0 else 100
        self.send(message)

    def end_step(self) -> None:
        """Send the line of the step that has ended."""
        if self._step is not None:
            seconds = time.monotonic() - self._begun
            _log.info("step ended", extra={"step": self._step, "seconds": round(seconds, 1)})
            self.send({"line": self._run_id, "text": f"{self._step} {seconds:.1f} s"})
            self._step = None


class Commands:
    """Reads what the dispatcher sends, in a thread of its own; cancels the present run."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._run_id: str | None = None
        self.work: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        """Runs to make."""

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def set_run(self, run_id: str | None) -> None:
        """Name the run that a cancellation may interrupt."""
        with self._lock:
            self._run_id = run_id

    def _read(self) -> None:
        try:
            with self._connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    message = json.loads(line)
                    if "cancel" in message:
                        self._cancel(message["cancel"])
                    else:
                        self.work.put(message["run"])
        finally:  # the dispatcher is gone; one that left messages unread resets the connection
            os.killpg(os.getpgrp(), signal.SIGKILL)

    def _cancel(self, run_id: str) -> None:
        with self._lock:  # so that the next run is not hit
            if self._run_id == run_id:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def main(descriptor: int) -> None:
    """Work until the dispatcher closes the socket.

    Args:
        descriptor: of the inherited socket.
    """
    configure_logging(part="worker")
    for name in ("alembic", "dagster"):  # they say more than is wanted
        logging.getLogger(name).setLevel(logging.WARNING)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with socket.socket(fileno=descriptor) as connection:
        reports, commands = Reports(connection), Commands(connection)
        commands.start()
        with opened_instance(Home.from_environment()) as instance:
            avatars = AvatarRuns(instance, reports.progress, logged=True)
            runs = Runs(avatars, SpeechRuns(instance))
            _warm_up(instance)
            gc.freeze()  # what is loaded stays, and is not searched for garbage in every run
            reports.send({"ready": os.getpid()})
            while True:
                try:
                    work = commands.work.get()
                    with _lines_about(work):
                        _make(runs, work, commands, reports)
                except KeyboardInterrupt:  # a cancellation that came as its run ended
                    continue


def _lines_about(work: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Let all lines carry what they are about, and not only those of this thread."""
    tags: Mapping[str, str] = work["tags"]
    return lines_about(
        job_id=tags.get(ORDER_TAG), request_id=tags.get(REQUEST_TAG), run_id=work["run_id"]
    )


@dataclass(frozen=True, slots=True)
class Runs:
    """What a worker can make."""

    avatars: AvatarRuns
    """Avatars."""
    speech: SpeechRuns
    """Spoken sounds."""


def _make(runs: Runs, work: Mapping[str, Any], commands: Commands, reports: Reports) -> None:
    """Make one avatar, or speak one text, and report how it ended."""
    run_id: str = work["run_id"]
    _log.info("run begins")
    reports.begin(run_id)
    outcome: dict[str, Any]
    try:
        commands.set_run(run_id)
        result = _speak(runs, work, reports) if "order_id" in work else _render(runs, work)
        commands.set_run(None)
        outcome = {name: result[name] for name in ("status", "error", "total")}
    except KeyboardInterrupt:
        outcome = {"status": "cancelled"}
    except SunrizaError as error:
        shown = {"code": error.code, "message": error.message, "public": error.public}
        outcome = {"status": "error", "error": shown}
    except SQLAlchemyError as problem:  # Dagster's database: a full disk, a server that went
        _log.warning("Run %s is lost: %s", run_id, problem)
        outcome = {"status": "lost"}
    finally:
        commands.set_run(None)
    reports.end_step()
    _log.info("run ended", extra={"status": outcome["status"]})
    reports.send({"finished": run_id, **outcome})


def _render(runs: Runs, work: Mapping[str, Any]) -> dict[str, Any]:
    return runs.avatars.render(
        work["avatar_id"],
        only=assets_until_published(runs.avatars.assets) if work["is_draft"] else (),
        parameters=work["parameters"],
        force=work["force"],
        tags=work["tags"],
        run_id=work["run_id"],
    )


def _speak(runs: Runs, work: Mapping[str, Any], reports: Reports) -> dict[str, Any]:
    reports.progress("", SPEECH_ASSET, 0.0)
    return runs.speech.speak(work["order_id"], tags=work["tags"], run_id=work["run_id"])


def _warm_up(instance: dg.DagsterInstance) -> None:
    """Load what the first run would load: models, the ledger and the libraries that read it."""
    from resources.engines.choice import face_mesh

    home = Home.from_environment()
    try:
        face_mesh(home.models)
        update_ledger(instance, Ledger(home.reports / LEDGER_FOLDER))
    except SunrizaError as problem:
        _log.warning("Not all is warm: %s", problem)
    except Exception:  # noqa: BLE001 - the first run loads it, and its error reaches a user
        _log.exception("Not all is warm")


if __name__ == "__main__":
    main(int(sys.argv[1]))
