"""The events of each built-in performance: few, at irregular times.

A path is a row of moves (when it begins, how long it takes, where it goes); between them every
curve drifts. Amplitudes are made for the default driving multiplier, which enlarges all of them but
the lids' and irises' by 1.7. A mouth moves little: viseme cells are laid over it, and the skin
around it has to stay where theirs is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["PLANS", "Move", "Plan"]

Move = tuple[float, float, float]
"""(when it begins, how long it takes, where it goes), the first two in seconds."""
Path = tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One performance, in the units of `MotionScript`."""

    seconds: int
    """How long it lasts, and after what time it repeats."""
    blinks: tuple[float, ...]
    """When the eyes are shut, seconds."""
    breaths: tuple[float, ...]
    """When a breath begins, seconds."""
    paths: Mapping[str, Path]
    """Curve -> its moves; curves that are not named only drift."""
    glances: tuple[tuple[float, float, float], ...]
    """(when the eyes jump, to where: right, down), eye widths."""
    drifts: Mapping[str, float]
    """Curve -> root mean square of its drift; `x` and `y` are the shift's."""
    squint: float = 0.0
    """How far each unit of the smile lowers the lids."""


_DRIFTS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "yaw": 0.006, "pitch": 0.005, "roll": 0.004, "x": 0.008, "y": 0.008, "closure": 0.02,
        "smile": 0.012, "brows": 0.03, "width": 0.006,
    }
)  # fmt: skip

PLANS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "calm": Plan(
            seconds=7,
            blinks=(1.62, 4.58),
            breaths=(0.2, 3.5),
            paths={
                "yaw": ((0.6, 1.0, 0.024), (2.4, 1.1, -0.01), (4.1, 0.9, 0.012), (5.7, 1.3, -0.01)),
                "pitch": ((2.1, 1.0, 0.014), (4.6, 1.3, -0.006), (6.3, 0.8, 0.003)),
                "roll": ((1.0, 1.3, 0.01), (3.1, 1.2, -0.01), (4.8, 1.0, 0.006), (6.1, 1.2, -0.01)),
                "smile": ((2.4, 1.1, 0.09), (4.7, 1.6, 0.0)),
                "brows": ((3.2, 0.45, 0.16), (4.0, 0.9, 0.0)),
                "opening": ((0.3, 0.6, 0.003), (1.9, 0.5, 0.0)),
                "width": ((5.3, 0.35, -0.035), (5.85, 0.5, 0.0)),
            },
            glances=((1.58, 0.014, -0.004), (3.3, -0.012, 0.006), (4.52, 0.0, 0.0)),
            drifts=_DRIFTS,
        ),
        "cheerful": Plan(
            seconds=7,
            blinks=(0.72, 3.58, 6.02),
            breaths=(0.5, 3.7),
            paths={
                "yaw": (
                    (0.6, 0.9, -0.034), (1.9, 0.8, 0.014), (3.0, 0.9, -0.016), (4.2, 0.8, 0.042),
                    (5.7, 1.1, 0.0),
                ),
                "pitch": (
                    (0.9, 0.4, -0.012), (1.5, 0.5, 0.016), (3.0, 1.0, -0.004), (4.4, 0.35, 0.022),
                    (4.85, 0.6, -0.014), (6.0, 0.9, 0.0),
                ),
                "roll": (
                    (0.7, 1.0, -0.026), (1.9, 0.9, 0.014), (3.0, 0.9, -0.014), (4.2, 0.9, 0.03),
                    (5.6, 1.0, 0.0),
                ),
                "smile": ((0.8, 0.7, 0.18), (2.7, 1.2, 0.03), (4.3, 0.6, 0.24), (5.9, 1.0, 0.0)),
                "brows": ((0.75, 0.35, 0.28), (1.6, 0.9, 0.06), (4.15, 0.3, 0.32), (4.9, 0.8, 0.0)),
                "opening": ((0.9, 0.5, 0.002), (2.8, 0.8, 0), (4.4, 0.45, 0.003), (5.8, 0.8, 0)),
            },
            glances=((2.45, 0.018, 0.010), (3.5, -0.006, 0.0), (5.95, 0.0, 0.0)),
            drifts={**_DRIFTS, "yaw": 0.008, "pitch": 0.006, "x": 0.01, "y": 0.01},
            squint=0.5,
        ),
        "attentive": Plan(
            seconds=8,
            blinks=(1.58, 4.82, 6.96),
            breaths=(0.3, 4.2),
            paths={
                "yaw": ((0.5, 1.1, -0.020), (3.1, 1.4, 0.026), (6.3, 1.3, 0.0)),
                "pitch": (  # a nod that is repeated, and a single one
                    (1.5, 0.24, 0.040), (1.74, 0.3, -0.006), (2.06, 0.26, 0.026),
                    (2.34, 0.42, 0.004), (5.1, 0.3, 0.048), (5.42, 0.5, 0.0),
                ),
                "roll": ((0.8, 1.0, -0.01), (2.9, 1.2, 0.03), (4.5, 0.8, 0.0), (6.0, 1.2, 0.014)),
                "log_scale": ((0.4, 1.5, 0.035), (6.0, 1.8, 0.0)),
                "smile": ((1.8, 0.7, 0.1), (3.2, 1.2, 0.02), (5.3, 0.7, 0.08), (6.6, 1.0, 0.0)),
                "brows": ((1.2, 0.3, 0.3), (1.9, 0.8, 0.04), (3.2, 0.4, 0.38), (4.5, 0.9, 0.0)),
                "closure": ((3.3, 0.4, -0.05), (4.6, 0.8, 0.0)),
                "opening": ((3.3, 0.5, 0.004), (4.9, 0.5, 0.0)),
                "width": ((5.6, 0.4, -0.03), (6.2, 0.5, 0.0)),
            },
            glances=((1.5, 0.010, 0.0), (3.2, -0.012, -0.006), (4.75, 0.0, 0.0)),
            drifts={**_DRIFTS, "pitch": 0.004},
        ),
    }
)  # fmt: skip
"""By name."""
