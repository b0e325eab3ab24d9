"""Find faces in a picture, large and small: boxes, key points and scores.

Whether a picture shows one face or several is decided in `landmarks`, where the mesh verifies
each detection.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.runtime import Graph

__all__ = ["Detection", "FaceDetector"]

MODEL: Final = "face_detection_short_range"
SIZE: Final = 128
"""Side of the model's input, pixels."""
SCORE: Final = 0.5
"""Lowest score on the whole picture, as the model's authors use it."""
CONFIDENT_SCORE: Final = 0.7
"""Lowest score in a close-up. Faces reach 0.83 and more when they fill a good part of the
input; colour wheels and noise that got 0.58 at first stay below 0.62."""
CLOSE_UP_SIZE: Final = 3.5
"""Side of the close-up of a doubtful detection, over the detection's side."""
OVERLAP: Final = 0.3
"""Boxes with a larger intersection over union are the same face."""
SMALL: Final = 0.2
"""Share of the tile's side from which a face is detected well; 0.08 is the limit."""
ZOOMS: Final = (2, 4, 8)
"""Magnifications of the tiles, in order."""
MIN_TILE: Final = SIZE
"""Smallest side of a tile, pixels: the model's input size."""


@dataclass(frozen=True)
class Detection:
    """One detected face."""

    box: NDArray[np.float32]
    """(4,) x0, y0, x1, y1 in pixels: brows to chin, ear to ear."""
    keypoints: NDArray[np.float32]
    """(6, 2) pixels: right eye, left eye (the subject's), nose tip, mouth, right ear, left ear."""
    score: float
    """0..1."""

    @property
    def side(self) -> float:
        """Longer side of the box, pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def centre(self) -> NDArray[np.float32]:
        """(2,) middle of the box, pixels."""
        return np.asarray((self.box[:2] + self.box[2:]) / 2, np.float32)

    @property
    def crop(self) -> FaceCrop:
        """Crop for the landmark model."""
        return FaceCrop.around_box(self.box, self.keypoints[0], self.keypoints[1])


class FaceDetector:
    """MediaPipe's short-range detector with additional magnified tiles for small faces."""

    def __init__(self, models: ModelStore, *, threads: int = 1) -> None:
        """Load the model.

        Raises:
            ModelError: it has not been pulled.
        """
        self._graph = Graph(models.path(MODEL), threads=threads)

    @property
    def provider(self) -> str:
        """The execution provider it runs on."""
        return self._graph.provider

    def detect(self, image: NDArray[np.uint8], *, max_zoom: int = ZOOMS[-1]) -> list[Detection]:
        """All faces in an RGB picture (H, W, 3), best score first.

        Detects in the whole picture first; then, as long as no face reaches `SMALL` of the side of
        the tile, in overlapping tiles at two, four and eight times the magnification.

        Args:
            image: the picture.
            max_zoom: largest magnification, one of `ZOOMS`. A picture without a face costs
                about 0.3 s at 8, 15 ms at 2.
        """
        height, width = image.shape[:2]
        faces = self._confident_detections(image, [(0, 0, width, height)])
        for zoom in (zoom for zoom in ZOOMS if zoom <= max_zoom):
            side = round(max(height, width) / zoom)
            if side < MIN_TILE or any(face.side >= 2 * SMALL * side for face in faces):
                break
            faces = _best_per_face(
                faces + self._confident_detections(image, _tiles(width, height, side))
            )
        return sorted(faces, key=lambda face: -face.score)

    def _confident_detections(
        self, image: NDArray[np.uint8], tiles: Iterable[tuple[int, int, int, int]]
    ) -> list[Detection]:
        """Faces in the tiles; doubtful ones are confirmed in a close-up or dropped."""
        detections = [face for tile in tiles for face in self._detect_in_tile(image, tile, SCORE)]
        confirmed = [
            face if face.score >= CONFIDENT_SCORE else self._redetect_close_up(image, face)
            for face in detections
        ]
        return _best_per_face([face for face in confirmed if face is not None])

    def _redetect_close_up(self, image: NDArray[np.uint8], face: Detection) -> Detection | None:
        """Detect a doubtful face again in a close-up; None if it is not confirmed."""
        x, y = (round(float(value)) for value in face.centre)
        reach = max(1, round(face.side * CLOSE_UP_SIZE / 2))
        candidates = self._detect_in_tile(
            image, (x - reach, y - reach, x + reach, y + reach), CONFIDENT_SCORE
        )
        near = [f for f in candidates if np.abs(f.centre - face.centre).max() < face.side / 2]
        return max(near, key=lambda f: f.score, default=None)

    def _detect_in_tile(
        self, image: NDArray[np.uint8], tile: tuple[int, int, int, int], min_score: float
    ) -> list[Detection]:
        """Faces inside one tile (x0, y0, x1, y1), in coordinates of the whole picture.

        A tile may reach beyond the picture; there it is black.
        """
        canvas, scale, shift = _letterboxed(_crop_tile(image, tile))
        outputs = self._graph.run(canvas[None])
        scores = expit(outputs["classificators"][0, :, 0])
        chosen = scores >= min_score
        if not chosen.any():
            return []
        shapes = _decoded(outputs["regressors"][0, chosen], _ANCHORS[chosen])
        shapes = (shapes - shift) / scale + np.array(tile[:2], np.float32)
        return _merged(shapes, scores[chosen])


