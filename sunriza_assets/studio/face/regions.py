"""Parts of the face mesh that this engine treats specially, beside those every user of it names.

Everything here that concerns one eye comes in pairs, the subject's right eye (at the left of the
picture) first, and rows run from the left of the picture to its right.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.topology import (
    FACE_OVAL,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_ROWS,
    MESH_POINTS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    TRIANGLES,
    UPPER_LIP_ROWS,
)

__all__ = [
    "CHIN",
    "EYE_CONTOURS",
    "FILLED_TRIANGLES",
    "LOWER_LIDS",
    "LOWER_LIP",
    "NOSE_BASE",
    "OVAL",
    "SKULL",
    "UPPER_LIDS",
    "UPPER_LIP",
    "rings_around",
]

Indices = NDArray[np.intp]


def _rows(*rows: NDArray[np.int32]) -> Indices:
    return np.stack(rows).astype(np.intp)


OVAL: Final[Indices] = FACE_OVAL.astype(np.intp)
"""(36,) outline of the face, clockwise in the picture from the middle of the forehead."""
NOSE_BASE: Final = 2
CHIN: Final = 152

SKULL: Final[Indices] = np.array(
    [
        10, 338, 297, 332, 284, 251, 389, 109, 67, 103, 54, 21, 162, 127, 356, 151, 108, 69, 104,
        68, 71, 139, 337, 299, 333, 298, 301, 368, 8, 168, 6, 197, 195, 193, 417, 122, 351, 33,
        133, 362, 263,
    ]
)  # fmt: skip
"""What hardly moves with expression: forehead, temples, bridge of the nose, corners of the eyes."""

UPPER_LIDS: Final = _rows(RIGHT_UPPER_LID, LEFT_UPPER_LID[::-1])
"""(2, 9) rim of the upper lid from corner to corner."""
LOWER_LIDS: Final = _rows(RIGHT_LOWER_LID, LEFT_LOWER_LID[::-1])
"""(2, 9) rim of the lower lid from corner to corner."""
EYE_CONTOURS: Final[Indices] = np.concatenate([UPPER_LIDS, LOWER_LIDS[:, 1:-1]], axis=1)
"""(2, 16) all vertices on the rims of the lids."""
UPPER_LIP: Final = UPPER_LIP_ROWS.astype(np.intp)
"""(4, 11) from the outer edge of the lip to the inner, each row from corner to corner."""
LOWER_LIP: Final = LOWER_LIP_ROWS.astype(np.intp)
"""(4, 11) the same for the lower lip."""


def _strip(upper: Indices, lower: Indices) -> Indices:
    """Two rows of N vertices that share their first and their last -> (2N - 4, 3) triangles."""
    triangles = []
    for i in range(len(upper) - 1):
        if upper[i] != lower[i]:
            triangles.append([upper[i], upper[i + 1], lower[i]])
        if upper[i + 1] != lower[i + 1]:
            triangles.append([upper[i + 1], lower[i + 1], lower[i]])
    return np.array(triangles, dtype=np.intp)


FILLED_TRIANGLES: Final[Indices] = np.concatenate(
    [
        TRIANGLES.astype(np.intp),
        _strip(UPPER_LIDS[0], LOWER_LIDS[0]),
        _strip(UPPER_LIDS[1], LOWER_LIDS[1]),
        _strip(UPPER_LIP[-1], LOWER_LIP[-1]),
    ]
)
"""(898, 3) the mesh with its holes (both eyes, the mouth) closed by strips."""


def rings_around(vertices: NDArray[Any], count: int) -> list[Indices]:
    """Vertices of the mesh one, two, ... edges away from the given ones, `count` rings of them."""
    seen = np.zeros(MESH_POINTS, dtype=bool)
    seen[vertices.ravel()] = True
    rings = []
    for _ in range(count):
        touching = TRIANGLES[seen[TRIANGLES].any(axis=1)]
        reached = np.zeros(MESH_POINTS, dtype=bool)
        reached[touching.ravel()] = True
        rings.append(np.flatnonzero(reached & ~seen))
        seen |= reached
    return rings
