"""Curves that the independent models measure in a clip, and how well one clip follows another."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.measures import (
    blink_frames,
    eye_apertures,
    head_angles,
    mouth_aperture,
)
from sunriza_assets.studio.face.regions import SKULL
from sunriza_assets.studio.face.topology import (
    LIPS_INNER,
    LIPS_OUTER,
    MESH_POINTS,
    OUTER_EYE_CORNERS,
)
from sunriza_assets.studio.motion.rigid import fit_similarity
from sunriza_assets.studio.motion.smoothing import smooth
from sunriza_assets.studio.quality.figures import correlation, jitter

__all__ = ["Following", "Signals", "compare", "read_signals"]

Array = NDArray[np.float64]

_LOWPASS_FRAMES: Final = 7
_MIN_AGREEMENT: Final = 0.8
_MAX_LOST_SHARE: Final = 0.2
_SAME_BLINK_S: Final = 0.15
"""Seconds by which the heights of one blink, which are flat, may differ between two clips."""
GATES: Final = {"eye": 0.02, "mouth": 0.02, "yaw": 0.02, "lips": 0.006}
"""Standard deviation that a clip's curve must have for its correlation to mean anything: noise in a
still picture has about a tenth of it."""


@dataclass(frozen=True)
class Signals:
    """A clip's curves."""

    rate: Fraction
    """Frames per second."""
    points: Array
    """(T, 478, 3) landmarks, pixels."""
    eye: Array
    """(T,) mean eye aperture over eye width."""
    mouth: Array
    """(T,) inner-lip gap, IOD."""
    yaw: Array
    """(T,) radians."""
    lips: Array
    """(T, 40, 2) inner and outer lips, head motion undone, about their mean, IOD."""
    blinks: tuple[int, ...]
    """Frames of the blinks that are beyond doubt."""
    maybe_blinks: tuple[int, ...]
    """Frames of these and of the dips that may be blinks."""
    jitter: float
    """Mean second difference of the landmarks, IOD."""

    @property
    def iod(self) -> float:
        """Median distance of the outer eye corners, pixels."""
        right, left = OUTER_EYE_CORNERS
        apart = self.points[:, right, :2] - self.points[:, left, :2]
        return float(np.median(np.linalg.norm(apart, axis=1)))


@dataclass(frozen=True)
class Following:
    """How well an output follows its driver."""

    r: dict[str, float | None]
    """Correlation by curve (eye, mouth, yaw, lips); None where the driver hardly moves."""
    control: dict[str, float | None]
    """The same against the driver shifted by a third: must be low."""
    missed: tuple[int, ...]
    """Frames of the driver's blinks at which the output's eyes do not close."""
    invented: tuple[int, ...]
    """Frames of the output's blinks at which the driver's eyes do not close."""
    jitter: float
    """Jitter of the output over the driver's."""


def read_signals(frames: Iterable[Image], mesh: FaceMesh, rate: Fraction) -> Signals:
    """Read a clip's curves.

    Raises:
        FaceError: no face in more than a fifth of the frames.
    """
    faces = [None if face is None else face.points for face in mesh.track(iter(frames))]
    lost = sum(face is None for face in faces)
    if lost > _MAX_LOST_SHARE * len(faces):
        raise FaceError(f"No face in {lost} of {len(faces)} frames", code="lost")
    return signals(_without_gaps(faces), rate)


def signals(points: Array, rate: Fraction) -> Signals:
    """The curves of landmarks (T, 478, 3)."""
    apertures = eye_apertures(points)
    right, left = OUTER_EYE_CORNERS
    iod = float(np.median(np.linalg.norm(points[:, right] - points[:, left], axis=1)))
    return Signals(
        rate=rate,
        points=points,
        eye=_lowpass(apertures.mean(axis=1), rate),
        mouth=_lowpass(mouth_aperture(points), rate),
        yaw=_lowpass(head_angles(points)[:, 0], rate),
        lips=_lowpass(_lip_trajectories(points), rate),
        blinks=tuple(blink_frames(apertures, float(rate)).tolist()),
        maybe_blinks=tuple(blink_frames(apertures, float(rate), doubtful=True).tolist()),
        jitter=jitter(points, iod),
    )


def compare(
    driver: Signals, output: Signals, *, mouth: NDArray[np.floating[Any]] | None = None
) -> Following:
    """How well an output follows a driver of as many frames.

    Blinks are compared one by one, and with two thresholds: what is beyond doubt on one side must
    at least be possible on the other. With one threshold, a blink that either eye sees half shut,
    as behind glasses, would count against the output in either case.

    Args:
        driver: the clip.
        output: what was made of it.
        mouth: the clip's mouth opening as another model sees it. The independent mesh takes some
            closed smiles for open mouths; what two models read differently is not judged.
    """
    count = min(len(driver.eye), len(output.eye))
    moves = {name: _deviation(getattr(driver, name)[:count]) > gate for name, gate in GATES.items()}
    if mouth is not None:
        moves["mouth"] &= correlation(driver.mouth[:count], mouth[:count]) > _MIN_AGREEMENT

    def correlations(shift: int) -> dict[str, float | None]:
        return {
            name: correlation(
                np.roll(getattr(driver, name)[:count], shift, axis=0), getattr(output, name)[:count]
            )
            if moves[name]
            else None
            for name in GATES
        }

    return Following(
        r=correlations(0),
        control=correlations(count // 3),
        missed=_unmatched(driver.blinks, output.maybe_blinks, driver.rate),
        invented=_unmatched(output.blinks, driver.maybe_blinks, driver.rate),
        jitter=output.jitter / max(driver.jitter, 1e-9),
    )


def _unmatched(
    blinks: tuple[int, ...], candidates: tuple[int, ...], rate: Fraction
) -> tuple[int, ...]:
    """Those blinks for which there is no answer at about the same time; each answers once."""
    left, unmatched = list(candidates), []
    for blink in blinks:
        near = [answer for answer in left if abs(answer - blink) <= _SAME_BLINK_S * rate]
        if near:
            left.remove(near[0])
        else:
            unmatched.append(blink)
    return tuple(unmatched)


def _lip_trajectories(points: Array) -> Array:
    """(T, 478, 3) -> (T, 40, 2) lips in the pose of the mean face, about their mean place, IOD."""
    mesh = points[:, :MESH_POINTS]
    reference = mesh[0]
    for _ in range(2):
        upright = fit_similarity(reference[SKULL], mesh[:, SKULL]).inverse().apply(mesh)
        reference = upright.mean(axis=0)
    right, left = OUTER_EYE_CORNERS
    iod = float(np.linalg.norm(reference[right] - reference[left]))
    lips = upright[:, np.concatenate([LIPS_OUTER, LIPS_INNER]), :2] / iod
    return np.asarray(lips - lips.mean(axis=0))


def _lowpass(curve: NDArray[Any], rate: Fraction) -> Array:
    return smooth(curve, rate, frames_at_30=_LOWPASS_FRAMES)


def _deviation(curve: Array) -> float:
    """Root mean square deviation from the mean over time."""
    return float(np.sqrt(np.mean(np.var(curve, axis=0))))


def _without_gaps(faces: list[NDArray[np.float32] | None]) -> Array:
    """Lost frames take the face of the nearest frame before them, or after at the start."""
    known = {k: face for k, face in enumerate(faces) if face is not None}
    earliest = min(known)
    nearest = [max((k for k in known if k <= t), default=earliest) for t in range(len(faces))]
    return np.stack([known[k] for k in nearest]).astype(np.float64)
