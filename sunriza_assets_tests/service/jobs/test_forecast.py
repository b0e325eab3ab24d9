"""What a caller is told at once: how long it will take, and what it may wait for."""

from pathlib import Path

import pytest

from resources.home import Home
from sunriza_assets.costs.events import StepEvent
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.service.forecast import UNKNOWN_S, DurationForecast
from sunriza_assets.service.prefer import preferred_wait_s
from sunriza_assets_tests.costs.logs import clip_run
from sunriza_assets_tests.processes import wait_for

ASSETS = ("hero_image", "hero_video", "trimmed_video", "motion_template", "idle_video", "atlas")


def learned(home: Home, runs: int) -> DurationForecast:
    """A forecast after runs of sixty seconds."""
    events: list[StepEvent] = []
    for index in range(runs):
        seconds = dict.fromkeys(ASSETS, 10.0)
        events += clip_run(
            index, seconds, first_event=len(events) + 1, engine="mesh", clip_frames=150
        )
    Ledger(home.reports / LEDGER_FOLDER).update(events)
    forecast = DurationForecast(home)
    forecast.refresh()
    return forecast


def test_nothing_known_is_two_minutes(tmp_path: Path) -> None:
    forecast = DurationForecast(Home(tmp_path))
    forecast.refresh()
    assert forecast.seconds() == UNKNOWN_S == 120


def test_the_ledger_knows_better(tmp_path: Path) -> None:
    """Four of the nine steps have never run and are guessed."""
    forecast = learned(Home(tmp_path), 8)
    assert 55 <= forecast.seconds() <= 75
    assert forecast.seconds(same_inputs=True) < forecast.seconds()


def test_figures_are_read_beside_the_request(tmp_path: Path) -> None:
    learned(Home(tmp_path), 8)
    forecast = DurationForecast(Home(tmp_path))
    assert forecast.seconds() == UNKNOWN_S
    wait_for(lambda: forecast.seconds() != UNKNOWN_S)


def test_a_damaged_ledger_is_no_forecast(tmp_path: Path) -> None:
    learned(Home(tmp_path), 1)
    (Home(tmp_path).reports / LEDGER_FOLDER / "index.json").write_text("{")
    forecast = DurationForecast(Home(tmp_path))
    forecast.refresh()
    assert forecast.seconds() == UNKNOWN_S


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ("wait=5; foo=bar", 5),
        ('WAIT = "7"', 7),
        ("wait=999", 60),
        ("wait=-1", 0),
        ("wait=1e9", 0),
        ("await=5", 0),
        ("wait", 0),
        ("wait=" + "9" * 5000, 0),
    ],
)
def test_what_a_caller_prefers(header: str | None, seconds: int) -> None:
    assert preferred_wait_s(header) == seconds
