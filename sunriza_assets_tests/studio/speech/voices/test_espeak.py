"""German and English are really spoken, and the phones are where they are heard."""

import numpy as np
import pytest

from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.speech import Speech, joined
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.worker import VoiceWorker
from sunriza_assets_tests.studio.speech.voices.heard import hissing_apart

GERMAN = "Das Schiff fuhr am Sonntag nach Hause, es war sechs Stunden später. Viel Spaß!"
ENGLISH = "She sells six shells by the sea shore; mama puts five apples on the table."


def spoken(worker: VoiceWorker, text: str, language: str, **more: object) -> Speech:
    request = SpeakRequest(text, language, **more)  # type: ignore[arg-type]
    return joined(worker.stream(request))


@pytest.mark.parametrize(("text", "language"), [(GERMAN, "de"), (ENGLISH, "en-us")])
def test_phones_are_where_they_are_heard(espeak: VoiceWorker, text: str, language: str) -> None:
    speech = spoken(espeak, text, language)
    samples = speech.sound.samples
    assert 3 < speech.sound.seconds < 10
    assert 0.1 < np.abs(samples).max() <= 1
    assert hissing_apart(speech) > 0.5
    assert hissing_apart(speech, late=0.12) < 0.3, "moved phones must not fit as well"
    quiet = [one for one in speech.phones if not one.ipa and one.end - one.start > 0.1]
    assert quiet
    for one in quiet:
        middle = int((one.start + one.end) / 2 * speech.sound.rate)
        assert np.abs(samples[middle : middle + 200]).max() < 0.02


def test_phones_cover_the_sound_in_order_and_words_are_as_written(espeak: VoiceWorker) -> None:
    speech = spoken(espeak, GERMAN, "de")
    ends = [one.end for one in speech.phones]
    assert [one.start for one in speech.phones] == [0.0, *ends[:-1]]
    assert ends[-1] == pytest.approx(speech.sound.seconds)
    assert all(one.end > one.start for one in speech.phones)
    assert " ".join(one.text for one in speech.words) == GERMAN.replace(",", "").replace(
        ".", ""
    ).replace("!", "")
    starts = [one.start for one in speech.words]
    assert starts == sorted(starts)


def test_speed_and_variant_change_the_sound(espeak: VoiceWorker) -> None:
    usual = spoken(espeak, GERMAN, "de").sound
    fast = spoken(espeak, GERMAN, "de", speed=2.0).sound
    female = spoken(espeak, GERMAN, "de", voice="f2").sound
    assert fast.seconds < 0.7 * usual.seconds
    assert not np.array_equal(female.samples[:20_000], usual.samples[:20_000])


def test_an_unknown_language_or_voice_is_named(espeak: VoiceWorker) -> None:
    for request in (SpeakRequest("x", "xx"), SpeakRequest("x", "de", voice="../../x")):
        with pytest.raises(SpeechError) as caught:
            joined(espeak.stream(request))
        assert caught.value.code in {"speech.language", "speech.voice"}


def test_raw_phonemes_and_markup_reach_no_language_of_the_engine(espeak: VoiceWorker) -> None:
    """Even uncleaned: the engine is not told to look for them."""
    tagged = spoken(espeak, "<prosody rate='x-fast'>Guten Morgen</prosody>", "de")
    assert tagged.sound.seconds > 1.5 * spoken(espeak, "Guten Morgen", "de").sound.seconds
