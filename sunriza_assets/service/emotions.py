"""Emotion pictures: what may be asked for, and what each emotion is called elsewhere.

Checked in the API process, before a file is handed to the engine process, and there again.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sunriza_assets.errors import ParameterError, did_you_mean
from sunriza_assets.studio.expression.emotions import EMOTIONS

__all__ = [
    "DEFAULT_INTENSITY",
    "DEFAULT_SIDE",
    "MAX_BATCH",
    "PICTURE_FORMATS",
    "SEED_TABLE",
    "SIDES",
    "bounds_of",
    "check_picture",
]

DEFAULT_INTENSITY: Final = 0.7
"""Intensity of a request that names none."""
PICTURE_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
)
"""Output format, which is the suffix -> media type."""
SIDES: Final = (64, 2048)
"""Smallest and largest width and height that may be asked for, pixels."""
DEFAULT_SIDE: Final = 512
"""Longest side of a picture when neither width nor height is asked for."""
MAX_BATCH: Final = 16
"""Emotions of one request."""
SEED_TABLE: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "neutral": {"mouth": 0.0, "eyes": 1.0, "eyebrows": 0.0, "expression_scale": 1.0},
        "happy": {"mouth": 0.6, "eyes": 0.9, "eyebrows": 0.2, "expression_scale": 1.3},
        "sad": {"mouth": 0.0, "eyes": 0.7, "eyebrows": -0.5, "expression_scale": 1.0},
        "surprised": {"mouth": 0.8, "eyes": 1.0, "eyebrows": 0.8, "expression_scale": 1.5},
        "angry": {"mouth": 0.3, "eyes": 0.8, "eyebrows": -0.7, "expression_scale": 1.2},
        "disgusted": {"mouth": 0.2, "eyes": 0.6, "eyebrows": -0.3, "expression_scale": 1.1},
        "fearful": {"mouth": 0.4, "eyes": 1.0, "eyebrows": 0.6, "expression_scale": 1.2},
    }
)
"""Emotion -> how earlier clients know it. Pictures are not drawn by these: ours are action units,
in IOD (`studio.expression.emotions`)."""


def check_picture(
    emotions: Sequence[str],
    *,
    intensity: float,
    output_format: str,
    width: int | None,
    height: int | None,
) -> None:
    """Refuse what cannot be drawn.

    Raises:
        ParameterError: an unknown emotion or format, none or too many emotions, an intensity
            outside 0-1, or a side outside `SIDES`.
    """
    if not 1 <= len(emotions) <= MAX_BATCH:
        raise ParameterError(
            f"{len(emotions)} emotions are asked for",
            remedy=f"Ask for 1 to {MAX_BATCH}.",
            code="out_of_range",
        )
    for emotion in emotions:
        if emotion not in EMOTIONS:
            raise ParameterError(
                f"Unknown emotion {emotion[:80]!r}",
                remedy=did_you_mean(emotion, EMOTIONS) + f"Known are: {', '.join(EMOTIONS)}.",
                code="unknown",
            )
    if output_format not in PICTURE_FORMATS:
        raise ParameterError(
            f"Unknown output_format {output_format[:80]!r}",
            remedy=f"Known are: {', '.join(PICTURE_FORMATS)}.",
            code="unknown",
        )
    if not (math.isfinite(intensity) and 0 <= intensity <= 1):
        raise ParameterError(
            f"intensity is {intensity}", remedy="Give 0 to 1.", code="out_of_range"
        )
    for name, side in (("width", width), ("height", height)):
        if side is not None and not SIDES[0] <= side <= SIDES[1]:
            raise ParameterError(
                f"{name} is {side}",
                remedy=f"Give {SIDES[0]} to {SIDES[1]} pixels.",
                code="out_of_range",
            )


def bounds_of(width: int | None, height: int | None) -> tuple[int, int]:
    """(width, height) that a picture has to fit into; a side that is not named hardly bounds it."""
    if width is None and height is None:
        return DEFAULT_SIDE, DEFAULT_SIDE
    return width or SIDES[1], height or SIDES[1]
