"""Closes a clip's motion into a seamless loop.

The loop is made of motion parameters, not of pixels: two frames i < j of the clip are found that
are alike in pose and velocity. The frames from i up to j become the loop, and towards its end the
parameters cross-fade (`glide`) from the frames before j to the frames before i. So the last frame
shows what came right before i, the first shows i, and the step between them occurred in the clip.
Nothing is played backwards and no pictures are blended.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sunriza_assets.studio.motion.mixture import Mixture

__all__ = ["LoopPlan", "plan_loop", "seam_ratio"]

Array = NDArray[np.float64]

SHORTEST_S: Final = 3.0
LONGEST_S: Final = 10.0
PREFERRED_S: Final = 5.0
_SHORT_CLIP_SHARE: Final = 0.55
"""A clip too short for three seconds still gives at least this share of itself."""
_GLIDES_S: Final = (0.4, 0.6, 0.9, 1.3, 1.8, 2.4)
"""Lengths of the cross-fade that are tried, shortest first, since it blurs the motion."""
_VELOCITY_WEIGHT: Final = 4.0
"""Weight of velocity differences relative to pose differences, per frame at 30 fps."""
_LENGTH_WEIGHT: Final = 0.1
"""Cost of a loop twice or half as long as preferred, in the features' standard deviations."""
_MAX_FIRST_STEP_RATIO: Final = 0.7
"""Largest step over the seam, as a share of the 95th percentile of all steps."""
_MAX_CANDIDATES: Final = 2000
"""Candidates, cheapest first, that are tested for an ordinary step at the seam."""
_MAX_LOOPED_CANDIDATES: Final = 40
"""Of these, how many are looped to measure their seam before the best of them is taken."""
_EPSILON: Final = 1e-9
_NO_ARRAYS: Final[Mapping[str, NDArray[Any]]] = MappingProxyType({})
_SMOOTHSTEP_PEAK: Final = 1.5
"""Steepest slope of 3x^2 - 2x^3."""


