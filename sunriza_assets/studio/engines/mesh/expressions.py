"""Single expressions of a portrait that was prepared once: its rig, and an emotion's offsets."""

import threading

import numpy as np

from sunriza_assets.studio.contracts.engine import Expression, Image
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.visemes import mouth_inside, speaking_mesh
from sunriza_assets.studio.expression.emotion_offsets import fit_emotion
from sunriza_assets.studio.expression.visemes import VISEMES

__all__ = ["PreparedMeshPortrait"]


class PreparedMeshPortrait:
    """A rig of a portrait without an emotion; may be used from several threads.

    Args:
        rig: drawn by one thread at a time.
    """

    def __init__(self, rig: PortraitRig) -> None:
        self._rig = rig
        self._drawing = threading.Lock()

    def draw(self, expression: Expression) -> Image:
        """(H, W, 3) the portrait with an expression."""
        mesh = self._rig.mesh
        emotion = fit_emotion(mesh, expression.emotion, expression.strength)
        shape = VISEMES[expression.viseme]
        closure = (0.0, 0.0)
        if emotion is not None:
            right, left = emotion.closures(np.zeros(2))
            closure = (float(right), float(left))
        with self._drawing:
            return self._rig.draw(
                speaking_mesh(self._rig, shape, emotion),
                closure=closure,
                mouth=mouth_inside(shape),
                emotion=emotion,
            )
