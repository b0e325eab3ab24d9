"""Training: torch and NumPy run the same network, and degraded sound keeps its timing."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sunriza_assets.studio.speech.listening.fusion import INPUTS  # noqa: E402
from sunriza_assets.studio.speech.listening.network import (  # noqa: E402
    FRAME_RATE,
    NetworkStream,
)
from sunriza_assets.studio.speech.mouth import NAMES  # noqa: E402
from sunriza_assets.studio.speech.training.degrade import degraded  # noqa: E402
from sunriza_assets.studio.speech.training.fuse import TrainedFusion  # noqa: E402
from sunriza_assets.studio.speech.training.model import TrainedNetwork  # noqa: E402
from sunriza_assets.studio.speech.training.tape import make_tape  # noqa: E402
from sunriza_assets.studio.speech.training.train import Schedule, train  # noqa: E402
from sunriza_assets_tests.studio.speech.rms import rms_speech  # noqa: E402


def test_numpy_runs_what_torch_trains() -> None:
    torch.manual_seed(1)
    model = TrainedNetwork()
    mel = np.random.default_rng(1).random((50, 40), np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(mel[None]))[0].numpy()
    network = model.network(np.zeros(len(NAMES), np.float32))
    assert network.run(mel) == pytest.approx(expected, abs=2e-4)
    stream = NetworkStream(network)
    pieces = [stream.push(mel[k : k + 7]) for k in range(0, 50, 7)]
    assert np.concatenate(pieces) == pytest.approx(expected, abs=2e-4)
    fusion = TrainedFusion()
    inputs = np.random.default_rng(2).random((60, INPUTS), np.float32)
    with torch.no_grad():
        joined = fusion(torch.from_numpy(inputs[None]))[0].numpy()
    assert fusion.fusion().run(inputs) == pytest.approx(joined, abs=2e-4)


def test_degraded_sound_keeps_its_timing() -> None:
    samples = rms_speech()[0][: 16_000 * 3]
    for seed in range(8):
        worse = degraded(samples, np.random.default_rng(seed), [samples])
        assert len(worse) == len(samples)
        assert np.isfinite(worse).all()
        assert np.abs(worse).max() <= 1.0
        size = 1 << 17
        match = np.fft.irfft(np.fft.rfft(worse, size) * np.conj(np.fft.rfft(samples, size)), size)
        lag = int(np.abs(match).argmax())
        assert min(lag, size - lag) <= 100  # 6 ms: filters move phases


@pytest.mark.slow
def test_a_few_steps_learn_something() -> None:
    tape = make_tape([rms_speech()], 1)
    assert len(tape.mel) > 8 * FRAME_RATE
    model = TrainedNetwork()
    mel = torch.from_numpy(tape.mel.astype(np.float32)[None])
    truth = tape.shares.argmax(axis=1)

    def accuracy() -> float:
        with torch.no_grad():
            return float((model(mel)[0, :, 0, : len(NAMES)].numpy().argmax(axis=1) == truth).mean())

    before = accuracy()
    train(model, {"rms": [tape]}, {}, Schedule(steps=14, warm_up=3, batch=2))
    assert accuracy() > before + 0.1