@dataclass(frozen=True)
class LoopPlan:
    """Which clip frames a loop is made of."""

    start: int
    """Clip frame that the loop begins with."""
    frame_count: int
    """Frames of the loop."""
    glide: int
    """Frames at the end of the loop that pass over to the frames before `start`; 0 if none fit."""
    mixture: Mixture
    """Loop frame -> clip frames."""
    distance: float
    """How unlike the two ends of the glide are, in standard deviations of the features."""
    glide_speed: float
    """Fastest motion that the glide adds, over the clip's 95th percentile; <= 1 is not visible."""
    requested_s: float | None
    """Requested length, seconds; None for the best one."""

    def facts(
        self, rate: Fraction, steady: Mapping[str, NDArray[Any]] = _NO_ARRAYS
    ) -> dict[str, Any]:
        """Metadata about the loop and about its seam in these arrays: JSON values."""
        return {
            "start_s": round(float(self.start / rate), 4),
            "seconds": round(float(self.frame_count / rate), 4),
            "frames": self.frame_count,
            "glide_frames": self.glide,
            "distance": round(self.distance, 4),
            "glide_speed": round(self.glide_speed, 4),
            "asked_seconds": self.requested_s,
            "seam": {name: round(ratio, 4) for name, ratio in self.seam_ratios(steady).items()},
        }

    def seam_ratios(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Name -> `seam_ratio` of each of the clip's (T, ...) arrays, once looped."""
        return {name: seam_ratio(self.mixture.apply(array)) for name, array in arrays.items()}


def plan_loop(
    features: NDArray[Any],
    rate: Fraction,
    *,
    loop_seconds: float | None = None,
    steady: Mapping[str, NDArray[Any]] = _NO_ARRAYS,
) -> LoopPlan:
    """Find the best loop in a clip.

    Args:
        features: (T, F) what must match at the seam, each column scaled by its visibility, so
            that equal differences are equally noticeable.
        rate: frames per second of these frames.
        loop_seconds: wanted length; None takes the best between three and ten seconds. A clip
            that is too short for it gives the longest loop it has.
        steady: name -> (T, ...) arrays that shall each have an ordinary step at the seam, not only
            all features together.
    """
    curves = np.asarray(features, dtype=np.float64)
    spread = float(np.sqrt(np.mean(np.var(curves, axis=0)))) or 1.0
    curves = curves / spread
    arrays = [curves, *(np.asarray(array, dtype=np.float64) for array in steady.values())]
    best: tuple[bool, float, LoopPlan] | None = None
    for glide in _glides(len(curves), rate, loop_seconds):
        plan = _best_with_glide(arrays, rate, glide, loop_seconds)
        seam_shows = _worst_seam(arrays, plan.mixture) > 1.0
        if best is None or (seam_shows, plan.glide_speed) < best[:2]:
            best = (seam_shows, plan.glide_speed, plan)
        if not best[0] and best[1] <= 1.0:
            break
    if best is None:  # _glides always yields one
        raise ValueError("No glide length to try")
    return best[2]


def seam_ratio(looped: NDArray[Any]) -> float:
    """The step from the last frame to the first over the 95th percentile of all other steps.

    Args:
        looped: (K, ...) one array over the frames of a loop.

    Returns:
        0 where nothing moves at all, infinity where nothing moves but at the seam.
    """
    if len(looped) < 2:
        return 0.0
    seam = float(_steps(looped[[-1, 0]])[1])
    usual = float(np.percentile(_steps(looped)[1:], 95))
    if usual > 0:
        return seam / usual
    return float("inf") if seam > 0 else 0.0


def _glides(frame_count: int, rate: Fraction, loop_seconds: float | None) -> list[int]:
    """Lengths of the cross-fade to try, frames.

    A glide takes a third of the clip at most, and no more than a wanted length leaves; but rather
    than do without the shortest glide the loop falls short of that length.
    """
    wanted = [round(seconds * float(rate)) for seconds in _GLIDES_S]
    longest = frame_count // 3
    if loop_seconds is not None:
        spare = frame_count - round(loop_seconds * float(rate))
        longest = min(longest, max(wanted[0], spare))
    return sorted({min(glide, longest) for glide in wanted})


def _best_with_glide(
    arrays: Sequence[Array], rate: Fraction, glide: int, loop_seconds: float | None
) -> LoopPlan:
    """The cheapest pair (start, end) whose last `glide` frames pass over to those before start.

    Args:
        arrays: the features, then everything else that shall have an ordinary step at the seam.
        rate: frames per second.
        glide: frames.
        loop_seconds: wanted length.
    """
    curves = arrays[0]
    distances = _window_distance(curves, rate, glide)
    preferred = float((PREFERRED_S if loop_seconds is None else loop_seconds) * rate)
    found = []
    for length in _lengths(len(curves), rate, glide, loop_seconds):
        starts = np.arange(glide, len(curves) - length + 1)
        costs = distances[starts, starts + length] + _LENGTH_WEIGHT * abs(
            np.log2(length / preferred)
        )
        found.append(np.stack([costs, starts, np.full(len(starts), length)], axis=1))
    candidates = np.concatenate(found)
    cheapest = candidates[np.argsort(candidates[:, 0], kind="stable")][:_MAX_CANDIDATES]
    pairs = [(int(start), int(length)) for _, start, length in cheapest]
    start, length = _pair_with_least_seam(pairs, arrays, glide)
    return LoopPlan(
        start=start,
        frame_count=length,
        glide=glide,
        mixture=_mixture(start, length, glide),
        distance=float(distances[start, start + length]),
        glide_speed=_glide_speed(curves, start, length, glide),
        requested_s=loop_seconds,
    )


def _pair_with_least_seam(
    pairs: Sequence[tuple[int, int]], arrays: Sequence[Array], glide: int
) -> tuple[int, int]:
    """The first pair whose loop has an ordinary step at its seam; else the one with the least.

    The clip's own steps only rank the pairs: the glide may remove the fast moments, a blink say,
    relative to which the step at the seam was ordinary. So the seam is measured on the loop.

    Args:
        pairs: (start, length), cheapest first.
        arrays: (T, ...) each, what shall have an ordinary step.
        glide: frames.
    """
    best, least = pairs[0], float("inf")
    for pair in islice(
        _by_first_step(pairs, [_steps(array) for array in arrays]), _MAX_LOOPED_CANDIDATES
    ):
        worst = _worst_seam(arrays, _mixture(*pair, glide))
        if worst <= 1.0:
            return pair
        if worst < least:
            best, least = pair, worst
    return best


def _by_first_step(
    pairs: Sequence[tuple[int, int]], steps: Sequence[Array]
) -> Iterator[tuple[int, int]]:
    """Pairs by their first step: ordinary ones, then fast ones, then the rest by ascending ratio.

    Args:
        pairs: (start, length), cheapest first.
        steps: for everything that counts, (T,) length of the step into each frame.
    """
    ratios = []
    for start, length in pairs:
        ratios.append(max(_step_ratio(step[start : start + length]) for step in steps))
        if ratios[-1] <= _MAX_FIRST_STEP_RATIO:
            yield start, length
    fast = [ratio for ratio in ratios if ratio > _MAX_FIRST_STEP_RATIO]
    others = [
        pair for pair, ratio in zip(pairs, ratios, strict=True) if ratio > _MAX_FIRST_STEP_RATIO
    ]
    yield from (pair for pair, ratio in zip(others, fast, strict=True) if ratio <= 1.0 + _EPSILON)
    yield from (others[k] for k in np.argsort(fast, kind="stable") if fast[k] > 1.0 + _EPSILON)


def _worst_seam(arrays: Sequence[Array], mixture: Mixture) -> float:
    return max(seam_ratio(mixture.apply(array)) for array in arrays)


def _step_ratio(steps: Array) -> float:
    """The first step over the 95th percentile of the others; 0 where nothing moves."""
    if len(steps) < 2 or steps[0] == 0:
        return 0.0
    return float(steps[0]) / max(float(np.percentile(steps[1:], 95)), _EPSILON)


def _steps(values: NDArray[Any]) -> Array:
    """(T, ...) -> (T,) distance of each frame from the one before; the first has none."""
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    return np.concatenate([[0.0], np.linalg.norm(np.diff(flat, axis=0), axis=1)])


def _lengths(
    frame_count: int, rate: Fraction, glide: int, loop_seconds: float | None
) -> NDArray[np.intp]:
    """Loop lengths in frames that fit behind a lead-in of `glide` frames."""
    most = frame_count - glide
    if loop_seconds is not None:
        return np.array([max(1, min(round(loop_seconds * float(rate)), most))])
    least = min(SHORTEST_S * float(rate), _SHORT_CLIP_SHARE * frame_count)
    most = min(most, int(LONGEST_S * rate))
    return np.arange(max(1, min(round(least), most)), max(1, most) + 1)


def _window_distance(curves: Array, rate: Fraction, glide: int) -> Array:
    """(T + 1, T + 1) root mean square of what differs, looks and motion, while i and j are mixed.

    Entry (i, j) covers the pairs (i - glide, j - glide) .. (i - 1, j - 1), the ones that the glide
    really lays over each other, so that a half-closed eye never comes from mixing shut and open.
    """
    velocity = np.gradient(curves, axis=0) if len(curves) > 1 else np.zeros_like(curves)
    weight = _VELOCITY_WEIGHT * float(rate / 30)
    descriptors = np.concatenate([curves, weight * velocity], axis=1)
    squared = cdist(descriptors, descriptors, "sqeuclidean") / curves.shape[1]
    result = np.full((len(curves) + 1, len(curves) + 1), np.inf)
    if glide == 0:
        result[:-1, :-1] = squared
        result[:, -1] = result[:, -2]  # the frame after the last is as good as the last
        return np.asarray(np.sqrt(result))
    sums = np.zeros((len(curves) + 1, len(curves) + 1))
    sums[1:, 1:] = squared
    for i in range(1, len(sums)):  # running sums along the diagonals
        sums[i, 1:] += sums[i - 1, :-1]
    result[glide:, glide:] = sums[glide:, glide:] - sums[: len(sums) - glide, : len(sums) - glide]
    return np.asarray(np.sqrt(np.maximum(result, 0.0) / glide))


def _mixture(start: int, length: int, glide: int) -> Mixture:
    """Loop frame k is clip frame start + k, passing over to start + k - length at the end."""
    current = start + np.arange(length)
    x = np.clip((np.arange(length) - (length - glide) + 1) / max(glide, 1), 0.0, 1.0)
    share = x * x * (3.0 - 2.0 * x)
    if glide == 0:
        share = np.zeros(length)
    earlier = np.maximum(current - length, 0)
    return Mixture(
        np.stack([current, earlier], axis=1).astype(np.intp), np.stack([1.0 - share, share], axis=1)
    )


def _glide_speed(curves: Array, start: int, length: int, glide: int) -> float:
    """Fastest step that passing over adds, over the 95th percentile of the clip's own steps."""
    if glide == 0 or len(curves) < 2:
        return 0.0
    end_frames, lead_in = (
        curves[start + length - glide : start + length],
        curves[start - glide : start],
    )
    gap = float(np.linalg.norm(end_frames - lead_in, axis=1).max())
    usual = float(np.percentile(_steps(curves)[1:], 95))
    if gap == 0:
        return 0.0
    return _SMOOTHSTEP_PEAK * gap / glide / max(usual, 1e-12)
