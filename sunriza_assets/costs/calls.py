"""Direct calls: work done at once for a request, without a run, and booked by the minute.

The process that does the work sums up what it has done for each owner, and appends the sums to a
journal once a minute (`reports/calls/<year>-<month>.jsonl`, one step event a line). The ledger
reads the journal as it reads the event log. A killed process has lost a minute at most. Every line
has an event id of its own, so reading it again adds nothing.
"""

import fcntl
import json
import logging
import os
import resource
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sunriza_assets.atomic import make_folder, store_errors
from sunriza_assets.cores import core_count
from sunriza_assets.costs.devices import Device
from sunriza_assets.costs.events import FIRST_CALL_EVENT, StepEvent
from sunriza_assets.costs.prices import PriceBook, cost_of
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.costs.spoken import SpokenFacts

__all__ = ["CALLS_FOLDER", "Booking", "CallBook", "read_calls"]

CALLS_FOLDER: Final = "calls"
"""The journal's place below the reports folder."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Account:
    """What is summed up in one line."""

    kind: str
    owner: str | None
    device: Device
    engine: str | None
    engine_version: str | None
    spoken: SpokenFacts | None


@dataclass(frozen=True, slots=True)
class Booking:
    """What one line of the journal costs."""

    kind: str
    """What was done."""
    amount: float | None
    """In the currency; None without a price for the device."""
    currency: str
    """ISO 4217 code."""


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0


class CallBook:
    """Sums up the calls of this process and writes them to the journal. Thread-safe.

    Args:
        folder: of the journal, made where missing.
        prices: the price book that costs are booked by.
        clock: Unix time.
    """

    def __init__(
        self, folder: Path, prices: PriceBook, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._prices = prices
        self._clock = clock
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._sums: dict[_Account, _Sum] = {}
        self._run_id = f"calls-{uuid.uuid4().hex}"
        self._last_event = FIRST_CALL_EVENT

    def add(
        self,
        kind: str,
        owner: str | None,
        *,
        device: Device,
        wall_s: float,
        cpu_s: float,
        gpu_s: float = 0.0,
        calls: int = 1,
        engine: str | None = None,
        engine_version: str | None = None,
        spoken: SpokenFacts | None = None,
    ) -> None:
        """Count work that was done.

        Args:
            kind: render, preview, inspect, trim, tts…
            owner: user id of whom it was done for.
            device: what it is billed for.
            wall_s: seconds that it took.
            cpu_s: CPU seconds of this process and its children.
            gpu_s: seconds that it held the accelerator.
            calls: pictures, clips.
            engine: name of the engine, if one worked.
            engine_version: its version.
            spoken: the sound that was spoken; each has a line of its own.
        """
        account = _Account(kind, owner, device, engine, engine_version, spoken)
        with self._guard:
            spent = self._sums.setdefault(account, _Sum())
            spent.calls += calls
            spent.wall_s += wall_s
            spent.cpu_s += cpu_s
            spent.gpu_s += gpu_s

    def flush(self) -> list[Booking]:
        """Write what was counted since the last time, and say what it costs.

        Raises:
            StoreError: the journal cannot be written; the sums stay for the next time.
        """
        with self._writing:
            with self._guard:
                sums, self._sums = self._sums, {}
            if not sums:
                return []
            now = self._clock()
            entries = [self._entry(account, spent, now) for account, spent in sums.items()]
            try:
                self._append(f"{datetime.fromtimestamp(now, UTC):%Y-%m}.jsonl", entries)
            except BaseException:
                with self._guard:
                    for account, spent in sums.items():
                        newer = self._sums.setdefault(account, _Sum())
                        newer.calls += spent.calls
                        newer.wall_s += spent.wall_s
                        newer.cpu_s += spent.cpu_s
                        newer.gpu_s += spent.gpu_s
                raise
        facts = [entry["metadata"] for entry in entries]
        return [Booking(one["kind"], one.get("cost"), one["cost_currency"]) for one in facts]

    def _entry(self, account: _Account, spent: _Sum, now: float) -> dict[str, Any]:
        about = {} if account.spoken is None else account.spoken.to_dict(spent.calls)
        record = StepRecord(
            wall_s=round(spent.wall_s, 6),
            device=account.device.name,
            device_kind=account.device.kind,
            cores=core_count(),
            cpu_s=round(spent.cpu_s, 6),
            gpu_s=round(spent.gpu_s, 6),
            peak_memory_bytes=_peak_memory_bytes(),
            peak_memory_method="high_water",
            frames=spent.calls,
            engine=account.engine,
            engine_version=account.engine_version,
        )
        # Microseconds, and never the same twice even if the clock is set back.
        self._last_event = max(self._last_event + 1, round(now * 1e6))
        return {
            "run_id": self._run_id,
            "asset": account.kind,
            "event_id": self._last_event,
            "timestamp": now,
            "metadata": record.to_dict()
            | cost_of(record, self._prices).to_dict()
            | {"kind": account.kind, "owner": account.owner, "calls": spent.calls}
            | about,
        }

    def _append(self, name: str, entries: list[dict[str, Any]]) -> None:
        lines = [json.dumps(entry, separators=(",", ":")) for entry in entries]
        make_folder(self._folder)
        path = self._folder / name
        with store_errors("write", path), path.open("a+b") as journal:
            fcntl.flock(journal, fcntl.LOCK_EX)
            size = journal.seek(0, os.SEEK_END)
            if size:
                journal.seek(size - 1)
                if journal.read(1) != b"\n":  # of a writer that was killed
                    journal.write(b"\n")
            try:
                journal.write("".join(f"{line}\n" for line in lines).encode())
                journal.flush()
                os.fsync(journal.fileno())
            except OSError:
                os.ftruncate(journal.fileno(), size)
                raise


def read_calls(
    folder: Path, offsets: Mapping[str, int]
) -> tuple[Iterator[StepEvent], dict[str, int]]:
    """Events of the journal after what was read of each file, and how far they reach.

    Args:
        folder: of the journal; one that is missing is empty.
        offsets: file name -> bytes that were read before.
    """
    parts, reached = [], {}
    for path in sorted(folder.glob("*.jsonl")):
        with store_errors("read", path), path.open("rb") as journal:
            size = journal.seek(0, os.SEEK_END)
            begin = offsets.get(path.name, 0)
            begin = begin if begin <= size else 0
            journal.seek(begin)
            whole, newline, _ = journal.read(size - begin).rpartition(b"\n")
        parts.append((path, whole))
        reached[path.name] = begin + len(whole) + len(newline)
    return (event for path, whole in parts for event in _events(path, whole)), reached


def _events(path: Path, text: bytes) -> Iterator[StepEvent]:
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            fields: dict[str, Any] = json.loads(line)
            yield StepEvent(
                run_id=fields["run_id"],
                asset=fields["asset"],
                partition=None,
                event_id=fields["event_id"],
                timestamp=fields["timestamp"],
                success=True,
                metadata=fields["metadata"],
            )
        except (ValueError, KeyError, TypeError):  # a writer was killed within a line
            _log.warning("%s: a line is no booking and is left out: %.80r", path, line)


def _peak_memory_bytes() -> int:
    """Highest resident memory of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024  # kilobytes on Linux
