"""478 landmarks of a face: in a portrait, and followed through a clip.

What counts as a face, and when a portrait shows several, is decided here and nowhere else:

* A detection is a face when the mesh gives it a score of `PRESENT` or more. (Faces from the front
  reach 0.99; a profile, which the mesh cannot fit, stays below.)
* The main face is the largest of these, weighed by the detector's score.
* A further face makes a portrait ambiguous only when the detector's score is `CLEAR` or more and
  it has at least `COMPARABLE` of the main face's size. People in the background and patterns that
  look a little like a face do not spoil a portrait.
* A tracked face is present as long as the mesh's score is `STILL_PRESENT` or more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.face.attention import ATTENTION_MODELS, AttentionMesh
from sunriza_assets.studio.face.crop import FaceCrop
from sunriza_assets.studio.face.detector import MODEL as DETECTOR_MODEL
from sunriza_assets.studio.face.detector import Detection, FaceDetector
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.topology import IRIS_CENTRES, OUTER_EYE_CORNERS

__all__ = ["MESH_MODELS", "FaceLandmarks", "FaceMesh"]

MESH_MODELS: Final = (DETECTOR_MODEL, *ATTENTION_MODELS)
"""Models whose identity belongs into the key of whatever is made from these landmarks."""
PRESENT: Final = 0.75
"""The mesh's score from which a detection is a face."""
STILL_PRESENT: Final = 0.5
"""The mesh's score down to which a followed face is still there."""
CLEAR: Final = 0.75
"""The detector's score from which a second face is beyond doubt."""
COMPARABLE: Final = 0.4
"""Share of the main face's size from which a second face is one of the portrait's subjects."""
PASSES: Final = 4
"""Passes of the mesh over a still face; each crop comes from the landmarks of the last pass."""
PORTRAIT_ZOOM: Final = 8
"""Largest magnification in a portrait, which may be a full-body photograph."""
CLIP_ZOOM: Final = 2
"""The same in a clip, where each frame without a face is searched anew."""
_CANDIDATES: Final = 8
_LOST_GROWTH: Final = 0.25
"""Face sizes that a lost face may have moved per frame, on top of one."""


@dataclass(frozen=True)
class FaceLandmarks:
    """The landmarks of one face in one picture."""

    points: NDArray[np.float32]
    """(478, 3) x and y in continuous pixels, z in the same scale, negative = nearer.

    Numbering: `topology`."""
    score: float
    """How sure the mesh is that a face is there, 0..1."""

    @property
    def xy(self) -> NDArray[np.float32]:
        """(478, 2) the points in the picture plane."""
        return self.points[:, :2]

    @property
    def iod(self) -> float:
        """Distance of the outer eye corners in the picture plane, pixels."""
        right, left = (self.points[index, :2] for index in OUTER_EYE_CORNERS)
        return float(np.hypot(*(left - right)))

    @property
    def irises(self) -> NDArray[np.float32]:
        """(2, 2) centres of the subject's right and left iris, pixels."""
        return self.points[list(IRIS_CENTRES), :2]

    @property
    def box(self) -> NDArray[np.float32]:
        """(4,) x0, y0, x1, y1 around all points, pixels."""
        return np.concatenate([self.xy.min(axis=0), self.xy.max(axis=0)])

    @property
    def crop(self) -> FaceCrop:
        """Crop for the next pass over this face."""
        return FaceCrop.around_points(self.points)


class Mesh(Protocol):
    """A model that finds the landmarks in a crop."""

    @property
    def provider(self) -> str:
        """The execution provider that it runs on."""
        ...

    def predict(
        self, image: NDArray[np.uint8], crop: FaceCrop
    ) -> tuple[NDArray[np.float32], float]:
        """(478, 3) points in pixels of the picture and the logit of a face being there."""
        ...


