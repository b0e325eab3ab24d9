"""The limits of the quality figures, for media that nothing was tuned to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

__all__ = ["BARS", "Bar", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit on one figure over all trials that have it."""

    figure: str
    """The figure's name."""
    over: Literal["median", "worst"]
    """Over all trials."""
    limit: float
    """Inclusive."""
    at_least: bool = True
    """False: the figure may be at most so large."""

    def value(self, values: Iterable[float]) -> float:
        """The figure's median or worst value."""
        array = np.array(list(values), dtype=np.float64)
        if self.over == "median":
            return float(np.median(array))
        return float(array.min() if self.at_least else array.max())

    def holds(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{self.over} {'≥' if self.at_least else '≤'} {self.limit:g}"


BARS: Final = (
    Bar("eye r", "median", 0.85),
    Bar("eye r", "worst", 0.6),
    Bar("mouth r", "median", 0.92),
    Bar("yaw r", "median", 0.92),
    Bar("lips r", "median", 0.85),
    Bar("control r", "worst", 0.45, at_least=False),
    Bar("blinks missed or invented", "worst", 0, at_least=False),
    Bar("jitter over the clip's", "median", 1.1, at_least=False),
    Bar("sharpness over the portrait's", "median", 0.75),
    Bar("folded triangles, permille", "worst", 2, at_least=False),
    Bar("background difference, grey levels", "worst", 0.25, at_least=False),
    Bar("seam after encoding", "worst", 1.2, at_least=False),
    Bar("cell to idle at the rim, grey levels", "median", 4.5, at_least=False),
    Bar("landmark error over static", "median", 0.35, at_least=False),
    Bar("PSNR gain over static, dB", "median", 3.0),
    Bar("SSIM gain over static", "median", 0.0),
    Bar("gradient similarity gain over static", "median", 0.08),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar and the value it was compared with."""

    bar: Bar
    value: float | None
    """None where no trial has the figure."""
    trials: int
    """Trials that have it."""

    @property
    def holds(self) -> bool | None:
        """None where nothing was measured."""
        return None if self.value is None else self.bar.holds(self.value)


def judge(trials: Iterable[Mapping[str, float | None]]) -> list[Verdict]:
    """Compare all trials' figures with the bars."""
    kept = list(trials)
    verdicts = []
    for bar in BARS:
        values = [value for trial in kept if (value := trial.get(bar.figure)) is not None]
        value = bar.value(values) if values else None
        verdicts.append(Verdict(bar, value, len(values)))
    return verdicts
