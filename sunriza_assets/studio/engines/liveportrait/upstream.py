"""Motion templates of the published code: `.pkl` files, read without running what is in them.

Unpickling calls whatever the file names. Here it may name three things: the function that numpy
remakes arrays with, the array class and the type of its numbers; and each is answered with a
stand-in of our own that holds plain data until it has been checked. Nothing of numpy is called by
the file, so not even an array of a size that the file does not hold can be asked for.
"""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import MediaError
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS
from sunriza_assets.studio.engines.liveportrait.template import (
    build_template,
    motion_in,
    ratios_in,
)
from sunriza_assets.studio.engines.liveportrait.weights import sha256_of
from sunriza_assets.studio.motion.template import MotionTemplate

__all__ = ["read_upstream", "write_upstream"]

MAX_BYTES: Final = 64 * 1024 * 1024
"""A minute of motion takes two."""
_PROTOCOL: Final = 4
_MAX_RATE: Final = 1000
"""Frames per second above which a file is refused."""
_FLOATS: Final = frozenset({"f2", "f4", "f8"})
_ORDERS: Final = {"<": "<", ">": ">", "=": "=", "|": ""}

_Shape = tuple[int, ...]
# Array -> (name in the file, older name, shape of a frame with the leading one that it has there)
_MOTION: Final[Mapping[str, tuple[str, str, _Shape]]] = {
    "scale": ("scale", "scale", (1, 1)),
    "rotation": ("R", "R_d", (1, 3, 3)),
    "exp": ("exp", "exp", (1, KEYPOINTS, 3)),
    "t": ("t", "t", (1, 3)),
    "kp": ("kp", "kp", (1, KEYPOINTS, 3)),
}
_RATIOS: Final[Mapping[str, tuple[str, str, _Shape]]] = {
    "eyes": ("c_eyes_lst", "c_d_eyes_lst", (1, 2)),
    "lip": ("c_lip_lst", "c_d_lip_lst", (1, 1)),
}


def read_upstream(path: Path) -> MotionTemplate:
    """Read a motion template that the published code has written.

    Both generations of key names are known; opening ratios and canonical keypoints may be missing.

    Raises:
        MediaError: it is something else, or holds anything but numbers.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _template_error("is too large", path)
        with path.open("rb") as file:
            document: Any = _ArrayUnpickler(file).load()
        arrays, rate = _contents(document)
    except MediaError:
        raise
    except (
        OSError, EOFError, pickle.UnpicklingError, ArithmeticError, AttributeError, IndexError,
        KeyError, MemoryError, RecursionError, TypeError, ValueError, UnicodeError,
    ) as error:  # fmt: skip
        raise _template_error(f"cannot be read: {error}", path) from error
    return build_template(
        arrays,
        rate=rate,
        source_sha256=sha256_of(path),
        neutral_frame=0,
        facts={"imported": path.name},
    )


def write_upstream(template: MotionTemplate, path: Path) -> None:
    """Write a template as the published code reads it.

    That code supports whole frame rates only, so 30000/1001 becomes 30.

    Raises:
        EngineError: another engine's template.
        StoreError: the file cannot be written.
    """
    motion, ratios = motion_in(template), ratios_in(template)
    named = {
        "scale": motion.scale,
        "R": motion.rotation,
        "exp": motion.exp,
        "t": motion.t,
        "kp": motion.kp,
        "x_s": motion.keypoints,
    }
    count = template.frame_count
    document: dict[str, Any] = {
        "n_frames": count,
        "output_fps": round(template.rate),
        "motion": [
            {name: _row(values, frame) for name, values in named.items()} for frame in range(count)
        ],
    }
    if ratios is not None:
        document["c_eyes_lst"] = [_row(ratios.eyes, frame) for frame in range(count)]
        document["c_lip_lst"] = [_row(ratios.lip, frame) for frame in range(count)]
    with replacing(path) as file:
        pickle.dump(document, file, protocol=_PROTOCOL)


def _row(values: torch.Tensor, frame: int) -> NDArray[Any]:
    """One frame as an array of its own, with the leading one that the published code wants."""
    return np.array(values[frame : frame + 1].numpy())


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles arrays of numpy 1 and 2, every protocol from 3 on, and nothing else."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The stand-in for a name of `_ALLOWED_GLOBALS`; other names are an error."""
        known = _ALLOWED_GLOBALS.get((module_name, global_name))
        if known is None:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        return known


