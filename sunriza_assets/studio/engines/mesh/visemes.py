"""The viseme cells of a portrait: its mouth at rest, drawn once in each of the twelve visemes.

`expression.lip_shapes` shapes the lips; this module draws them, in the portrait's emotion, and cuts
the cells so that they join the idle at their rim.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import VisemeCells
from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.drawing.mouth import Mouth
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.rim import Rim
from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.expression.emotion_offsets import EmotionOffsets
from sunriza_assets.studio.expression.lip_shapes import shape_lips
from sunriza_assets.studio.expression.visemes import VISEMES, LipShape
from sunriza_assets.studio.face.topology import LIPS_OUTER

__all__ = ["mouth_inside", "mouth_rim", "render_visemes", "speaking_mesh"]

Array = NDArray[np.float64]

_MARGIN: Final = 0.22
"""What a cell shows around the lips, IOD."""


def render_visemes(rig: PortraitRig) -> VisemeCells:
    """Render the mouth of a portrait at rest in each viseme, in the order of the atlas."""
    meshes = {name: speaking_mesh(rig, shape, rig.emotion) for name, shape in VISEMES.items()}
    roi, lips = _place(rig, meshes.values())
    rows, columns = slice(roi.y, roi.y + roi.h), slice(roi.x, roi.x + roi.w)
    cells = {
        name: rig.draw(mesh, mouth=mouth_inside(VISEMES[name]))[rows, columns].copy()
        for name, mesh in meshes.items()
    }
    return VisemeCells(cells, roi, lips, iod=rig.iod)


def mouth_rim(rig: PortraitRig) -> Rim:
    """Where the viseme cells of a portrait and its idle are mixed."""
    roi, lips = _place(rig, (speaking_mesh(rig, shape, rig.emotion) for shape in VISEMES.values()))
    return Rim(rig.rest, roi, lips, rig.iod)


def speaking_mesh(
    rig: PortraitRig, shape: LipShape | None, emotion: EmotionOffsets | None
) -> Array:
    """(468, 3) the portrait's mesh with its lips in a shape, in an emotion.

    While lips speak, the shape decides how far they part. The skin that an emotion's own opening
    moves returns to its place in the idle towards the rim of the cell.
    """
    rest = rig.mesh if emotion is None else emotion.rest(rig.mesh)
    if emotion is None or shape is None:
        return shape_lips(rest, shape, seam=rig.mouth.seam)
    result = shape_lips(rest - emotion.parting, shape, seam=rig.mouth.seam)
    apart = np.linalg.norm(rest[:, None, :2] - rest[LIPS_OUTER, :2], axis=2).min(axis=1)
    return result + rise(apart / rig.iod, 0.0, _MARGIN)[:, None] * emotion.parting


def mouth_inside(shape: LipShape | None) -> Mouth:
    """What is seen between the lips of a shape."""
    if shape is None:
        return Mouth()
    return Mouth(
        tongue_raise=float(shape.tongue == "up"),
        tongue_out=float(shape.tongue == "between"),
        clenched=float(shape.lower_teeth),
        tucked=float(shape.tuck > 0.0),
    )


def _place(rig: PortraitRig, meshes: Iterable[Array]) -> tuple[Roi, Array]:
    """Where the cells of these meshes lie, and (N, 20, 2) their outer lips in pixels of a cell."""
    lips = np.stack([mesh[LIPS_OUTER, :2] for mesh in meshes])
    height, width = rig.image.shape[:2]
    roi = _roi(lips, _MARGIN * rig.iod, (width, height))
    return roi, lips - [roi.x, roi.y]


def _roi(lips: Array, margin: float, size: tuple[int, int]) -> Roi:
    """The rectangle around all lips (N, 20, 2) and a margin, inside a picture (width, height)."""
    low = np.floor(lips.min(axis=(0, 1)) - margin)
    high = np.ceil(lips.max(axis=(0, 1)) + margin)
    left, top = (int(value) for value in np.clip(low, 0, np.array(size) - 2))
    right, bottom = (int(value) for value in np.clip(high, [left + 2, top + 2], size))
    return Roi(left, top, right - left, bottom - top)
