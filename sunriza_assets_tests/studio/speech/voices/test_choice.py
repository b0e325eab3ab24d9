"""`auto` takes the best that is installed, and what is missing is named with its command."""

from dataclasses import replace
from pathlib import Path

import pytest

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.voices.catalog import all_voices
from sunriza_assets.studio.speech.voices.choice import choose_voice
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest, Voice

ROBOT = Voice("robot", "standard", ("de", "en-us", "xx"), "GPL-3.0", rank=10)
GOOD = Voice(
    "good", "anna", ("de",), "CC0", rank=60, accented=("en-us",), installed=False,
    how_to_install="sunriza models pull good",
)  # fmt: skip
CLONER = Voice("cloner", "any", ("de", "en"), "CC-BY", rank=80, clones=True, any_speed=False)
STRICT = Voice("strict", "any", ("de",), "CPML", rank=90, to_accept="cpml")
VOICES = (ROBOT, GOOD, CLONER, STRICT)


def test_auto_takes_the_highest_rank_that_is_installed_and_says_what_is_not() -> None:
    chosen = choose_voice(SpeakRequest("x", "de-at"), (ROBOT, GOOD))
    assert chosen.voice == ROBOT
    assert chosen.reason == "the best voice for de-at that is installed; not installed: good"
    here = replace(GOOD, installed=True)
    assert choose_voice(SpeakRequest("x", "de"), (ROBOT, here)).voice == here
    assert choose_voice(SpeakRequest("x", "en-us"), (ROBOT, here)).voice == ROBOT, "an accent"
    assert choose_voice(SpeakRequest("x", "en-us", voice="anna"), (ROBOT, here)).voice == here


def test_a_reference_needs_a_voice_that_imitates() -> None:
    request = SpeakRequest("x", "de", reference=Path("x.wav"))
    assert choose_voice(request, VOICES).voice == CLONER
    with pytest.raises(SpeechError) as caught:
        choose_voice(request, (ROBOT, GOOD))
    assert caught.value.code == "speech.no_cloning"
    with pytest.raises(SpeechError) as caught:
        choose_voice(SpeakRequest("x", "de"), VOICES, "cloner")
    assert caught.value.code == "speech.no_reference"


def test_a_voice_that_keeps_its_own_speed_is_taken_only_at_that_speed() -> None:
    steady = Voice("steady", "any", ("de",), "MIT", rank=80, any_speed=False)
    assert choose_voice(SpeakRequest("x", "de"), (ROBOT, steady)).voice == steady
    assert choose_voice(SpeakRequest("x", "de", speed=1.5), (ROBOT, steady)).voice == ROBOT
    with pytest.raises(SpeechError) as caught:
        choose_voice(SpeakRequest("x", "de", speed=1.5), (ROBOT, steady), "steady")
    assert caught.value.code == "speech.speed"


def test_a_licence_has_to_be_accepted_and_auto_never_takes_such_a_voice() -> None:
    request = SpeakRequest("x", "de")
    assert choose_voice(request, VOICES, licences=frozenset({"cpml"})).voice == ROBOT
    with pytest.raises(SpeechError) as caught:
        choose_voice(request, VOICES, "strict")
    assert caught.value.code == "speech.licence"
    assert "licence_accepted=cpml" in caught.value.message
    assert choose_voice(request, VOICES, "strict", frozenset({"cpml"})).voice == STRICT


@pytest.mark.parametrize(
    ("asked", "engine", "code", "says"),
    [
        (SpeakRequest("x", "de"), "good", "model.missing", "sunriza models pull good"),
        (SpeakRequest("x", "zz"), "auto", "speech.language", "sunriza voices"),
        (SpeakRequest("x", "de"), "goood", "speech.engine", "Did you mean 'good'?"),
        (SpeakRequest("x", "de", voice="ana"), "auto", "speech.voice", "Did you mean 'anna'?"),
        (SpeakRequest("x", "xx"), "good", "speech.language", "anna of good"),
    ],
)
def test_what_cannot_be_had_is_named(
    asked: SpeakRequest, engine: str, code: str, says: str
) -> None:
    with pytest.raises((ModelError, SpeechError)) as caught:
        choose_voice(asked, VOICES, engine)
    assert caught.value.code == code
    assert says in caught.value.message


def test_every_voice_of_the_catalogue_says_its_licence_and_how_to_get_it(tmp_path: Path) -> None:
    voices = all_voices(tmp_path)
    assert {voice.engine for voice in voices} >= {"espeak", "piper", "kokoro"}
    assert all(voice.licence and voice.languages for voice in voices)
    assert all(voice.installed != bool(voice.how_to_install) for voice in voices)
    assert all(voice.engine_version for voice in voices if voice.installed)
    names = [(voice.engine, voice.name) for voice in voices]
    assert len(set(names)) == len(names)
    german = choose_voice(SpeakRequest("x", "de"), voices)
    assert (german.voice.engine, german.voice.name) == ("espeak", "standard")
    english = choose_voice(SpeakRequest("x", "en"), voices)
    assert english.voice.engine == "piper"
