"""Sound in memory: mono samples and their rate. Decoding files is `studio.media`'s part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import SpeechError

__all__ = ["ANALYSIS_RATE", "RATES", "Samples", "Sound"]

Samples = NDArray[np.float32]
"""Mono samples, (n,), nominally in -1..1."""

ANALYSIS_RATE = 16_000
"""Samples per second of everything that listens."""

RATES = range(8_000, 192_001)
"""Sample rates that are accepted, Hz."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono sound."""

    samples: Samples
    """(n,) float32, finite, nominally in -1..1."""
    rate: int
    """Samples per second, in `RATES`."""

    def __post_init__(self) -> None:
        if self.rate not in RATES:
            raise SpeechError(
                f"A sample rate of {self.rate} Hz cannot be used",
                remedy=f"Use {RATES[0]}-{RATES[-1]} Hz.",
                code="rate",
            )
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"Mono float32 samples are wanted, not {self.samples.dtype} {self.samples.shape}"
            )

    @property
    def seconds(self) -> float:
        """Length, s."""
        return len(self.samples) / self.rate
