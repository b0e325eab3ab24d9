"""Reports add up, and never take an unknown price for zero."""

import math
import random
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunriza_assets.costs.amounts import amounts
from sunriza_assets.costs.events import StepEvent, row_of, table_of
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.prices import cost_of, price_book, price_books
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.costs.reports import (
    GROUPINGS,
    cost_report,
    runtime_report,
    stage_report,
)
from sunriza_assets.errors import CostError
from sunriza_assets_tests.costs.logs import CPU, MONDAY, T4, step

GIB = 1024**3


def frame_of(events: list[StepEvent]) -> pd.DataFrame:
    return table_of([row for event in events if (row := row_of(event))]).to_pandas()


def mixed() -> list[StepEvent]:
    """Two avatars, three days, a T4 and CPUs, a cache hit, a failure, a kill, an H200."""
    return [
        step(1, 36.0, asset="motion_template", device=T4, gpu_s=30.0, cache="miss"),
        step(2, 72.0, asset="idle_video", device=T4, gpu_s=60.0, at=MONDAY + 86_400),
        step(3, 3.6, asset="mask"),
        step(4, 1.0, asset="motion_template", run="run-2", avatar="bob", cache="hit",
             cache_saved_s=36.0),
        step(5, 18.0, asset="idle_video", run="run-2", avatar="bob", success=False,
             at=MONDAY + 31 * 86_400),
        StepEvent("run-3", "idle_video", "bob", 6, MONDAY, False, {}, elapsed_s=20.0),
        step(7, 10.0, asset="idle_video", run="run-4", avatar="bob", device=("NVIDIA H200", "cuda"),
             gpu_s=9.0),
    ]  # fmt: skip


HOUR = 3600.0
ADA = (36.0 + 72.0) * 0.60 / HOUR + 3.6 * 0.10 / HOUR
BOB = (1.0 + 18.0) * 0.10 / HOUR


def test_costs_by_avatar_have_the_known_sums() -> None:
    report = cost_report(frame_of(mixed()), price_book("perf-2025-10"))
    rows = report.rows.set_index("avatar")
    assert rows.cost["ada"] == pytest.approx(ADA)
    assert rows.cost["bob"] == pytest.approx(BOB)
    assert list(rows.index) == ["ada", "bob"]
    assert (rows.steps["bob"], rows.failed["bob"], rows.unpriced_steps["bob"]) == (4, 2, 2)
    assert (rows.gpu_seconds["ada"], rows.seconds["bob"]) == (90.0, 49.0)
    assert report.facts["total_cost"] == {"USD": pytest.approx(ADA + BOB)}
    assert set(rows.price_book) == {"perf-2025-10"}


def test_a_hit_saves_what_the_misses_cost() -> None:
    """The hit itself ran on a CPU; what it saved would have run where its asset's misses do."""
    report = cost_report(frame_of(mixed()), price_book("perf-2025-10"))
    assert report.facts["saved_seconds"] == 36.0
    assert report.facts["saved_cost"] == pytest.approx(36.0 * 0.60 / HOUR)
    assert report.facts["cache_hits"] == 1


def test_unpriced_steps_are_said_and_stay_out_of_the_sum() -> None:
    report = cost_report(frame_of(mixed()), price_book("perf-2025-10"))
    assert report.facts["unpriced_steps"] == 2
    assert any("H200" in line and "10.0 s" in line for line in report.warnings)
    assert any("unknown" in line and "20.0 s" in line for line in report.warnings)


def test_a_group_without_any_price_costs_nobody_knows_what() -> None:
    report = cost_report(frame_of(mixed()), price_book("musetalk"))
    rows = report.rows.set_index("avatar")
    assert rows.cost["ada"] == pytest.approx(108.0 * 0.00045)
    assert math.isnan(rows.cost["bob"])


def test_totals_end_with_publishing_and_are_unknown_without_a_price() -> None:
    """Two runs of ada publish, the second with a step on a device without a price."""
    events = [
        step(1, 36.0, asset="idle_video"),
        step(2, 4.0, asset="idle_video", success=False),  # tried again
        step(3, 18.0, asset="published_avatar"),
        step(4, 9.0, asset="preview_page"),
        step(5, 10.0, run="run-2", device=("NVIDIA H200", "cuda")),
        step(6, 2.0, run="run-2", asset="published_avatar"),
        step(7, 7.0, run="run-3", asset="mask"),
    ]
    frame = frame_of(events)
    rows = cost_report(frame, price_book(), by="run").rows.set_index("run")
    assert rows.published_seconds["run-1"] == pytest.approx(54.0)
    assert rows.published_cost["run-1"] == pytest.approx(54.0 * 0.10 / HOUR)
    assert rows.seconds["run-1"] == pytest.approx(67.0)
    assert rows.published_seconds["run-2"] == pytest.approx(12.0)
    assert math.isnan(rows.published_cost["run-2"])
    assert math.isnan(rows.published_seconds["run-3"])
    median = runtime_report(frame, by="run").rows.set_index("run")["p50_s"]
    assert median.to_dict() == {"run-1": 54.0, "run-2": 12.0, "run-3": 7.0}


def test_two_books_give_two_sums_and_each_says_its_name() -> None:
    frame = frame_of(mixed()[:3])
    first = cost_report(frame, price_book("perf-2025-10"))
    second = cost_report(frame, price_book("deployment-2025-01"))
    assert first.facts["total_cost"]["USD"] == pytest.approx(ADA)
    assert second.facts["total_cost"]["USD"] == pytest.approx(108 * 0.0008 + 3.6 * 0.0001)
    assert first.facts["price_book"] != second.facts["price_book"]


