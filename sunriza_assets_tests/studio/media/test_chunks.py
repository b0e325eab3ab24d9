"""Chunks are the idle's own packets, and the idle loops as well as one that is not to be cut."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.chunks import chunk_bounds, cut_chunks
from sunriza_assets.studio.media.conform import conform, require_playable
from sunriza_assets.studio.media.encode import VideoWriter, encode, idle_writer
from sunriza_assets.studio.media.extras import make_extras
from sunriza_assets.studio.media.frames import read_frames, read_luma, read_some
from sunriza_assets.studio.media.idle import write_idle
from sunriza_assets.studio.media.seam import seam_ratio

SIZE = (96, 128)


def turning(count: int, reach: float) -> Iterator[np.ndarray]:
    """A textured disc that goes round once, over a textured ground that stays."""
    noise = np.random.default_rng(3).integers(40, 215, (256, 256, 3), dtype=np.uint8)
    ground = noise[: SIZE[0], : SIZE[1]]
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for k in range(count):
        angle = 2 * np.pi * k / count
        x, y = 64 + reach * np.cos(angle), 48 + reach * np.sin(angle)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < 20**2
        moved = np.roll(noise, (round(y), round(x)), (0, 1))[: SIZE[0], : SIZE[1]]
        soft = (ground // 4 + 96).astype(np.uint8)
        yield np.where(inside[..., None], moved // 4 + 96, soft).astype(np.uint8)


def key_frames(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [number for number, packet in enumerate(packets) if packet.is_keyframe]


@pytest.mark.parametrize(
    ("count", "rate"), [(250, Fraction(25)), (199, Fraction(30000, 1001)), (60, Fraction(25))]
)
def test_chunks_decode_to_the_frames_of_the_idle(
    tmp_path: Path, count: int, rate: Fraction
) -> None:
    idle = tmp_path / "idle.mp4"
    write_idle(lambda: turning(count, 25), idle, rate=rate, loops=False, encoder="libx264")
    assert not conform(idle, frame_count=count, rate=rate).problems
    bounds = [(begin, end) for begin, end in chunk_bounds(count, rate) if begin < end]
    assert key_frames(idle) == [begin for begin, _ in bounds]
    made = make_extras(idle, tmp_path / "out")
    shown = list(read_frames(idle))
    size = 0
    for number, (begin, end) in enumerate(bounds, 1):
        chunk = made.files[f"idle_chunks/idle_chunk{number}.mp4"]
        require_playable(chunk, frame_count=end - begin, rate=rate)
        for found, wanted in zip(read_frames(chunk), shown[begin:end], strict=True):
            assert np.array_equal(found, wanted)
        size += chunk.stat().st_size
    assert size < 1.05 * idle.stat().st_size, "packets and no more than their indices"


def test_cutting_gives_equal_bytes(tmp_path: Path) -> None:
    idle = tmp_path / "idle.mp4"
    write_idle(lambda: turning(60, 25), idle, rate=Fraction(25), loops=False, encoder="libx264")
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    assert cut_chunks(idle, [(50, 60, one)]) == [one]
    assert cut_chunks(idle, [(50, 60, two)]) == [two]
    assert one.read_bytes() == two.read_bytes()


def test_what_has_no_key_frame_is_not_cut(tmp_path: Path) -> None:
    idle = tmp_path / "idle.mp4"
    write_idle(lambda: turning(60, 25), idle, rate=Fraction(25), loops=False, encoder="libx264")
    assert cut_chunks(idle, [(40, 50, tmp_path / "no.mp4")]) == []
    assert not (tmp_path / "no.mp4").exists()


def test_an_idle_that_ends_early_is_refused(tmp_path: Path) -> None:
    idle = tmp_path / "idle.mp4"
    write_idle(lambda: turning(10, 25), idle, rate=Fraction(25), loops=False, encoder="libx264")
    with pytest.raises(MediaError, match="ends early"):
        cut_chunks(idle, [(0, 11, tmp_path / "no.mp4")])


def test_a_loop_that_would_show_keeps_one_key_frame(tmp_path: Path) -> None:
    """Hardly anything moves: texture that is drawn anew would be the largest step of all."""
    started = []

    def still() -> Iterator[np.ndarray]:
        started.append(1)
        yield from turning(75, 0.6)

    idle = tmp_path / "idle.mp4"
    write_idle(still, idle, rate=Fraction(25), loops=True, encoder="libx264")
    assert seam_ratio(read_luma(idle)) <= 1.2
    assert key_frames(idle) in ([0, 50], [0])
    assert len(started) == 1, "frames are drawn once, however often they are encoded"
    made = make_extras(idle, tmp_path / "out")
    assert made.frame_counts["idle_chunks/idle_chunk2.mp4"] == 25
    frames = list(read_frames(made.files["idle_chunks/idle_chunk2.mp4"]))
    assert len(frames) == 25


@pytest.mark.parametrize(("reach", "keys"), [(0.3, [0]), (25, [0, 50])])
def test_how_much_moves_decides_before_the_first_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reach: float, keys: list[int]
) -> None:
    """So that a quiet loop is not encoded with key frames first and without them again."""
    opened = []

    def counted(*args: object, **kwargs: object) -> VideoWriter:
        opened.append(1)
        return idle_writer(*args, **kwargs)

    monkeypatch.setattr("sunriza_assets.studio.media.idle.idle_writer", counted)
    monkeypatch.setattr("sunriza_assets.studio.media.idle._MAX_UNNOTICED_SEAM_RATIO", 99.0)
    idle = tmp_path / "idle.mp4"
    write_idle(lambda: turning(75, reach), idle, rate=Fraction(25), loops=True, encoder="libx264")
    assert key_frames(idle) == keys
    assert len(opened) == 1


def _always_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sunriza_assets.studio.media.idle._MAX_UNNOTICED_SEAM_RATIO", -1.0)


@pytest.mark.parametrize(("most", "starts"), [(1 << 30, 1), (300_000, 2)])
def test_frames_that_were_kept_give_the_bytes_of_those_drawn_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, starts: int
) -> None:
    _always_seen(monkeypatch)
    monkeypatch.setattr("sunriza_assets.studio.media.idle._MOST_BYTES", most)
    started = []

    def drawn() -> Iterator[np.ndarray]:
        started.append(1)
        yield from turning(60, 25)

    idle, plain = tmp_path / "idle.mp4", tmp_path / "plain.mp4"
    write_idle(drawn, idle, rate=Fraction(25), loops=True, encoder="libx264")
    encode(turning(60, 25), plain, rate=Fraction(25), encoder="libx264")
    assert idle.read_bytes() == plain.read_bytes()
    assert len(started) == starts
    assert sorted(tmp_path.iterdir()) == [idle, plain], "nothing of the kept frames is left"


@pytest.mark.parametrize("size", [(121, 160), (120, 161)])
def test_an_odd_size_is_refused_with_its_reason(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = [np.zeros((*size, 3), np.uint8)] * 3
    with pytest.raises(MediaError, match="size is even"):
        write_idle(lambda: frames, tmp_path / "no.mp4", rate=Fraction(25), loops=True)
    assert list(tmp_path.iterdir()) == []


def test_some_frames_are_those_frames(tmp_path: Path) -> None:
    idle = tmp_path / "idle.mp4"
    write_idle(lambda: turning(60, 25), idle, rate=Fraction(25), loops=False, encoder="libx264")
    shown = list(read_frames(idle))
    some = list(read_some(idle, {0, 7, 59}))
    assert [np.array_equal(a, shown[k]) for a, k in zip(some, (0, 7, 59), strict=True)] == [
        True
    ] * 3
