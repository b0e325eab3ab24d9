"""`sunriza inspect` and `sunriza avatar show`: the answer on the first line, details when asked."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result

from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets.cli import sunriza
from sunriza_assets.studio.media.picture import write_picture


def said(*arguments: object) -> Result:
    result = CliRunner().invoke(sunriza, [str(argument) for argument in arguments])
    assert result.exception is None, result.exception
    return result


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames of MPEG-4 part 2: a clip, and nothing that a phone plays."""
    path = tmp_path / "old.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(10):
            picture = np.full((48, 64, 3), 20 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    return path


@pytest.fixture
def avatars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAvatars:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    return LocalAvatars(Home.from_environment())


INPUTS: dict[str, Any] = {
    "name": "Ada",
    "avatarImageUrl": "file:///home/ada/a%20b.jpg",
    "training": {"heroVideoUrl": "https://example.com/a.mp4"},
}


def test_the_first_line_says_whether_a_phone_plays_it_and_the_table_why_not(clip: Path) -> None:
    first, *rest = said("inspect", clip).output.splitlines()
    assert first.startswith("old.mp4: a phone would not play it")
    shown = "\n".join(rest)
    assert "mpeg4" in shown
    assert "64 x 48" in shown
    assert "10 frames" in shown
    assert "self_contained" not in shown, "what is as it should be is not listed"
    assert len(rest) < 30


def test_all_findings_are_there_when_asked_for(clip: Path) -> None:
    verbose = said("inspect", clip, "--verbose").output
    everything = json.loads(said("inspect", clip, "--json").output)
    for finding in everything["findings"]:
        assert finding["name"] in verbose
    for name in everything["info"]:
        assert name in verbose


def test_a_picture_is_short(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_picture(np.zeros((20, 30, 3), np.uint8), path)
    lines = said("inspect", path).output.splitlines()
    assert lines[0] == "a.png: every phone shows it; it can be a portrait"
    assert len(lines) < 8


def test_an_avatar_says_first_where_it_stands_and_what_to_do(avatars: LocalAvatars) -> None:
    avatars.merge("ada", INPUTS)
    lines = said("avatar", "show", "ada").output.splitlines()
    assert lines[0].startswith("ada: waiting for ")
    assert lines[0].endswith("never rendered. Render it with: sunriza render ada")
    assert "/home/ada/a b.jpg" in lines[2], "a path that a shell takes"
    assert "https://example.com/a.mp4" in lines[3]
    assert len(lines) < 10
    avatars.merge("eve", {"name": "Eve"})
    assert said("avatar", "show", "eve").output.startswith("eve: incomplete for ")


def test_only_parameters_that_differ_are_listed(avatars: LocalAvatars) -> None:
    wishes = {"drivingMultiplier": 1.2, "lips": "clip"}
    avatars.merge("ada", {**INPUTS, "dynamics": {"basic": {"parameters": wishes}}})
    short = said("avatar", "show", "ada").output
    assert "driving_multiplier" in short
    assert "document" in short
    assert "lips" not in short
    verbose = said("avatar", "show", "ada", "--verbose").output
    assert "lips" in verbose
    assert "heroVideoUrl" in verbose
    content = json.loads(said("avatar", "show", "ada", "--json").output)
    assert content.keys() == {"id", "status", "needs_run", "parameters", "document"}


def test_parameters_that_cannot_be_used_are_told_beside_the_rest(avatars: LocalAvatars) -> None:
    wishes = {"drivingMultiplier": 900}
    avatars.merge("ada", {**INPUTS, "dynamics": {"basic": {"parameters": wishes}}})
    shown = said("avatar", "show", "ada").output
    assert shown.startswith("ada: waiting")
    assert "driving_multiplier is 900" in shown
