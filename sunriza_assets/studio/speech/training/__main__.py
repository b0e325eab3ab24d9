"""Makes the listener's weights anew: speaks, degrades, trains, hears recordings, trains on.

    python -m sunriza_assets.studio.speech.training FOLDER --models MODELS

Every step leaves its files in the folder and is left out where they are. About forty minutes of one
core, half of which Kokoro speaks. The new weights lie in the folder as weights.npz and fusion.npz;
`training.bench` measures them, and `--install` puts them into the package.
"""

import argparse
import logging
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sunriza_assets.atomic import replaced
from sunriza_assets.studio.speech.listening.features import mel_frames
from sunriza_assets.studio.speech.listening.fusion import FUSION_NAME, Fusion, fusion_inputs
from sunriza_assets.studio.speech.listening.heard import softmax
from sunriza_assets.studio.speech.listening.network import (
    CURVE_SCALES,
    WEIGHTS_NAME,
    Network,
)
from sunriza_assets.studio.speech.listening.recogniser import PhoneRecogniser
from sunriza_assets.studio.speech.listening.whole import fused_outputs, outputs_in_time
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples
from sunriza_assets.studio.speech.training.corpus import read_corpus
from sunriza_assets.studio.speech.training.fuse import train_fusion
from sunriza_assets.studio.speech.training.labels import Labels
from sunriza_assets.studio.speech.training.model import TrainedNetwork
from sunriza_assets.studio.speech.training.speaking import (
    APART,
    RECORDED,
    TRAINING,
    make_corpora,
)
from sunriza_assets.studio.speech.training.tape import Tape, degraded_utterances, make_tape
from sunriza_assets.studio.speech.training.train import (
    PRIOR_POWER,
    Schedule,
    frequencies,
    train,
)

_VERSIONS: Final = 3
"""Times that every sound is degraded, each in another way."""
_WEIGHTS: Final = {"flite": 0.8, "espeak": 0.9, "festival": 0.6, "piper": 1.4, "kokoro": 3.0}
"""Source -> how often a second of it is drawn."""
_FIRST_STEPS: Final = 2_300
_SECOND_STEPS: Final = 1_900
_FUSION_STEPS: Final = 1_600
_FUSION_SOURCES: Final = {APART: 1_300.0, "flite": 200.0, "piper": 200.0}
"""Source -> seconds that the fusion is trained on."""
_SHARPENED: Final = 1.3
"""Factor of the logits that label recordings."""
_log = logging.getLogger(__name__)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make the listener's weights anew.")
    parser.add_argument("folder", type=Path, help="where everything is kept")
    parser.add_argument("--models", type=Path, required=True, help="models folder with Kokoro")
    parser.add_argument("--install", action="store_true", help="put the weights into the package")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    make_corpora(folder, arguments.models)
    recogniser = PhoneRecogniser()
    for name in TRAINING:
        if (folder / f"{name}.npz").exists():
            _make_tapes(folder, name, _sources(folder, name))
    network = _trained(folder, "first", _WEIGHTS, Schedule(_FIRST_STEPS))
    fusion = _fused(folder, "first-fusion.npz", network, recogniser)
    if (folder / f"{RECORDED}.npz").exists():
        _make_tapes(folder, RECORDED, _heard(folder, network, fusion, recogniser))
    schedule = Schedule(_SECOND_STEPS, rate=3e-3)
    network = _trained(folder, "second", {**_WEIGHTS, RECORDED: 0.7}, schedule, after="first")
    _save(folder / WEIGHTS_NAME, network.packed())
    _fused(folder, FUSION_NAME, network, recogniser)
    if arguments.install:
        package = Path(str(files("sunriza_assets.studio.speech.listening")))
        for name in (WEIGHTS_NAME, FUSION_NAME):
            shutil.copyfile(folder / name, package / name)


