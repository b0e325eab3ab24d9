"""The motion script: curves of a head and a face over time, and its file format.

It describes motion, not the appearance of a face. So one script serves every portrait, and every
engine derives its own motion template from it.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.atomic import replaced
from sunriza_assets.errors import MediaError

__all__ = ["SCRIPT_NAME", "MotionScript", "is_script"]

SCRIPT_NAME: Final = "performance.json"
SCHEMA: Final = 1
MAX_BYTES: Final = 2_000_000
_DIGITS: Final = 6
"""Decimals that are kept: a script is the same file on every machine."""
_UNREADABLE: Final = (
    OSError,
    ValueError,  # no JSON, no numbers
    TypeError,
    LookupError,  # a curve that is not there
    ArithmeticError,  # a rate over zero
    RecursionError,  # nested without end
)
_VECTOR_SIZES: Final = {"shift": 2, "gaze": 2}
_MAX_FRAMES: Final = 1_000


@dataclass(frozen=True)
class MotionScript:
    """What happens in T frames, after which it begins anew: frame T is frame 0.

    At a driving multiplier of one it happens as it stands here.
    """

    name: str
    """What documents call the performance."""
    rate: Fraction
    """Frames per second."""
    yaw: NDArray[np.float64]
    """(T,) head, radians, positive to the picture's right."""
    pitch: NDArray[np.float64]
    """(T,) radians, positive down."""
    roll: NDArray[np.float64]
    """(T,) radians, positive clockwise as seen."""
    shift: NDArray[np.float64]
    """(T, 2) of the face's middle, IOD, x right and y down."""
    log_scale: NDArray[np.float64]
    """(T,) natural logarithm of its size: positive comes nearer."""
    closure: NDArray[np.float64]
    """(T,) of both eyes, 0 as in the portrait, 1 shut; less than 0 opens them wider."""
    gaze: NDArray[np.float64]
    """(T, 2) shift of both irises, eye widths, x right and y down."""
    smile: NDArray[np.float64]
    """(T,) 1 has the corners of the mouth and the cheeks where the emotion `happy` has them."""
    brows: NDArray[np.float64]
    """(T,) 1 has the brows raised as far as the emotion `surprised` has them."""
    opening: NDArray[np.float64]
    """(T,) gap between the inner lips beyond the portrait's own, IOD."""
    width: NDArray[np.float64]
    """(T,) width of the mouth over its own, less one: less than 0 purses the lips."""

    @property
    def frame_count(self) -> int:
        """T."""
        return len(self.yaw)

    @property
    def seconds(self) -> Fraction:
        """How long it lasts."""
        return self.frame_count / self.rate

    @property
    def sha256(self) -> str:
        """Hash of its file, 64 hex digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Its file: JSON, equal for equal scripts."""
        curves = {name: _rounded(getattr(self, name)) for name in _curve_names()}
        document = {
            "schema": SCHEMA,
            "performance": self.name,
            "rate": [self.rate.numerator, self.rate.denominator],
            "curves": curves,
        }
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()

    def save(self, path: Path) -> None:
        """Write it beside `path`, sync, rename.

        Raises:
            StoreError: it cannot be written.
        """
        with replaced(path) as part:
            part.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> "MotionScript":
        """Read it back.

        Raises:
            MediaError: the file is no motion script, or of another schema.
        """
        try:
            return _parsed(path)
        except _UNREADABLE as error:
            raise MediaError(
                f"A motion script cannot be read: {error}",
                where=path.name,
                remedy="Materialize hero_video again.",
                code="script",
            ) from error


def is_script(file: Path) -> bool:
    """Whether a file that moves a portrait is a motion script, and no clip, by its name."""
    return file.name == SCRIPT_NAME


def _parsed(path: Path) -> MotionScript:
    """Raises what Python raises for damage; `MotionScript.load` names it."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{size} bytes are too many")
    document = json.loads(path.read_text("utf-8"))
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']!r} is not {SCHEMA}")
    rate = Fraction(*document["rate"])
    curves = {name: np.array(document["curves"][name], float) for name in _curve_names()}
    _check(curves, rate)
    return MotionScript(name=str(document["performance"]), rate=rate, **curves)


def _curve_names() -> list[str]:
    return [field.name for field in fields(MotionScript) if field.name not in ("name", "rate")]


def _rounded(values: NDArray[Any]) -> list[Any]:
    return (np.round(values, _DIGITS) + 0.0).tolist()  # + 0.0 makes -0.0 a plain zero


def _check(curves: dict[str, NDArray[np.float64]], rate: Fraction) -> None:
    count = len(curves["yaw"])
    if not (1 <= count <= _MAX_FRAMES and 1 <= rate <= 60):
        raise ValueError(f"{count} frames at {rate} a second are none that could be rendered")
    for name, values in curves.items():
        expected_shape = (count, _VECTOR_SIZES[name]) if name in _VECTOR_SIZES else (count,)
        if values.shape != expected_shape or not np.isfinite(values).all():
            raise ValueError(
                f"curve {name!r} is {values.shape}, not {expected_shape} finite numbers"
            )
