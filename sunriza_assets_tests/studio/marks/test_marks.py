"""Marked files say that they are synthetic, play as before, and lose their mark with any change."""

import io
import os
import platform
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sunriza_assets.errors import StoreError
from sunriza_assets.studio.marks.key import SigningKey, make_key
from sunriza_assets.studio.marks.mark import MEDIA_TYPES, Mark, Marker, Source
from sunriza_assets.studio.marks.reading import FoundMark, read_mark_in_process
from sunriza_assets.studio.media.boxes import is_faststart, top_boxes
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.mark import read_mark
from sunriza_assets.studio.media.sound_file import read_samples_in_process
from sunriza_assets_tests.studio.media.films import Film, picture, write
from sunriza_assets_tests.studio.media.sound_corpus import SPOKEN

INPUTS = (("hero_image", "ab" * 32), ("hero_video", "cd" * 32))
MARK = Mark(Source.COMPOSITE, "1.2.3", "mesh 12", INPUTS)
FORMATS = sorted(MEDIA_TYPES)


def made(folder: Path, suffix: str) -> Path:
    """A file of a format."""
    path = folder / f"file{suffix}"
    if suffix == ".mp4":
        return write(path, Film(container={"movflags": "+faststart"}))
    if suffix in (".jpg", ".png", ".webp", ".avif"):
        Image.fromarray(picture(3, (128, 96))).save(path)
        return path
    return next(one for one in SPOKEN if one.name.endswith(suffix)).build(path)


def content(path: Path) -> bytes:
    """What is seen or heard."""
    if path.suffix == ".mp4":
        return b"".join(frame.tobytes() for frame in read_frames(path))
    if path.suffix in (".jpg", ".png", ".webp", ".avif"):
        return Image.open(path).convert("RGB").tobytes()
    from sunriza_assets.studio.media.limits import DEFAULT_LIMITS

    return read_samples_in_process(path, rate=None, limits=DEFAULT_LIMITS)[0].tobytes()


def found(path: Path, key: SigningKey | None) -> FoundMark:
    return read_mark_in_process(path, roots="" if key is None else key.root_pem.decode())


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_marked_file_says_what_it_is_and_shows_what_it_showed(
    suffix: str, tmp_path: Path, key: SigningKey
) -> None:
    plain = made(tmp_path, suffix)
    marked = tmp_path / f"marked{suffix}"
    assert found(plain, key) == FoundMark("absent")
    Marker(key).mark_file(plain, marked, MARK, title=f"idle{suffix}")
    assert found(marked, key) == FoundMark(
        "valid", True, key.name, "Sunriza Assets, mesh 12 1.2.3", "compositeSynthetic", INPUTS
    )
    assert content(marked) == content(plain)
    assert 1500 < marked.stat().st_size - plain.stat().st_size < 8000


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_change_of_what_is_shown_makes_it_invalid(
    suffix: str, tmp_path: Path, key: SigningKey
) -> None:
    plain = made(tmp_path, suffix)
    marked = tmp_path / f"marked{suffix}"
    Marker(key).mark_file(plain, marked, MARK, title="x")
    data = marked.read_bytes()
    piece = plain.read_bytes()[-40:-20] if suffix != ".avif" else plain.read_bytes()[-20:]
    at = data.rindex(piece) + 10
    marked.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    broken = found(marked, key)
    assert (broken.state, broken.own) == ("invalid", False)
    assert broken.problems


def test_an_mp4_still_begins_with_its_index(tmp_path: Path, key: SigningKey) -> None:
    plain = made(tmp_path, ".mp4")
    Marker(key).mark_file(plain, tmp_path / "b.mp4", MARK, title="x")
    assert is_faststart(tmp_path / "b.mp4")
    kinds = [box.kind for box in top_boxes(tmp_path / "b.mp4")]
    assert kinds[:3] == [b"ftyp", b"uuid", b"moov"]


