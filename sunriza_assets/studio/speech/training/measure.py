"""Figures of a listener against known labels: accuracy, the opening, closures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.speech.coarticulation import GRID
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.sound import Samples
from sunriza_assets.studio.speech.training.labels import Labels

__all__ = ["Figures", "Guess", "correlation", "measured", "runs"]

_MBP: Final = NAMES.index("MBP")
_TOLERANCE: Final = 2
"""Frames by which a closure may miss another one."""


@dataclass(frozen=True)
class Guess:
    """What a listener says of (n) frames of 10 ms."""

    classes: NDArray[np.int64]
    """(n,) indices of `NAMES`."""
    opening: NDArray[np.float64]
    """(n,) IOD."""
    closed: NDArray[np.bool_]
    """(n,) where it shows closed lips."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How good a listener is."""

    accuracy: float
    """Share of the frames whose class is right."""
    opening_r: float
    """Correlation of the opening with that of the known phones."""
    closures_found: float
    """Share of the m, b and p during which it shows closed lips, to 20 ms."""
    false_closures: float
    """Closures a second where there is none."""
    seconds: float

    def __str__(self) -> str:
        return (
            f"accuracy {self.accuracy:.3f}  opening r {self.opening_r:.3f}  "
            f"closures {self.closures_found:.1%}  false {self.false_closures:.2f}/s"
        )


def measured(
    listener: Callable[[Samples], Guess], sounds: Iterable[tuple[Samples, Labels]]
) -> Figures:
    """The figures over all sounds."""
    right = frames = found = closures = wrong = 0
    openings: list[NDArray[np.float64]] = []
    truths: list[NDArray[np.float32]] = []
    for samples, labels in sounds:
        guess = listener(samples)
        count = min(len(guess.classes), len(labels.shares))
        truth = labels.classes[:count]
        right += int((guess.classes[:count] == truth).sum())
        frames += count
        openings.append(guess.opening[:count])
        truths.append(labels.curves[:count, 0])
        true_runs, own_runs = runs(truth == _MBP), runs(guess.closed[:count])
        closures += len(true_runs)
        found += sum(any(_near(run, own) for own in own_runs) for run in true_runs)
        wrong += sum(not any(_near(run, own) for run in true_runs) for own in own_runs)
    return Figures(
        accuracy=right / max(frames, 1),
        opening_r=correlation(np.concatenate(openings), np.concatenate(truths)),
        closures_found=found / max(closures, 1),
        false_closures=wrong / max(frames / GRID, 1e-9),
        seconds=frames / GRID,
    )


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(begin, end) of each row of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _near(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] - _TOLERANCE < other[1] and other[0] - _TOLERANCE < one[1]


def correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Pearson's r; 0 where one of them does not change."""
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / norm) if norm > 1e-12 else 0.0
