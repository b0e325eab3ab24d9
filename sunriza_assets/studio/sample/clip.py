"""The sample on disk: a public-domain portrait, and a clip in which it performs the script.

The portrait is NASA's picture of Eileen Collins, which scikit-image carries; it is in the public
domain. In the clip she rests with closed lips.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.contracts.engine import Image, Progress, no_progress
from sunriza_assets.studio.drawing.mouth import Mouth
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.expression.lip_shapes import shape_lips
from sunriza_assets.studio.expression.visemes import VISEMES, LipShape
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.measures import mouth_aperture
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.media.encode import VideoWriter
from sunriza_assets.studio.media.picture import write_picture
from sunriza_assets.studio.motion.head_pose import HeadMotion
from sunriza_assets.studio.sample.performance import Performance, perform

__all__ = ["SIDE", "PerformanceRenderer", "Sample", "sample_portrait", "write_sample"]

SIDE: Final = 512
"""Width and height of portrait and clip, pixels."""
_CROP: Final = (slice(0, 300), slice(72, 372))
"""Rows and columns of NASA's picture; as it is, the face is small for a portrait."""
_QUALITY: Final = 95
_RESTING_LIPS: Final = LipShape(opening=0.0, width=0.95, puff=1.05)
"""The performer's lips while she is silent."""


@dataclass(frozen=True)
class Sample:
    """A portrait, a clip, and the truth about the clip."""

    portrait: Path
    """portrait.jpg, 512 x 512 pixels."""
    clip: Path
    """clip.mp4, as large, 25 frames per second, six seconds."""
    truth: Performance
    """What happens in the clip."""
    mouth_opening: NDArray[np.float64]
    """(T,) gap between the inner lips over the distance of the outer eye corners."""


def write_sample(
    folder: Path,
    models_root: Path,
    *,
    performance: Performance | None = None,
    progress: Progress = no_progress,
) -> Sample:
    """Make the sample; the same models give the same files.

    Args:
        folder: where portrait.jpg and clip.mp4 go; made where missing.
        models_root: the models folder.
        performance: what to perform; None is the whole script at 25 frames per second.
        progress: called after every frame.

    Raises:
        ModelError: the face models have not been pulled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    performance = performance or perform()
    portrait = sample_portrait()
    stage = PerformanceRenderer(portrait, ModelStore(models_root))
    write_picture(portrait, folder / "portrait.jpg", quality=_QUALITY)
    with VideoWriter(folder / "clip.mp4", rate=performance.rate, encoder="libx264") as writer:
        for done, frame in enumerate(stage.frames(performance), start=1):
            writer.write(frame)
            progress(done, performance.frame_count)
    return Sample(
        portrait=folder / "portrait.jpg",
        clip=folder / "clip.mp4",
        truth=performance,
        mouth_opening=stage.mouth_opening(performance),
    )


def sample_portrait() -> Image:
    """(512, 512, 3) head and shoulders of the astronaut."""
    picture = skimage.data.astronaut()[_CROP]
    enlarged = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LANCZOS4)
    return np.asarray(enlarged, dtype=np.uint8)


class PerformanceRenderer:
    """Draws a portrait that performs a script.

    Args:
        portrait: (H, W, 3) RGB.
        models: where the face models lie.

    Raises:
        FaceError: the portrait shows no face or several.
        ModelError: the models have not been pulled.
    """

    def __init__(self, portrait: Image, models: ModelStore) -> None:
        face = FaceMesh(models).portrait(portrait)
        matte = PersonMatte(models).matte(portrait)
        self._rig = PortraitRig(portrait, face.points, matte=matte)
        mesh = self._rig.mesh
        self._shapes = np.stack(
            [shape_lips(mesh, shape or _RESTING_LIPS) for shape in VISEMES.values()]
        )
        self._tongues = np.array(
            [
                [shape.tongue == "up", shape.tongue == "between", shape.lower_teeth, shape.tuck > 0]
                if shape
                else [0.0, 0.0, 0.0, 0.0]
                for shape in VISEMES.values()
            ],
            dtype=np.float64,
        )

    def frames(self, performance: Performance) -> Iterator[Image]:
        """Draw the performance frame by frame."""
        for k in range(performance.frame_count):
            head = _head(performance, k, self._rig.iod)
            weights = performance.visemes[k]
            tongue_raise, tongue_out, clenched, tucked = weights @ self._tongues
            closed = float(performance.closure[k])
            yield self._rig.draw(
                head.apply(self._lips(weights), self._rig.centre),
                head=head,
                closure=(closed, closed),
                gaze=np.tile(performance.gaze[k], (2, 1)),
                mouth=Mouth(tongue_raise, tongue_out, clenched, tucked),
            )

    def mouth_opening(self, performance: Performance) -> NDArray[np.float64]:
        """(T,) true gap between the inner lips over the distance of the outer eye corners."""
        meshes = np.stack([self._lips(weights) for weights in performance.visemes])
        return np.asarray(mouth_aperture(meshes), dtype=np.float64)

    def _lips(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(468, 3) the face from the front with its lips between shapes."""
        return np.einsum("v,vni->ni", weights, self._shapes)


def _head(performance: Performance, frame: int, iod: float) -> HeadMotion:
    """Motion of the skull in one frame: turned by yaw, then pitch, then roll."""
    angles = [-performance.yaw[frame], performance.pitch[frame], performance.roll[frame]]
    rotation = Rotation.from_euler("YXZ", angles).as_matrix()
    return HeadMotion(rotation, 1.0, performance.shift[frame] * iod)
