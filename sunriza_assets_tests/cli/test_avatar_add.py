"""`sunriza avatar add` examines what it is given before a byte of it is stored."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from sunriza_assets.cli import sunriza
from sunriza_assets.errors import SunrizaError
from sunriza_assets.studio.media.picture import read_picture, write_picture
from sunriza_assets.studio.sample.clip import Sample, sample_portrait

Add = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def add(home: Path) -> Add:
    def run(image: Path, video: Path, *more: str) -> Result:
        files = ["--image", str(image), "--video", str(video)]
        return CliRunner().invoke(sunriza, ["avatar", "add", "ada", *files, *more])

    return run


def refusal(result: Result, home: Path) -> SunrizaError:
    """What it was refused with, and nothing was stored."""
    assert isinstance(result.exception, SunrizaError), result.output
    assert not (home / "storage").exists()
    assert not (home / "avatars").exists()
    return result.exception


def told(result: Result) -> dict[str, Any]:
    assert result.exception is None, result.exception
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def test_good_inputs_are_stored_as_they_are(add: Add, home: Path, sample: Sample) -> None:
    content = told(add(sample.portrait, sample.clip, "--json"))
    assert content["findings"] == []
    (portrait,) = (home / "storage" / "avatars" / "ada" / "images").iterdir()
    (clip,) = (home / "storage" / "avatars" / "ada" / "videos").iterdir()
    assert portrait.suffix == ".jpg"
    assert portrait.read_bytes() == sample.portrait.read_bytes()
    assert clip.read_bytes() == sample.clip.read_bytes()


def test_a_portrait_alone_says_what_moves_it(home: Path, sample: Sample) -> None:
    arguments = ["avatar", "add", "ada", "--image", str(sample.portrait), "--no-check"]
    assert "moved by the performance calm" in CliRunner().invoke(sunriza, arguments).output


@pytest.mark.parametrize("more", [(), ("--no-check",)], ids=["checked", "unchecked"])
def test_what_is_no_picture_or_clip_is_never_stored(
    add: Add, home: Path, sample: Sample, tmp_path: Path, more: tuple[str, ...]
) -> None:
    text, link, sparse = tmp_path / "text.jpg", tmp_path / "link.jpg", tmp_path / "sparse.mp4"
    text.write_bytes(b"text")
    link.symlink_to("/etc/hostname")
    with sparse.open("wb") as file:
        file.truncate(10_000_000_000)
    for image, video, code in (
        (sample.clip, sample.portrait, "media.swapped"),
        (text, sample.clip, "media.unsupported"),
        (sample.portrait, text, "media.unsupported"),
        (link, sample.clip, "media.link"),
        (sample.portrait, link, "media.link"),
        (sample.portrait, sparse, "media.too_large"),
        (tmp_path, sample.clip, "media.special"),
        (tmp_path / "nothing", sample.clip, "media.unreadable"),
    ):
        assert refusal(add(image, video, *more), home).code == code


def test_a_portrait_that_cannot_work_is_refused_unless_told_otherwise(
    add: Add, home: Path, sample: Sample, tmp_path: Path
) -> None:
    crowd = tmp_path / "crowd.png"
    write_picture(np.hstack([sample_portrait()] * 2), crowd)
    error = refusal(add(crowd, sample.clip), home)
    assert error.code == "media.several"
    assert "shows 2 faces" in error.message
    assert "--no-check" in error.message
    assert told(add(crowd, sample.clip, "--no-check", "--json"))["findings"] == []


def test_advice_is_given_and_the_avatar_added(
    add: Add, home: Path, sample: Sample, tmp_path: Path
) -> None:
    small = tmp_path / "small.png"
    image = read_picture(sample.portrait)
    write_picture(np.asarray(cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA)), small)
    result = add(small, sample.clip, "--set", "max_seconds=4")
    assert result.exception is None
    advice = [line for line in result.output.splitlines() if line.startswith("advice: ")]
    assert len(advice) == 2
    assert "The face in the portrait is small: 4" in advice[0]
    assert "will be cut to its first 4 s" in advice[1]
    assert (home / "avatars" / "ada.json").exists()


def test_without_models_it_says_how_to_go_on(
    add: Add, home: Path, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNRIZA_MODELS", str(tmp_path / "none"))
    error = refusal(add(sample.portrait, sample.clip), home)
    assert "sunriza models pull" in error.message
    assert "--no-check" in error.message
    assert told(add(sample.portrait, sample.clip, "--no-check", "--json"))["findings"] == []


def test_a_clip_that_breaks_off_is_refused(
    add: Add, home: Path, sample: Sample, tmp_path: Path
) -> None:
    half = tmp_path / "half.mp4"
    half.write_bytes(sample.clip.read_bytes()[:100_000])
    assert refusal(add(sample.portrait, half), home).code == "media.truncated"
