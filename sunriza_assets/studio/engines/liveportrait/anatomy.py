"""Which of the 21 implicit keypoints stand for what in a face."""

from typing import Final

import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS

__all__ = ["EXPRESSIVE", "EYES", "LIPS", "LIP_NEUTRAL", "LOWER_LIP", "UPPER_LIP"]

LIPS: Final = (6, 12, 14, 17, 19, 20)
EYES: Final = (11, 13, 15, 16, 18)
LOWER_LIP: Final = 19
"""Its y is by far the largest entry of `LIP_NEUTRAL`: closed lips pull it up."""
UPPER_LIP: Final = 20
"""The second largest, downwards."""


def _expressive() -> Tensor:
    """(21, 3) which components take over another face's expression as it is."""
    mask = torch.zeros(KEYPOINTS, 3, dtype=torch.bool)
    mask[[1, 2, 6, *range(11, KEYPOINTS)]] = True
    mask[[3, 4], 1] = True
    mask[[5, 8], 2] = True
    mask[9, 1:] = True
    return mask


EXPRESSIVE: Final = _expressive()
"""(21, 3) true where an expression may be replaced without moving head or identity."""

# fmt: off
LIP_NEUTRAL: Final = torch.tensor(
    [
        (-9.4524e-05, 0.00024222, -4.00974e-05),
        (0.000208596, 0.000468054, 1.27464e-05),
        (-0.000124602, 0.000324972, 4.425e-06),
        (0.000119652, -0.000456624, 5.40852e-05),
        (-0.000265254, -7.4598e-05, -1.5528e-05),
        (-3.34884e-05, -0.000183036, -3.49404e-06),
        (-4.75428e-07, -4.52466e-07, 1.59498e-06),
        (-0.000541296, 0.0026328, 7.2486e-06),
        (-1.1694e-05, 5.00502e-06, 9.9888e-06),
        (8.0286e-07, 5.19132e-06, -0.000409344),
        (0.000166878, -1.9815e-05, -8.8548e-05),
        (-1.51536e-05, 8.2506e-05, 5.94012e-06),
        (-2.61054e-07, 2.7591e-06, 2.21028e-06),
        (-6.6282e-05, -6.8286e-05, -3.45318e-06),
        (-0.00083262, -0.00179592, -2.59176e-06),
        (6.9714e-06, 3.65514e-05, -1.8978e-06),
        (-4.80876e-06, 7.1148e-06, -1.03236e-05),
        (-0.00063684, -0.0011661, 5.62314e-05),
        (0.00028329, -1.45656e-05, 1.09746e-05),
        (-4.16022e-06, -0.0150906, -0.0025494),
        (0.000222474, 0.00562788, 0.00272646),
    ]
)
# fmt: on
"""(21, 3) expression of a face at rest with closed lips, LivePortrait's own constant.

It is what a single driving picture is compared with, for want of a first frame.
"""
