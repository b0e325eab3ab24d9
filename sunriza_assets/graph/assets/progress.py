"""Progress of a run: its forecast, and reports of each step's share to document and board."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import dagster as dg

from resources.accounting.forecast import Forecast, forecast
from resources.avatars.document import AvatarDocument
from resources.services import ProgressReporter, Stores
from sunriza_assets.graph.assets.run_scope import (
    assets_of_run,
    assets_until_published,
    is_forced,
    launchpad_parameters,
)

__all__ = [
    "RunForecast",
    "announced_forecast",
    "forecast_run",
    "progress_reporter",
    "run_forecast",
    "with_progress",
]

Item = TypeVar("Item")

_REPORT_INTERVAL_S: Final = 1.0


@dataclass
class RunForecast:
    """What the current run is expected to take."""

    initial: Forecast
    """The forecast made when the run began."""
    current: Forecast
    """The forecast updated with what is known of the clip."""
    reported_percent: int = 0
    """Highest percentage reported; it never decreases."""


_forecasts: dict[str, RunForecast] = {}
"""By run id; only the current run's, or a long-lived worker would grow."""


def run_forecast(run_id: str) -> RunForecast | None:
    """The forecast of a run, if it owns its avatar and runs in this process."""
    return _forecasts.get(run_id)


def announced_forecast(run_id: str, made: Forecast) -> RunForecast:
    """Keep the forecast of a run of this process for `run_forecast`."""
    _forecasts.clear()
    result = _forecasts[run_id] = RunForecast(made, made)
    return result


def forecast_run(context: dg.AssetExecutionContext, document: AvatarDocument) -> RunForecast:
    """Forecast a run and keep the result for `run_forecast`."""
    parameters = launchpad_parameters(context.run)
    assets = assets_until_published(assets_of_run(context))
    made = forecast(
        context.instance, document, assets, launchpad=parameters, force=is_forced(context.run)
    )
    return announced_forecast(context.run.run_id, made)


def with_progress(
    items: Iterable[Item], total: int, progress: Callable[[int, int], None]
) -> Iterator[Item]:
    """Yield the items, reporting how many were consumed."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, total)


def progress_reporter(
    stores: Stores,
    board: ProgressReporter | None,
    avatar_id: str,
    asset: str,
    run_id: str,
    *,
    owner: bool,
) -> Callable[[int, int], None]:
    """A function that reports (done, total) of a step, at most once a second in between.

    It reports to the board, and to the avatar's document if the run owns the avatar.
    """
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        share = min(1.0, done / total) if total > 0 else 0.0
        if now - last < _REPORT_INTERVAL_S and 0.0 < share < 1.0:
            return
        last = now
        if board is not None:
            board.report(avatar_id, asset, share)
        expected = run_forecast(run_id)
        # No time is left once the avatar is published: then its document says `ready` already.
        if owner and expected is not None and expected.current.seconds_left(asset, share) > 0:
            percent = max(expected.reported_percent, expected.current.percent(asset, share))
            expected.reported_percent = percent
            eta_s = expected.current.seconds_left(asset, share)
            stores.avatars.progress(avatar_id, run_id, percent, eta_s=eta_s)

    return report
