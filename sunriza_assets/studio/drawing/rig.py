"""A portrait prepared for drawing: everything that depends on it alone, computed once."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.background import Layers
from sunriza_assets.studio.drawing.creases import Creases
from sunriza_assets.studio.drawing.fineness import Fineness
from sunriza_assets.studio.drawing.glasses import find_rims
from sunriza_assets.studio.drawing.lids import Eye
from sunriza_assets.studio.drawing.mouth import Mouth, MouthPainter
from sunriza_assets.studio.drawing.palette import eye_white
from sunriza_assets.studio.drawing.warp import Warp
from sunriza_assets.studio.expression.emotion_offsets import EmotionOffsets
from sunriza_assets.studio.face.regions import OVAL
from sunriza_assets.studio.face.topology import MESH_POINTS
from sunriza_assets.studio.motion.head_pose import HeadMotion, eye_distance, skull_centre

__all__ = ["PortraitRig"]

_CRISP: Final = 0.3
_CRISP_SIGMA: Final = 0.8
"""Strength and width (pixels) of the unsharp mask that makes up for one reading between pixels; it
brings the variance of the Laplacian from about 0.73 of the photo's back to 0.92."""
_CRISP_REACH: Final = 1.25
_CRISP_EDGE: Final = 0.15
"""It covers the face and what is next to it, as a multiple of the oval, and ends softly, IOD."""


class PortraitRig:
    """Draws one portrait with its face, head, eyes and mouth moved.

    Drawing edits a buffer of the rig in place for a moment: one thread at a time.

    Args:
        image: (H, W, 3) RGB uint8 portrait.
        landmarks: (478, 3) face of the portrait, continuous pixels, z on the scale of x.
        matte: (H, W) 0-1, how surely a pixel is person; None warps background and person as one.
        stitched: keep the shoulders and the picture's border in place.
        emotion: the emotion of the face in every frame; None leaves the portrait's own expression.
    """

    def __init__(
        self,
        image: Image,
        landmarks: NDArray[Any],
        *,
        matte: NDArray[Any] | None = None,
        stitched: bool = True,
        emotion: EmotionOffsets | None = None,
    ) -> None:
        points = np.asarray(landmarks, dtype=np.float64)
        height, width = image.shape[:2]
        self.image = image
        self.landmarks = points
        self.mesh = points[:MESH_POINTS]
        """(468, 3) the portrait's own mesh: drawing it gives the portrait back."""
        self.emotion = emotion
        self.rest = self.mesh if emotion is None else emotion.rest(self.mesh)
        """(468, 3) the mesh in the portrait's emotion, before the clip moves it."""
        self.iod = eye_distance(points)
        """Distance of the outer eye corners, pixels."""
        self.centre = skull_centre(points)
        """(3,) the point the head turns about."""
        rims = find_rims(image, points)
        self.has_glasses = rims is not None
        """Whether rims were found that the lids pass behind."""
        self._crisp = _crisp(image, points)
        white = eye_white(image, points)
        right, left = (Eye(points, side, self._crisp, rims=rims, white=white) for side in (0, 1))
        self.eyes = (right, left)
        """The subject's right eye, then the left."""
        self.mouth = MouthPainter(points, self._crisp, fineness=Fineness.of(image, points))
        self.warp = Warp(points, (width, height), stitched=stitched)
        self.creases = Creases(
            points, self.mouth.skin, size=(width, height), around=[eye.window for eye in self.eyes]
        )
        self._layers = Layers(self._crisp, None if matte is None else _with_face(matte, points))

    def draw(
        self,
        points: NDArray[Any],
        *,
        head: HeadMotion | None = None,
        closure: tuple[float, float] = (0.0, 0.0),
        gaze: NDArray[Any] | None = None,
        mouth: Mouth | None = None,
        emotion: EmotionOffsets | None = None,
    ) -> Image:
        """The portrait with its mesh at `points`.

        Args:
            points: (468, 3) where the mesh goes, pixels of the portrait, head motion included.
            head: motion of the skull alone, which hair and neck follow; None is the head at rest.
            closure: of the subject's right and left eye, 0 as in the portrait, 1 shut, less than 0
                wider.
            gaze: (2, 2) shift of either iris in eye widths (x right, y down); None is none.
            mouth: what is inside the mouth where it opens; None is a tongue at rest.
            emotion: whose lower lids and creases are drawn; None is the emotion of the rig.

        Returns:
            (H, W, 3) uint8, a new array.
        """
        head = head or HeadMotion.still()
        shifts = self._within_eyes(np.zeros((2, 2)) if gaze is None else gaze)
        sources = self.warp.backward_map(head, points, self.mouth.lip_sources(head, points))
        emotion = emotion or self.emotion
        squint = emotion.squint if emotion else 0.0
        eyes = [
            (eye.window, eye.draw(closure[side], shifts[side], squint=squint))
            for side, eye in enumerate(self.eyes)
        ]
        drawn = [(window, eye) for window, eye in eyes if eye is not None]
        if emotion and any(emotion.creases.values()):
            drawn = [self.creases.draw(self._crisp, drawn, emotion.creases)]
        if sources is None and not drawn:
            return self.image.copy()
        frame = self._crisp.copy()
        for window, eye in drawn:  # where they stand, for what does not move is not read again
            frame[window] = eye
        if sources is not None:
            with self._layers.showing(drawn):
                self._layers.paint(frame, sources)
        self.mouth.paint(frame, head, np.asarray(points), mouth or Mouth())
        return frame

    def _within_eyes(self, gaze: NDArray[Any]) -> NDArray[np.float64]:
        """(2, 2) the gaze as far as both eyes have room for it: they look the same way."""
        limited = [eye.limited(gaze[side]) for side, eye in enumerate(self.eyes)]
        kept = [
            np.where(np.abs(wanted) > 1e-6, found / np.where(wanted == 0.0, 1.0, wanted), 1.0)
            for wanted, found in zip(gaze, limited, strict=True)
        ]
        return np.asarray(gaze * np.minimum(*kept), dtype=np.float64)