def _save(path: Path, arrays: dict[str, Any]) -> None:
    with replaced(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _sources(folder: Path, name: str) -> list[tuple[Samples, Labels]]:
    return [(u.samples, u.labels) for u in read_corpus(folder / f"{name}.npz")]


def _make_tapes(folder: Path, name: str, sources: list[tuple[Samples, Labels]]) -> None:
    for version in range(_VERSIONS):
        path = folder / f"tape_{name}_{version}.npz"
        if not path.exists():
            make_tape(sources, _seed(name, version)).save(path)


def _seed(name: str, version: int) -> int:
    return sum(map(ord, name)) * 100 + version


def _tapes(folder: Path, weights: dict[str, float]) -> dict[str, list[Tape]]:
    found = {n: sorted(folder.glob(f"tape_{n}_*.npz")) for n in weights}
    return {name: [Tape.load(path) for path in paths] for name, paths in found.items() if paths}


def _trained(
    folder: Path, name: str, weights: dict[str, float], schedule: Schedule, after: str = ""
) -> Network:
    """The network of a stage, from the folder if it is there."""
    model = TrainedNetwork()
    state, prior = folder / f"{name}.pt", folder / f"{name}-prior.npy"
    if not state.exists():
        if after:
            model.load_state_dict(torch.load(folder / f"{after}.pt", weights_only=True))
        tapes = _tapes(folder, weights)
        train(model, tapes, weights, schedule)
        shares = frequencies(tapes, weights)
        np.save(prior, (PRIOR_POWER * np.log(shares)).astype(np.float32), allow_pickle=False)
        torch.save(model.state_dict(), state)
    model.load_state_dict(torch.load(state, weights_only=True))
    return model.network(np.load(prior, allow_pickle=False))


def _fused(folder: Path, file: str, network: Network, recogniser: PhoneRecogniser) -> Fusion:
    """The fusion of a network with the recogniser, from the folder if it is there."""
    if not (folder / file).exists():
        examples = [
            _example(folder, name, seconds, network, recogniser)
            for name, seconds in _FUSION_SOURCES.items()
            if (folder / f"{name}.npz").exists()
        ]
        _save(folder / file, train_fusion(examples, _FUSION_STEPS).packed())
    with np.load(folder / file, allow_pickle=False) as stored:
        return Fusion.unpacked(stored)


def _example(
    folder: Path, name: str, most: float, network: Network, recogniser: PhoneRecogniser
) -> tuple[NDArray[np.float32], Labels]:
    """What the fusion sees of a part of a source, as one long row."""
    inputs, shares, curves, seconds = [], [], [], 0.0
    for samples, labels in degraded_utterances(_sources(folder, name), _seed(name, 77)):
        mel, emissions = mel_frames(samples), recogniser.emissions(samples)
        inputs.append(fusion_inputs(outputs_in_time(samples, network), emissions, mel))
        shares.append(labels.shares)
        curves.append(labels.curves)
        seconds += len(samples) / ANALYSIS_RATE
        if seconds > most:
            break
    return np.concatenate(inputs), Labels(np.concatenate(shares), np.concatenate(curves))


def _heard(
    folder: Path, network: Network, fusion: Fusion, recogniser: PhoneRecogniser
) -> list[tuple[Samples, Labels]]:
    """Recordings with what is heard in them for labels; those without any phone are left out."""
    result = []
    for utterance in read_corpus(folder / f"{RECORDED}.npz"):
        emissions = recogniser.emissions(utterance.samples)
        if emissions[:, : len(NAMES)].sum() < 1.0:
            continue
        outputs = fused_outputs(utterance.samples, network, fusion, recogniser)
        chances = softmax(_SHARPENED * outputs[:, : len(NAMES)].astype(np.float64))
        curves = outputs[:, len(NAMES) :] * np.array(CURVE_SCALES, np.float32)
        curves[:, 0] = np.maximum(curves[:, 0], 0.0)
        result.append((utterance.samples, Labels(chances.astype(np.float32), curves)))
    _log.info("%d recordings have labels", len(result))
    return result


if __name__ == "__main__":
    main()
