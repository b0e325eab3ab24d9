"""Words that are nearly right: the command line says which one may be meant."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sunriza_assets.cli import sunriza
from sunriza_assets.cli.demo import _open_the_ui
from sunriza_assets.errors import did_you_mean


@pytest.mark.parametrize(
    ("typed", "meant"), [("rendr", "render"), ("Doctor", "doctor"), ("backfil", "backfill")]
)
def test_a_command(typed: str, meant: str) -> None:
    told = CliRunner().invoke(sunriza, [typed])
    assert told.exit_code == 2
    assert f"Did you mean '{meant}'?" in told.output


def test_a_word_that_is_like_nothing_has_no_suggestion() -> None:
    told = CliRunner().invoke(sunriza, ["quux"])
    assert told.exit_code == 2
    assert "Did you mean" not in told.output
    assert "sunriza --help" in told.output


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("drivng_multiplier=1", "driving_multiplier"),
        ("drivingMultiplyer=1", "driving_multiplier"),
        ("source-max-dim=800", "source_max_dim"),
        ("emotion=hapy", "happy"),
        ("engine=Liveportriat", "liveportrait"),
        ("animation_region=eye", "eyes"),
    ],
)
def test_a_parameter_or_its_value(setting: str, meant: str) -> None:
    told = CliRunner().invoke(sunriza, ["render", "ada", "--set", setting])
    assert f"Did you mean {meant!r}?" in str(told.exception)


@pytest.mark.parametrize("word", ["", "x" * 100_000, 7, None, ["happy"]])
def test_whatever_a_document_says_is_no_trouble(word: object) -> None:
    assert did_you_mean(word, ["happy", "sad"]) in ("", "Did you mean 'happy'? ")


def test_the_ui_is_opened_by_make_only_where_a_makefile_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert _open_the_ui() == "make dev"
    monkeypatch.chdir(tmp_path)
    assert _open_the_ui().endswith("sunriza dev")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(_open_the_ui().split()[0]).is_file()
