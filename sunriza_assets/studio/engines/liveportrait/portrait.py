"""A prepared portrait: size, face, crop, features, and how crops are pasted back into it."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait import crop
from sunriza_assets.studio.engines.liveportrait.crop import FaceSquare, cut, fitted_size
from sunriza_assets.studio.engines.liveportrait.driving import Ratios
from sunriza_assets.studio.engines.liveportrait.faces import FaceReader
from sunriza_assets.studio.engines.liveportrait.fast.warping import WarpSource
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion
from sunriza_assets.studio.engines.liveportrait.painter import PAINTED_SIZE, Painter
from sunriza_assets.studio.engines.liveportrait.paste import PasteBack
from sunriza_assets.studio.engines.liveportrait.reader import Reader, shrunk
from sunriza_assets.studio.face.topology import OUTER_EYE_CORNERS
from sunriza_assets.studio.media.grain import denoise_picture
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["Portrait", "fitted", "prepare_portrait"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Portrait:
    """Everything that any pose of one portrait needs."""

    motion: Motion
    """(one face) its own pose and expression."""
    ratios: Ratios
    """(one face) how far its eyes and lips are open."""
    source: WarpSource
    """Its features, as the painter takes them."""
    paste: PasteBack | None
    """Pastes crops back into the whole picture; None where the square crop is shown."""
    mesh: Array
    """(478, 3) face mesh in the pixels of what is shown; z in their scale."""
    to_shown: Array
    """(2, 3) from keypoint coordinates (x, y) to continuous pixels of what is shown."""
    size: tuple[int, int]
    """(width, height) of what is shown, pixels, both even."""

    @property
    def iod(self) -> float:
        """Distance of the outer eye corners, pixels of what is shown."""
        right, left = (self.mesh[index, :2] for index in OUTER_EYE_CORNERS)
        return float(np.linalg.norm(left - right))

    @property
    def iod_in_keypoints(self) -> float:
        """The same in the units of canonical keypoints."""
        pixels = float(np.sqrt(abs(np.linalg.det(self.to_shown[:, :2]))))
        return self.iod / pixels / float(self.motion.scale[0, 0])


def prepare_portrait(
    picture: Image,
    parameters: RenderParameters,
    faces: FaceReader,
    reader: Reader,
    painter: Painter,
    device: torch.device,
) -> Portrait:
    """Find the face of a portrait, crop it and read its motion and features.

    The crop goes back into the picture when that is asked for and stitching keeps its border still;
    without stitching it would not fit, and the square crop itself is shown.

    Raises:
        FaceError: the picture shows no face or several.
    """
    image = denoise_picture(fitted(picture, parameters.source_max_dim), parameters.denoise)
    if parameters.flag_do_crop:
        face = faces.portrait(image)
        square = face.square(crop.SOURCE)
    else:
        face = faces.crop_of_face(image)
        square = FaceSquare.of_picture(image)
    to_crop = square.to_crop(PAINTED_SIZE)
    close = shrunk(cut(image, to_crop, PAINTED_SIZE), averaging=True)
    motion = reader.motion([close])
    eyes, lip = face.ratios()
    pasted = parameters.flag_pasteback and parameters.flag_stitching
    half = PAINTED_SIZE / 2
    to_shown = np.array([[half, 0.0, half], [0.0, half, half]])
    mesh = face.mesh
    if pasted:
        to_shown = _joined(_continuous(np.linalg.inv(to_crop)), to_shown)
    else:
        mesh = _moved(mesh, _continuous(to_crop))
    return Portrait(
        motion=motion,
        ratios=Ratios(torch.from_numpy(eyes[None]), torch.from_numpy(lip[None])),
        source=painter.prepare(reader.features(close), motion.keypoints),
        paste=PasteBack.onto(image, to_crop, PAINTED_SIZE, device) if pasted else None,
        mesh=mesh,
        to_shown=to_shown,
        size=(image.shape[1], image.shape[0]) if pasted else (PAINTED_SIZE, PAINTED_SIZE),
    )


def fitted(picture: Image, longest: int) -> Image:
    """The picture no longer than `longest`, with an even number of rows and columns."""
    rows, columns = crop.shrunk_size((picture.shape[0], picture.shape[1]), longest)
    if (rows, columns) != picture.shape[:2]:
        smaller = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
        picture = np.asarray(smaller, dtype=np.uint8)
    height, width = fitted_size((rows, columns), longest)
    return np.ascontiguousarray(picture[:height, :width])


def _continuous(matrix: NDArray[Any]) -> Array:
    """(3, 3) between pixel centres -> (2, 3) between coordinates counted from pixels' edges."""
    result = np.array(matrix[:2], dtype=np.float64)
    result[:, 2] += 0.5 - result[:, :2] @ (0.5, 0.5)
    return result


def _joined(after: Array, first: Array) -> Array:
    """(2, 3) of the map that is `first`, then `after`."""
    return np.concatenate(
        [after[:, :2] @ first[:, :2], after[:, :2] @ first[:, 2:] + after[:, 2:]], axis=1
    )


def _moved(mesh: Array, matrix: Array) -> Array:
    """(N, 3) landmarks under a (2, 3) similarity; z grows along."""
    xy = mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return np.concatenate([xy, mesh[:, 2:] * scale], axis=1)
