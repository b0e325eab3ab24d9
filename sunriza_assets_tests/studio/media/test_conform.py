"""The gate: one thing is wrong at a time, and it is the one that is named."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.conform import conform, require_playable
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.h264 import LEVELS, fits_level, lowest_level, unit_types
from sunriza_assets.studio.media.inspect import inspect
from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.films import Film, Sound, ffmpeg, picture, write

HIGH = {"preset": "medium", "profile": "high", "bf": "0"}
FAST = {"movflags": "+faststart"}
FINE = Film(options=HIGH, container=FAST)
"""A clip of somebody else's that passes."""


def problems_of(path: Path, **expected: object) -> set[str]:
    found = conform(path, **expected)  # type: ignore[arg-type]
    return {problem.split(":")[0] for problem in found.problems}


def film(**changes: object) -> Film:
    from dataclasses import replace

    return replace(FINE, **changes)  # type: ignore[arg-type]


def test_a_conforming_clip_of_any_maker_passes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", FINE)
    assert require_playable(path, frame_count=12, rate=Fraction(25)).frame_count == 12


_TICK = Fraction(1, 90000)
_WRONG: list[tuple[str, Film, set[str], bool]] = [
    ("hevc", film(codec="libx265", options={}), {"codec", "profile", "level", "idr_first",
     "closed_gop"}, False),
    ("baseline", film(options={"preset": "ultrafast"}), {"profile"}, True),
    ("ten_bit", film(pixel_format="yuv420p10le", options={"preset": "medium", "bf": "0"}),
     {"profile", "pixel_format"}, False),
    ("yuv444", film(pixel_format="yuv444p", options={"preset": "medium", "bf": "0"}),
     {"profile", "pixel_format"}, False),
    ("bt601", film(colour=(6, 6, 6)), {"colour"}, True),
    ("untagged", film(colour=(2, 2, 2)), {"colour"}, True),
    ("full_range", film(full_range=True), {"range"}, True),
    ("odd", film(size=(97, 64), pixel_format="yuv444p", options={"preset": "medium", "bf": "0"}),
     {"profile", "pixel_format", "even_size"}, False),
    ("wide_pixels", film(aspect=Fraction(4, 3)), {"square_pixels"}, True),
    ("turned", film(turn=1, matrix=[0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]),
     {"upright"}, True),
    ("interlaced", film(options=HIGH | {"x264-params": "tff=1"}), {"progressive"}, True),
    ("open_gop", film(count=40, options={"preset": "medium", "profile": "high", "bf": "2",
     "g": "8", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}), {"closed_gop"}, True),
    ("index_behind", film(container={}), {"faststart"}, True),
    ("sound", film(sound=Sound()), {"sound"}, True),
    ("variable", film(tick=_TICK, stamps=[3600 * i + (900 if i == 5 else 0) for i in range(12)]),
     {"constant_rate"}, True),
    ("late_start", film(tick=_TICK, stamps=[3600 * (i + 2) for i in range(12)]),
     {"edit_list", "starts_at_zero"}, True),
    ("fragments", film(container={"movflags": "+frag_keyframe+empty_moov+default_base_moof"}),
     {"fragments"}, True),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "names", "playable"), [row[1:] for row in _WRONG],
                         ids=[row[0] for row in _WRONG])  # fmt: skip
def test_what_is_wrong_is_named(
    tmp_path: Path, plan: Film, names: set[str], playable: bool
) -> None:
    path = write(tmp_path / "a.mp4", plan)
    found = conform(path)
    assert {problem.split(":")[0] for problem in found.problems} == names
    assert found.playable == playable
    assert bool(found.reasons) != playable
    with pytest.raises(MediaError) as refusal:
        require_playable(path)
    assert refusal.value.code == "media.not_playable"
    assert all(name in refusal.value.message for name in names)


def test_promises_are_held(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", FINE)
    assert problems_of(path, frame_count=13) == {"frame_count"}
    assert problems_of(path, rate=Fraction(30)) == {"rate"}
    assert problems_of(write(tmp_path / "s.mp4", film(sound=Sound())), sound=True) == set()


_DTS = "-f lavfi -i sine=d=0.4 -c:a dca -strict -2"
_SECOND = "-f lavfi -i testsrc2=s=96x64:d=0.4 -map 0 -map 1 -c:v:1 libx264"


@pytest.mark.parametrize(
    ("more", "name"),
    [(_DTS, "sound"), (_SECOND, "tracks"), ("-timecode 00:00:00:00", "tracks")],
    ids=["sound nobody here decodes", "second picture", "time code"],
)
def test_nothing_else_is_in_an_idle(tmp_path: Path, more: str, name: str) -> None:
    source = write(tmp_path / "source.mp4", FINE)
    ffmpeg(
        "-i", source, *more.split(), "-c:v:0", "copy", "-movflags", "+faststart", tmp_path / "a.mp4"
    )
    assert name in problems_of(tmp_path / "a.mp4")


def test_container_and_codec_must_not_disagree(tmp_path: Path) -> None:
    """Players differ in which of the two they believe."""
    source = write(tmp_path / "a.mp4", FINE)
    wide = tmp_path / "wide.mp4"
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "h264_metadata=sample_aspect_ratio=4/3",
           "-movflags", "+faststart", wide)  # fmt: skip
    assert problems_of(wide) == {"square_pixels"}
    at = source.read_bytes().index(b"colr")
    surgery.patch(source, at + 8, bytes((0, 9, 0, 16, 0, 9)))
    assert problems_of(source) == {"colour"}


