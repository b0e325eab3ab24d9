"""The stopwatch of the current step, from its first input to its stored result.

Dagster has the IO manager fetch a step's inputs, calls the asset's function, and has the IO manager
store what it made, one after another in one thread. All of it is timed by one stopwatch, which the
first of them starts and the last stops. The time between the start of the step and its first input
is counted as the stage `dagster`; the two events that Dagster writes after the result is stored are
not timed.
"""

import threading
import time
from typing import Any, Final

import dagster as dg
from dagster import DagsterEventType as Type

from resources.settings import current_settings
from sunriza_assets.costs.prices import PriceBook, cost_of, price_book
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.costs.stopwatch import Stopwatch

__all__ = ["current_price_book", "priced", "step_watch", "stop_step"]

DAGSTER: Final = "dagster"
"""Stage of Dagster's work before the step's own code, such as looking up data versions."""
_MAX_HEAD_START_S: Final = 60.0
"""Longer or negative times mean that the clock was set."""
_START_EVENTS: Final = frozenset({Type.RUN_ENQUEUED, Type.RUN_START, Type.STEP_START})


class _CurrentStep(threading.local):
    """The current step of this thread and its stopwatch."""

    step: tuple[str, str] | None = None
    watch: Stopwatch | None = None


_current = _CurrentStep()


def step_watch(instance: dg.DagsterInstance, run_id: str, step_key: str) -> Stopwatch:
    """The running stopwatch of a step of this thread, started on the first call."""
    if _current.step == (run_id, step_key) and _current.watch is not None:
        return _current.watch
    if _current.watch is not None:  # left by a step that ended without stopping it
        _current.watch.stop()
    queued_at, begun_at = _start_times(instance, run_id, step_key)
    head_start_s = 0.0 if begun_at is None else time.time() - begun_at
    known = 0.0 < head_start_s <= _MAX_HEAD_START_S
    watch = Stopwatch(queued_at=queued_at, head_start=(DAGSTER, head_start_s) if known else None)
    watch.start()
    _current.step, _current.watch = (run_id, step_key), watch
    return watch


def stop_step(watch: Stopwatch) -> None:
    """Stop the stopwatch at the end of its step."""
    watch.stop()
    if _current.watch is watch:
        _current.step = _current.watch = None


def priced(record: StepRecord) -> dict[str, Any]:
    """A step's record and its cost by the current price book, as flat metadata.

    Raises:
        CostError: SUNRIZA_PRICE_BOOK names no price book.
    """
    cost = cost_of(record, current_price_book())
    for warning in cost.warnings:
        dg.get_dagster_logger().warning(warning)
    return {**record.to_dict(), **cost.to_dict()}


def current_price_book() -> PriceBook:
    """The price book that SUNRIZA_PRICE_BOOK names.

    Raises:
        CostError: it names none.
    """
    return price_book(current_settings().price_book)


def _start_times(
    instance: dg.DagsterInstance, run_id: str, step_key: str
) -> tuple[float | None, float | None]:
    """Unix times at which the run was queued, if this step is its first, and the step started.

    Later steps wait for earlier ones or for a pool, which is not queue time.
    """
    records = instance.get_records_for_run(run_id, of_type=set(_START_EVENTS)).records
    begun = [
        (record.event_log_entry.step_key, record.timestamp)
        for record in records
        if record.event_log_entry.step_key is not None
    ]
    own = [at for key, at in begun if key == step_key]
    if not own:
        return None, None
    return (records[0].timestamp if begun[0][0] == step_key else None), own[-1]
