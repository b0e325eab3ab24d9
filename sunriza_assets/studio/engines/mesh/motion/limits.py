"""Soft limits on pose and expression, which keep the warp of a photo free of visible artefacts.

Up to a knee motion passes unchanged; above it motion is compressed towards a limit. At gain one the
limits are as wide as the warp allows; they narrow as the gain grows, so that a large gain amplifies
small motion without distorting large motion.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.expression.easing import knee

__all__ = ["EXAGGERATED", "Limit", "limited"]


@dataclass(frozen=True, slots=True)
class Limit:
    """Knee and limit of one kind of motion at gain one, and at an exaggerated gain."""

    knee_at_one: float
    """Size up to which motion at gain one passes unchanged."""
    limit_at_one: float
    """Size that motion at gain one tends to."""
    knee_exaggerated: float
    """The knee from `EXAGGERATED` on."""
    limit_exaggerated: float
    """The limit from `EXAGGERATED` on."""

    def at(self, gain: float) -> tuple[float, float]:
        """Knee and limit at a gain."""
        share = float(np.clip((gain - 1.0) / (EXAGGERATED - 1.0), 0.0, 1.0))
        knee_at_one = self.knee_at_one + share * (self.knee_exaggerated - self.knee_at_one)
        return knee_at_one, self.limit_at_one + share * (self.limit_exaggerated - self.limit_at_one)


EXAGGERATED: Final = 1.7
"""Gain from which on the limits are tightest."""

# Radians.
YAW: Final = Limit(0.40, 0.70, 0.14, 0.36)
PITCH: Final = Limit(0.30, 0.50, 0.12, 0.28)
ROLL: Final = Limit(0.35, 0.60, 0.14, 0.34)
# IOD.
SHIFT: Final = Limit(0.45, 0.90, 0.15, 0.40)
# Natural logarithm.
ZOOM: Final = Limit(0.20, 0.35, 0.08, 0.18)
# Root mean square over the vertices of a region, IOD.
LIPS: Final = Limit(0.17, 0.30, 0.09, 0.15)
BROWS: Final = Limit(0.05, 0.09, 0.025, 0.05)


def limited(values: NDArray[Any], limit: Limit, gain: float) -> tuple[NDArray[np.float64], float]:
    """Multiply by the gain and compress what exceeds the knee.

    Args:
        values: (T, ...) at gain one.
        limit: its kind.
        gain: >= 0.

    Returns:
        The result, and the share of all frames on which it lost more than 2 % of its size.
    """
    wanted = gain * np.asarray(values, dtype=np.float64)
    result = knee(wanted, *limit.at(gain))
    lost = np.abs(result) < 0.98 * np.abs(wanted)
    return result, float(lost.mean()) if lost.size else 0.0
