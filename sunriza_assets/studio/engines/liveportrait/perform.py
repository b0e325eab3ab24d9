"""From a motion script to a template of this engine.

Head and zoom go over as they are. Smile, brows, parted lips and gaze become displacements of
keypoints along the directions of `emotions` and of LivePortrait's own portrait editor; lids are
stored as opening ratios; `transfer` reaches them with the retargeting network.
The width of the mouth is left out: where the lips' keypoints lie differs from face to face.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.engines.liveportrait.anatomy import LIP_NEUTRAL, LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.engines.liveportrait.emotions import (
    BROW_RAISE,
    BROW_RANGE,
    SMILE,
    SMILE_RANGE,
    Direction,
)
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.template import build_template
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.performances.script import MotionScript

__all__ = ["OPEN_EYES", "perform_script"]

OPEN_EYES: Final = 0.35
"""Opening ratio of the performer's eyes at rest."""
_MOUTH_WIDTH: Final = 0.65
"""Width of the performer's mouth, IOD."""
_IOD: Final = 0.5
"""The IOD in keypoint units: a face crop is 2 wide and about two faces wide."""
_LOWER_SHARE: Final = 0.88
"""How much of an opening the lower lip has."""
_GAZE: Final = 0.1
"""How far the irises' keypoints go for a gaze of one eye width: the editor's slider ends at 0.03,
with the irises a third of an eye's width aside."""
_IRISES: Final = (11, 15)


def perform_script(script: MotionScript) -> MotionTemplate:
    """The template of a face that performs a script; at rest all displacements are zero."""
    turns = Rotation.from_euler("YXZ", np.stack([-script.yaw, script.pitch, script.roll], axis=1))
    count = script.frame_count
    exp = np.zeros((count, KEYPOINTS, 3))
    _add(exp, SMILE, SMILE_RANGE[1] * script.smile)
    _add(exp, BROW_RAISE, BROW_RANGE[1] * script.brows)
    parting = -LIP_NEUTRAL.double().numpy() / abs(float(LIP_NEUTRAL[LOWER_LIP, 1]))
    for point in (LOWER_LIP, UPPER_LIP):
        exp[:, point] += np.multiply.outer(_LOWER_SHARE * _IOD * script.opening, parting[point])
    for point in _IRISES:
        exp[:, point, :2] += _GAZE * script.gaze
    arrays = {
        "scale": np.exp(script.log_scale)[:, None],
        "rotation": turns.as_matrix().transpose(0, 2, 1),  # for row vectors
        "exp": exp,
        "t": np.column_stack([_IOD * script.shift, np.zeros(count)]),
        "eyes": np.repeat(OPEN_EYES * (1.0 - script.closure)[:, None], 2, axis=1),
        "lip": (script.opening / _MOUTH_WIDTH)[:, None],
    }
    return build_template(
        {name: array.astype(np.float32) for name, array in arrays.items()},
        rate=script.rate,
        source_sha256=script.sha256,
        neutral_frame=0,
        facts={"performance": script.name},
    )


def _add(exp: NDArray[np.float64], direction: Direction, amount: NDArray[np.float64]) -> None:
    for (point, axis), share in direction.items():
        exp[:, point, axis] += share * amount
