"""A text is spoken once, and what is kept of it is normalised, timed and the same for everybody."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from resources.speech.sound_cache import SoundCache
from resources.speech.speaker import Speaker
from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.speech.loudness import loudness, true_peak
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.wav import read_wav, write_wav
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.resources.speech import speaking

ROOT = Path(__file__).parents[3]
GERMAN = SpeakRequest("Guten Morgen, meine Damen und Herren. Wie geht es Ihnen heute?", "de")


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    home = tmp_path_factory.mktemp("speaker")
    with Speaker(home / "models", SoundCache(home / "cache", 10**9)) as made:
        yield made


def test_a_repeat_is_byte_identical_and_makes_no_synthesis(speaker: Speaker) -> None:
    first = speaker.speak(GERMAN)
    content = first.wav.read_bytes(), first.times.read_bytes()
    assert not first.cached
    assert first.cpu_seconds > 0
    speaker.close()  # without an engine's process there is no synthesis
    again = speaker.speak(SpeakRequest(f"  {GERMAN.text}\n", "DE"))
    assert again.cached
    assert again.cpu_seconds == 0
    assert (again.wav.read_bytes(), again.times.read_bytes()) == content
    assert not speaker.speak(SpeakRequest(GERMAN.text, "de", speed=1.2)).cached
    assert not speaker.speak(SpeakRequest(GERMAN.text + " Gut", "de")).cached


def test_the_sound_is_normalised_and_its_times_lie_beside_it(speaker: Speaker) -> None:
    stored = speaker.speak(GERMAN)
    sound = read_wav(stored.wav)
    assert loudness(sound) == pytest.approx(-16, abs=0.5)
    assert true_peak(sound) <= -0.9
    told = json.loads(stored.times.read_text("utf-8"))
    assert told["seconds"] == pytest.approx(sound.seconds, abs=1e-3)
    assert told["characters"] == len(GERMAN.text)
    assert "text" not in told, "a hash is enough"
    for name in ("phones", "visemes"):
        starts = [one["start"] for one in told[name]]
        assert starts[0] == 0
        assert starts[1:] == [one["end"] for one in told[name]][:-1]
        assert told[name][-1]["end"] == pytest.approx(sound.seconds, abs=1e-3)
    assert {one["viseme"] for one in told["visemes"]} <= set(VISEMES)
    assert [one["text"] for one in told["words"]][:2] == ["Guten", "Morgen"]
    assert stored.facts.engine == "espeak"
    assert "de" in stored.why


def test_eight_equal_requests_at_once_make_one_synthesis(tmp_path: Path) -> None:
    """Two processes with four threads each. eSpeak NG never makes the same sound twice."""
    go = tmp_path / "go"
    request = {"home": str(tmp_path), "text": GERMAN.text, "go": str(go)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", speaking.__name__, json.dumps({**request, "name": name})],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    try:
        wait_for(lambda: all((tmp_path / f"ready-{name}").exists() for name in "ab"))
        go.touch()
        told = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    answers = [answer for each in told for answer in each["answers"]]
    assert len(answers) == 8
    assert [cached for cached, _ in answers].count(False) == 1
    assert len({digest for _, digest in answers}) == 1
    assert not list((tmp_path / "cache").glob(".*.lock"))


def test_a_reference_is_part_of_the_key_by_its_samples(speaker: Speaker, tmp_path: Path) -> None:
    from resources.speech.speaker import _identity, _key
    from sunriza_assets.studio.speech.sound import Sound

    choice = speaker.choose(GERMAN)
    keys = []
    for name, value in (("a", 0.1), ("b", 0.1), ("c", 0.2)):
        path = tmp_path / f"{name}.wav"
        write_wav(path, Sound(np.full(16_000, value, np.float32), 16_000))
        request = SpeakRequest(GERMAN.text, "de", reference=path)
        keys.append(_key(_identity(request, choice.voice, marked=False)))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("request_", "engine", "code"),
    [
        (SpeakRequest("", "de"), "auto", "speech.empty"),
        (SpeakRequest("x" * 10_000, "de"), "auto", "speech.too_long"),
        (SpeakRequest("Hallo", "xx"), "auto", "speech.language"),
        (SpeakRequest("Hallo", "de", voice="nobody"), "espeak", "speech.voice"),
        (SpeakRequest("Hallo", "de"), "nothing", "speech.engine"),
        (SpeakRequest("Hallo", "de", reference=Path("x.wav")), "espeak", "speech.no_cloning"),
    ],
)
def test_what_cannot_be_spoken_is_named(
    speaker: Speaker, request_: SpeakRequest, engine: str, code: str
) -> None:
    with pytest.raises((SpeechError, ModelError)) as caught:
        speaker.speak(request_, engine)
    assert caught.value.code == code
    assert caught.value.remedy
