"""Weights of voices are pulled whole and checked, go on where they were cut off, and are listed."""

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.voices.catalog import all_voices
from sunriza_assets.studio.speech.voices.entries import voice_entries
from sunriza_assets.studio.speech.voices.kokoro_data import VOICE_REPOSITORY, voice_path
from sunriza_assets.studio.speech.voices.piper_data import JOE, REPOSITORY, find_voice
from sunriza_assets.studio.speech.voices.pulling import pull_voice
from sunriza_assets_tests.servers.hub import COMMIT, Hub, serve_hub

NAME = "de_DE-thorsten-medium"
FOLDER = f"{REPOSITORY}/de/de_DE/thorsten/medium"
MODEL = bytes(range(256)) * 8000


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    folder = root / FOLDER
    folder.mkdir(parents=True)
    (folder / f"{NAME}.onnx").write_bytes(MODEL)
    (folder / f"{NAME}.onnx.json").write_text(json.dumps({"language": {"code": "de_DE"}}))
    (folder / "MODEL_CARD").write_text("# Model card\n\n* License: CC0\n")
    voices = root / VOICE_REPOSITORY / "voices"
    voices.mkdir(parents=True)
    (voices / "af_heart.bin").write_bytes(np.arange(510 * 256, dtype="<f4").tobytes())
    with serve_hub(root) as running:
        yield running


def test_a_voice_of_the_hub_is_pulled_once_and_listed(tmp_path: Path, hub: Hub) -> None:
    done = list(pull_voice(tmp_path, "piper", endpoint=hub.address))
    assert done == [f"piper {NAME}: 2 MB, licence CC0"]
    assert find_voice(tmp_path, NAME).model.read_bytes() == MODEL
    record = json.loads((tmp_path / "piper" / f"{NAME}.pulled.json").read_text())
    assert record["files"][f"{NAME}.onnx"]["commit"] == COMMIT
    assert list(pull_voice(tmp_path, "piper", NAME, endpoint=hub.address)) == []
    assert len(hub.requested) == 3
    entry = next(entry for entry in voice_entries(tmp_path) if entry.name == NAME)
    assert (entry.present, entry.licence, entry.size) == (True, "CC0", len(MODEL))
    assert len(entry.sha256) == 64
    voice = next(voice for voice in all_voices(tmp_path) if voice.name == NAME)
    assert voice.installed
    assert (voice.languages, voice.weights) == (("de-de",), entry.sha256)


def test_a_download_that_was_cut_off_goes_on(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1 << 17)
    hub.cut_after = 1_200_000
    list(pull_voice(tmp_path, "piper", NAME, endpoint=hub.address))
    assert find_voice(tmp_path, NAME).model.read_bytes() == MODEL
    starts = [int(one.split()[-1]) for one in hub.requested if ".onnx from" in one]
    assert len(starts) == 2
    assert 0 == starts[0] < starts[1]


def test_what_comes_damaged_is_not_installed(tmp_path: Path, hub: Hub) -> None:
    hub.wrong = b"foreign "
    with pytest.raises(ModelError) as caught:
        list(pull_voice(tmp_path, "piper", NAME, endpoint=hub.address))
    assert f"sunriza models pull piper --voice {NAME}" in caught.value.message
    assert not any(voice.name == NAME and voice.installed for voice in all_voices(tmp_path))
    hub.wrong = b""
    assert list(pull_voice(tmp_path, "piper", NAME, endpoint=hub.address))


@pytest.mark.parametrize(
    ("family", "voice", "code"),
    [
        ("piper", "../../etc/passwd", "model.name"),
        ("piper", "de_DE-nobody-medium", "model.name"),
        ("kokoro", "af_nobody", "model.name"),
    ],
)
def test_a_voice_that_there_is_not_is_named(
    tmp_path: Path, hub: Hub, family: str, voice: str, code: str
) -> None:
    _pretend_kokoro(tmp_path)
    with pytest.raises(ModelError) as caught:
        list(pull_voice(tmp_path, family, voice, endpoint=hub.address))
    assert caught.value.code == code


def test_terms_that_nobody_has_accepted_are_named(tmp_path: Path, hub: Hub) -> None:
    hub.gated = frozenset({REPOSITORY})
    with pytest.raises(ModelError) as caught:
        list(pull_voice(tmp_path, "piper", NAME, endpoint=hub.address))
    assert caught.value.code == "model.gated"
    assert "hf auth login" in caught.value.message


def test_no_hub_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        list(pull_voice(tmp_path, "piper", NAME, endpoint="http://127.0.0.1:9"))
    assert caught.value.code == "model.unreachable"
    assert f"sunriza models pull piper --voice {NAME}" in caught.value.message


def test_a_kokoro_voice_of_the_hub_becomes_a_style(tmp_path: Path, hub: Hub) -> None:
    _pretend_kokoro(tmp_path)
    list(pull_voice(tmp_path, "kokoro", "af_heart", endpoint=hub.address))
    style = np.load(voice_path(tmp_path, "af_heart"), allow_pickle=False)
    assert style.shape == (510, 256)
    assert style[1, 0] == 256
    voice = next(voice for voice in all_voices(tmp_path) if voice.name == "af_heart")
    assert voice.installed
    assert voice.rank > next(v.rank for v in all_voices(tmp_path) if v.name == JOE)


def _pretend_kokoro(models: Path) -> None:
    """A record as if the model were there: 92 MB that these tests do not run."""
    (models / "kokoro").mkdir()
    (models / "kokoro" / "pulled.json").write_text(json.dumps({"sha256": "0" * 64}))
    (models / "kokoro" / "model.onnx").touch()