def test_booked_costs_keep_books_and_currencies_apart(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "books: {ours: {currency: EUR, valid_from: 2026-01-01,"
        " devices: {CPU: {price: 0.36, per: hour}}}}"
    )
    report = cost_report(
        frame_of([step(1, 100.0), step(2, 50.0, book="musetalk"), step(3, 10.0, book=str(own))]),
        None,
    )
    sums = {(row.price_book, row.currency): row.cost for row in report.rows.itertuples()}
    assert sums["perf-2025-10", "USD"] == pytest.approx(100 * 0.10 / HOUR)
    assert sums["ours", "EUR"] == pytest.approx(0.001)
    assert math.isnan(sums["musetalk", "USD"])
    assert set(report.facts["total_cost"]) == {"USD", "EUR"}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("asset", {"motion_template", "idle_video", "mask"}),
        ("day", {"2025-10-20", "2025-10-21", "2025-11-20"}),
        ("month", {"2025-10", "2025-11"}),
        ("engine", {"(none)"}),
    ],
)
def test_groupings(by: str, expected: set[str]) -> None:
    report = cost_report(frame_of(mixed()), price_book(), by=by)  # type: ignore[arg-type]
    assert set(report.rows[by]) == expected
    assert report.rows["cost"].sum() == pytest.approx(ADA + BOB)


def test_an_unknown_grouping_is_an_error() -> None:
    with pytest.raises(CostError, match="avatar"):
        cost_report(frame_of(mixed()), price_book(), by="colour")  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(price_books())))
def test_the_report_is_the_sum_of_the_records(rng: random.Random, name: str) -> None:
    """Vectorised sums over the ledger equal `cost_of` over each step's own metadata."""
    book = price_book(name)
    devices = [CPU, T4, ("NVIDIA A100-SXM4-80GB", "cuda"), ("NVIDIA H200", "cuda")]
    events = [
        step(
            i,
            rng.uniform(0, 100),
            device=rng.choice(devices),
            avatar=rng.choice(["ada", "bob", None]),
            cpu_s=rng.choice([None, rng.uniform(0, 50)]),
            peak_memory_bytes=rng.choice([None, rng.randrange(4 * GIB)]),
            egress_bytes=rng.choice([None, rng.randrange(10**9)]),
        )
        for i in range(rng.randrange(1, 20))
    ]
    each = [cost_of(StepRecord.from_dict(event.metadata), book).amount for event in events]
    found = [None if math.isnan(x) else x for x in amounts(frame_of(events), book)]
    assert found == [None if x is None else pytest.approx(x) for x in each]
    for by in GROUPINGS:
        report = cost_report(frame_of(events), book, by=by)
        assert report.rows["cost"].sum() == pytest.approx(math.fsum(x for x in each if x))
        assert report.facts["unpriced_steps"] == each.count(None)


def test_runtime_percentiles_leave_hits_and_failures_out() -> None:
    events = [
        step(i, float(i), asset="motion_template", cold=i == 10, cache="miss", queue_s=2.0)
        for i in range(1, 11)
    ]
    events += [
        step(11, 0.1, asset="motion_template", cache="hit", cold=False),
        step(12, 99.0, asset="motion_template", success=False, cold=False),
    ]
    row = runtime_report(frame_of(events)).rows.iloc[0]
    assert (row.steps, row.failed, row.cache_hits) == (12, 1, 1)
    assert row.p50_s == pytest.approx(5.5)
    assert row.p95_s == pytest.approx(9.55)
    assert (row.cold_p50_s, row.warm_p50_s, row.queue_p50_s) == (10.0, 5.0, 2.0)
    assert row.seconds == pytest.approx(55 + 99.1)


def test_runtime_by_avatar_is_that_of_whole_runs() -> None:
    report = runtime_report(frame_of(mixed()), by="avatar")
    rows = report.rows.set_index("avatar")
    assert (rows.runs["ada"], rows.p50_s["ada"]) == (1, pytest.approx(111.6))
    assert (rows.runs["bob"], rows.p50_s["bob"]) == (3, pytest.approx(19.0))
    assert rows.share.sum() == pytest.approx(1.0)
    assert any("20.0 s" in line for line in report.warnings)


def test_stage_shares_are_those_of_the_documents() -> None:
    events = [
        step(1, 7.0, asset="trimmed_video", stages={"download": 4.0, "trim": 3.0}),
        step(2, 90.0, asset="idle_video", stages={"render": 80.0, "encode": 10.0}),
        step(3, 3.0, asset="published_avatar", stages={"upload": 3.0}),
    ]
    shares = stage_report(frame_of(events)).rows.set_index("stage")["share"]
    assert shares.to_dict() == {
        "render": pytest.approx(0.80),
        "encode": pytest.approx(0.10),
        "download": pytest.approx(0.04),
        "trim": pytest.approx(0.03),
        "upload": pytest.approx(0.03),
    }
    within = stage_report(frame_of(events), per_asset=True).rows.set_index(["asset", "stage"])
    assert within.share["idle_video", "render"] == pytest.approx(8 / 9)


def test_the_seconds_of_a_killed_step_are_a_stage_of_their_own() -> None:
    rows = stage_report(frame_of(mixed())).rows.set_index("stage")
    assert rows.seconds["unmeasured"] == 20.0
    assert rows.seconds.sum() == pytest.approx(160.6)


def test_reports_of_an_empty_ledger_are_empty(tmp_path: Path) -> None:
    frame = Ledger(tmp_path).frame()
    for by in GROUPINGS:
        assert cost_report(frame, price_book(), by=by).rows.empty
        assert runtime_report(frame, by=by).rows.empty
    assert stage_report(frame).rows.empty
    assert cost_report(frame, None).facts["total_cost"] == {}
