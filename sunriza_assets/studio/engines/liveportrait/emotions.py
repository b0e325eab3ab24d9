"""An emotion as displacements of LivePortrait's keypoints.

The retargeting networks open and close eyes and lips. Brows and corners of the mouth are moved
along the directions in expression space that LivePortrait's own portrait editor uses (sliders
"smile" and "eyebrow" of KwaiVGI/LivePortrait, src/gradio_pipeline.py): keypoints are implicit, and
those that move a brow need not lie on it. Each direction is normalised to its leading keypoint,
which moves as far as the emotion says, limited to the editor's ranges. So corners droop much less
than they rise. Brows rise only as a whole, by the mean of both ends' rise; cheeks and nose follow
the smile or stay; lids close by what both of them move; creases are the networks' own.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.anatomy import LIPS, LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.engines.liveportrait.driving import Ratios, eye_offsets, lip_offsets
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion
from sunriza_assets.studio.engines.liveportrait.modules import Retargeting
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.expression.emotions import Emotion, emotion_of
from sunriza_assets.studio.face.topology import LOWER_LIP_ROWS, MOUTH_CORNERS, UPPER_LIP_ROWS
from sunriza_assets.studio.parameters import RenderParameters

__all__ = [
    "BROW_RAISE",
    "BROW_RANGE",
    "MOVED_KEYPOINTS",
    "SMILE",
    "SMILE_RANGE",
    "Direction",
    "EmotionKeypoints",
    "emotion_keypoints",
    "expression_offsets",
]

Direction = dict[tuple[int, int], float]
"""(keypoint, axis) -> displacement; axes 0 right, 1 down, 2 into the picture."""

SMILE: Final[Direction] = {
    (14, 1): -1.0,
    (20, 1): -0.5,
    (17, 1): 0.325,
    (17, 2): 0.15,
    (3, 1): -0.175,
    (7, 1): -0.175,
    (13, 1): -0.1375,
    (16, 1): -0.1375,
}
"""Corners of the mouth up by one."""
BROW_RAISE: Final[Direction] = {(1, 1): 1.0, (2, 1): -1.0}
"""Brows up by one."""
_FROWN: Final[Direction] = {(1, 0): 1.0, (2, 0): -1.0, (1, 1): -0.3, (2, 1): 0.3}
"""Brows together by one, and down."""
SMILE_RANGE: Final = (-0.3 * 0.02, 1.3 * 0.02)
"""Least and most that keypoint 14 goes up, canonical units: the slider's range times its step."""
BROW_RANGE: Final = (-30 * 0.001, 30 * 0.001)
"""The same for either direction of the brows."""
MOVED_KEYPOINTS: Final = tuple(
    sorted({point for way in (SMILE, BROW_RAISE, _FROWN) for point, _ in way} | {*LIPS})
)
"""Keypoints whose expression an emotion changes."""


@dataclass(frozen=True)
class EmotionKeypoints:
    """What an emotion adds to the keypoints of one portrait, (1, 21, 3) each."""

    expression: Tensor
    """Brows, corners and width of the mouth."""
    eyes: Tensor
    """Opening of the eyes."""
    lips: Tensor
    """Opening of the lips, in place of the portrait's own."""
    openness: float
    """Opening of the eyes over that in the portrait, > 0."""
    sets_lips: bool
    """Whether the emotion sets the opening of the lips."""

    def eyes_at(self, driver: Ratios | None) -> Tensor:
        """(T or 1, 21, 3) `eyes` in every frame: the less the more the driver's lids close."""
        if driver is None:
            return self.eyes
        ratio = driver.eyes.mean(dim=1)
        awake = (ratio / ratio.median().clamp_min(1e-3)).clamp(0.0, 1.0)
        return awake[:, None, None] * self.eyes


def emotion_keypoints(
    portrait: Portrait, parameters: RenderParameters, retargeting: Retargeting, *, closed: bool
) -> EmotionKeypoints | None:
    """What the emotion in the parameters does to a portrait; None if nothing.

    Args:
        portrait: the portrait.
        parameters: emotion and strength.
        retargeting: the perceptrons.
        closed: start from closed lips, whatever the portrait's are.
    """
    requested = emotion_of(parameters.emotion, parameters.emotion_strength)
    if requested is None:
        return None
    emotion, strength = requested
    source, ratios = portrait.motion.keypoints, portrait.ratios
    openness = 1.0 + strength * (emotion.eyes - emotion.squint - 1.0)
    wanted = openness * ratios.eyes.mean(dim=1, keepdim=True)
    lips = torch.zeros_like(source)
    if emotion.opening is not None:
        start = torch.zeros_like(ratios.lip) if closed else ratios.lip
        ratio = (
            emotion.opening
            * portrait.iod
            / max(_mouth_width_and_smile(portrait)[0] * emotion.width, 1e-6)
        )
        lips = lip_offsets(source, ratios, start + strength * (ratio - start), 1, retargeting)
    return EmotionKeypoints(
        expression=strength * expression_offsets(portrait, emotion),
        eyes=eye_offsets(source, ratios, wanted, 1, retargeting),
        lips=lips,
        openness=openness,
        sets_lips=emotion.opening is not None,
    )


def expression_offsets(portrait: Portrait, emotion: Emotion) -> Tensor:
    """(1, 21, 3) displacement of the keypoints by an emotion's expression at full strength."""
    motion, unit = portrait.motion, portrait.iod_in_keypoints
    width, smile = _mouth_width_and_smile(portrait)
    lift = emotion.corner_lift(smile) * width / 2 / portrait.iod
    rise = (emotion.inner_brow + emotion.outer_brow) / 2
    exp = (
        float(np.clip(unit * lift, *SMILE_RANGE)) * _in_expression_space(SMILE)
        + float(np.clip(unit * rise, *BROW_RANGE)) * _in_expression_space(BROW_RAISE)
        + float(np.clip(unit * emotion.brow_pinch, *BROW_RANGE)) * _in_expression_space(_FROWN)
    )
    across = motion.kp[0, list(LIPS), 0]
    exp[list(LIPS), 0] += (emotion.mouth_width(smile) - 1.0) * (across - across.mean())
    exp[UPPER_LIP, 1] -= (emotion.lips + emotion.upper_lip) * unit
    exp[LOWER_LIP, 1] -= (emotion.lips - emotion.lower_lip) * unit
    changed = Motion(motion.scale, motion.rotation, motion.exp + exp, motion.t, motion.kp)
    return changed.keypoints - motion.keypoints


def _in_expression_space(direction: Direction) -> Tensor:
    """(21, 3) a direction in expression space."""
    result = torch.zeros(KEYPOINTS, 3)
    for place, value in direction.items():
        result[place] = value
    return result


def _mouth_width_and_smile(portrait: Portrait) -> tuple[float, float]:
    """Width of the mouth in pixels, and how much it smiles already: see `Emotion.corner_lift`."""
    left, right = (portrait.mesh[corner, :2] for corner in MOUTH_CORNERS)
    width = max(float(np.linalg.norm(right - left)), 1e-6)
    middle = portrait.mesh[[UPPER_LIP_ROWS[-1, 5], LOWER_LIP_ROWS[-1, 5]], :2].mean(axis=0)
    across = (right - left) / width
    below = float((middle - left) @ [-across[1], across[0]])
    return width, max(below / (width / 2), 0.0)
