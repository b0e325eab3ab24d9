"""The jaw that opens a mouth: chin and skin below the lips fall with the lower lip.

Landmarks understate how far a chin falls in a wide open mouth. Taken as they are, a lower lip would
slide over a chin that stands still, and swallow it.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.expression.easing import rise
from sunriza_assets.studio.face.regions import CHIN, LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["Jaw", "chin_share", "face_axes"]

Array = NDArray[np.float64]

_NASION: Final = 168
_LOWER_EDGE: Final = 17
"""Middle of the lower lip's outer edge."""
_LOWER_RIM: Final = 14
"""Middle of the lower lip's inner rim."""
_CHIN_POINTS: Final = (CHIN, 148, 377)
_SMALL_AND_WIDE: Final = (0.08, 0.20)
"""Fall of the lower lip up to which the chin falls as the clip's own does, and from which on it
takes its whole share, IOD."""
_WIDE_SHARE: Final = 0.85
"""Share of the lower lip's fall that the chin has in a wide open mouth."""
_USUAL_SHARE: Final = 0.6
"""The same in a clip that does not say."""
_TOLD_BY: Final = (0.03, 5)
"""Fall of the lip from which on a frame tells the clip's own share, IOD, and frames needed."""
_BESIDE: Final = (0.38, 0.80)
"""Distance from the middle up to which skin is the jaw's, and from which on it is not, IOD."""
_BELOW_LIP: Final = 0.12
"""Distance below the lip's edge over which skin comes to take the whole of it, IOD."""
_BARED: Final = (0.01, 0.05)
"""Fall of the lip beyond the chin's from which on it bares lower teeth, and most of that, IOD."""


class Jaw:
    """One portrait's lower jaw.

    Args:
        mesh: (468, 3) at rest, pixels.
        share: of the lower lip's fall that the clip's chin has, see `chin_share`.
    """

    def __init__(self, mesh: Array, share: float) -> None:
        self._iod = eye_distance(mesh)
        self._share = share
        across, self._down = face_axes(mesh)
        middle = mesh[[_NASION, CHIN]].mean(axis=0)
        beside = np.abs((mesh - middle) @ across) / self._iod
        below = (mesh - mesh[_LOWER_EDGE]) @ self._down / self._iod
        belongs = rise(below, -0.02, _BELOW_LIP - 0.02) * (1.0 - rise(beside, *_BESIDE))
        belongs[np.union1d(UPPER_LIP, LOWER_LIP)] = 0.0
        self._belongs = belongs

    def lowered(self, offsets: Array) -> Array:
        """(468, 3) displacements, pixels, with the chin fallen as far as the lip has it fall."""
        falls = offsets @ self._down
        fall = float(falls[_LOWER_EDGE])
        if fall <= 0.0:
            return offsets
        wide = float(rise(fall / self._iod, *_SMALL_AND_WIDE))
        share = self._share + wide * max(_WIDE_SHARE - self._share, 0.0)
        lack = self._belongs * np.maximum(share * fall - falls, 0.0)
        return np.asarray(offsets + lack[:, None] * self._down)

    def bared(self, offsets: Array) -> float:
        """How much further than by the jaw the lower lip is drawn down, IOD."""
        falls = offsets @ self._down / self._iod
        beyond = float(falls[_LOWER_RIM] - falls[list(_CHIN_POINTS)].mean())
        return float(np.clip(beyond - _BARED[0], 0.0, _BARED[1]))


def chin_share(neutral: NDArray[Any], expression: NDArray[Any]) -> float:
    """Share of the lower lip's fall that a clip's chin has.

    Args:
        neutral: (>= 468, 3) the clip's face at rest.
        expression: (T, 468, 3) offsets from it, IOD.
    """
    _, down = face_axes(np.asarray(neutral, dtype=np.float64))
    seen = expression[:, [_LOWER_EDGE, *_CHIN_POINTS]].astype(np.float64) @ down
    lip, chin = seen[:, 0], seen[:, 1:].mean(axis=1)
    open_ = lip > _TOLD_BY[0]
    if np.count_nonzero(open_) < _TOLD_BY[1]:
        return _USUAL_SHARE
    return float(np.clip(np.median(chin[open_] / lip[open_]), 0.0, _WIDE_SHARE))


def face_axes(mesh: Array) -> tuple[Array, Array]:
    """(3,) unit vectors of a face: to the picture's right, and from brow to chin."""
    across = mesh[263] - mesh[33]
    across = across / np.linalg.norm(across)
    down = mesh[CHIN] - mesh[_NASION]
    down = down - (down @ across) * across
    return across, down / np.linalg.norm(down)
