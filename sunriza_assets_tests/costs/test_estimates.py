"""Estimates: right within a fifth after twenty runs of different lengths, honest before."""

import random
from pathlib import Path

import pytest

from sunriza_assets.costs.devices import Device
from sunriza_assets.costs.estimates import PRIORS, Estimate, estimate, recent_steps
from sunriza_assets.costs.events import StepEvent
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.speed import host_time_factor
from sunriza_assets_tests.costs.logs import CPU, MONDAY, T4, clip_run, step

HOST, GPU = Device(*CPU), Device(*T4)  # type: ignore[arg-type]
ASSETS = ("trimmed_video", "motion_template", "idle_video", "atlas", "published_avatar")


def expected(ledger: Ledger, frames: int, **kwargs: object) -> Estimate:
    arguments = {"engine": "mesh", "device": HOST, "host": HOST, "clip_frames": frames} | kwargs
    return estimate(recent_steps(ledger), ASSETS, price_book(), **arguments)  # type: ignore[arg-type]


def true_seconds(frames: float) -> dict[str, float]:
    """A machine three times as slow as the priors, and of another shape."""
    return {
        "trimmed_video": 2.0 + 0.02 * frames,
        "motion_template": 5.0 + 0.09 * frames,
        "idle_video": 3.0 + 0.25 * frames,
        "atlas": 6.0,
        "published_avatar": 1.0,
    }


def noisy_runs(count: int, rng: random.Random) -> list[StepEvent]:
    """Runs of 75 to 250 frames, steps 10 % about the truth, one in twelve stalled tenfold."""
    events: list[StepEvent] = []
    for index in range(count):
        frames = rng.randrange(75, 251)
        seconds = {
            asset: wall_s * rng.gauss(1.0, 0.1) * (10 if rng.random() < 1 / 12 else 1)
            for asset, wall_s in true_seconds(frames).items()
        }
        events += clip_run(
            index, seconds, first_event=len(events) + 1, engine="mesh", clip_frames=frames
        )
    return events


def test_after_twenty_runs_the_error_is_below_a_fifth(tmp_path: Path) -> None:
    errors = []
    for seed in range(5):
        ledger = Ledger(tmp_path / str(seed))
        ledger.update(noisy_runs(20, random.Random(seed)))  # noqa: S311 - a simulation
        for frames in (50, 100, 150, 200, 250, 300):
            truth = sum(true_seconds(frames).values())
            errors.append(abs(expected(ledger, frames).eta_s - truth) / truth)
    assert sum(errors) / len(errors) <= 0.10
    assert max(errors) <= 0.20


