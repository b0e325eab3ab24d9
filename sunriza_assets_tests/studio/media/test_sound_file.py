"""Sounds of every format come out in time, hostile ones as clean sound or a named error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.sound_file import Samples, read_samples, read_samples_in_process
from sunriza_assets.studio.speech.sound_file import read_sound
from sunriza_assets_tests.studio.media.films import ffmpeg
from sunriza_assets_tests.studio.media.sound_corpus import (
    HOSTILE,
    SPOKEN,
    Encoded,
    HostileSound,
    silent_flac,
)
from sunriza_assets_tests.studio.media.sounds import encode, lag_ms, signal, wav
from sunriza_assets_tests.studio.media.test_bounded import measured

LATEST_MS = 3.0


def read_here(
    path: Path, rate: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[Samples, int]:
    return read_samples_in_process(path, rate=rate, limits=limits)


@pytest.mark.parametrize("case", SPOKEN, ids=lambda case: case.name)
def test_decoded_sound_is_in_time_with_the_original(case: Encoded, tmp_path: Path) -> None:
    path = case.build(tmp_path / case.name)
    samples, rate = read_here(path)
    late, correlation = lag_ms(signal(case.rate), samples, rate)
    assert (rate, samples.dtype) == (case.rate, np.float32)
    assert abs(late) <= LATEST_MS
    assert correlation >= case.correlation
    assert 1 <= len(samples) / rate <= 1.05  # AAC fills its last frame
    even, _ = read_here(path, 24_000)
    late, correlation = lag_ms(signal(24_000), even, 24_000) if case.rate == 24_000 else (0, 1)
    assert abs(late) <= LATEST_MS
    assert len(even) / 24_000 == pytest.approx(len(samples) / rate, abs=0.001)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_resampling_adds_no_delay(rate: int, tmp_path: Path) -> None:
    """The signal holds nothing above 3 kHz, so that its Fourier series gives it at any rate."""
    path = encode(tmp_path / "a.wav", signal(rate), rate, "pcm_s16le", "s16")
    samples, found = read_here(path, 16_000)
    spectrum = np.fft.rfft(signal(rate).astype(np.float64))
    spectrum = np.resize(np.pad(spectrum, (0, 8_001)), 8_001)
    exact = np.fft.irfft(spectrum, 16_000) * 16_000 / rate
    late, correlation = lag_ms(exact, samples, found)
    assert (len(samples), found) == (16_000, 16_000)
    assert abs(late) <= 1
    assert correlation > 0.999


def test_the_measure_finds_a_delay() -> None:
    """The control: what raw AAC would be late."""
    late = np.pad(signal(44_100), (2048, 0))
    assert lag_ms(signal(44_100), late, 44_100)[0] == pytest.approx(46.4, abs=0.1)


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_outcome(case: HostileSound, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.build(path)
    check(case, lambda: read_here(path))


@pytest.mark.slow
def test_outcomes_in_the_child(tmp_path: Path) -> None:
    with sandbox.fork_server():  # a fresh child for each would spend its time on imports
        for case in HOSTILE:
            path = tmp_path / case.name
            case.build(path)
            check(case, lambda path=path: read_samples(path))


def check(case: HostileSound, read: Callable[[], tuple[Samples, int]]) -> None:
    if isinstance(case.outcome, str):
        with pytest.raises(MediaError) as refusal:
            read()
        assert refusal.value.code == f"media.{case.outcome}", refusal.value
        assert refusal.value.remedy or case.outcome == "unreadable"
        return
    samples, rate = read()
    assert np.isfinite(samples).all()
    assert float(np.abs(samples).max()) <= 1
    assert abs(float(samples.mean())) < 1e-4
    least, most = case.outcome.seconds
    assert least <= len(samples) / rate <= most
    assert (float(np.abs(samples).max()) < 1e-6) == case.outcome.silent


def test_sound_comes_from_the_child_as_from_here(tmp_path: Path) -> None:
    path = SPOKEN[1].build(tmp_path / "a.wav").rename(tmp_path / "a.mp3")
    sound = read_sound(path, rate=16_000)
    here, _ = read_here(path, 16_000)
    assert sound.rate == 16_000
    assert np.array_equal(sound.samples, here)


def test_what_is_not_there_is_not_read(tmp_path: Path) -> None:
    for path in (tmp_path / "x", tmp_path, Path("http://127.0.0.1:9/a.mp3"), Path("a\0b")):
        with pytest.raises(MediaError) as refusal:
            read_sound(path)
        assert refusal.value.code == "media.unreadable"


def test_gaps_between_time_stamps_are_silence(tmp_path: Path) -> None:
    """A browser leaves out what is silent; what follows keeps its time."""
    import av

    source = encode(tmp_path / "a.webm", signal(48_000, 2.0), 48_000, "libopus", "flt")
    with av.open(str(source)) as read, av.open(str(tmp_path / "b.webm"), "w") as out:
        stream = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.size and not 0.5 <= packet.pts * packet.time_base < 1:
                packet.stream = stream
                out.mux(packet)
    samples, rate = read_here(tmp_path / "b.webm")
    assert len(samples) / rate == pytest.approx(2, abs=0.03)
    assert np.abs(samples[int(0.6 * rate) : int(0.9 * rate)]).max() < 1e-3
    late, _ = lag_ms(signal(48_000, 2.0)[int(1.1 * rate) :], samples[int(1.1 * rate) :], rate)
    assert abs(late) <= LATEST_MS


def test_a_flood_of_packets_that_hold_nothing_is_given_up(tmp_path: Path) -> None:
    from sunriza_assets_tests.studio.media.sound_corpus import _ogg_opus

    path = tmp_path / "flood.opus"
    path.write_bytes(_ogg_opus(2600, b"\x83\0"))
    with pytest.raises(MediaError) as refusal:
        read_here(path, limits=Limits(sound_seconds=0.25))
    assert refusal.value.code == "media.too_complex"


def test_limits_may_be_others(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(bytes(64_000), channels=2))
    for limits, code in (
        (Limits(sound_seconds=0.9), "too_long"),
        (Limits(sound_bytes=1000), "too_large"),
        (Limits(sound_channels=1), "too_many_channels"),
    ):
        with pytest.raises(MediaError) as refusal:
            read_here(path, limits=limits)
        assert refusal.value.code == f"media.{code}"
    assert len(read_here(path, limits=Limits(sound_seconds=1))[0]) == 16_000


_READ = (
    "from sunriza_assets.studio.media.sound_file import read_samples;"
    "read_samples(Path(sys.argv[1]))"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["silence.flac", "pcm.wav"])
def test_the_largest_sounds_cost_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    """Five minutes of eight channels at 192 kHz in a few MB, and 25 MB of bytes."""
    path = tmp_path / name
    if name == "pcm.wav":
        path.write_bytes(wav(bytes(24_900_000), rate=192_000, channels=8, bits=8))
    else:
        silent_flac(path, 192_000, "7.1", 298)
        assert path.stat().st_size < 25_000_000
    outcome, peak, spent = measured(_READ, path)
    assert outcome == "done"
    assert peak <= 1_500_000_000
    assert spent <= 40


@pytest.mark.slow
def test_an_encrypted_sound_is_refused(tmp_path: Path) -> None:
    SPOKEN[13].build(tmp_path / "a.m4a")
    ffmpeg("-i", tmp_path / "a.m4a", "-c", "copy", "-encryption_scheme", "cenc-aes-ctr",
           "-encryption_key", "00" * 16, "-encryption_kid", "11" * 16,
           tmp_path / "b.mp4")  # fmt: skip
    with pytest.raises(MediaError) as refusal:
        read_here(tmp_path / "b.mp4")
    assert refusal.value.code == "media.unsupported"
