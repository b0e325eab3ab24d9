"""Limits leave small motion alone, never let any past, and never turn it round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.studio.engines.mesh.motion import limits
from sunriza_assets.studio.expression.easing import knee, rise

KINDS = (
    limits.YAW,
    limits.PITCH,
    limits.ROLL,
    limits.SHIFT,
    limits.ZOOM,
    limits.LIPS,
    limits.BROWS,
)
values = st.lists(st.floats(-5, 5), min_size=2, max_size=20).map(np.array)


@given(values, st.sampled_from(KINDS), st.floats(0, 3))
def test_a_limit_holds_and_keeps_order(
    motion: np.ndarray, limit: limits.Limit, gain: float
) -> None:
    result, held = limits.limited(motion, limit, gain)
    knee_at_one, limit_at_one = limit.at(gain)
    assert np.abs(result).max() <= limit_at_one
    assert 0.0 <= held <= 1.0
    order = np.argsort(motion)
    assert (np.diff(result[order]) >= -1e-12).all()
    small = np.abs(gain * motion) <= knee_at_one
    np.testing.assert_allclose(result[small], (gain * motion)[small])


@given(st.sampled_from(KINDS), st.floats(1, 3), st.floats(1, 3))
def test_the_more_is_asked_for_the_earlier_it_is_slowed(
    limit: limits.Limit, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert all(a >= b for a, b in zip(limit.at(low), limit.at(high), strict=True))


@given(st.floats(-3, 3), st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_knee_is_smooth(x: float, knee_at_one: float, room: float) -> None:
    step = 1e-4
    slope = (
        float(
            knee(x + step, knee_at_one, knee_at_one + room)
            - knee(x, knee_at_one, knee_at_one + room)
        )
        / step
    )
    assert -1e-9 <= slope <= 1.0 + 1e-6


def test_rise_falls_where_it_is_told_to() -> None:
    assert rise(0.0, 0.2, 0.8) == 0.0
    assert rise(1.0, 0.2, 0.8) == 1.0
    assert rise(0.0, 0.8, 0.2) == 1.0
    assert rise(0.5, 0.2, 0.8) == pytest.approx(0.5)