class FaceMesh:
    """Detector and mesh together. Stateless: keeps nothing of the pictures."""

    def __init__(self, models: ModelStore, *, threads: int = 1, mesh: Mesh | None = None) -> None:
        """Load the models.

        Args:
            models: the store of the face models.
            threads: CPU threads of one inference.
            mesh: what finds the landmarks; the attention mesh when None.

        Raises:
            ModelError: they have not been pulled.
        """
        self._detector = FaceDetector(models, threads=threads)
        self._mesh: Mesh = mesh or AttentionMesh(models, threads=threads)

    @property
    def provider(self) -> str:
        """The execution provider that the models run on, for metadata."""
        return self._mesh.provider

    def landmarks(
        self, image: NDArray[np.uint8], crop: FaceCrop, *, passes: int = 1
    ) -> FaceLandmarks:
        """Landmarks of the face inside a crop of an RGB picture (H, W, 3).

        Args:
            image: the picture.
            crop: where the face is, from `Detection.crop` or `FaceLandmarks.crop`.
            passes: passes of the mesh, each on the crop from the one before.
        """
        face = self._predict(image, crop)
        for _ in range(passes - 1):
            face = self._predict(image, face.crop)
        return face

    def portrait(self, image: NDArray[np.uint8]) -> FaceLandmarks:
        """The one face of a portrait (H, W, 3) RGB.

        Raises:
            FaceError: no face (`face.none`), or several of comparable size (`face.several`).
        """
        faces = self._faces(image, PORTRAIT_ZOOM)
        if not faces:
            raise FaceError(
                "No face was found in the portrait",
                remedy="Use a picture that shows one person's face from the front, unobstructed.",
                code="none",
            )
        (main, found), *others = faces
        rivals = [
            other
            for other, _ in others
            if other.score >= CLEAR and other.side >= COMPARABLE * main.side
        ]
        if rivals:
            raise FaceError(
                f"The portrait shows {len(rivals) + 1} faces",
                remedy="Use a picture of one person, or crop it to one face.",
                code="several",
            )
        return self.landmarks(image, found.crop, passes=PASSES - 1)

    def track(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[FaceLandmarks | None]:
        """Follow one face through the frames (H, W, 3) RGB of a clip, one at a time.

        The largest face of the first frame with any is tracked. The mesh runs on the crop of the
        previous frame's face; when the face is lost, the detector searches near its last position,
        in a radius that grows with the frames since, so that another person in the clip is not
        mistaken for it.

        Yields:
            For each frame its landmarks, or None where the face is not seen.
        """
        last: FaceLandmarks | None = None
        lost = 0
        for frame in frames:
            face = None
            if last is not None and lost == 0:
                face = self._predict(frame, last.crop)
            if face is None or face.score < STILL_PRESENT:
                face = self._redetect(frame, last, lost)
            if face is None:
                lost += 1
            else:
                last, lost = face, 0
            yield face

    def _predict(self, image: NDArray[np.uint8], crop: FaceCrop) -> FaceLandmarks:
        points, logit = self._mesh.predict(image, crop)
        return FaceLandmarks(points, float(expit(logit)))

    def _faces(
        self, image: NDArray[np.uint8], max_zoom: int
    ) -> list[tuple[Detection, FaceLandmarks]]:
        """Finds that the mesh agrees with, the main one first; each face once."""
        detections = self._detector.detect(image, max_zoom=max_zoom)
        detections.sort(key=lambda detection: -detection.side * detection.score)
        faces: list[tuple[Detection, FaceLandmarks]] = []
        for detection in detections[:_CANDIDATES]:
            face = self.landmarks(image, detection.crop, passes=2)
            # From a box that is far off, the mesh may well slide onto a face already listed.
            if face.score >= PRESENT and not any(_is_same(face, other) for _, other in faces):
                faces.append((detection, face))
        return faces

    def _redetect(
        self, image: NDArray[np.uint8], last: FaceLandmarks | None, lost: int
    ) -> FaceLandmarks | None:
        """Find a lost face again with the detector, with landmarks refined by several passes."""
        faces = [face for _, face in self._faces(image, CLIP_ZOOM)]
        if not faces:
            return None
        found = faces[0]
        if last is not None:
            found = min(faces, key=lambda face: _distance(face, last))
            if _distance(found, last) > last.crop.side * (1 + _LOST_GROWTH * lost):
                return None
        # In later frames the crop comes from the mesh's own landmarks; from the detector's
        # box, which is coarser, the first would differ from them by more than a lid's motion.
        return self.landmarks(image, found.crop, passes=PASSES)


def _distance(face: FaceLandmarks, other: FaceLandmarks) -> float:
    """Between the middles of two faces, pixels."""
    return float(np.hypot(face.crop.x - other.crop.x, face.crop.y - other.crop.y))


def _is_same(face: FaceLandmarks, other: FaceLandmarks) -> bool:
    """Whether two results are the same face: their centres are within one IOD."""
    return _distance(face, other) < max(face.iod, other.iod)
