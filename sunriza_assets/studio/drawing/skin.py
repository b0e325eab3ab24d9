"""The colour of skin, and one face's mouth in another face's light."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.sampling import read_linearly_at
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.motion.head_pose import eye_distance

__all__ = ["colourfulness", "deepened", "lip_colour", "luma", "skin_around_mouth", "toned"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_CHEEKS_AND_CHIN: Final = (50, 280, 205, 425, 36, 266, 199, 200)
_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Rec. 601 weights of red, green and blue."""
_LIGHT_SHARE: Final = 0.7
"""How much of the difference between two skins is taken for a difference of the light."""
_MAX_TOOTH_BLUE: Final = 0.97
"""Most blue that a tooth shows in daylight, as a share of its green."""
_DAYLIGHT_BLUE: Final = 0.8
"""Blue over green of skin in daylight; of candlelight or old varnish there is less."""
_DEPTH: Final = 0.45
"""Exponent by which what is darker than a tooth is darkened further."""
_TOOTH: Final = 0.8
"""Brightness from which on it is a tooth, share of the skin's."""


def skin_around_mouth(picture: Image, points: NDArray[Any]) -> Plane:
    """(3,) median RGB of cheeks and chin next to the mouth."""
    radius = max(1, round(0.04 * eye_distance(points)))
    patches = []
    for x, y in points[list(_CHEEKS_AND_CHIN), :2]:
        row, column = int(y), int(x)
        rows = slice(max(row - radius, 0), max(row + radius + 1, 0))
        columns = slice(max(column - radius, 0), max(column + radius + 1, 0))
        patches.append(picture[rows, columns].reshape(-1, 3))
    samples = np.concatenate(patches)
    if len(samples) == 0:
        return np.full(3, 128.0, np.float32)
    return np.asarray(np.median(samples, axis=0), dtype=np.float32)


def lip_colour(picture: Image, points: NDArray[Any]) -> Plane:
    """(3,) median RGB of the red of both lips, their edges and corners left out."""
    red = np.concatenate([rows[1:-1, 2:-2].ravel() for rows in (UPPER_LIP, LOWER_LIP)])
    places = (points[red, :2] - 0.5).astype(np.float32)[None]
    return np.asarray(np.median(read_linearly_at(picture, places)[0], axis=0), dtype=np.float32)


def colourfulness(skin: NDArray[Any]) -> float:
    """0 for grey, about a quarter for skin in daylight: range of the channels over the largest."""
    return float(np.ptp(skin)) / max(float(np.max(skin)), 1.0)


def luma(colours: NDArray[Any]) -> Any:
    """(...) Rec. 601 luma of colours (..., 3); a float for one colour."""
    grey = np.asarray(colours, dtype=np.float32) @ _LUMA
    return float(grey) if grey.ndim == 0 else grey


def toned(texture: Image, clip_skin: NDArray[Any], skin: NDArray[Any]) -> Plane:
    """The clip's mouth (h, w, 3) in the light of a face whose skin is `skin`, float32.

    Brightness scales with the skins' brightness, the cast of the light with most of their
    difference in colour (the rest of it is complexion), and nothing outshines the skin or is much
    more colourful than it: in a black-and-white photo the mouth is grey, too.
    """
    ours, theirs = float(skin @ _LUMA), max(float(clip_skin @ _LUMA), 1.0)
    brightness = float(np.clip(ours / theirs, 0.35, 1.2))
    cast = (skin / max(ours, 1.0)) / np.maximum(clip_skin / theirs, 1e-3)
    shift = np.clip(cast, 0.3, 2.0) ** _LIGHT_SHARE
    result = texture * np.float32(brightness) * (shift / float(shift @ _LUMA)).astype(np.float32)
    result[:, :, 1] = np.minimum(result[:, :, 1], result[:, :, 0])  # no mouth is blue inside
    blue = float(skin[2]) / max(float(skin[1]), 1.0)
    white = _MAX_TOOTH_BLUE * min(blue / _DAYLIGHT_BLUE, 1.0) ** _LIGHT_SHARE
    result[:, :, 2] = np.minimum(result[:, :, 2], white * result[:, :, 1])
    colour = colourfulness(skin) / max(colourfulness(clip_skin), 0.05)
    grey = (result @ _LUMA)[:, :, None]
    result = grey + np.float32(min(colour, 1.0) ** 0.5) * (result - grey)
    ceiling = 0.95 * float(skin.max())
    return np.asarray(np.where(result > ceiling, ceiling + 0.25 * (result - ceiling), result))


def deepened(mouth: Plane, skin: NDArray[Any], shade: NDArray[Any]) -> Plane:
    """A mouth (h, w, 3) with all that is darker than its teeth darker still, float32.

    Viewers distinguish the inside of a mouth from its lips by colour. Against pale lips, a tongue
    of the same brightness would look like more lip.

    Args:
        mouth: its colours in the portrait's light.
        skin: (3,) the portrait's.
        shade: (3,) exponents of shade that comes through flesh.
    """
    light = (mouth @ _LUMA)[:, :, None] / np.float32(max(_TOOTH * float(skin @ _LUMA), 1.0))
    return np.asarray(mouth * np.clip(light, 0.02, 1.0) ** (_DEPTH * shade), dtype=np.float32)
