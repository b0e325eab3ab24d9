"""Loudness and true peak against the published figures, and what normalising makes of a sound."""

import numpy as np
import pytest

from sunriza_assets.studio.speech.loudness import (
    TARGET_LUFS,
    TRUE_PEAK_DB,
    _weighting,
    loudness,
    normalised,
    true_peak,
)
from sunriza_assets.studio.speech.sound import Sound

STEREO = 3.01
"""dB that the same level in a second channel adds to loudness."""


def tone(seconds: float, decibels: float, rate: int = 16_000, hertz: float = 997) -> np.ndarray:
    """A sine whose peaks reach this level."""
    times = np.arange(round(seconds * rate)) / rate
    return (10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def speech_like(seconds: float, rate: int = 24_000, seed: int = 5) -> Sound:
    """Noise in syllables of changing size, with high peaks and pauses."""
    dice = np.random.default_rng(seed)
    count = round(seconds * rate)
    knots = np.repeat(dice.choice([0, 0.2, 1.0], round(seconds * 5) + 1), rate // 5)[:count]
    return Sound((knots * dice.laplace(0, 0.04, count)).astype(np.float32), rate)


def test_weighting_is_the_standards_at_48_khz() -> None:
    """Tables 1 and 2 of BS.1770-4."""
    shelf, high_pass = _weighting(48_000)
    assert shelf == pytest.approx(
        [1.53512485958697, -2.69169618940638, 1.19839281085285,
         1, -1.69065929318241, 0.73248077421585], abs=1e-9)  # fmt: skip
    assert high_pass == pytest.approx([1, -2, 1, 1, -1.99004745483398, 0.99007225036621], abs=1e-9)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 192_000])
def test_a_sine_at_full_scale_has_its_known_loudness_at_any_rate(rate: int) -> None:
    assert loudness(Sound(tone(2, 0, rate), rate)) == pytest.approx(-3.01, abs=0.06)
    assert loudness(Sound(tone(2, -40, rate), rate)) == pytest.approx(-43.01, abs=0.06)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(20, -23)], -23),
        ([(20, -33)], -33),
        ([(10, -36), (60, -23), (10, -36)], -23),
        ([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], -23),
        ([(20, -26), (20.1, -20), (20, -26)], -23),
    ],
)
def test_ebu_tech_3341_cases_1_to_5(parts: list[tuple[float, float]], expected: float) -> None:
    """Their level is that of each of two channels; tolerance 0.1 LU."""
    samples = np.concatenate(
        [tone(seconds, level, rate=8_000, hertz=1000) for seconds, level in parts]
    )
    assert loudness(Sound(samples, 8_000)) + STEREO == pytest.approx(expected, abs=0.1)


def test_without_gates_the_third_case_would_fail() -> None:
    """The control: a plain mean over everything is lower than the tolerance allows."""
    samples = np.concatenate([tone(10, -36), tone(60, -23), tone(10, -36)])
    plain = 10 * np.log10(np.mean(samples.astype(np.float64) ** 2)) + STEREO
    assert plain < -23.1


@pytest.mark.parametrize("phase", [0, 45, 60, 67.5])
def test_ebu_tech_3341_true_peaks(phase: float) -> None:
    """Cases 15 to 18: sines of a fourth to an eighth of the rate at half scale; +0.2 to -0.4 dB."""
    rate = 48_000
    divisor = {0: 4, 45: 4, 60: 6, 67.5: 8}[phase]
    count = np.arange(rate)
    samples = 0.5 * np.sin(2 * np.pi * count / divisor + np.radians(phase))
    samples *= np.clip(np.minimum(count, rate - count) / 2400, 0, 1)  # no click at the ends
    peak = true_peak(Sound(samples.astype(np.float32), rate))
    assert -6.02 - 0.4 <= peak <= -6.02 + 0.2
    if phase == 45:  # the control: samples alone are 3 dB below the peak between them
        assert 20 * np.log10(np.abs(samples).max()) < -9


@pytest.mark.parametrize("decibels", [-30, 0, 12])
def test_speech_comes_out_at_the_target_with_its_peaks_below(decibels: float) -> None:
    quiet = speech_like(6)
    result = normalised(Sound(quiet.samples * np.float32(10 ** (decibels / 20)), quiet.rate))
    assert loudness(result) == pytest.approx(TARGET_LUFS, abs=0.2)
    assert true_peak(result) <= TRUE_PEAK_DB + 1e-4
    assert (len(result.samples), result.rate) == (len(quiet.samples), quiet.rate)
    again = normalised(result)
    assert loudness(again) == pytest.approx(loudness(result), abs=0.1)


def test_only_peaks_are_limited_and_only_around_them() -> None:
    """One click of full scale in a quiet sound: the rest has one gain, to the sample."""
    sound = Sound(tone(4, -24, 24_000), 24_000)
    sound.samples[48_000] = 1.0
    result = normalised(sound)
    before, after = slice(1000, 47_000), slice(49_000, 95_000)
    gains = [np.median(result.samples[part] / sound.samples[part]) for part in (before, after)]
    assert gains[0] == pytest.approx(gains[1], rel=1e-5)
    assert 20 * np.log10(gains[0]) == pytest.approx(TARGET_LUFS + 24 + 3.01, abs=0.3)
    assert true_peak(result) <= TRUE_PEAK_DB + 1e-4


def test_silence_and_next_to_nothing_stay_as_they_are() -> None:
    for samples in (np.zeros(0), np.zeros(1), np.zeros(24_000), np.full(24_000, 1e-6)):
        sound = Sound(samples.astype(np.float32), 24_000)
        assert normalised(sound) is sound
        assert loudness(sound) == -np.inf


def test_a_short_sound_is_one_block() -> None:
    sound = Sound(tone(0.05, -30), 16_000)
    assert loudness(sound) == pytest.approx(-33, abs=1)
    assert loudness(normalised(sound)) == pytest.approx(TARGET_LUFS, abs=0.3)


def test_a_room_without_speech_is_not_raised_beyond_40_db() -> None:
    sound = Sound(tone(2, -64), 16_000)
    assert loudness(normalised(sound)) - loudness(sound) == pytest.approx(40, abs=0.01)


def test_pieces_join_without_a_seam() -> None:
    """A sound longer than what is filtered at a time is measured as if it were in one piece."""
    from sunriza_assets.studio.speech import loudness as module

    sound = Sound(tone(24, -3, 48_000), 48_000)
    envelope = np.concatenate(module._oversampled(sound))
    assert len(envelope) == len(sound.samples) > module._FILTERED
    around = slice(module._FILTERED - 500, module._FILTERED + 500)
    whole = module._oversampled(Sound(sound.samples[around], 48_000))[0]
    assert envelope[around][200:-200] == pytest.approx(whole[200:-200], abs=1e-6)
    assert loudness(sound) == pytest.approx(-6.01, abs=0.05)
