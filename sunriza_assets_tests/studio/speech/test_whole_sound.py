"""Hearing whole sounds with the phone recogniser, and aligning those whose text is known."""

from fractions import Fraction

import numpy as np
import pytest

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.aligning import aligned_phones
from sunriza_assets.studio.speech.ipa import segments_of
from sunriza_assets.studio.speech.listening.following import Follower
from sunriza_assets.studio.speech.listening.fusion import FUSION_NAME, Fusion, packaged_fusion
from sunriza_assets.studio.speech.listening.whole import listen, mouth_of_sound
from sunriza_assets.studio.speech.mouth import LIPS, NAMES
from sunriza_assets.studio.speech.sound import Samples, Sound
from sunriza_assets.studio.speech.training.labels import Labels, labels_of_segments
from sunriza_assets.studio.speech.training.measure import Figures, Guess, measured, runs
from sunriza_assets_tests.studio.speech.rms import RMS_TEXTS, rms_speech


@pytest.fixture(scope="module")
def spoken() -> tuple[Samples, Labels]:
    return rms_speech()


def _figures(spoken: tuple[Samples, Labels], *, with_recogniser: bool) -> Figures:
    def listener(samples: Samples) -> Guess:
        heard = listen(Sound(samples, 16_000), with_recogniser=with_recogniser)
        closed = Follower().push(heard)[4] == LIPS
        return Guess(np.repeat(heard.classes, 2), np.repeat(heard.opening, 2), np.repeat(closed, 2))

    return measured(listener, [spoken])


def test_the_recogniser_helps(spoken: tuple[Samples, Labels]) -> None:
    pytest.importorskip("hama")
    alone = _figures(spoken, with_recogniser=False)
    both = _figures(spoken, with_recogniser=True)
    assert both.accuracy > alone.accuracy
    assert both.accuracy > 0.72
    assert both.opening_r > 0.72
    assert both.closures_found > 0.85
    assert both.false_closures < 0.6


def test_whole_sounds_of_any_rate_make_curves_of_any_rate(
    spoken: tuple[Samples, Labels],
) -> None:
    sound = Sound(spoken[0][: 16_000 * 3 + 57], 16_000)
    for rate in (Fraction(25), Fraction(30_000, 1_001)):
        curves = mouth_of_sound(sound, rate)
        assert curves.frame_count == pytest.approx(3.02 * float(rate), abs=1.1)
        assert curves.opening.max() > 0.05
    assert mouth_of_sound(Sound(np.zeros(0, np.float32), 8_000), Fraction(25)).frame_count == 0
    silent = mouth_of_sound(Sound(np.zeros(40_000, np.float32), 8_000), Fraction(25))
    assert silent.frame_count == 125
    assert set(silent.visemes) == {"Rest"}
    assert silent.opening.max() < 0.004


def test_fusion_weights_are_checked() -> None:
    stored = packaged_fusion().packed()
    assert sum(values.nbytes for values in stored.values()) < 30_000, FUSION_NAME
    with pytest.raises(ModelError, match="lack"):
        Fusion.unpacked({name: value for name, value in stored.items() if name != "out.bias"})


def test_known_text_gives_phone_times(spoken: tuple[Samples, Labels]) -> None:
    pytest.importorskip("pocketsphinx")
    samples, labels = spoken
    phones = aligned_phones(Sound(samples, 16_000), " ".join(RMS_TEXTS))
    found = labels_of_segments(segments_of(phones), len(labels.shares))
    assert (found.classes == labels.classes).mean() > 0.75
    closures = NAMES.index("MBP")
    onsets = np.array([begin for begin, _ in runs(labels.classes == closures)])
    heard = np.array([begin for begin, _ in runs(found.classes == closures)])
    errors = np.abs(onsets[:, None] - heard[None]).min(axis=1)
    assert np.median(errors) <= 2  # frames of 10 ms
    with pytest.raises(SpeechError, match="does not know"):
        aligned_phones(Sound(samples, 16_000), "Xyzzyqwrt is no word")
    with pytest.raises(SpeechError, match="without words"):
        aligned_phones(Sound(samples, 16_000), "...")
    with pytest.raises(SpeechError, match="does not say"):
        aligned_phones(Sound(samples[:3_000], 16_000), " ".join(RMS_TEXTS))
