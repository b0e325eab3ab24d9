"""Smoothing leaves honest motion alone and takes jitter away, at every frame rate."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.studio.motion.smoothing import (
    EXPRESSION_FRAMES,
    LID_FRAMES,
    POSE_FRAMES,
    smooth,
    window_frames,
)

rates = st.fractions(Fraction(5), Fraction(120), max_denominator=1001)


@given(rates, st.sampled_from([LID_FRAMES, EXPRESSION_FRAMES, POSE_FRAMES]))
def test_windows_are_odd_and_last_equally_long(rate: Fraction, frames: int) -> None:
    window = window_frames(frames, rate)
    assert window % 2 == 1
    assert abs(window - frames * rate / 30) <= 1 or window == 1


@given(
    rates,
    st.integers(1, 60),
    st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5)),
)
def test_even_acceleration_passes_unchanged(
    rate: Fraction, count: int, terms: tuple[float, float, float]
) -> None:
    t = np.arange(count) / 10
    curve = np.polyval(terms, t)[:, None] * np.ones(4)
    np.testing.assert_allclose(smooth(curve, rate, frames_at_30=POSE_FRAMES), curve, atol=1e-6)


def test_jitter_shrinks_and_motion_stays() -> None:
    t = np.arange(300) / 30
    motion = np.sin(2 * np.pi * 0.5 * t)
    noisy = motion + np.random.default_rng(0).normal(scale=0.02, size=t.shape)
    result = smooth(noisy, Fraction(30), frames_at_30=POSE_FRAMES)
    assert np.std(result - motion) < 0.6 * 0.02
    assert np.std(np.diff(result, 2)) < 0.25 * np.std(np.diff(noisy, 2))


def test_shape_and_input_are_kept() -> None:
    values = np.random.default_rng(0).normal(size=(20, 5, 3)).astype(np.float16)
    before = values.copy()
    result = smooth(values, Fraction(60), frames_at_30=EXPRESSION_FRAMES)
    assert result.shape == values.shape
    assert result.dtype == np.float64
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(smooth(values[:2], Fraction(60), frames_at_30=9), values[:2])


def test_a_blink_keeps_its_depth() -> None:
    blink = np.exp(-(((np.arange(40) - 20) / 2.0) ** 2))
    assert smooth(blink, Fraction(30), frames_at_30=LID_FRAMES).max() == pytest.approx(1.0)
