"""Bad input through the whole graph: one named error, told on the document, nothing published."""

import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, chelsea

from resources.avatars.local import LocalAvatars
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets_tests.graph.conftest import Installation


def ffmpeg(*arguments: str) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([binary, "-v", "error", "-y", *arguments], check=True)


def two_faces(path: Path) -> None:
    Image.fromarray(np.hstack([astronaut(), astronaut()])).save(path)


def bomb(path: Path) -> None:
    """A PNG whose header says 60000x60000 and whose data is three bytes."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0\0\0")), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(51_000_000)


def sound_only(path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", "-f", "mp4", str(path))


def no_seconds(path: Path) -> None:
    source = "testsrc=s=64x64:r=25:d=1"
    ffmpeg("-f", "lavfi", "-i", source, "-t", "0", "-c:v", "libx264", "-f", "mp4", str(path))


def an_hour_and_more(path: Path) -> None:
    source = "color=s=64x64:r=1:d=3700"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-g", "9999", "-f", "mp4", str(path))


def no_face_in_it(path: Path) -> None:
    source = "testsrc=s=128x128:r=25:d=1"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-f", "mp4", str(path))


PICTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cat": (lambda path: Image.fromarray(chelsea()).save(path), "face.none"),
    "grey": (lambda path: Image.new("RGB", (300, 300), "grey").save(path), "face.none"),
    "two-faces": (two_faces, "face.several"),
    "bomb": (bomb, "media."),
    "empty": (lambda path: path.write_bytes(b""), "media."),
    "text": (lambda path: path.write_text("hello"), "media."),
}
CLIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "media."),
    "text": (lambda path: path.write_text("hello"), "media."),
    "sound-only": (sound_only, "media."),
    "no-seconds": (no_seconds, "media."),
    "hour": (an_hour_and_more, "media."),
    "huge": (huge, "media."),
    "no-face": (no_face_in_it, "face.none"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_bad_picture_is_named(installation: Installation, tmp_path: Path, name: str) -> None:
    make, code = PICTURES[name]
    picture = tmp_path / "picture.png"
    make(picture)
    assert_refused(installation, f"picture-{name}", picture, installation.sample.clip, code)


@pytest.mark.parametrize("name", CLIPS)
def test_a_bad_clip_is_named(installation: Installation, tmp_path: Path, name: str) -> None:
    make, code = CLIPS[name]
    clip = tmp_path / "clip.mp4"
    make(clip)
    assert_refused(installation, f"clip-{name}", installation.sample.portrait, clip, code)


def test_a_truncated_clip_is_named(installation: Installation, tmp_path: Path) -> None:
    whole = installation.sample.clip.read_bytes()
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(whole[: len(whole) // 2])
    assert_refused(installation, "clip-truncated", installation.sample.portrait, clip, "media.")


def assert_refused(
    installation: Installation, avatar_id: str, picture: Path, clip: Path, code: str
) -> None:
    add_avatar(avatar_id, picture, clip)
    scratch = installation.home.cache / "scratch"
    before = set(scratch.iterdir()) if scratch.exists() else set()
    result = installation.runs.render(avatar_id)
    assert result["status"] == "error"
    assert result["error"]["code"].startswith(code), result["error"]
    document = LocalAvatars(installation.home).get(avatar_id)
    assert document.status == "error"
    error = document.basic["error"]
    assert error["code"] == result["error"]["code"]
    assert str(installation.home.root) not in error["message"], "no path of ours to users"
    assert not (installation.home.storage / "avatars" / avatar_id / "dynamics").exists()
    assert set(scratch.iterdir()) <= before
