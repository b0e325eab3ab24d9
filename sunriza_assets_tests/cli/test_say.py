"""`sunriza say` and `sunriza voices`: a sound with its times, and who can speak."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sunriza_assets.cli import sunriza
from sunriza_assets.errors import ModelError, ParameterError, SpeechError
from sunriza_assets.studio.speech.wav import read_wav


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SUNRIZA_MODELS", raising=False)
    return tmp_path / "home"


def test_german_is_spoken_into_a_file_with_its_times(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    command = ["say", "Guten Morgen", "--lang", "de", "-o", str(output), "--json"]
    told = CliRunner().invoke(sunriza, command, catch_exceptions=False)
    facts = json.loads(told.stdout)
    assert (facts["engine"], facts["cached"]) == ("espeak", False)
    assert facts["why"].startswith("the best voice for de that is installed")
    assert 0.5 < read_wav(output).seconds < 3
    times = json.loads(output.with_suffix(".json").read_text("utf-8"))
    assert [word["text"] for word in times["words"]] == ["Guten", "Morgen"]
    first = output.read_bytes()
    again = CliRunner().invoke(sunriza, command, catch_exceptions=False)
    assert json.loads(again.stdout)["cached"]
    assert output.read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["<speak>x</speak>", "--lang", "de"], SpeechError, "markup"),
        (["x", "--lang", "de", "--engine", "kokoro"], ModelError, "sunriza models pull kokoro"),
        (["x", "--lang", "de", "--engine", "xtts"], SpeechError, "licence_accepted=cpml"),
        (["x", "--lang", "de", "-o", "out.mp3"], ParameterError, ".wav"),
    ],
)
def test_what_cannot_be_spoken_is_named(
    tmp_path: Path, arguments: list[str], error: type[Exception], says: str
) -> None:
    rest = [] if "-o" in arguments else ["-o", str(tmp_path / "out.wav")]
    told = CliRunner().invoke(sunriza, ["say", *arguments, *rest])
    assert isinstance(told.exception, error)
    assert says in str(told.exception)
    assert not list(tmp_path.glob("out.*"))


def test_voices_are_listed_by_language() -> None:
    told = CliRunner().invoke(sunriza, ["voices", "--lang", "de", "--json"], catch_exceptions=False)
    voices = json.loads(told.stdout)["voices"]
    assert voices[0]["engine"] == "espeak", "what is installed comes first"
    missing = {voice["name"]: voice["how_to_install"] for voice in voices if not voice["installed"]}
    assert "sunriza models pull piper" in missing["de_DE-thorsten-medium"]
    assert all(voice["licence"] for voice in voices)