def _anchors() -> NDArray[np.float32]:
    """(896, 2) centres of the model's anchors on the unit square, in its own order.

    Two to a cell on a 16x16 grid, then six to a cell on an 8x8 grid; rows from the top.
    """
    layers = []
    for grid, count in ((16, 2), (8, 6)):
        steps = (np.arange(grid) + 0.5) / grid
        y, x = np.meshgrid(steps, steps, indexing="ij")
        layers.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), count, axis=0))
    return np.concatenate(layers).astype(np.float32)


_ANCHORS: Final = _anchors()


def _crop_tile(image: NDArray[np.uint8], tile: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The tile, black where it reaches beyond the picture."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = tile
    inside = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    beyond = (max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0))
    return np.pad(inside, (*beyond, (0, 0))) if any(map(any, beyond)) else inside


def _letterboxed(
    image: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
    """The picture centred on a black 128x128 square, -1..1, with its scale and (2,) shift."""
    height, width = image.shape[:2]
    scale = SIZE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    x, y = (SIZE - size[0]) // 2, (SIZE - size[1]) // 2
    canvas = np.full((SIZE, SIZE, 3), -1.0, np.float32)
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=mode)
    inside = canvas[y : y + size[1], x : x + size[0]]
    inside *= 1 / 127.5
    inside -= 1
    return canvas, scale, np.array([x, y], np.float32)


def _decoded(raw: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 16) regressions to (N, 8, 2) points on the model's input: box corners, six key points."""
    points = raw.reshape(-1, 8, 2) + 0
    points[:, (0, 2, 3, 4, 5, 6, 7)] += anchors[:, None] * SIZE
    centre, size = points[:, 0].copy(), points[:, 1].copy()
    points[:, 0], points[:, 1] = centre - size / 2, centre + size / 2
    return points


def _merged(shapes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[Detection]:
    """Weighted non-maximum suppression: looks at the same face are averaged by their scores."""
    found = []
    left = np.argsort(-scores)
    while left.size:
        best = left[0]
        same = _overlap(shapes[best], shapes[left]) > OVERLAP
        same[0] = True
        group = left[same]
        shape = np.average(shapes[group], axis=0, weights=scores[group]).astype(np.float32)
        found.append(Detection(shape[:2].reshape(4), shape[2:], float(scores[best])))
        left = left[~same]
    return found


def _overlap(shape: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) intersection over union of a box with N boxes, given as corner points."""
    low = np.maximum(shape[0], others[:, 0])
    high = np.minimum(shape[1], others[:, 1])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    area = np.prod(shape[1] - shape[0])
    areas = np.prod(others[:, 1] - others[:, 0], axis=-1)
    union = np.maximum(area + areas - shared, np.finfo(np.float32).tiny)
    return np.asarray(shared / union, np.float32)


def _tiles(width: int, height: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    """Square tiles that overlap by half and together cover the picture."""

    def starts(length: int) -> list[int]:
        span = max(length - side, 0)
        count = -(-span // max(side // 2, 1)) + 1
        return [round(span * k / max(count - 1, 1)) for k in range(count)]

    for y in starts(height):
        for x in starts(width):
            yield x, y, min(x + side, width), min(y + side, height)


def _best_per_face(faces: list[Detection]) -> list[Detection]:
    """One find a face, the best: averaging would mix in faces seen at a poorer resolution."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        boxes = np.array([other.box.reshape(2, 2) for other in kept]).reshape(-1, 2, 2)
        if not (_overlap(face.box.reshape(2, 2), boxes) > OVERLAP).any():
            kept.append(face)
    return kept
