"""How long a job of an avatar will probably take: what an answer says at once.

Read from the ledger of finished runs, in a thread, at most once a minute; never from Dagster. The
run itself forecasts better (`resources/accounting/forecast.py`), for it knows the clip.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from statistics import median
from threading import Lock, Thread
from typing import Any, Final

from resources.avatars.document import AvatarDocument
from resources.home import Home
from sunriza_assets.errors import SunrizaError
from sunriza_assets.service.context import Service

__all__ = ["UNKNOWN_S", "DurationForecast", "duration_forecast", "run_seconds"]

_log = logging.getLogger(__name__)

UNKNOWN_S: Final = 120
"""Seconds that are told before anything was measured."""
REFRESH_S: Final = 60.0
"""Seconds for which the figures are kept."""
_UNKNOWN_S: Final = 5.0
"""Seconds after which a ledger that knew nothing is read again."""
_NEWEST_CLIPS: Final = 20
"""Runs whose clips' lengths stand for the next one."""
_NEWEST_STEPS: Final = 3_000
_REUSED: Final = frozenset({"hero_image", "hero_video", "trimmed_video", "motion_template"})
"""Assets that a run takes from the run before, if portrait and clip are the same."""


class DurationForecast:
    """Seconds of a run, by what the ledger of a home remembers. Thread-safe.

    Args:
        home: whose ledger.
        refresh_s: seconds for which the figures are kept.
    """

    def __init__(self, home: Home, *, refresh_s: float = REFRESH_S) -> None:
        self._home = home
        self._refresh_s = refresh_s
        self._lock = Lock()
        self._read_at: float | None = None
        self._seconds: Mapping[bool, int] = {}

    def seconds(self, *, same_inputs: bool = False) -> int:
        """Whole seconds of a run, at once; `UNKNOWN_S` if nothing is known (yet).

        Figures that are too old are told once more, while new ones are read beside.

        Args:
            same_inputs: whether the avatar was made from the same portrait and clip before.
        """
        with self._lock:
            now = time.monotonic()
            patience_s = self._refresh_s if self._seconds else _UNKNOWN_S
            if self._read_at is None or now - self._read_at >= patience_s:
                self._read_at = now
                Thread(target=self.refresh, name="forecast", daemon=True).start()
            return self._seconds.get(same_inputs, UNKNOWN_S)

    def refresh(self) -> None:
        """Read the ledger now."""
        try:
            self._seconds = _learned(self._home)
        except SunrizaError as error:
            _log.warning("Forecasts are guesses: %s", error)


def run_seconds(service: Service, document: AvatarDocument) -> int:
    """Whole seconds that a run of an avatar will probably take."""
    used = document.record.inputs
    return duration_forecast(service).seconds(
        same_inputs=bool(document.record.current)
        and (used.get("image"), used.get("video"))
        == (document.inputs["image"], document.inputs["video"])
    )


def duration_forecast(service: Service) -> DurationForecast:
    """The one forecast of this process."""
    return service.one(DurationForecast, lambda: DurationForecast(service.home))


def _learned(home: Home) -> Mapping[bool, int]:
    """Seconds of a run by whether its inputs were used before; empty if no run is known."""
    from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger

    folder = home.reports / LEDGER_FOLDER
    if not folder.is_dir():
        return {}
    # numpy and pyarrow are loaded only where there is something to read.
    from sunriza_assets.costs.devices import Device
    from sunriza_assets.costs.estimates import PRIORS, estimate, recent_steps
    from sunriza_assets.costs.prices import price_book

    recent = recent_steps(Ledger(folder)).slice(0, _NEWEST_STEPS)
    rows = recent.select(
        ["asset", "success", "engine", "device", "device_kind", "clip_frames"]
    ).to_pylist()
    drawn = _newest(rows, "idle_video")
    if not drawn or not drawn[0]["engine"]:
        return {}
    engine = drawn[0]["engine"]
    host = (_newest(rows, "hero_image") or drawn)[0]
    clips = [row["clip_frames"] for row in rows if row["clip_frames"]][:_NEWEST_CLIPS]
    return {
        reused: max(
            1,
            round(
                estimate(
                    recent,
                    tuple(PRIORS.get(engine, PRIORS["mesh"])),
                    price_book(),
                    engine=engine,
                    device=Device(drawn[0]["device"], drawn[0]["device_kind"]),
                    host=Device(host["device"], host["device_kind"]),
                    clip_frames=round(median(clips)) if clips else 250,
                    cached=_REUSED if reused else (),
                ).eta_s
            ),
        )
        for reused in (False, True)
    }


def _newest(rows: Sequence[Mapping[str, Any]], asset: str) -> list[Mapping[str, Any]]:
    """Successful steps of an asset, the newest first."""
    return [row for row in rows if row["asset"] == asset and row["success"]]
