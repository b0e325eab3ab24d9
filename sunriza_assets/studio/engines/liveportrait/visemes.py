"""A portrait's mouth in each of the twelve visemes, painted by the networks.

The lip retargeting network opens the lips to the opening ratio of the viseme. The rest of the shape
is made by moving single keypoints, which take their surroundings along: those of the lips towards
or away from the middle of the mouth to narrow or widen it, that of a lip to roll or tuck it.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sunriza_assets.studio.contracts.engine import Image, VisemeCells
from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.engines.liveportrait.anatomy import LIPS, LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.engines.liveportrait.driving import lip_offsets, stitched
from sunriza_assets.studio.engines.liveportrait.emotions import EmotionKeypoints
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion
from sunriza_assets.studio.engines.liveportrait.modules import Retargeting
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.expression.emotion_offsets import fit_emotion
from sunriza_assets.studio.expression.lip_shapes import shape_lips
from sunriza_assets.studio.expression.visemes import VISEMES, LipShape
from sunriza_assets.studio.face.topology import LIPS_OUTER, MESH_POINTS, MOUTH_CORNERS
from sunriza_assets.studio.parameters import DEFAULTS, RenderParameters

__all__ = ["cells_of", "mouth_roi", "speaking_keypoints", "viseme_keypoints"]

_MARGIN: Final = 0.22
"""What a cell shows around the lips, IOD."""
_TUCK_HEIGHT: Final = 0.05
"""How far a lower lip is drawn up that is tucked under the upper teeth entirely, IOD."""
_ROLL_OVERLAP: Final = 0.04
"""How far lips that are rolled in entirely go over each other, IOD."""


def viseme_keypoints(
    portrait: Portrait,
    retargeting: Retargeting,
    *,
    stitching: bool,
    emotion: EmotionKeypoints | None = None,
) -> Tensor:
    """(12, 21, 3) keypoints of the portrait at rest in each viseme, in the order of the atlas.

    Args:
        portrait: the portrait.
        retargeting: the perceptrons.
        stitching: keep shoulders and border in place.
        emotion: added to each viseme; see `speaking_keypoints`.
    """
    return torch.cat(
        [
            speaking_keypoints(portrait, shape, retargeting, stitching=stitching, emotion=emotion)
            for shape in VISEMES.values()
        ]
    )


def speaking_keypoints(
    portrait: Portrait,
    shape: LipShape | None,
    retargeting: Retargeting,
    *,
    stitching: bool,
    emotion: EmotionKeypoints | None = None,
) -> Tensor:
    """(1, 21, 3) keypoints of the portrait at rest with its lips in a shape, in an emotion.

    The emotion's opening of the lips counts only where there is no shape (Rest): while lips speak,
    the shape decides how far they part.
    """
    source = portrait.motion.keypoints
    x_d = source
    if shape is not None:
        wanted = torch.tensor([[_opening_ratio(portrait, shape)]])
        x_d = _shaped_lips(portrait, shape).keypoints
        x_d = x_d + lip_offsets(source, portrait.ratios, wanted, 1, retargeting)
        if stitching:
            x_d = stitched(source, x_d, retargeting)
    if emotion is not None:
        x_d = x_d + emotion.expression + emotion.eyes
        x_d = x_d + emotion.lips if shape is None else x_d
    return x_d


def mouth_roi(
    portrait: Portrait, parameters: RenderParameters = DEFAULTS
) -> tuple[Roi, NDArray[np.float64]]:
    """The cells' place in what is shown, and the outer lips (12, 20, 2) of each viseme there."""
    mesh = portrait.mesh[:MESH_POINTS]
    emotion = fit_emotion(mesh, parameters.emotion, parameters.emotion_strength)
    rest = mesh if emotion is None else emotion.rest(mesh)
    lips = np.stack([shape_lips(rest, shape)[LIPS_OUTER, :2] for shape in VISEMES.values()])
    margin = _MARGIN * portrait.iod
    low = np.floor(lips.min(axis=(0, 1)) - margin)
    high = np.ceil(lips.max(axis=(0, 1)) + margin)
    left, top = (int(value) for value in np.clip(low, 0, np.array(portrait.size) - 2))
    right, bottom = (int(value) for value in np.clip(high, [left + 2, top + 2], portrait.size))
    return Roi(left, top, right - left, bottom - top), lips


def cells_of(
    portrait: Portrait, frames: list[Image], parameters: RenderParameters = DEFAULTS
) -> VisemeCells:
    """Cut the mouth out of what is shown (12 pictures, in the order of the atlas)."""
    roi, lips = mouth_roi(portrait, parameters)
    rows, columns = slice(roi.y, roi.y + roi.h), slice(roi.x, roi.x + roi.w)
    cells = {name: frame[rows, columns].copy() for name, frame in zip(VISEMES, frames, strict=True)}
    return VisemeCells(cells, roi, lips - [roi.x, roi.y], iod=portrait.iod)


def _opening_ratio(portrait: Portrait, shape: LipShape) -> float:
    """The viseme's gap between the inner lips over the width that its mouth has."""
    left, right = (portrait.mesh[corner, :2] for corner in MOUTH_CORNERS)
    width = float(np.linalg.norm(right - left)) * shape.width
    return shape.opening * portrait.iod / max(width, 1e-6)


def _shaped_lips(portrait: Portrait, shape: LipShape) -> Motion:
    """The portrait with its lips widened, rolled and tucked, but opened no further."""
    motion = portrait.motion
    lips = list(LIPS)
    exp = motion.exp.clone()
    across = motion.kp[0, lips, 0]
    exp[0, lips, 0] += (shape.width - 1) * (across - across.mean())
    unit = portrait.iod_in_keypoints
    exp[0, LOWER_LIP, 1] -= (_TUCK_HEIGHT * shape.tuck + _ROLL_OVERLAP * shape.roll / 2) * unit
    exp[0, UPPER_LIP, 1] += _ROLL_OVERLAP * shape.roll / 2 * unit
    return Motion(motion.scale, motion.rotation, exp, motion.t, motion.kp)
