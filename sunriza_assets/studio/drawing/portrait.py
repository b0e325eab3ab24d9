"""From a picture and the parameters to a rig: size, crop, face, matte."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.expression.emotion_offsets import fit_emotion
from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.landmarks import PASSES, PRESENT, FaceMesh
from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.topology import MESH_POINTS
from sunriza_assets.studio.media.grain import denoise_picture
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["prepare_rig"]

CROP_SIZE: Final = 512
"""Side of the square that is output instead of the whole picture."""
_CROP_FACES: Final = 1.55
"""Side of that square over the side of the crop the landmarks are read from (1.5 faces)."""
_CROP_RISE: Final = 0.06
"""The square stands this share of its side above the middle of the face: hair is above it."""


def prepare_rig(
    picture: Image, parameters: RenderParameters, mesh: FaceMesh, matte: PersonMatte
) -> PortraitRig:
    """The rig of a picture, resized as in the idle; finds the face in it.

    Raises:
        FaceError: the picture shows no face or several.
    """
    image = _even(_shrunk(picture, parameters.source_max_dim))
    landmarks = _landmarks(image, mesh, detect=parameters.flag_do_crop)
    if not parameters.flag_pasteback:
        matrix = _face_square(image, landmarks, whole=not parameters.flag_do_crop)
        image = _cut(image, matrix)
        scale = matrix[0, 0]
        landmarks = landmarks * scale
        landmarks[:, :2] += matrix[:, 2]
    person = matte.matte(image)
    return PortraitRig(
        denoise_picture(image, parameters.denoise, where=person),  # what stands still costs nothing
        landmarks,
        matte=person,
        stitched=parameters.flag_stitching,
        emotion=fit_emotion(
            landmarks[:MESH_POINTS], parameters.emotion, parameters.emotion_strength
        ),
    )


def _landmarks(image: Image, mesh: FaceMesh, *, detect: bool) -> NDArray[np.float64]:
    """(478, 3) landmarks; without detection the whole picture is taken as the crop of a face."""
    if detect:
        return mesh.portrait(image).points.astype(np.float64)
    height, width = image.shape[:2]
    whole = FaceCrop(width / 2, height / 2, float(max(width, height)), 0.0)
    face = mesh.landmarks(image, whole, passes=PASSES)
    if face.score < PRESENT:
        raise FaceError(
            "The portrait is not a crop of a face",
            remedy="Let the face be looked for: set flag_do_crop to true.",
            code="none",
        )
    return face.points.astype(np.float64)


def _shrunk(picture: Image, longest: int) -> Image:
    """The picture with its longest side no longer than `longest`; never enlarged."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1.0:
        return picture
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _even(picture: Image) -> Image:
    """The picture without its last row and column where their number is odd, as H.264 requires."""
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height - height % 2, : width - width % 2])


def _face_square(
    image: Image, landmarks: NDArray[np.float64], *, whole: bool
) -> NDArray[np.float64]:
    """(2, 3) map from the picture to the square that is output instead of it.

    The square lies inside the picture, however near the face is to its border.
    """
    height, width = image.shape[:2]
    face = FaceCrop.around_points(landmarks)
    side = min(height, width) if whole else min(_CROP_FACES * face.side, height, width)
    left = np.clip(face.x - side / 2, 0, width - side)
    top = np.clip(face.y - (0.5 + _CROP_RISE) * side, 0, height - side)
    scale = CROP_SIZE / side
    return np.array([[scale, 0.0, -scale * left], [0.0, scale, -scale * top]])


def _cut(image: Image, matrix: NDArray[np.float64]) -> Image:
    """The `CROP_SIZE` square of the picture under a map of continuous coordinates."""
    reduction = max(1.0, 0.5 / matrix[0, 0])  # what would alias is area-averaged first
    if reduction > 1.0:
        height, width = image.shape[:2]
        size = (max(1, round(width / reduction)), max(1, round(height / reduction)))
        smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([width / size[0], height / size[1], 1.0])
        image = np.asarray(smaller, dtype=np.uint8)
    by_centre = matrix.copy()
    by_centre[:, 2] += by_centre[:, :2] @ (0.5, 0.5) - 0.5
    cut = cv2.warpAffine(
        image, by_centre, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(cut, dtype=np.uint8)
