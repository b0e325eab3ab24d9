"""The script: what it promises happens, at the times it says, at every frame rate."""

from fractions import Fraction

import numpy as np
import pytest

from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.sample.performance import BLINKS_S, SPEECH, perform

RATES = [Fraction(25), Fraction(30000, 1001), Fraction(12), Fraction(60)]


@pytest.mark.parametrize("rate", RATES)
def test_it_lasts_six_seconds(rate: Fraction) -> None:
    performance = perform(rate)
    assert abs(performance.frame_count / rate - 6) <= 1 / rate
    for name in ("yaw", "pitch", "roll", "shift", "closure", "gaze", "visemes"):
        curve = getattr(performance, name)
        assert len(curve) == performance.frame_count
        assert np.isfinite(curve).all()


@pytest.mark.parametrize("rate", RATES)
def test_the_eyes_are_shut_when_it_says(rate: Fraction) -> None:
    performance = perform(rate)
    assert len(BLINKS_S) == 2
    for frame in performance.blink_frames:
        assert performance.closure[frame] == pytest.approx(1.0, abs=0.05)
    shut = performance.closure > 0.5
    assert np.count_nonzero(np.diff(shut.astype(int)) == 1) == 2
    assert shut.mean() < 0.1


def test_lips_reach_every_shape_when_it_says() -> None:
    performance = perform()
    names = list(VISEMES)
    for number, (_, name) in enumerate(SPEECH):
        assert performance.visemes[performance.viseme_frame(number), names.index(name)] > 0.9
    np.testing.assert_allclose(performance.visemes.sum(axis=1), 1.0)
    assert performance.visemes.min() >= 0.0
    assert {name for _, name in SPEECH} >= {"Rest", "AI", "E", "U", "O", "MBP", "FV", "L", "CH"}


def test_the_head_nods_and_turns_and_comes_back() -> None:
    performance = perform()
    assert performance.yaw.max() == pytest.approx(0.24, abs=0.03)
    assert performance.pitch.max() == pytest.approx(0.2, abs=0.03)
    for curve in (performance.yaw, performance.pitch, performance.roll):
        assert abs(curve[-1] - curve[0]) < 0.01
        assert np.abs(np.diff(curve)).max() < 0.05, "a jerk"


def test_frames_stand_at_their_presentation_times() -> None:
    coarse, fine = perform(Fraction(25)), perform(Fraction(50))
    np.testing.assert_allclose(fine.closure[::2], coarse.closure, atol=1e-9)
    np.testing.assert_allclose(fine.visemes[::2], coarse.visemes, atol=1e-9)
