"""Changing the frame rate: exact positions, identity where nothing changes, no invented motion."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.studio.motion.resample import output_frame_count, repeating, resampling

NTSC = Fraction(30000, 1001)
rates = st.sampled_from([Fraction(n) for n in (10, 24, 25, 30, 50, 60)] + [NTSC])


@given(st.integers(1, 200), rates)
def test_equal_rates_copy_bit_for_bit(count: int, rate: Fraction) -> None:
    values = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float16)
    np.testing.assert_array_equal(resampling(count, rate, rate).apply(values), values)


@given(st.integers(1, 300), rates, rates)
def test_the_output_lasts_as_long_and_starts_together(
    count: int, clip: Fraction, output: Fraction
) -> None:
    frames = output_frame_count(count, clip, output)
    assert abs(frames / output - count / clip) < 1 / output or frames == 1
    mixture = resampling(count, clip, output)
    assert len(mixture) == frames
    assert mixture.apply(np.arange(count, dtype=float))[0] == 0.0


def test_sixty_to_thirty_takes_every_second_frame_unmixed() -> None:
    values = np.random.default_rng(0).normal(size=(600, 3))
    result = resampling(600, Fraction(60), Fraction(30)).apply(values)
    np.testing.assert_array_equal(result, values[::2])


def test_fractional_rates_do_not_drift() -> None:
    """Ten minutes of NTSC video: a float rate of 29.97 would be 0.6 frames off by its end."""
    frames = np.arange(18000.0)
    result = resampling(len(frames), NTSC, NTSC / 2).apply(frames)
    np.testing.assert_array_equal(result, frames[::2])


@given(rates, rates, st.floats(-3, 3))
def test_even_motion_stays_even(clip: Fraction, output: Fraction, slope: float) -> None:
    count = 60
    result = resampling(count, clip, output).apply(slope * np.arange(count) / float(clip))
    times = np.arange(len(result)) / float(output)
    inner = (times > 2 / float(clip)) & (times < (count - 3) / float(clip))
    np.testing.assert_allclose(result[inner], slope * times[inner], atol=1e-9)


def test_a_smooth_curve_is_followed_closely() -> None:
    truth = lambda t: np.sin(2 * np.pi * 1.2 * t)  # noqa: E731  a curve, twice sampled
    result = resampling(240, Fraction(24), Fraction(30)).apply(truth(np.arange(240) / 24))
    np.testing.assert_allclose(result[2:-3], truth(np.arange(300) / 30)[2:-3], atol=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), rates, rates)
def test_nothing_leaves_its_range(values: list[float], clip: Fraction, output: Fraction) -> None:
    result = resampling(len(values), clip, output).apply(np.array(values))
    assert min(values) <= result.min()
    assert result.max() <= max(values)


def test_pictures_stay_pictures() -> None:
    texture = np.random.default_rng(0).integers(0, 256, (12, 8, 16, 3), dtype=np.uint8)
    result = resampling(12, Fraction(24), Fraction(30)).apply(texture)
    assert result.dtype == np.uint8
    assert result.shape == (15, 8, 16, 3)
    np.testing.assert_array_equal(result[::5], texture[::4])


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 12 frames"):
        resampling(12, Fraction(24), Fraction(24)).apply(np.zeros(11))


@given(st.integers(20, 300), rates, rates, st.integers(1, 2))
def test_a_round_repeats_without_a_seam(
    count: int, clip: Fraction, output: Fraction, rounds: int
) -> None:
    turned = np.cos(2 * np.pi * np.arange(count) / count)
    curve = repeating(count, clip, output, rounds=rounds).apply(turned)
    frames = len(curve) // rounds
    assert frames == max(1, round(count * output / clip))
    np.testing.assert_array_equal(curve[:frames], curve[-frames:])
    np.testing.assert_allclose(
        curve[:frames], np.cos(2 * np.pi * np.arange(frames) / frames), atol=2e-2
    )
