"""XTTS is nothing without its licence, and its worker sees of our packages this one alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.voices.catalog import all_voices
from sunriza_assets.studio.speech.voices.choice import choose_voice
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.pulling import pull_voice
from sunriza_assets.studio.speech.voices.worker import VoiceWorker, isolated_command
from sunriza_assets_tests.servers.hub import serve_hub

ACCEPTED = frozenset({"cpml"})


def test_weights_are_pulled_only_by_who_accepts_the_licence(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "tts-hub" / "XTTS-v2"
    repository.mkdir(parents=True)
    for name in ("config.json", "vocab.json", "speakers_xtts.pth", "model.pth"):
        (repository / name).write_bytes(name.encode())
    models = tmp_path / "models"
    with serve_hub(tmp_path / "hub") as hub:
        with pytest.raises(ModelError) as caught:
            list(pull_voice(models, "xtts", endpoint=hub.address))
        assert caught.value.code == "model.licence"
        assert hub.requested == []
        done = list(pull_voice(models, "xtts", licences=ACCEPTED, endpoint=hub.address))
    assert len(done) == 4
    assert '"licence_accepted":"cpml"' in (models / "xtts" / "pulled.json").read_text()
    with pytest.raises(ModelError) as caught:
        choose_voice(SpeakRequest("x", "de"), all_voices(models), "xtts", ACCEPTED)
    assert "pip install 'coqui-tts" in caught.value.message, "the weights are there"


def test_nobody_is_given_it_without_asking(tmp_path: Path) -> None:
    voices = all_voices(tmp_path)
    assert choose_voice(SpeakRequest("x", "de"), voices, licences=ACCEPTED).voice.engine != "xtts"
    with pytest.raises(SpeechError) as caught:
        choose_voice(SpeakRequest("x", "de"), voices, "xtts")
    assert caught.value.code == "speech.licence"
    with pytest.raises(ModelError) as missing:
        choose_voice(SpeakRequest("x", "de"), voices, "xtts", ACCEPTED)
    assert "sunriza models pull xtts --licence-accepted cpml" in missing.value.message
    with VoiceWorker("xtts", tmp_path) as worker, pytest.raises(ModelError) as caught_:
        worker.speak(SpeakRequest("x", "de"))
    assert "-m venv" in caught_.value.message


def test_a_foreign_environment_sees_this_package_alone(tmp_path: Path) -> None:
    """An interpreter without our environment: the child gets as far as numpy, which it lacks."""
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    command = [*isolated_command(base), "espeak", str(tmp_path), str(os.getpid())]
    command[1:1] = ["-I", "-S"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "studio/speech/voices/child.py" in told.stderr
    assert "No module named 'numpy'" in told.stderr
