"""Loops: the last frame runs into the first, whatever the clip does; nothing runs backwards."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from sunriza_assets.studio.motion.loop import plan_loop, seam_ratio

RATE = Fraction(25)


def wander(seed: int, count: int = 250, columns: int = 5) -> NDArray[np.float64]:
    """A smooth random walk: a head that never comes back to where it was."""
    steps = np.random.default_rng(seed).normal(size=(count, columns))
    return gaussian_filter1d(np.cumsum(steps, axis=0), 4, axis=0)


def drift(count: int = 250) -> NDArray[np.float64]:
    """Ends far from where it began, with a little life on the way."""
    t = np.arange(count) / 25
    return np.stack([0.1 * t + 0.02 * np.sin(5 * t), 0.03 * np.sin(3 * t)], axis=1)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_the_seam_is_a_step_like_any_other(seed: int) -> None:
    clip = wander(seed)
    plan = plan_loop(clip, RATE)
    looped = plan.mixture.apply(clip)
    assert seam_ratio(looped) <= 1.0
    np.testing.assert_array_equal(looped[0], clip[plan.start])
    np.testing.assert_array_equal(looped[-1], clip[plan.start - 1])


@pytest.mark.parametrize("clip", [drift(), drift(120), wander(3), wander(4, 90)])
def test_no_step_of_the_loop_is_a_jerk(clip: NDArray[np.float64]) -> None:
    steps = np.linalg.norm(np.diff(clip, axis=0), axis=1)
    looped = plan_loop(clip, RATE).mixture.apply(clip)
    round_trip = np.concatenate([looped, looped[:1]])
    assert np.linalg.norm(np.diff(round_trip, axis=0), axis=1).max() <= 2.0 * steps.max()


def test_a_periodic_clip_loops_at_its_period() -> None:
    t = np.arange(300) / 25
    clip = np.stack([np.sin(2 * np.pi * t / 4.4), np.cos(2 * np.pi * t / 4.4)], axis=1)
    plan = plan_loop(clip, RATE)
    assert plan.frame_count == 110
    assert plan.distance == pytest.approx(0.0, abs=1e-6)


@given(st.integers(0, 99))
@settings(max_examples=15)
def test_time_only_runs_forwards(seed: int) -> None:
    """No ping-pong: whatever a loop frame is made of follows what the frame before was made of."""
    plan = plan_loop(wander(seed), RATE)
    np.testing.assert_array_equal(np.diff(plan.mixture.indices[:, 0]), 1)
    used = plan.mixture.weights[:, 1] > 0
    np.testing.assert_array_equal(np.diff(plan.mixture.indices[used, 1]), 1)
    assert used.sum() == plan.glide
    assert (np.diff(plan.mixture.weights[:, 1]) >= 0).all()


@pytest.mark.parametrize("seconds", [3.0, 4.2, 6.0, 8.0])
def test_a_wanted_length_is_kept(seconds: float) -> None:
    plan = plan_loop(wander(1), RATE, loop_seconds=seconds)
    assert plan.frame_count == round(seconds * 25)
    assert plan.facts(RATE)["asked_seconds"] == seconds


def test_a_clip_too_short_for_it_gives_what_it_has() -> None:
    plan = plan_loop(wander(1, 100), RATE, loop_seconds=10.0)
    assert 60 <= plan.frame_count < 100


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 20, 40, 75])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(60), Fraction(30000, 1001)])
def test_even_the_shortest_clip_loops(count: int, rate: Fraction) -> None:
    clip = wander(5, count)
    plan = plan_loop(clip, rate)
    assert 1 <= plan.frame_count <= count
    assert plan.frame_count >= int(0.5 * count)
    looped = plan.mixture.apply(clip)
    assert seam_ratio(looped) <= 1.0
    facts = plan.facts(rate)
    assert np.isfinite([facts[name] for name in ("start_s", "seconds", "distance")]).all()
    assert np.isfinite(facts["glide_speed"])


def test_a_blink_is_not_mixed_with_an_open_eye() -> None:
    """The glide avoids the blink although the pair of ends around it would match best."""
    clip = np.concatenate([drift(), np.zeros((250, 1))], axis=1)
    blink = slice(200, 207)
    clip[blink, 2] = np.hanning(9)[1:-1] * 0.6
    looped = plan_loop(clip, RATE).mixture.apply(clip)
    depth = looped[:, 2].max()
    assert depth == 0.0 or depth > 0.55


def test_a_still_clip_gives_a_still_loop() -> None:
    clip = np.ones((250, 3))
    plan = plan_loop(clip, RATE)
    assert plan.frame_count == 125
    assert plan.facts(RATE, {"pose": clip})["seam"] == {"pose": 0.0}


def test_a_jump_cut_has_a_bad_seam_ratio() -> None:
    """The figure can fail: a clip that simply starts over is far above one."""
    assert seam_ratio(drift()) > 10
    assert seam_ratio(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(1 / 0.9, rel=0.2)


@given(st.integers(0, 10_000))
@example(207)  # the glide passes by the blinks that made the seam's step look ordinary
@settings(max_examples=25)
def test_each_steady_array_has_an_ordinary_seam(seed: int) -> None:
    """Together the features may be calm while one of them, alone, jumps."""
    head, lids = wander(seed, columns=3), wander(seed + 1, columns=1) ** 3
    steady = {"head": head, "lids": lids}
    features = np.concatenate([head, 0.01 * lids], axis=1)
    ratios = plan_loop(features, RATE, steady=steady).seam_ratios(steady)
    assert max(ratios.values()) <= 1.0
