"""`sunriza keys signing` and `sunriza inspect` of marked files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from resources.marking import current_marker, installation_roots, signing_key
from sunriza_assets.cli.inspect import inspect
from sunriza_assets.cli.keys import keys
from sunriza_assets.errors import ParameterError
from sunriza_assets.studio.marks.key import load_key
from sunriza_assets.studio.marks.mark import Mark, Marker, Source
from sunriza_assets.studio.media import sandbox
from sunriza_assets_tests.studio.media.sound_corpus import SPOKEN


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))
    for name in ("SUNRIZA_MARKS", "SUNRIZA_SIGNING_KEY", "SUNRIZA_SIGNING_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def shown(*arguments: str) -> dict[str, str]:
    result = CliRunner().invoke(keys, ["signing", "--json", *arguments], catch_exceptions=False)
    return json.loads(result.output)


def test_a_key_is_made_shown_and_replaced(home: Path) -> None:
    assert installation_roots() == b""
    assert not home.exists(), "looking makes nothing"
    first = shown()
    assert first == shown()
    assert first["file"] == str(home / "keys" / "signing.pem")
    assert first["marks"] == "on"
    second = shown("--rotate")
    assert second["fingerprint"] != first["fingerprint"]
    assert installation_roots().count(b"BEGIN") == 2
    pem = CliRunner().invoke(keys, ["signing", "--certificates"]).output
    assert pem.encode() == signing_key().chain_pem
    assert "PRIVATE" not in pem


@pytest.mark.parametrize("variable", ["SUNRIZA_SIGNING_KEY", "SUNRIZA_SIGNING_KEY_FILE"])
def test_one_key_may_be_given_to_many_machines(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    shown()
    shown("--rotate")
    place = tmp_path / "shared.pem"
    place.write_bytes(b"".join(
        path.read_bytes() for path in sorted((home / "keys").glob("*.pem"), reverse=True)
    ))  # fmt: skip
    roots = installation_roots()
    for path in (home / "keys").glob("*.pem"):
        path.unlink()
    value = str(place) if variable.endswith("FILE") else place.read_text()
    monkeypatch.setenv(variable, value)
    marker = current_marker()
    assert marker is not None
    assert marker.key == load_key(place)
    assert marker is current_marker(), "one for the process"
    assert set(installation_roots().split(b"-----BEGIN")) == set(roots.split(b"-----BEGIN"))
    assert not list((home / "keys").glob("*.pem")), "no other is made"
    assert "PRIVATE" not in str(shown())
    with pytest.raises(ParameterError):
        CliRunner().invoke(keys, ["signing", "--rotate"], catch_exceptions=False)


def test_marks_can_be_switched_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_MARKS", "off")
    assert current_marker() is None
    assert not home.exists()


def test_inspecting_says_whose_mark_it_is_and_whether_it_holds(home: Path, tmp_path: Path) -> None:
    plain = SPOKEN[1].build(tmp_path / "a.wav")
    mark = Mark(Source.ALGORITHM, "1.2.3", "espeak 1.52", (("text", "ef" * 32),))
    Marker(signing_key()).mark_file(plain, tmp_path / "b.wav", mark, title="speech.wav")
    CliRunner().invoke(keys, ["signing", "--rotate"], catch_exceptions=False)

    def seen(name: str, *options: str) -> str:
        arguments = [str(tmp_path / name), *options]
        return CliRunner().invoke(inspect, arguments, catch_exceptions=False).output

    with sandbox.fork_server():  # one import for all children
        assert "signed by this installation" in seen("b.wav"), "with a former key"
        told = json.loads(seen("b.wav", "--json"))
        assert (told["kind"], told["info"]["rate"], told["info"]["seconds"]) == (
            "sound",
            44_100,
            1.0,
        )
        assert told["mark"]["inputs"] == [{"name": "text", "sha256": "ef" * 32}]
        assert told["mark"]["source"] == "algorithmicMedia"
        assert "none" in seen("a.wav")
        data = bytearray((tmp_path / "b.wav").read_bytes())
        data[data.index(b"data") + 5000] ^= 1
        (tmp_path / "b.wav").write_bytes(data)
        assert "INVALID" in seen("b.wav")