def test_another_container(tmp_path: Path) -> None:
    assert "container" in problems_of(write(tmp_path / "a.mkv", FINE))
    assert not conform(tmp_path / "a.mkv").playable
    assert problems_of(write(tmp_path / "a.mov", FINE)) >= {"container"}
    assert conform(tmp_path / "a.mov").playable


def test_a_level_that_is_claimed_too_low(tmp_path: Path) -> None:
    """Ten megapixels in a clip that says level 1.0: decoders allocate by the level."""
    path = write(tmp_path / "a.mp4", FINE)
    box = surgery.boxes_named(path, b"stsd")[0]
    data = path.read_bytes()
    record = data.index(b"avcC", box.body) + 4
    level = data[record + 3]
    assert level == 10
    assert problems_of(path) == set()
    encode((picture(0, (640, 480)) for _ in range(3)), tmp_path / "b.mp4", rate=Fraction(25))
    data = bytearray((tmp_path / "b.mp4").read_bytes())
    record = data.index(b"avcC") + 4
    profile = data.index(bytes((data[record + 1], data[record + 2], data[record + 3])), record + 4)
    data[record + 3] = data[profile + 2] = 10
    (tmp_path / "b.mp4").write_bytes(data)
    assert "level" in problems_of(tmp_path / "b.mp4")


def test_damage_in_the_middle_is_found_by_decoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", film(size=(320, 240), count=30))
    surgery.damage_media(path, 0.6, 0.7)
    found = conform(path)
    assert not found.playable
    assert any(reason.startswith("decodes") for reason in found.reasons)


def test_other_frames_than_given_are_found(tmp_path: Path) -> None:
    encode((picture(i) for i in range(12)), tmp_path / "a.mp4", rate=Fraction(25))
    path = tmp_path / "a.mp4"
    assert problems_of(path, reference=[picture(i) for i in range(12)]) == set()
    assert problems_of(path, reference=[picture(i) for i in range(11)]) == {"ssim"}
    assert problems_of(path, reference=[picture(i + 7) for i in range(12)]) == {"ssim"}


def test_too_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=256x256:r=25:d=1", "-vf", "noise=alls=80:allf=t",
           "-c:v", "libx264", "-crf", "10", "-bf", "0", path)  # fmt: skip
    assert "bytes" in problems_of(path)


def test_no_idr_at_the_beginning(tmp_path: Path) -> None:
    """The first frame is marked as a key frame and is none: the sample table lies."""
    path = write(tmp_path / "a.mp4", film(count=24, options=HIGH | {"x264-params": "keyint=12"}))
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    while data[at + 4] & 0x1F != 1:  # turn the slices of the first frame into ordinary ones
        if data[at + 4] & 0x1F == 5:
            data[at + 4] = data[at + 4] & 0xE0 | 1
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    path.write_bytes(data)
    try:
        found = conform(path)
    except MediaError as error:  # or nothing can be decoded of it at all
        assert error.code in ("media.no_frames", "media.damaged")
    else:
        assert {"idr_first"} <= {problem.split(":")[0] for problem in found.problems}
        assert not found.playable


def test_levels_are_those_of_the_standard() -> None:
    """ITU-T H.264 table A-1, by the examples everybody knows."""
    known: list[tuple[tuple[int, int], int, int]] = [
        ((176, 144), 15, 10), ((352, 288), 30, 13), ((720, 576), 25, 30), ((1280, 720), 30, 31),
        ((1920, 1080), 30, 40), ((1920, 1080), 60, 42), ((3840, 2160), 30, 51),
        ((4096, 2304), 56, 52),
    ]  # fmt: skip
    for size, rate, number in known:
        level = lowest_level(size, Fraction(rate))
        assert level is not None
        assert level.number == number
    assert lowest_level((16384, 16384), Fraction(60)) is None
    assert not fits_level(LEVELS[0], (1280, 16), Fraction(1))  # long and thin: A.3.1 f


def test_units_of_a_damaged_packet_end() -> None:
    assert list(unit_types(b"\0\0\0\2\x65\x88\0\0\0\1\x09")) == [5, 9]
    assert list(unit_types(b"\0\0\0\0\0\0\0\0")) == []
    assert list(unit_types(b"\xff\xff\xff\xff\x65")) == []
    assert list(unit_types(b"")) == []


@pytest.mark.parametrize(
    ("build", "playable", "reason"),
    [
        (lambda path: write(path / "a.mp4", FINE), True, ""),
        (lambda path: write(path / "a.mp4", film(codec="libx265", options={})), False, "hevc"),
        (lambda path: write(path / "a.webm", Film(codec="libvpx-vp9")), False, "webm"),
    ],
)
def test_inspect_says_what_it_is_and_why(
    tmp_path: Path, build: Callable[[Path], Path], playable: bool, reason: str
) -> None:
    path = build(tmp_path)
    result = inspect(path)
    assert (result["file"], result["kind"], result["playable"]) == (str(path), "clip", playable)
    assert reason in " ".join(result["reasons"])
    assert result["info"]["frame_count"] == 12


def test_inspect_of_a_picture(tmp_path: Path) -> None:
    from sunriza_assets.studio.media.picture import write_picture

    write_picture(picture(1), tmp_path / "a.jpg")
    result = inspect(tmp_path / "a.jpg")
    assert (result["kind"], result["playable"], result["info"]["width"]) == ("picture", True, 96)
