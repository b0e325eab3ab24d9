"""What-if: the documents' table to the cent, and the arithmetic of cold starts and idle windows."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.costs.events import row_of, table_of
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.what_if import (
    EXTRACTION_SHARE,
    STATED_SECONDS,
    DeviceSeconds,
    Service,
    measure,
    own_seconds,
    what_if,
)
from sunriza_assets.errors import CostError
from sunriza_assets_tests.costs.logs import T4, clip_run, step

VOLUMES = [10, 50, 100, 500, 1000]
A10G = ("NVIDIA A10G", "cuda")


def test_the_documents_monthly_table() -> None:
    rows = what_if(VOLUMES, ["T4", "A10G"], price_book(), seconds=70, own={}).rows
    monthly = rows.groupby("device", sort=False)["cost_per_month"].apply(list)
    assert [round(x, 2) for x in monthly["T4"]] == [3.50, 17.50, 35.00, 175.00, 350.00]
    assert [round(x, 2) for x in monthly["A10G"]] == [8.75, 43.75, 87.50, 437.50, 875.00]
    t4 = rows[rows["device"] == "T4"]
    assert t4["cost_per_request"].between(0.01164, 0.0117).all()


def test_each_device_at_its_own_seconds_stands_beside() -> None:
    own = {"T4": DeviceSeconds(70, "stated"), "A10G": DeviceSeconds(28, "measured (9 runs)")}
    rows = what_if([100], ["T4", "A10G"], price_book(), seconds=70, own=own).rows
    rows = rows.set_index("device")
    assert rows.own_cost_per_month["A10G"] == pytest.approx(rows.own_cost_per_month["T4"])
    assert rows.break_even_s["A10G"] == pytest.approx(28)
    assert rows.own_basis["A10G"] == "measured (9 runs)"


def test_a_device_without_a_price_or_seconds_stays_empty() -> None:
    report = what_if([10], ["T4", "H200"], price_book(), seconds=70, own={})
    row = report.rows.set_index("device").loc["H200"]
    assert math.isnan(row.cost_per_month)
    assert math.isnan(row.own_seconds)
    assert "H200" in report.warnings[0]


def test_half_the_clip_is_not_half_the_cost() -> None:
    """A tenth of the time does not grow with the clip."""
    ten, five = Service(clip_s=10), Service(clip_s=5)
    assert ten.billed_s(70, 100) == pytest.approx(70)
    assert five.billed_s(70, 100) == pytest.approx(70 * 0.55)


def test_lengths_of_clips_stand_side_by_side() -> None:
    report = what_if([10], ["T4"], price_book(), seconds=70, own={}, clip_seconds=[5, 10])
    rows = report.rows.set_index("clip_s")
    assert list(rows.index) == [5.0, 10.0]
    assert rows.cost_per_month[10] == pytest.approx(3.5)
    assert rows.cost_per_month[5] == pytest.approx(0.55 * 3.5)


def test_cache_hits_save_the_extraction() -> None:
    assert Service(cache_hit_rate=0.5, saved_share=0.2).billed_s(70, 10) == pytest.approx(63)
    assert Service(cache_hit_rate=1.0, saved_share=0.2).billed_s(70, 10) == pytest.approx(56)


def test_cold_starts_and_idle_windows_match_a_simulation() -> None:
    """The two formulas against 200,000 Poisson arrivals."""
    rng = random.Random(7)  # noqa: S311 - a simulation
    per_day, window, cold = 600.0, 120.0, 30.0
    gaps = [rng.expovariate(per_day / 86_400) for _ in range(200_000)]
    simulated = sum(min(gap, window) + (cold if gap > window else 0.0) for gap in gaps) / len(gaps)
    service = Service(cold_start_s=cold, idle_window_s=window)
    assert service.billed_s(70, per_day) == pytest.approx(70 + simulated, rel=0.01)


@given(
    seconds=st.floats(min_value=1, max_value=500),
    window=st.floats(min_value=0, max_value=1000),
    cold=st.floats(min_value=0, max_value=100),
)
def test_round_the_clock_begins_where_a_day_is_billed(
    seconds: float, window: float, cold: float
) -> None:
    service = Service(idle_window_s=window, cold_start_s=cold)
    volume = service.always_on_from(seconds)
    assert volume is not None
    assert volume * service.billed_s(seconds, volume) == pytest.approx(86_400, rel=1e-3)
    assert volume <= 86_400 / seconds * 1.001


def test_seconds_are_said_then_measured_then_estimated() -> None:
    measured = {"A10G": DeviceSeconds(30, "measured (3 runs)"), "T4": DeviceSeconds(60, "measured")}
    own = own_seconds(["T4", "A10G", "A100", "Abacus"], measured=measured, stated={"T4": 65.0})
    assert (own["T4"].seconds, own["T4"].basis) == (65.0, "stated")
    assert own["A10G"].seconds == 30
    assert own["A100"].basis.startswith("estimated")
    assert 0 < own["A100"].seconds < STATED_SECONDS
    assert "Abacus" not in own


def test_the_ledger_measures_whole_runs() -> None:
    """Named by the accelerator, scaled to ten seconds, without failures and cache hits."""
    runs = [
        *clip_run(1, {"trimmed_video": 4.0}, first_event=1, clip_s=10.0),
        step(2, 20.0, run="run-1", asset="motion_template", avatar="avatar-1", device=T4,
             cache="miss"),
        step(3, 56.0, run="run-1", asset="idle_video", avatar="avatar-1", device=T4),
        step(4, 44.0, run="run-2", asset="idle_video", device=T4, clip_s=5.0, cache="miss"),
        step(5, 1.0, run="run-3", asset="motion_template", device=T4, clip_s=10.0, cache="hit"),
        step(6, 9.0, run="run-4", asset="idle_video", device=A10G, clip_s=10.0, success=False),
    ]  # fmt: skip
    known = measure(table_of([row_of(event) or {} for event in runs]), price_book())
    assert set(known.devices) == {"T4"}
    assert known.devices["T4"].seconds == pytest.approx((80.0 + 44.0 / 0.55) / 2)
    assert known.devices["T4"].basis == "measured (2 runs)"
    assert known.saved_share == pytest.approx((20 / 80 + 1) / 2)


def test_a_cpu_is_measured_by_what_was_used_and_an_accelerator_by_the_wall() -> None:
    runs = [
        step(1, 230.0, cpu_s=12.0, clip_s=10.0, cache="miss"),
        step(2, 40.0, cpu_s=12.0, run="run-2", device=T4, clip_s=10.0),
        step(3, 20.0, cpu_s=2.0, run="run-2", asset="mask"),
    ]
    known = measure(table_of([row_of(event) or {} for event in runs]), price_book())
    seconds = {device: found.seconds for device, found in known.devices.items()}
    assert seconds == {"CPU": pytest.approx(12.0), "T4": pytest.approx(60.0)}


def test_an_empty_ledger_measures_nothing() -> None:
    known = measure(table_of([]), price_book())
    assert (dict(known.devices), known.saved_share) == ({}, None)
    assert 0 < EXTRACTION_SHARE < 0.1


@pytest.mark.parametrize(
    "arguments",
    [
        {"volumes": [], "devices": ["T4"], "seconds": 70},
        {"volumes": [10], "devices": [], "seconds": 70},
        {"volumes": [0], "devices": ["T4"], "seconds": 70},
        {"volumes": [10], "devices": ["T4"], "seconds": 0},
    ],
)
def test_questions_without_sense_are_errors(arguments: dict[str, object]) -> None:
    with pytest.raises(CostError):
        what_if(
            arguments["volumes"],  # type: ignore[arg-type]
            arguments["devices"],  # type: ignore[arg-type]
            price_book(),
            seconds=arguments["seconds"],  # type: ignore[arg-type]
            own={},
        )
    with pytest.raises(CostError):
        Service(cache_hit_rate=1.5)
