"""Pocket TTS is pulled, speaks in parts, imitates, and is stopped, with a small model of its own.

The weights are random, so what it says is noise; all that handles it is as with the real ones.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.sound import Sound
from sunriza_assets.studio.speech.speech import joined
from sunriza_assets.studio.speech.voices.catalog import all_voices
from sunriza_assets.studio.speech.voices.choice import choose_voice
from sunriza_assets.studio.speech.voices.pocket_pulling import pull_pocket
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.worker import VoiceWorker
from sunriza_assets.studio.speech.wav import write_wav
from sunriza_assets_tests.processes import ask_module
from sunriza_assets_tests.servers.hub import Hub, serve_hub
from sunriza_assets_tests.studio.speech.voices import small_pocket

pytestmark = pytest.mark.slow
GERMAN = SpeakRequest("Hallo Welt. Guten Morgen!", "de", "de-juergen")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    ask_module(small_pocket.__name__, {"folder": str(root)})
    with serve_hub(root) as running:
        yield running


@pytest.fixture(scope="module")
def models(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    (root / "pocket").mkdir()
    hub.gated = frozenset({small_pocket.GATED})
    done = list(pull_pocket(root, "", endpoint=hub.address, configs=hub.root))
    assert done[0].startswith("pocket de-juergen: ")
    with pytest.raises(ModelError) as caught:
        list(pull_pocket(root, "de-reference", endpoint=hub.address, configs=hub.root))
    assert caught.value.code == "model.gated"
    assert "https://huggingface.co/kyutai/pocket-tts" in caught.value.message
    hub.gated = frozenset()
    list(pull_pocket(root, "de-reference", endpoint=hub.address, configs=hub.root))
    names = [one.split()[0] for one in hub.requested]
    assert names.count("tokenizer.json") == 1, "shared by the voices of a language"
    return root


@pytest.fixture(scope="module")
def worker(models: Path) -> Iterator[VoiceWorker]:
    with VoiceWorker("pocket", models) as made:
        yield made


def test_it_speaks_in_parts_and_without_a_hub(worker: VoiceWorker) -> None:
    parts = list(worker.stream(GERMAN))
    assert len(parts) > 1
    assert all(len(part.sound.samples) % 1920 == 0 for part in parts), "frames of 80 ms"
    speech = joined(parts)
    assert speech.text == GERMAN.text
    assert speech.sound.rate == 24_000
    assert speech.sound.seconds > 0.3
    assert np.isfinite(speech.sound.samples).all()
    assert speech.phones == ()
    assert (speech.engine, speech.licence) == ("pocket", "MIT AND CC-BY-4.0")


def test_whoever_leaves_stops_it_and_the_next_is_served_by_the_same_process(
    worker: VoiceWorker,
) -> None:
    kept = worker.process_id
    long = SpeakRequest("Hallo Welt. " * 40, "de", "de-juergen")
    parts = worker.stream(long)
    assert len(list(itertools.islice(parts, 2))) == 2
    parts.close()  # type: ignore[attr-defined]
    assert worker.speak(GERMAN).sound.seconds > 0.3
    assert worker.process_id == kept


def test_a_reference_is_imitated_by_the_voice_for_it(
    worker: VoiceWorker, models: Path, tmp_path: Path
) -> None:
    reference = tmp_path / "reference.wav"
    noise = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    write_wav(reference, Sound(noise, 16_000))
    request = SpeakRequest("Hallo Welt.", "de", reference=reference)
    chosen = choose_voice(request, all_voices(models))
    assert chosen.voice.name == "de-reference"
    assert chosen.voice.installed
    spoken = worker.speak(SpeakRequest("Hallo Welt.", "de", chosen.voice.name, reference=reference))
    assert spoken.sound.seconds > 0.3


def test_german_is_spoken_by_it_as_soon_as_it_is_there(models: Path) -> None:
    chosen = choose_voice(SpeakRequest("Hallo", "de-at"), all_voices(models))
    assert (chosen.voice.engine, chosen.voice.name) == ("pocket", "de-juergen")
