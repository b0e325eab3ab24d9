"""Long tapes of degraded speech with labels, of which training takes crops at random."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.listening.features import HOP, mel_frames
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.sound import Samples
from sunriza_assets.studio.speech.training.degrade import degraded, faster
from sunriza_assets.studio.speech.training.labels import Labels

__all__ = ["Tape", "degraded_utterances", "make_tape"]

_SPEED_SIGMA = 0.09
_SHORTEST = 3_200
"""Samples of an utterance."""
_LONGEST_SILENCE = 8_000
"""Samples before an utterance."""


@dataclass(frozen=True)
class Tape:
    """(n) frames of 10 ms."""

    mel: NDArray[np.float16]
    """(n, 40)."""
    shares: NDArray[np.uint8]
    """(n, 12) of 255."""
    curves: NDArray[np.float16]
    """(n, 3)."""

    def save(self, path: Path) -> None:
        """As npz."""
        np.savez(path, mel=self.mel, shares=self.shares, curves=self.curves)

    @classmethod
    def load(cls, path: Path) -> "Tape":
        """From an npz."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["mel"], stored["shares"], stored["curves"])


def degraded_utterances(
    sources: Sequence[tuple[Samples, Labels]], seed: int
) -> Iterator[tuple[Samples, Labels]]:
    """All sources once, in random order, each degraded in its own way, with its labels.

    A part of a second of silence, or of what noise is there, comes before each.
    """
    draw = np.random.default_rng(seed)
    others = [samples for samples, _ in sources]
    for index in draw.permutation(len(sources)):
        samples, labels = sources[int(index)]
        factor = float(np.exp(draw.normal(0.0, _SPEED_SIGMA)))
        silence = int(draw.integers(0, _LONGEST_SILENCE)) // HOP * HOP
        sound = np.pad(faster(samples, factor), (silence, 0))
        sound = sound[: len(sound) // HOP * HOP]
        if len(sound) < _SHORTEST:
            continue
        before = silence // HOP
        known = labels.stretched(len(sound) // HOP - before, factor)
        rest = np.zeros((before, len(NAMES)), np.float32)
        rest[:, NAMES.index("Rest")] = 1.0
        still = np.zeros((before, known.curves.shape[1]), np.float32)
        yield (
            degraded(sound, draw, others),
            Labels(np.concatenate([rest, known.shares]), np.concatenate([still, known.curves])),
        )


def make_tape(sources: Sequence[tuple[Samples, Labels]], seed: int) -> Tape:
    """The features and labels of all sources, degraded, one after another."""
    mels, shares, curves = [], [], []
    for samples, labels in degraded_utterances(sources, seed):
        mels.append(mel_frames(samples).astype(np.float16))
        shares.append(np.rint(labels.shares * 255.0).astype(np.uint8))
        curves.append(labels.curves.astype(np.float16))
    return Tape(np.concatenate(mels), np.concatenate(shares), np.concatenate(curves))
