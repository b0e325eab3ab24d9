"""Listening: what the packaged network hears in a voice that it was never trained on."""

import json
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.ipa import Segment, visemes_of_arpabet
from sunriza_assets.studio.speech.listening.features import MelStream, mel_frames
from sunriza_assets.studio.speech.listening.following import mouth_of_heard
from sunriza_assets.studio.speech.listening.heard import HEARD_RATE, Heard
from sunriza_assets.studio.speech.listening.listener import Listener, heard_by_network
from sunriza_assets.studio.speech.listening.network import (
    WEIGHTS_NAME,
    Network,
    packaged_network,
)
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.sound import Samples
from sunriza_assets.studio.speech.training.labels import Labels, labels_of_segments
from sunriza_assets.studio.speech.training.measure import Figures, Guess, measured

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def spoken() -> tuple[Samples, Labels]:
    """Three sentences of flite's voice rms, 16 kHz, with its own phone times."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    with av.open(FOLDER / "rms.opus") as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    segments = []
    for name, start, end in json.loads((FOLDER / "rms.json").read_text())["phones"]:
        at = start
        for shown in visemes_of_arpabet("SIL" if name == "pau" else name):
            segments.append(Segment(shown.viseme, at, at + shown.share * (end - start)))
            at = segments[-1].end
    return samples, labels_of_segments(segments, len(samples) // 160)


def _figures(spoken: tuple[Samples, Labels], network: Network, look_ahead: float) -> Figures:
    def listener(samples: Samples) -> Guess:
        heard = heard_by_network(samples, look_ahead=look_ahead, network=network)
        classes = np.repeat(heard.classes, 2)
        return Guess(classes, np.repeat(heard.opening, 2), classes == NAMES.index("MBP"))

    return measured(listener, [spoken])


def test_it_hears_visemes_of_a_voice_it_does_not_know(spoken: tuple[Samples, Labels]) -> None:
    figures = _figures(spoken, packaged_network(), 0.06)
    assert figures.accuracy > 0.6
    assert figures.opening_r > 0.6
    assert figures.closures_found > 0.7


def test_shuffled_weights_hear_nothing(spoken: tuple[Samples, Labels]) -> None:
    draw = np.random.default_rng(1)
    parameters = packaged_network().parameters
    shuffled = {
        name: draw.permuted(values.ravel()).reshape(values.shape)
        for name, values in parameters.items()
    }
    figures = _figures(spoken, Network(shuffled), 0.06)
    assert figures.accuracy < 0.3
    assert figures.opening_r < 0.3


def test_a_shifted_opening_does_not_correlate(spoken: tuple[Samples, Labels]) -> None:
    samples, labels = spoken
    shifted = Labels(np.roll(labels.shares, 150, axis=0), np.roll(labels.curves, 150, axis=0))
    assert _figures((samples, shifted), packaged_network(), 0.06).opening_r < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_any_chunks_hear_what_the_whole_file_does(
    spoken: tuple[Samples, Labels], seed: int
) -> None:
    samples = spoken[0][: 16_000 * 5]
    whole = heard_by_network(samples, look_ahead=0.06)
    draw = np.random.default_rng(seed)
    listener = Listener(look_ahead=0.06)
    pcm = np.rint(np.clip(samples, -1.0, 1.0) * 32_767.0).astype("<i2")
    pieces: list[Heard] = []
    at = 0
    while at < len(pcm):
        size = int(draw.choice([1, 7, 160, 320, 333, 1_600, 8_000]))
        pieces.append(listener.push(pcm[at : at + size].tobytes()))
        at += size
    pieces.append(listener.finish())
    classes = np.concatenate([piece.classes for piece in pieces])
    starts = [piece.start for piece in pieces if len(piece)]
    assert starts == np.cumsum([0, *[len(p) for p in pieces if len(p)][:-1]]).tolist()
    assert len(classes) == len(whole) == len(samples) // 320
    assert (classes == whole.classes).mean() >= 0.99
    opening = np.concatenate([piece.opening for piece in pieces])
    assert opening == pytest.approx(whole.opening, abs=0.01)


def test_features_do_not_depend_on_chunks() -> None:
    samples = np.random.default_rng(2).standard_normal(8_000).astype(np.float32) * 0.1
    stream = MelStream()
    pieces = [stream.push(samples[k : k + 123]) for k in range(0, len(samples), 123)]
    joined = np.concatenate(pieces)
    assert joined == pytest.approx(mel_frames(samples)[: len(joined)], abs=1e-4)
    assert len(joined) == (8_000 - 280) // 160 + 1


def test_frames_neither_drift_nor_wait(spoken: tuple[Samples, Labels]) -> None:
    samples = spoken[0][: 320 * 200]
    listener = Listener(look_ahead=0.06)
    told = 0
    for chunk in range(200):
        heard = listener.push(samples[chunk * 320 : (chunk + 1) * 320])
        assert heard.start == told
        told += len(heard)
        if chunk > 4:
            behind = (chunk + 1) / HEARD_RATE - told / HEARD_RATE
            assert 0.0 <= behind <= listener.delay
    assert listener.delay <= 0.09


def test_other_rates_are_heard_alike(spoken: tuple[Samples, Labels]) -> None:
    samples = spoken[0][: 16_000 * 5]
    resampler = av.AudioResampler(format="flt", layout="mono", rate=24_000)
    frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
    frame.sample_rate = 16_000
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    faster = np.concatenate([part.to_ndarray()[0] for part in parts])
    listener = Listener(24_000, look_ahead=0.06)
    pieces = [listener.push(faster[k : k + 480]) for k in range(0, len(faster), 480)]
    pieces.append(listener.finish())
    classes = np.concatenate([piece.classes for piece in pieces])
    whole = heard_by_network(samples, look_ahead=0.06).classes
    count = min(len(classes), len(whole))
    assert abs(len(classes) - len(whole)) <= 1
    assert (classes[:count] == whole[:count]).mean() > 0.85


def test_silence_rests(spoken: tuple[Samples, Labels]) -> None:
    draw = np.random.default_rng(3)
    for noise in (0.0, 1e-4):
        samples = (noise * draw.standard_normal(80_000)).astype(np.float32)
        curves = mouth_of_heard(heard_by_network(samples), Fraction(25))
        assert curves.frame_count == 125
        assert set(curves.visemes) == {"Rest"}
        assert curves.opening.max() < 0.004
    spoken_then_silent = np.concatenate([spoken[0], np.zeros(16_000, np.float32)])
    curves = mouth_of_heard(heard_by_network(spoken_then_silent), Fraction(25))
    assert curves.opening.max() > 0.1
    assert curves.opening[-15:].max() < 0.004


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(SpeechError, match="look-ahead"):
        Listener(look_ahead=0.05)
    with pytest.raises(SpeechError, match="sample rate"):
        Listener(4_000)
    with pytest.raises(SpeechError, match="whole samples"):
        Listener().push(b"123")
    with pytest.raises(SpeechError, match="Too much"):
        Listener().push(np.zeros(16_000 * 61, np.float32))
    broken = np.array([np.nan, np.inf, -np.inf] * 3_000, np.float32)
    listener = Listener()
    assert np.isfinite(listener.push(broken).weights).all()
    assert np.isfinite(listener.finish().weights).all()


def test_the_weights_are_small_and_checked() -> None:
    place = files("sunriza_assets.studio.speech.listening") / WEIGHTS_NAME
    assert len(place.read_bytes()) <= 200_000
    stored = packaged_network().packed()
    with pytest.raises(ModelError, match="damaged"):
        Network.unpacked(stored | {"in.bias": stored["in.bias"][:-1]})
    with pytest.raises(ModelError, match="damaged"):
        Network.unpacked(stored | {"in.bias": stored["in.bias"] * np.float16(np.nan)})
    with pytest.raises(ModelError, match="lack"):
        Network.unpacked({name: value for name, value in stored.items() if name != "0.taps"})
