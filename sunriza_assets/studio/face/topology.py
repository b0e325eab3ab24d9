"""The face mesh's numbering: which of the 478 points is what. Facts only, nothing is computed.

Sides are the subject's own: the right eye (points 33 and 133) lies on the left of a picture that is
not mirrored. Rows and rings run from the left of the picture to its right unless said otherwise.
"""

import json
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FACE_OVAL",
    "IRIS_CENTRES",
    "LEFT_BROW",
    "LEFT_EYE",
    "LEFT_EYE_CORNERS",
    "LEFT_IRIS",
    "LEFT_LOWER_LID",
    "LEFT_UPPER_LID",
    "LIPS_INNER",
    "LIPS_OUTER",
    "LOWER_LIP_ROWS",
    "MESH_POINTS",
    "MOUTH_CORNERS",
    "OUTER_EYE_CORNERS",
    "POINTS",
    "REFINED_LEFT_EYE",
    "REFINED_LIPS",
    "REFINED_RIGHT_EYE",
    "RIGHT_BROW",
    "RIGHT_EYE",
    "RIGHT_EYE_CORNERS",
    "RIGHT_IRIS",
    "RIGHT_LOWER_LID",
    "RIGHT_UPPER_LID",
    "RIGID_HEAD",
    "RIGID_POINTS",
    "TRIANGLES",
    "UPPER_LIP_ROWS",
]

Indices = NDArray[np.int32]


def _read() -> dict[str, Any]:
    text = files("sunriza_assets.studio.face").joinpath("topology.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def _fixed(values: Any) -> Indices:
    array = np.array(values, dtype=np.int32)
    array.flags.writeable = False
    return array


_DATA: Final = _read()
_LIPS: Final[list[int]] = _DATA["refine_lips"]
_RIGHT: Final[list[int]] = _DATA["refine_right_eye"]
_LEFT: Final[list[int]] = _DATA["refine_left_eye"]

MESH_POINTS: Final = 468
"""Points of the mesh proper; the irises follow."""
POINTS: Final = 478
"""All points."""

TRIANGLES: Final = _fixed(_DATA["triangles"])
"""(852, 3) the mesh of the 468 points, without eye holes and mouth hole."""
FACE_OVAL: Final = _fixed(_DATA["face_oval"])
"""(36,) closed outline, from the top of the forehead clockwise in the picture."""

OUTER_EYE_CORNERS: Final = (33, 263)
"""Subject's right, left; their distance is the IOD in which lengths on faces are given."""
RIGHT_EYE_CORNERS: Final = (33, 133)
"""Outer, inner."""
LEFT_EYE_CORNERS: Final = (263, 362)
"""Outer, inner."""
MOUTH_CORNERS: Final = (61, 291)
"""Subject's right, left."""

RIGHT_IRIS: Final = _fixed(range(468, 473))
"""(5,) centre, then four points on the rim."""
LEFT_IRIS: Final = _fixed(range(473, 478))
"""(5,) centre, then four points on the rim."""
IRIS_CENTRES: Final = (468, 473)
"""Subject's right, left."""

REFINED_LIPS: Final = _fixed(_LIPS)
"""(80,) points that the attention mesh's lip head corrects: four rings of 20."""
REFINED_RIGHT_EYE: Final = _fixed(_RIGHT)
"""(71,) points that the right eye's head corrects: lids, surroundings, brow."""
REFINED_LEFT_EYE: Final = _fixed(_LEFT)
"""(71,) the same for the left eye, in mirrored order."""

# The lip head numbers each ring as 11 points along its lower half and 9 along its upper; the order
# of rings there is outermost, innermost, second, third.
_RINGS: Final = [_LIPS[20 * k : 20 * k + 20] for k in (0, 2, 3, 1)]

LOWER_LIP_ROWS: Final = _fixed([ring[:11] for ring in _RINGS])
"""(4, 11) lower lip, outermost row first, corner to corner."""
UPPER_LIP_ROWS: Final = _fixed([[ring[0], *ring[11:], ring[10]] for ring in _RINGS])
"""(4, 11) upper lip, outermost row first, corner to corner."""
LIPS_OUTER: Final = _fixed(_RINGS[0][:11] + _RINGS[0][:10:-1])
"""(20,) closed outer contour: along the lower lip, back along the upper."""
LIPS_INNER: Final = _fixed(_RINGS[3][:11] + _RINGS[3][:10:-1])
"""(20,) closed inner contour, same order."""

# An eye head begins with 9 points along the lower lid (outer to inner corner), then 7 of the upper.
RIGHT_LOWER_LID: Final = _fixed(_RIGHT[:9])
"""(9,) outer corner to inner corner."""
RIGHT_UPPER_LID: Final = _fixed([_RIGHT[0], *_RIGHT[9:16], _RIGHT[8]])
"""(9,) outer corner to inner corner, each point above its fellow of the lower lid."""
RIGHT_EYE: Final = _fixed(_RIGHT[:9] + _RIGHT[15:8:-1])
"""(16,) closed contour: along the lower lid, back along the upper."""
LEFT_LOWER_LID: Final = _fixed(_LEFT[:9])
"""(9,) outer corner to inner corner."""
LEFT_UPPER_LID: Final = _fixed([_LEFT[0], *_LEFT[9:16], _LEFT[8]])
"""(9,) outer corner to inner corner."""
LEFT_EYE: Final = _fixed(_LEFT[:9] + _LEFT[15:8:-1])
"""(16,) closed contour: along the lower lid, back along the upper."""

RIGHT_BROW: Final = _fixed(_DATA["right_brow"])
"""(10,) lower edge then upper edge."""
LEFT_BROW: Final = _fixed(_DATA["left_brow"])
"""(10,) lower edge then upper edge."""

RIGID_POINTS: Final = _fixed(_DATA["rigid_points"])
"""(34,) points that hardly move with the expression: forehead, temples, eye corners, nose."""
RIGID_HEAD: Final[NDArray[np.float64]] = np.array(_DATA["rigid_head"], np.float64)
"""(34, 3) where they lie in a mean head seen from the front, in IOD around their mean.

The Procrustes mean of the landmarks of eight portraits and their mirror images, turned to the
portraits' mean direction: what people look like who face the viewer.
"""
RIGID_HEAD.flags.writeable = False
