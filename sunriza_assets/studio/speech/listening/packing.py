"""Parameters of small networks as arrays of an npz: matrices in eight bits, the rest in sixteen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError

__all__ = ["packed", "unpacked"]

_SMALLEST_SCALE = 6e-8
"""The smallest number above zero of float16."""


def packed(parameters: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """What `unpacked` reads: a `.weight` as int8 with a float16 scale for each output."""
    stored: dict[str, NDArray[Any]] = {}
    for name, values in parameters.items():
        if name.endswith(".weight"):
            scale = np.maximum(np.abs(values).max(axis=0) / 127.0, _SMALLEST_SCALE)
            stored[f"{name}.scale"] = scale.astype(np.float16)
            exact = np.maximum(stored[f"{name}.scale"].astype(np.float32), _SMALLEST_SCALE)
            stored[name] = np.clip(np.rint(values / exact), -127, 127).astype(np.int8)
        else:
            stored[name] = values.astype(np.float16)
    return stored


def unpacked(
    stored: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """The parameters in float32.

    Raises:
        ModelError: one is missing, has another shape or is no number.
    """
    parameters: dict[str, NDArray[np.float32]] = {}
    for name, shape in shapes.items():
        try:
            values = np.asarray(stored[name], np.float32)
            if f"{name}.scale" in stored:
                values = values * np.asarray(stored[f"{name}.scale"], np.float32)
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"The weights of a network lack {name}", code="damaged") from error
        if values.shape != shape or not np.isfinite(values).all():
            raise ModelError(f"The weights {name} of a network are damaged", code="damaged")
        parameters[name] = values
    return parameters
