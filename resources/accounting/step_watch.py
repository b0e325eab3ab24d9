"""The stopwatch of the step at work, from its first input to its stored result.

Dagster has the IO manager fetch a step's inputs, calls the asset's function, and has the IO manager
store what it made, one after another in one thread. All of it is the step, so all of it is timed by
one stopwatch, which whoever comes first starts and whoever comes last stops. What Dagster itself
does between starting a step and coming to its first input is counted as the stage `dagster`; the
two events that it writes when the result is stored are all that is left out.
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
"""Stage of what Dagster does before a step can begin, such as looking up data versions."""
_MAX_HEAD_START_S: Final = 60.0
"""More than that, or less than nothing, and somebody has set the clock."""
_START_EVENTS: Final = frozenset({Type.RUN_ENQUEUED, Type.RUN_START, Type.STEP_START})


class _CurrentStep(threading.local):
    """What this thread works on; a thread works on one step at a time."""

    step: tuple[str, str] | None = None
    watch: Stopwatch | None = None


_current = _CurrentStep()


def step_watch(instance: dg.DagsterInstance, run_id: str, step_key: str) -> Stopwatch:
    """The running stopwatch of a step of this thread; it is started if the step has none yet."""
    if _current.step == (run_id, step_key) and _current.watch is not None:
        return _current.watch
    if _current.watch is not None:  # of a step that died where nobody could stop it
        _current.watch.stop()
    queued_at, begun_at = _start_times(instance, run_id, step_key)
    head_start_s = 0.0 if begun_at is None else time.time() - begun_at
    known = 0.0 < head_start_s <= _MAX_HEAD_START_S
    watch = Stopwatch(queued_at=queued_at, head_start=(DAGSTER, head_start_s) if known else None)
    watch.start()
    _current.step, _current.watch = (run_id, step_key), watch
    return watch


def stop_step(watch: Stopwatch) -> None:
    """The step of this stopwatch is over."""
    watch.stop()
    if _current.watch is watch:
        _current.step = _current.watch = None


def priced(record: StepRecord) -> dict[str, Any]:
    """A step's record and its cost by the price book in use, as flat metadata.

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
    """Unix times at which the run was asked for, if this step is its first, and the step begun.

    That a later step waits is the work of the earlier ones, or of the pool that it waits for, and
    no time of anybody's queue.
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
