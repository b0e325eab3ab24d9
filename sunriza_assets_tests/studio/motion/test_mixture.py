"""Mixtures: weights that sum to one, chaining, ranges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.studio.motion.mixture import Mixture


def random_mixture(seed: int, outputs: int, inputs: int, taps: int = 2) -> Mixture:
    rng = np.random.default_rng(seed)
    weights = rng.random((outputs, taps)) + 1e-3
    return Mixture(
        rng.integers(0, inputs, (outputs, taps)), weights / weights.sum(axis=1, keepdims=True)
    )


@given(st.integers(0, 999))
def test_chaining_is_applying_one_after_the_other(seed: int) -> None:
    first, second = random_mixture(seed, 7, 5), random_mixture(seed + 1, 4, 7)
    values = np.random.default_rng(seed).normal(size=(5, 3))
    np.testing.assert_allclose(
        second.after(first).apply(values), second.apply(first.apply(values)), atol=1e-12
    )


def test_integers_are_rounded_and_booleans_vote() -> None:
    half = Mixture(np.array([[0, 1]]), np.array([[0.3, 0.7]]))
    assert half.apply(np.array([0, 255], dtype=np.uint8))[0] == 178
    assert half.apply(np.array([False, True]))[0]


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to one"):
        Mixture(np.array([[0, 1]]), np.array([[0.5, 0.6]]))
    with pytest.raises(ValueError, match="differ"):
        Mixture(np.array([[0, 1]]), np.array([[1.0]]))