def test_other_signers_are_not_ours_whatever_they_call_themselves(
    tmp_path: Path, key: SigningKey
) -> None:
    plain = made(tmp_path, ".png")
    Marker(make_key()).mark_file(plain, tmp_path / "b.png", MARK, title="x")
    for trusted in (key, None):
        stranger = found(tmp_path / "b.png", trusted)
        assert (stranger.state, stranger.own) == ("valid", False)


def test_a_mark_that_is_moved_to_another_picture_is_invalid(
    tmp_path: Path, key: SigningKey
) -> None:
    Marker(key).mark_file(made(tmp_path, ".png"), tmp_path / "b.png", MARK, title="x")
    data = (tmp_path / "b.png").read_bytes()
    at = data.index(b"caBX") - 4
    chunk = data[at : at + 12 + int.from_bytes(data[at : at + 4], "big")]
    other = io.BytesIO()
    Image.fromarray(picture(5, (128, 96))).save(other, "PNG")
    body = other.getvalue()
    (tmp_path / "c.png").write_bytes(body[:33] + chunk + body[33:])
    assert found(tmp_path / "c.png", key).state == "invalid"


def test_pictures_in_an_archive_are_marked_one_by_one(tmp_path: Path, key: SigningKey) -> None:
    frame = made(tmp_path, ".png").read_bytes()
    with zipfile.ZipFile(tmp_path / "frames.zip", "w") as archive:
        archive.writestr("frame_001.png", frame)
        archive.writestr("frame_002.png", frame)
        archive.writestr("notes.txt", b"as it was")
    Marker(key).mark_file(tmp_path / "frames.zip", tmp_path / "b.zip", MARK, title="frames.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["frame_001.png", "frame_002.png", "notes.txt"]
        assert archive.read("notes.txt") == b"as it was"
        for name in archive.namelist()[:2]:
            (tmp_path / name).write_bytes(archive.read(name))
            assert found(tmp_path / name, key).own


def test_a_mark_names_no_machine_and_no_place(tmp_path: Path, key: SigningKey) -> None:
    Marker(key).mark_file(made(tmp_path, ".png"), tmp_path / "b.png", MARK, title="x")
    data = (tmp_path / "b.png").read_bytes()
    for private in (platform.node(), str(tmp_path), os.environ.get("USER", "")):
        assert not private or len(private) < 4 or private.encode() not in data


def test_what_is_not_of_its_format_is_refused_by_name(tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no clip")
    with pytest.raises(StoreError) as refusal:
        Marker(key).mark_file(tmp_path / "a.mp4", tmp_path / "b.mp4", MARK, title="idle.mp4")
    assert refusal.value.code == "store.mark"
    assert not (tmp_path / "b.mp4").exists()


def test_hostile_marks_are_invalid_or_absent_and_nothing_else(
    tmp_path: Path, key: SigningKey
) -> None:
    """Every byte of a mark is damaged once, many at a time."""
    Marker(key).mark_file(made(tmp_path, ".png"), tmp_path / "b.png", MARK, title="x")
    data = (tmp_path / "b.png").read_bytes()
    at = data.index(b"caBX")
    end = at + int.from_bytes(data[at - 4 : at], "big")
    dice = np.random.default_rng(2)
    path = tmp_path / "c.png"
    for _ in range(40):
        damaged = bytearray(data)
        for place in dice.integers(at, end, 12):
            damaged[place] = dice.integers(256)
        path.write_bytes(damaged)
        assert found(path, key).state in ("invalid", "absent")


def test_a_file_from_outside_is_read_in_the_child(tmp_path: Path, key: SigningKey) -> None:
    Marker(key).mark_file(made(tmp_path, ".jpg"), tmp_path / "b.jpg", MARK, title="x")
    mark = read_mark(tmp_path / "b.jpg", roots=key.root_pem)
    assert mark == found(tmp_path / "b.jpg", key)
    assert FoundMark.from_dict(mark.to_dict()) == mark
    assert mark.own
