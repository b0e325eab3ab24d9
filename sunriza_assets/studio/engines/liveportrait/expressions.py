"""Single expressions of a portrait that was prepared once: keypoints of an emotion and a viseme."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from sunriza_assets.studio.contracts.engine import Expression, Image
from sunriza_assets.studio.engines.liveportrait.emotions import emotion_keypoints
from sunriza_assets.studio.engines.liveportrait.modules import Retargeting
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.engines.liveportrait.visemes import speaking_keypoints
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["PreparedLivePortrait"]


class PreparedLivePortrait:
    """A portrait whose face, features and motion have been read.

    It may be used from several threads if `paint` may.

    Args:
        portrait: the prepared portrait.
        retargeting: the perceptrons.
        parameters: as the portrait was prepared with; their emotion and strength are not used.
        paint: paints one pose, (1, 21, 3) keypoints -> (H, W, 3).
    """

    def __init__(
        self,
        portrait: Portrait,
        retargeting: Retargeting,
        parameters: RenderParameters,
        paint: Callable[[Tensor], Image],
    ) -> None:
        self._portrait = portrait
        self._retargeting = retargeting
        self._parameters = parameters
        self._paint = paint

    def draw(self, expression: Expression) -> Image:
        """(H, W, 3) the portrait with an expression, painted by the networks.

        Raises:
            EngineError: `out_of_memory`: not one frame fits; `not_finite`: even float32 overflows.
        """
        return self._paint(self.keypoints(expression))

    def keypoints(self, expression: Expression) -> Tensor:
        """(1, 21, 3) keypoints of the portrait at rest with an expression."""
        parameters = replace(
            self._parameters, emotion=expression.emotion, emotion_strength=expression.strength
        )
        return speaking_keypoints(
            self._portrait,
            VISEMES[expression.viseme],
            self._retargeting,
            stitching=parameters.flag_stitching,
            emotion=emotion_keypoints(self._portrait, parameters, self._retargeting, closed=False),
        )
