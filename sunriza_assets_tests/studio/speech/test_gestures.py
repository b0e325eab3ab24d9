"""The laws of nods, brows and blinks."""

from fractions import Fraction

import numpy as np
import pytest

from sunriza_assets.studio.speech.gestures import HeadCurves, gestures
from sunriza_assets.studio.speech.phones import Phone
from sunriza_assets.studio.speech.prosody import accents_of_sound, f0
from sunriza_assets.studio.speech.sound import Sound

RATE = Fraction(25)


def _sentences(seconds: float) -> list[Phone]:
    """Syllables of which each third is long, with a pause every three seconds."""
    phones: list[Phone] = []
    time = 0.0
    k = 0
    while time < seconds:
        if k % 12 == 11:
            phones.append(Phone("", time, time + 0.4))
            time += 0.4
        else:
            vowel = 0.18 if k % 3 == 0 else 0.09
            phones += [Phone("t", time, time + 0.07), Phone("a", time + 0.07, time + 0.07 + vowel)]
            time += 0.07 + vowel
        k += 1
    return phones


def _blinks(curves: HeadCurves) -> int:
    shut = curves.closure > 0.5
    return int((shut[1:] & ~shut[:-1]).sum() + shut[0])


def test_the_same_seed_gives_the_same_motion() -> None:
    phones = _sentences(20.0)
    one, same, other = (gestures(phones, RATE, seconds=20.0, seed=seed) for seed in ("a", "a", "b"))
    for name in ("yaw", "pitch", "roll", "brows", "closure"):
        assert np.array_equal(getattr(one, name), getattr(same, name)), name
        assert not np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("seed", [f"job-{k}" for k in range(12)])
@pytest.mark.parametrize("speaking", [True, False])
def test_lids_blink_eight_to_thirty_times_a_minute(seed: str, speaking: bool) -> None:
    phones = _sentences(60.0) if speaking else []
    curves = gestures(phones, RATE, seconds=60.0, seed=seed)
    assert 8 <= _blinks(curves) <= 30
    assert curves.closure.max() > 0.9
    assert curves.closure.min() >= 0.0


def test_amounts_are_those_of_a_head() -> None:
    curves = gestures(_sentences(60.0), RATE, seconds=60.0, seed="x")
    degrees = np.pi / 180.0
    for name, most in (("yaw", 4.0), ("pitch", 5.0), ("roll", 3.0)):
        curve = getattr(curves, name)
        assert np.abs(curve).max() < most * degrees, name
        assert np.abs(np.diff(curve)).max() < 1.2 * degrees, name
        assert curve.std() > 0.15 * degrees, name
    raised = curves.brows > 0.05
    rises = int((raised[1:] & ~raised[:-1]).sum())
    assert 5 <= rises <= 30


def test_without_liveliness_only_lids_move() -> None:
    curves = gestures(_sentences(20.0), RATE, seconds=20.0, seed="x", liveliness=0.0)
    for name in ("yaw", "pitch", "roll", "brows"):
        assert not getattr(curves, name).any(), name
    assert _blinks(curves) > 2


def test_pitch_and_accents_are_heard_in_the_sound() -> None:
    rate = 16_000
    times = np.arange(4 * rate) / rate
    phase = 2.0 * np.pi * np.cumsum(np.where(times < 2.0, 120.0, 200.0)) / rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 9))
    loud = sum(np.exp(-(((times - peak) / 0.08) ** 2)) for peak in (0.5, 1.5, 2.5, 3.5))
    sound = Sound((0.2 * loud * buzz).astype(np.float32), rate)
    pitch = f0(sound)
    assert pitch[20:30] == pytest.approx(np.full(10, 120.0), rel=0.03)
    assert pitch[120:130] == pytest.approx(np.full(10, 200.0), rel=0.03)
    heard = [accent.time for accent in accents_of_sound(sound)]
    assert len(heard) == 4
    assert heard == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.08)
    assert accents_of_sound(Sound(np.zeros(rate, np.float32), rate)) == []
    assert np.isnan(f0(Sound(np.zeros(rate, np.float32), rate))).all()


def test_heads_nod_at_accents() -> None:
    rate = 8_000
    times = np.arange(30 * rate) / rate
    peaks = np.arange(1.0, 29.0, 2.0)
    loud = np.exp(-((((times % 2.0) - 1.0) / 0.1) ** 2))
    sound = Sound((0.2 * loud * np.sin(2.0 * np.pi * 150.0 * times)).astype(np.float32), rate)
    curves = gestures([], Fraction(50), seconds=30.0, seed="n", sound=sound)
    at = np.rint(peaks * 50).astype(int)
    assert curves.pitch[at].mean() > curves.pitch[at + 50].mean() + 0.01
