"""What people name as portrait and clip is a plain file of the right kind, or is not copied."""

import os
import socket
from pathlib import Path

import pytest

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.intake import copy_inputs
from sunriza_assets.studio.media.limits import Limits
from sunriza_assets_tests.studio.media.films import Film, write
from sunriza_assets_tests.studio.media.picture_corpus import TEST


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A portrait, a clip, and a folder for the copies."""
    given = tmp_path / "given"
    given.mkdir()
    TEST.save(given / "me.jpeg", "PNG")
    out = tmp_path / "out"
    out.mkdir()
    return given / "me.jpeg", write(given / "me.mp4", Film()), out


def refused(portrait: Path, clip: Path, out: Path, limits: Limits | None = None) -> MediaError:
    with pytest.raises(MediaError) as caught:
        copy_inputs(portrait, clip, out, limits=limits or Limits())
    assert list(out.iterdir()) == [], "nothing is copied"
    return caught.value


def test_copies_are_equal_and_named_by_what_they_are(files: tuple[Path, Path, Path]) -> None:
    portrait, clip, out = files
    copies = copy_inputs(portrait, clip, out)
    assert [copy.name for copy in copies] == ["portrait.png", "clip.mp4"]
    assert [copy.read_bytes() for copy in copies] == [portrait.read_bytes(), clip.read_bytes()]
    assert sorted(out.iterdir()) == sorted(copies)


def test_a_relative_path_is_taken(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait, _, out = files
    monkeypatch.chdir(portrait.parent)
    copy_inputs(Path("me.jpeg"), Path("..", "given", "me.mp4"), out)


def test_swapped_files_are_named_as_such(files: tuple[Path, Path, Path]) -> None:
    portrait, clip, out = files
    both = refused(clip, portrait, out)
    assert both.code == "media.swapped"
    assert "The portrait is a video and the clip is a picture; did you swap the two?" in both.public
    assert "The portrait is a video; did you swap" in refused(clip, clip, out).public
    assert "The clip is a picture. Give" in refused(portrait, portrait, out).public


@pytest.mark.parametrize("role", ["portrait", "clip"])
def test_what_is_neither_is_named(files: tuple[Path, Path, Path], role: str) -> None:
    portrait, clip, out = files
    text = portrait.with_name("text")
    for content, code in ((b"text", "unsupported"), (b"", "empty"), (b"%PDF-1.7", "unsupported")):
        text.write_bytes(content)
        given = (text, clip) if role == "portrait" else (portrait, text)
        refusal = refused(*given, out)
        assert refusal.code == f"media.{code}"
        assert refusal.where == str(text)


@pytest.mark.parametrize("role", ["portrait", "clip"])
def test_links_are_not_followed(files: tuple[Path, Path, Path], role: str) -> None:
    portrait, clip, out = files
    real = portrait if role == "portrait" else clip
    file_link, folder_link = real.with_name("link"), real.parent.with_name("folder")
    dangling = real.with_name("dangling")
    file_link.symlink_to(real)
    folder_link.symlink_to(real.parent)
    dangling.symlink_to("/nowhere/at/all")
    for link in (file_link, folder_link / real.name, folder_link / file_link.name, dangling):
        refusal = refused(*((link, clip) if role == "portrait" else (portrait, link)), out)
        assert refusal.code == "media.link", link
    assert str(real.resolve()) in (refused(file_link, clip, out).remedy or "") or role == "clip"


def test_special_files_are_refused_without_waiting(files: tuple[Path, Path, Path]) -> None:
    portrait, clip, out = files
    pipe, place = portrait.with_name("pipe"), portrait.with_name("socket")
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        for special in (pipe, place, Path("/dev/zero"), portrait.parent, Path("/")):
            assert refused(special, clip, out).code == "media.special", special
            assert refused(portrait, special, out).code == "media.special", special


def test_a_large_file_is_refused_by_its_size(files: tuple[Path, Path, Path]) -> None:
    """Ten gigabytes without a single block on the disk; reading them took 35 CPU seconds."""
    portrait, clip, out = files
    with clip.open("r+b") as file:
        file.truncate(10_000_000_000)
    before = os.times()
    assert refused(portrait, clip, out).code == "media.too_large"
    after = os.times()
    assert (after.user + after.system) - (before.user + before.system) < 1


def test_what_is_not_there_or_not_readable(files: tuple[Path, Path, Path]) -> None:
    portrait, clip, out = files
    for missing in (portrait.with_name("x"), portrait / "x", Path("a\0b"), Path("/x/y")):
        assert refused(missing, clip, out).code == "media.unreadable", missing
