"""The mouth's region of interest: where cells lie in the portrait and how they follow the head."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import EngineError, MediaError
from sunriza_assets.studio.files import write_json

__all__ = ["Roi", "read_roi", "roi_problems", "write_roi"]

_SCALE_RANGE: Final = (0.5, 2.0)
"""Plausible scales of a track; others are reported as problems."""


@dataclass(frozen=True, slots=True)
class Roi:
    """An upright rectangle in idle pixels at rest (the portrait's own pose)."""

    x: int
    """Left edge."""
    y: int
    """Upper edge."""
    w: int
    """Width, > 0."""
    h: int
    """Height, > 0."""

    def __post_init__(self) -> None:
        if self.w <= 0 or self.h <= 0:
            raise EngineError(f"ROI {self.w}x{self.h} has no area")

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether it lies inside a frame of (width, height) pixels."""
        return (
            self.x >= 0
            and self.y >= 0
            and self.x + self.w <= size[0]
            and self.y + self.h <= size[1]
        )

    def to_document(self, track: NDArray[np.floating[Any]] | None = None) -> dict[str, Any]:
        """The content of roi.json.

        Args:
            track: (T, 2, 3) one matrix per idle frame that takes a point (x, y) of the picture at
                rest to where it is in that frame: p' = M[:, :2] p + M[:, 2].
        """
        document: dict[str, Any] = {"x": self.x, "y": self.y, "w": self.w, "h": self.h}
        if track is not None:
            document["track"] = [_rounded(matrix) for matrix in track.tolist()]
        return document


def _rounded(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Five decimals of scale and rotation move a far corner by 0.02 px; two of shift, by 0.005."""
    return [[round(a, 5), round(b, 5), round(t, 2)] for a, b, t in matrix]


def write_roi(roi: Roi, track: NDArray[np.floating[Any]], file: Path) -> None:
    """Write roi.json: the rectangle at rest and its track, (T, 2, 3), over the idle's frames.

    Raises:
        StoreError: the folder cannot be written to.
    """
    write_json(file, roi.to_document(track))


def read_roi(file: Path) -> tuple[Roi, NDArray[np.float64]]:
    """The rectangle and its (T, 2, 3) track; an empty track where roi.json has none.

    Raises:
        MediaError: the file is missing, no JSON, or its numbers are not what they should be.
    """
    try:
        return _parsed(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, LookupError, TypeError, EngineError) as error:
        raise MediaError(f"ROI cannot be read: {error}", where=file) from error


def roi_problems(document: Mapping[str, Any], size: tuple[int, int], frame_count: int) -> list[str]:
    """What is wrong with the content of roi.json, empty if nothing is.

    Args:
        document: the parsed file.
        size: (width, height) of the idle, pixels.
        frame_count: frames of the idle.
    """
    try:
        roi, track = _parsed(document)
    except (ValueError, LookupError, TypeError, EngineError) as error:
        return [f"it cannot be read: {error}"]
    problems = []
    if not roi.fits(size):
        problems.append(f"{roi} lies outside the idle of {size[0]}x{size[1]} pixels")
    if len(track) != frame_count:
        problems.append(f"it has {len(track)} transforms for {frame_count} frames")
    scales = np.hypot(track[:, 0, 0], track[:, 1, 0])
    if len(track) and not ((scales >= _SCALE_RANGE[0]) & (scales <= _SCALE_RANGE[1])).all():
        problems.append(f"it scales the mouth by {scales.min():.2f} to {scales.max():.2f}")
    centre = np.array([roi.x + roi.w / 2, roi.y + roi.h / 2])
    centres = track[:, :, :2] @ centre + track[:, :, 2]
    if not ((centres >= 0) & (centres <= np.array(size))).all():
        problems.append("it leaves the idle's frame")
    return problems


def _parsed(document: Mapping[str, Any]) -> tuple[Roi, NDArray[np.float64]]:
    numbers = [document[name] for name in ("x", "y", "w", "h")]
    if not all(isinstance(number, int) for number in numbers):
        raise ValueError(f"x, y, w, h are {numbers}, not whole numbers")
    track = np.asarray(document.get("track", []), dtype=np.float64).reshape(-1, 2, 3)
    if not math.isfinite(float(track.sum())):
        raise ValueError("its track holds numbers that are none")
    return Roi(*numbers), track