def _crisp(image: Image, points: NDArray[Any]) -> Image:
    """The picture with the face sharpened by what bicubic reading between pixels takes away."""
    height, width = image.shape[:2]
    centre = points[OVAL, :2].mean(axis=0)
    outline = centre + _CRISP_REACH * (points[OVAL, :2] - centre)
    edge = max(1, round(_CRISP_EDGE * eye_distance(points)))
    low = np.clip(np.floor(outline.min(axis=0)) - edge - 2, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(outline.max(axis=0)) + edge + 2, 0, [width, height]).astype(int)
    if (high <= low).any():
        return image
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    around = np.ascontiguousarray(image[window])
    face = np.zeros(around.shape[:2], np.uint8)
    corners = np.round((outline - low) * 16 - 8).astype(np.int32)
    cv2.fillPoly(face, [corners], 255, cv2.LINE_AA, shift=4)
    kernel = (2 * edge + 1, 2 * edge + 1)
    amount = cv2.blur(face, kernel, borderType=cv2.BORDER_REPLICATE).astype(np.float32)
    soft = cv2.GaussianBlur(around, (0, 0), _CRISP_SIGMA).astype(np.float32)
    sharpened = around + amount[:, :, None] * np.float32(_CRISP / 255.0) * (around - soft)
    result = image.copy()
    result[window] = np.clip(np.rint(sharpened), 0, 255).astype(np.uint8)
    return result


def _with_face(matte: NDArray[Any], points: NDArray[Any]) -> NDArray[np.float32]:
    """The matte with 1 inside the face oval, so that the plate never shows through the face."""
    certain = np.asarray(matte, dtype=np.float32).copy()
    oval = np.round(points[OVAL, :2] * 16 - 8).astype(np.int32)
    cv2.fillPoly(certain, [oval], 1.0, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(np.maximum(certain, matte), dtype=np.float32)