@dataclass
class _NumberType:
    """The number type of an array, as unpickled so far."""

    code: str
    order: str = "<"

    def __setstate__(self, state: Any) -> None:
        self.order = _ORDERS[state[1]]

    def numpy(self) -> np.dtype[Any]:
        """The numpy type; floats only."""
        if self.code not in _FLOATS:
            raise pickle.UnpicklingError(f"it holds numbers of type {self.code!r}")
        return np.dtype(self.order + self.code)


@dataclass
class _Array:
    """An array that is being unpickled."""

    values: NDArray[Any] = field(default_factory=lambda: np.zeros(0))

    def __setstate__(self, state: Any) -> None:
        _, shape, numbers, by_columns, data = state
        self.values = _array_of_bytes(data, numbers, shape, "F" if by_columns else "C")


def _array_of_bytes(data: Any, numbers: Any, shape: Any, order: str) -> NDArray[Any]:
    if not isinstance(data, bytes | bytearray) or not isinstance(numbers, _NumberType):
        raise pickle.UnpicklingError("it holds an array that is not made of numbers")
    flat = np.frombuffer(bytes(data), dtype=numbers.numpy())
    return flat.reshape(tuple(int(n) for n in shape), order="F" if order == "F" else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _number_type(code: Any, *_: Any) -> _NumberType:
    return _NumberType(str(code))


def _from_buffer(data: Any, numbers: Any, shape: Any, order: Any) -> _Array:
    return _Array(_array_of_bytes(data, numbers, shape, str(order)))


class _StandIn:
    """Stands in for a class or function that the file names; calls at most one of ours."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        if self._function is None:
            raise pickle.UnpicklingError("it calls a class that is only to be named")
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it tries to change what makes arrays")


_ALLOWED_GLOBALS: Final[Mapping[tuple[str, str], _StandIn]] = {
    ("numpy", "ndarray"): _StandIn(),
    ("numpy", "dtype"): _StandIn(_number_type),
    ("numpy.core.multiarray", "_reconstruct"): _StandIn(_reconstruct),
    ("numpy._core.multiarray", "_reconstruct"): _StandIn(_reconstruct),
    ("numpy.core.numeric", "_frombuffer"): _StandIn(_from_buffer),
    ("numpy._core.numeric", "_frombuffer"): _StandIn(_from_buffer),
}


def _contents(document: Any) -> tuple[dict[str, NDArray[np.float32]], Fraction]:
    """Arrays of the template, and its rate."""
    if not isinstance(document, dict):
        raise TypeError("it is no template")
    count, rate = document["n_frames"], document["output_fps"]
    if not isinstance(count, int) or not isinstance(rate, int | float):
        raise TypeError("frame count and rate are no numbers")
    if not 0 < rate < _MAX_RATE:
        raise ValueError(f"its rate is {rate}")
    motion = document["motion"]
    if not isinstance(motion, list) or not 1 <= len(motion) == count:
        raise ValueError(f"it says {count} frames and holds {len(motion)}")
    arrays = {
        name: stacked
        for name, (key, older, shape) in _MOTION.items()
        if (stacked := _stacked([frame.get(key, frame.get(older)) for frame in motion], shape))
        is not None
    }
    for name, (key, older, shape) in _RATIOS.items():
        listed = document.get(key, document.get(older))
        ratios = None if listed is None else _stacked(listed, shape)
        if ratios is not None and len(ratios) == count:
            arrays[name] = ratios
    missing = {"scale", "rotation", "exp", "t"} - set(arrays)
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    return arrays, Fraction(rate).limit_denominator(1001)


def _stacked(rows: Sequence[Any], shape: _Shape) -> NDArray[np.float32] | None:
    """One array (T, ...) of a list with one (1, ...) a frame; None when it is not there at all."""
    if all(row is None for row in rows):
        return None
    values = [row.values if isinstance(row, _Array) else None for row in rows]
    if any(value is None or value.shape != shape for value in values):
        raise ValueError(f"not every frame has an array of shape {shape}")
    stacked = np.concatenate([value for value in values if value is not None])
    result: NDArray[np.float32] = np.ascontiguousarray(stacked, dtype=np.float32)
    if not np.isfinite(result).all():
        raise ValueError("it holds numbers that are not finite")
    return result


def _template_error(problem: str, path: Path) -> MediaError:
    return MediaError(
        f"The motion template {problem}"[:300],
        where=path,
        remedy="Use a .pkl that LivePortrait has written, or extract the clip anew.",
        code="template",
    )
