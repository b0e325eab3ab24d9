"""The stopwatch of the step at work, from its first input to its stored result.

Dagster has the IO manager fetch a step's inputs, calls the asset's function, and has the IO manager
store what it made, one after another in one thread. All of it is the step, so all of it is timed by
one stopwatch, which whoever comes first starts and whoever comes last stops. What lies outside is
Dagster's own: writing its events and looking up data versions.
"""

import os
import threading
from typing import Any, Final

import dagster as dg
from dagster import DagsterEventType as Type

from sunriza_assets.costs.prices import PriceBook, cost_of, price_book
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.costs.stopwatch import Stopwatch

__all__ = ["book_in_use", "priced", "step_watch", "stop_step"]

_OF_A_BEGINNING: Final = frozenset({Type.RUN_ENQUEUED, Type.RUN_START, Type.STEP_START})


class _AtWork(threading.local):
    """What this thread works on; a thread works on one step at a time."""

    step: tuple[str, str] | None = None
    watch: Stopwatch | None = None
    run_id: str | None = None


_here = _AtWork()


def step_watch(instance: dg.DagsterInstance, run_id: str, step_key: str) -> Stopwatch:
    """The running stopwatch of a step of this thread; it is started if the step has none yet."""
    if _here.step == (run_id, step_key) and _here.watch is not None:
        return _here.watch
    if _here.watch is not None:  # of a step that died where nobody could stop it
        _here.watch.stop()
    queued_at = None if _here.run_id == run_id else _asked_for_at(instance, run_id, step_key)
    _here.run_id, _here.step = run_id, (run_id, step_key)
    _here.watch = Stopwatch(queued_at=queued_at)
    _here.watch.start()
    return _here.watch


def stop_step(watch: Stopwatch) -> None:
    """The step of this stopwatch is over."""
    watch.stop()
    if _here.watch is watch:
        _here.step = _here.watch = None


def priced(record: StepRecord) -> dict[str, Any]:
    """A step's record and its cost by the price book in use, as flat metadata.

    Raises:
        CostError: SUNRIZA_PRICE_BOOK names no price book.
    """
    cost = cost_of(record, book_in_use())
    for warning in cost.warnings:
        dg.get_dagster_logger().warning(warning)
    return {**record.to_dict(), **cost.to_dict()}


def book_in_use() -> PriceBook:
    """The price book that SUNRIZA_PRICE_BOOK names.

    Raises:
        CostError: it names none.
    """
    return price_book(os.environ.get("SUNRIZA_PRICE_BOOK"))


def _asked_for_at(instance: dg.DagsterInstance, run_id: str, step_key: str) -> float | None:
    """Unix time at which the run was asked for, if this step is its first; else None.

    That a later step waits is the work of the earlier ones, or of the pool that it waits for, and
    no time of anybody's queue.
    """
    events = instance.get_records_for_run(run_id, of_type=set(_OF_A_BEGINNING), limit=3).records
    for event in events:
        entry = event.event_log_entry
        if entry.dagster_event is not None and entry.dagster_event.event_type == Type.STEP_START:
            return events[0].timestamp if entry.step_key == step_key else None
    return None
