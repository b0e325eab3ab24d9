"""Forecasts: what is left of a run, and that no lack of knowledge stops one."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from resources.accounting.forecast import Forecast, forecast
from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets.costs.devices import cpu
from sunriza_assets.costs.ledger import LEDGER_FOLDER
from sunriza_assets.costs.record import StepRecord

ASSETS = ["trimmed_video", "motion_template", "idle_video", "published_avatar"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    for name in ("SUNRIZA_STORE", "SUNRIZA_MODELS", "SUNRIZA_PRICE_BOOK"):
        monkeypatch.delenv(name, raising=False)
    return Home.from_environment()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def expected(home: Home, instance: dg.DagsterInstance, **basic: Any) -> Forecast:
    """A forecast for an avatar whose clip is not in the local store."""
    inputs = {
        "avatarImageUrl": "https://example.com/a.jpg",
        "training": {"heroVideoUrl": "https://example.com/a.mp4"},
    }
    document = LocalAvatars(home).merge("ada", {**inputs, "dynamics": {"basic": basic}})
    return forecast(instance, document, ASSETS)


def idle_took(
    instance: dg.DagsterInstance,
    seconds: float,
    *,
    device: tuple[str, str] = (cpu().name, "cpu"),
    engine: str = "mesh",
) -> None:
    name, kind = device
    record = StepRecord(
        wall_s=seconds, device=name, device_kind=kind, engine=engine, clip_frames=250
    )
    instance.report_runless_asset_event(
        dg.AssetMaterialization("idle_video", partition="bob", metadata=record.to_dict())
    )


def test_a_clip_that_is_not_local_gets_the_default_length(
    home: Home, instance: dg.DagsterInstance
) -> None:
    metadata = expected(home, instance).to_dict()
    assert metadata["estimate_clip_frames"] == 250
    assert metadata["estimate_basis"].startswith("prior")
    assert expected(home, instance, parameters={"maxSeconds": 4}).clip_frames == 100


def test_liveportrait_on_a_cpu_is_announced_as_what_it_takes(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On two cores as fast as those that the priors are from; no GPU is looked for."""
    monkeypatch.setattr("resources.accounting.forecast.device_of", lambda _: cpu())
    monkeypatch.setattr("resources.accounting.forecast.host_time_factor", lambda: 1.0)
    monkeypatch.setattr("resources.accounting.forecast.core_count", lambda: 2)
    run = expected(home, instance, parameters={"engine": "liveportrait"})
    assert 15 * 60 < run.expected.eta_s < 3 * 3600


def test_what_is_left_falls_to_nothing_and_percent_rises_to_all(
    home: Home, instance: dg.DagsterInstance
) -> None:
    run = expected(home, instance)
    moments = [(asset, share) for asset in ASSETS for share in (0.0, 0.5, 1.0)]
    left = [run.seconds_left(*moment) for moment in moments]
    percents = [run.percent(*moment) for moment in moments]
    assert left[0] == pytest.approx(run.expected.eta_s)
    assert left[-1] == 0
    assert left == sorted(left, reverse=True)
    assert (percents[0], percents[-1]) == (0, 100)
    assert percents == sorted(percents)
    assert run.seconds_left("preview_page", 0.0) == 0, "nobody waits for it"


def test_no_rounding_error_makes_progress_fall(home: Home, instance: dg.DagsterInstance) -> None:
    """Where a step ends and the next begins, the very same seconds are left."""
    run = expected(home, instance)
    chance = np.random.default_rng(7)
    for _ in range(200):
        steps = {
            asset: replace(step, seconds=chance.uniform(0.0, 30.0))
            for asset, step in run.expected.steps.items()
        }
        timed = replace(run, expected=replace(run.expected, steps=steps))
        left = [timed.seconds_left(asset, share) for asset in ASSETS for share in (0.0, 0.5, 1.0)]
        assert left == sorted(left, reverse=True)
        assert left[0] == timed.expected.eta_s


def test_a_clip_that_turns_out_shorter_makes_the_run_shorter(
    home: Home, instance: dg.DagsterInstance
) -> None:
    run = expected(home, instance)
    shorter = run.for_clip(Fraction(3), Fraction(25))
    assert shorter.clip_frames == 75
    assert shorter.expected.eta_s < run.expected.eta_s
    assert run.for_clip(Fraction(60), Fraction(25)) is run, "it is cut to ten seconds"
    assert run.for_clip(Fraction(10), Fraction(120)).clip_frames == 600, "every second frame"


def test_it_learns_from_the_log_at_once(home: Home, instance: dg.DagsterInstance) -> None:
    idle_took(instance, 100.0)
    assert expected(home, instance).expected.steps["idle_video"].seconds == pytest.approx(100.0)
    idle_took(instance, 100.0)
    assert expected(home, instance).expected.steps["idle_video"].similar_steps == 2


def test_the_remote_device_is_that_of_the_last_remote_step(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNRIZA_MODAL_APP", "sunriza")
    idle = expected(home, instance).expected.steps["idle_video"]
    assert idle.cost == pytest.approx(idle.seconds * 0.60 / 3600), "a T4 until one knows better"
    idle_took(instance, 30.0, device=("NVIDIA A10G", "cuda"), engine="liveportrait")
    idle = expected(home, instance).expected.steps["idle_video"]
    assert idle.seconds == pytest.approx(30.0)
    assert idle.cost == pytest.approx(30.0 * 1.50 / 3600)


def test_a_ledger_that_lags_too_far_is_not_filled_by_a_forecast(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.accounting.forecast.MAX_LAG", 3)
    monkeypatch.setattr("resources.accounting.forecast._NEWEST_STEPS", 2)
    for seconds in (1.0, 1.0, 1.0, 50.0, 50.0):
        idle_took(instance, seconds)
    assert expected(home, instance).expected.steps["idle_video"].seconds == pytest.approx(50.0)
    assert not (home.reports / LEDGER_FOLDER).exists()


def test_a_forecast_is_a_courtesy(
    home: Home,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usual = expected(home, instance).to_dict()
    (home.reports / LEDGER_FOLDER).mkdir(parents=True, exist_ok=True)
    (home.reports / LEDGER_FOLDER / "index.json").write_text("{ not json")
    assert expected(home, instance).to_dict() == usual
    assert "ledger" in caplog.text
    monkeypatch.setenv("SUNRIZA_PRICE_BOOK", "gold")
    assert expected(home, instance, parameters={"fps": "never"}).to_dict() == usual
    assert "gold" in caplog.text


def test_a_performance_is_used_whole_and_costs_no_extraction(
    home: Home, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    with_clip = expected(home, instance)
    inputs = {"training": {"heroVideoUrl": None, "performance": "attentive"}}
    parameters = {"dynamics": {"basic": {"parameters": {"maxSeconds": 2}}}}
    document = LocalAvatars(home).merge("ada", {**inputs, **parameters})
    performed = forecast(instance, document, ASSETS)
    assert performed.clip_frames == 200
    assert performed.for_clip(Fraction(8), Fraction(25)) is performed
    seconds = performed.expected.steps["motion_template"].seconds
    assert seconds < 0.5 * with_clip.expected.steps["motion_template"].seconds
    assert not caplog.records
    odd = LocalAvatars(home).merge("ada", {"training": {"performance": "no such"}})
    assert forecast(instance, odd, ASSETS).clip_frames > 0
    assert "no such" in caplog.text