def test_a_machine_that_gets_busier_is_believed_after_three_runs(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for index in range(23):
        frames = 75 + 35 * (index % 6)
        busy = 2.5 if index >= 20 else 1.0
        seconds = {asset: busy * wall_s for asset, wall_s in true_seconds(frames).items()}
        ledger.update(
            clip_run(index, seconds, first_event=10 * index, engine="mesh", clip_frames=frames)
        )
    truth = 2.5 * sum(true_seconds(200).values())
    assert expected(ledger, 200).eta_s == pytest.approx(truth, rel=0.1)


def test_a_busy_machine_takes_longer_and_costs_the_same(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for index in range(12):
        frames = 75 + 35 * (index % 6)
        busy = 23.0 if index >= 6 else 1.0
        ledger.update(
            step(
                10 * index + place,
                wall_s=busy * seconds,
                cpu_s=seconds,
                run=f"run-{index}",
                asset=asset,
                at=MONDAY + index,
                engine="mesh",
                clip_frames=frames,
            )
            for place, (asset, seconds) in enumerate(true_seconds(frames).items())
        )
    guess = expected(ledger, 200)
    truth = sum(true_seconds(200).values())
    assert guess.eta_s > 10 * truth
    assert guess.cost == pytest.approx(truth * 0.10 / 3600, rel=0.01)


def test_without_like_runs_it_is_the_prior_and_says_so(tmp_path: Path) -> None:
    guess = expected(Ledger(tmp_path), 250)
    assert guess.eta_s == pytest.approx(sum(PRIORS["mesh"][a].seconds(250) for a in ASSETS))
    assert guess.to_dict()["estimate_basis"].startswith("prior")
    assert guess.cost == pytest.approx(guess.eta_s * 0.10 / 3600)


def test_a_slow_machine_makes_the_prior_longer_and_not_dearer(tmp_path: Path) -> None:
    usual, slow = (expected(Ledger(tmp_path), 250, host_time_factor=pace) for pace in (1.0, 2.5))
    assert slow.eta_s == pytest.approx(2.5 * usual.eta_s)
    assert slow.cost == pytest.approx(usual.cost)


def test_an_accelerator_is_not_as_slow_as_its_host(tmp_path: Path) -> None:
    guess = expected(Ledger(tmp_path), 250, engine="liveportrait", device=GPU, host_time_factor=2.0)
    for asset in ("idle_video", "atlas"):
        assert guess.steps[asset].seconds == PRIORS["liveportrait"][asset].seconds(250)
    assert guess.steps["trimmed_video"].seconds == pytest.approx(
        2 * PRIORS["liveportrait"]["trimmed_video"].seconds(250)
    )


def test_liveportrait_takes_long_on_a_cpu_and_little_on_a_gpu(tmp_path: Path) -> None:
    on_cpu = expected(Ledger(tmp_path), 250, engine="liveportrait")
    on_gpu = expected(Ledger(tmp_path), 250, engine="liveportrait", device=GPU)
    assert 15 * 60 < on_cpu.eta_s < 3 * 3600
    assert 10 < on_gpu.eta_s < 5 * 60
    assert on_cpu.steps["idle_video"].seconds > 0.9 * on_cpu.eta_s
    assert on_cpu.to_dict()["estimate_basis"].startswith("prior")


def test_the_atlas_is_counted_by_its_poses(tmp_path: Path) -> None:
    """Twelve visemes are twelve frames, however long the clip is."""
    for device in (HOST, GPU):
        short, long = (
            expected(Ledger(tmp_path), frames, engine="liveportrait", device=device).steps
            for frames in (50, 150)
        )
        frame_s = (long["idle_video"].seconds - short["idle_video"].seconds) / 100
        assert short["atlas"].seconds == long["atlas"].seconds
        assert 11 < short["atlas"].seconds / frame_s < 25


def test_cores_share_what_liveportrait_computes_and_cost_the_same(tmp_path: Path) -> None:
    few, many = (
        expected(Ledger(tmp_path), 250, engine="liveportrait", cores=cores) for cores in (2, 8)
    )
    assert many.steps["idle_video"].seconds == pytest.approx(few.steps["idle_video"].seconds / 4)
    assert many.cost == pytest.approx(few.cost)
    assert few.steps["idle_video"].cost == pytest.approx(
        2 * few.steps["idle_video"].seconds * 0.10 / 3600
    ), "two busy cores are two CPU seconds a second"


def test_the_mesh_engine_cares_for_neither(tmp_path: Path) -> None:
    usual = expected(Ledger(tmp_path), 250)
    assert expected(Ledger(tmp_path), 250, cores=16) == usual
    assert expected(Ledger(tmp_path), 250, device=GPU).eta_s == usual.eta_s
    assert usual.eta_s < 60


def test_one_run_on_a_cpu_scales_what_was_expected_there(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    prior = expected(ledger, 250, engine="liveportrait", cores=8).steps["idle_video"].seconds
    ledger.update(
        clip_run(
            1, {"idle_video": 3 * prior}, first_event=1, engine="liveportrait", clip_frames=250
        )
    )
    for cores in (2, 8):
        guess = expected(ledger, 250, engine="liveportrait", cores=cores)
        assert guess.steps["idle_video"].seconds == pytest.approx(3 * prior)


def test_runs_of_this_machine_count_more_than_its_speed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.update(clip_run(1, true_seconds(250), first_event=1, engine="mesh", clip_frames=250))
    assert expected(ledger, 250, host_time_factor=9.0).eta_s == pytest.approx(
        sum(true_seconds(250).values())
    )


def test_the_speed_of_a_machine_is_measured_once_per_process() -> None:
    host_time_factor.cache_clear()
    assert 0.05 < host_time_factor() < 200
    assert host_time_factor() == host_time_factor()


def test_a_single_run_scales_the_prior(tmp_path: Path) -> None:
    """One run at a length tells the machine's speed; the prior tells the shape."""
    ledger = Ledger(tmp_path)
    twice = {asset: 2 * PRIORS["mesh"][asset].seconds(250) for asset in ASSETS}
    ledger.update(clip_run(1, twice, first_event=1, engine="mesh", clip_frames=250))
    assert expected(ledger, 250).eta_s == pytest.approx(sum(twice.values()))
    assert expected(ledger, 125).steps["idle_video"].seconds == pytest.approx(
        2 * PRIORS["mesh"]["idle_video"].seconds(125)
    )
    assert expected(ledger, 250).basis == "1 like runs"


def test_a_cached_asset_takes_what_hits_take(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.update(
        [
            step(1, 30.0, asset="motion_template", engine="mesh", clip_frames=250, cache="miss"),
            step(2, 0.5, asset="motion_template", engine="mesh", clip_frames=250, cache="hit"),
        ]
    )
    assert expected(ledger, 250, cached={"motion_template"}).steps["motion_template"].seconds == 0.5
    assert expected(ledger, 250).steps["motion_template"].seconds == pytest.approx(30.0)


def test_other_engines_devices_failures_and_kills_do_not_count(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.update(
        [
            step(1, 500.0, engine="liveportrait", clip_frames=250),
            step(2, 500.0, engine="mesh", device=("Another CPU", "cpu"), clip_frames=250),
            step(3, 500.0, engine="mesh", success=False, clip_frames=250),
            StepEvent("run-9", "idle_video", "ada", 4, 0.0, False, {}, elapsed_s=500.0),
        ]
    )
    assert expected(ledger, 250).steps["idle_video"].similar_steps == 0


def test_gpu_work_is_priced_on_the_gpu_and_the_rest_on_the_host(tmp_path: Path) -> None:
    guess = expected(Ledger(tmp_path), 250, engine="liveportrait", device=GPU)
    idle, trimmed = guess.steps["idle_video"], guess.steps["trimmed_video"]
    assert idle.cost == pytest.approx(idle.seconds * 0.60 / 3600)
    assert trimmed.cost == pytest.approx(trimmed.seconds * 0.10 / 3600)


def test_a_device_without_a_price_has_an_eta_and_no_cost(tmp_path: Path) -> None:
    guess = expected(Ledger(tmp_path), 250, device=Device("NVIDIA H200", "cuda"))
    assert guess.eta_s > 0
    assert guess.cost is None
    assert "expected_cost" not in guess.to_dict()
