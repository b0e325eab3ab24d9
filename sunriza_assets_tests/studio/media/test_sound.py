"""Sound stays in step with the pictures."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.trim import trim
from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.films import Film, Sound, clicks_in, write


def flashes_in(path: Path) -> list[float]:
    """Times of the white frames among black ones."""
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None
    levels = [float(frame.mean()) for frame in read_frames(path)]
    return [float(i / rate) for i, level in enumerate(levels) if level > 128]


def flash_film(path: Path, stamps: list[int], sound: Sound, flashes: set[int]) -> Path:
    """A clip that is white on some frames, with clicks at the same time."""
    from av.video.frame import VideoFrame

    from sunriza_assets_tests.studio.media.films import _blocks

    tick = Fraction(1, 90000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = tick
        audio = container.add_stream(sound.codec, rate=sound.rate)
        audio.layout = "mono"
        for i, stamp in enumerate(stamps):
            level = 255 if i in flashes else 0
            frame = VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = stamp, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for block in _blocks(sound):
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_minute_of_a_phones_clip_drifts_less_than_a_frame(tmp_path: Path, rate: int) -> None:
    """29.97 with jitter for a minute: picture and sound of each mark stay within 20 ms."""
    dice = np.random.default_rng(3)
    count = 1798
    stamps = [3003 * i + int(dice.integers(-200, 200)) for i in range(count)]
    stamps[0] = 0
    flashes = set(range(30, count, 299))
    clicks = [stamps[i] / 90000 for i in sorted(flashes)]
    source = flash_film(
        tmp_path / "a.mp4", stamps, Sound(rate=rate, seconds=60, clicks=clicks), flashes
    )
    trim(source, tmp_path / "b.mp4", max_seconds=60)
    seen, heard = flashes_in(tmp_path / "b.mp4"), clicks_in(tmp_path / "b.mp4")
    assert len(seen) == len(heard) == len(flashes)
    # a picture stands on a grid of 33 ms, so it may be off by half of that; the sound may not
    assert np.allclose(heard, clicks, atol=0.002)
    assert np.allclose(seen, clicks, atol=0.0205)
    assert abs(np.mean(np.subtract(seen, heard))) < 0.005


@pytest.mark.parametrize("start", [0.51, 1.0, 1.483, 2.017])
def test_a_cut_between_two_frames_keeps_sound_with_its_picture(
    tmp_path: Path, start: float
) -> None:
    """The nearest frame comes first, and the sound begins with that frame, not with the wish."""
    marks = [31, 40, 58, 77]
    stamps = [3003 * i for i in range(100)]
    sound = Sound(seconds=3.4, clicks=[stamps[i] / 90000 for i in marks])
    source = flash_film(tmp_path / "a.mp4", stamps, sound, set(marks))
    trim(source, tmp_path / "b.mp4", start=start)
    seen, heard = flashes_in(tmp_path / "b.mp4"), clicks_in(tmp_path / "b.mp4")
    assert len(seen) == sum(mark >= round(start * 29.97) for mark in marks)
    assert np.allclose(seen, heard, atol=0.002)


def test_sound_and_picture_end_together(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", Film(count=40, sound=Sound(seconds=5)))
    info = trim(tmp_path / "a.mp4", tmp_path / "b.mp4", max_seconds=1)
    with av.open(str(tmp_path / "b.mp4")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 48000 == pytest.approx(float(info.duration), abs=0.022)  # one AAC frame


def test_a_gap_in_the_sound_is_silence(tmp_path: Path) -> None:
    """The second half is late by 0.3 s in the file; it must be as late when heard."""
    source = tmp_path / "a.mkv"
    tick = Fraction(1, 1000)
    film = Film(count=25, tick=tick, stamps=[40 * i for i in range(25)], sound=Sound(
        codec="pcm_s16le", seconds=0.5, clicks=(0.1, 0.4)))  # fmt: skip
    write(source, film)
    with av.open(str(source)) as given, av.open(str(tmp_path / "b.mkv"), "w") as made:
        streams = {s.index: made.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio" and packet.pts * packet.time_base >= Fraction(3, 10):
                packet.pts += 300
                packet.dts = packet.pts
            packet.stream = streams[packet.stream_index]
            made.mux(packet)
    trim(tmp_path / "b.mkv", tmp_path / "c.mp4")
    assert np.allclose(clicks_in(tmp_path / "c.mp4"), [0.1, 0.7], atol=0.012)


def test_damaged_sound_spoils_no_pictures(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mkv", Film(count=25, sound=Sound(seconds=1, clicks=(0.1, 0.9))))
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(audio=0) if p.pos is not None and p.size]
    for packet in packets[len(packets) // 2 : len(packets) // 2 + 4]:
        begin = data.index(bytes(packet)) if packet.size > 8 else None
        if begin is not None:
            data[begin : begin + packet.size] = bytes(
                (i * 91 + 5) & 255 for i in range(packet.size)
            )
    source.write_bytes(data)
    info = trim(source, tmp_path / "b.mp4")
    assert (info.frame_count, info.audio_codec) == (25, "aac")


def test_a_sound_that_claims_too_much_is_cut(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", Film(count=25, sound=Sound(seconds=1)))
    surgery.claim_duration(source, 3000)
    assert trim(source, tmp_path / "b.mp4").duration == 1
