"""What the published code gave: the recorded arrays, and the inputs that they belong to."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).with_name("data")

# Name -> (base colour, (fx, fy, amplitude), bumps (cx, cy, rx, ry, red, green, blue)).
_PICTURES: dict[str, tuple[Any, Any, Any]] = {
    "source": (
        (0.2, 0.25, 0.35),
        (9.0, 7.0, 0.06),
        [
            (0.5, 0.52, 0.26, 0.34, 0.55, 0.4, 0.28),
            (0.5, 0.16, 0.3, 0.16, -0.2, -0.22, -0.22),
            (0.4, 0.44, 0.055, 0.03, -0.45, -0.4, -0.3),
            (0.6, 0.44, 0.055, 0.03, -0.45, -0.4, -0.3),
            (0.5, 0.57, 0.035, 0.08, 0.1, 0.08, 0.05),
            (0.5, 0.7, 0.09, 0.028, 0.1, -0.28, -0.2),
        ],
    ),
    "driving0": (
        (0.42, 0.36, 0.24),
        (5.0, 11.0, 0.05),
        [
            (0.47, 0.5, 0.24, 0.32, 0.4, 0.32, 0.3),
            (0.46, 0.14, 0.28, 0.14, -0.3, -0.28, -0.18),
            (0.37, 0.42, 0.05, 0.032, -0.4, -0.38, -0.3),
            (0.56, 0.42, 0.05, 0.032, -0.4, -0.38, -0.3),
            (0.46, 0.55, 0.032, 0.075, 0.1, 0.08, 0.05),
            (0.47, 0.67, 0.08, 0.022, 0.05, -0.25, -0.2),
        ],
    ),
    "driving1": (
        (0.12, 0.38, 0.3),
        (13.0, 3.0, 0.1),
        [
            (0.55, 0.53, 0.22, 0.33, 0.4, 0.32, 0.3),
            (0.57, 0.17, 0.26, 0.14, -0.3, -0.28, -0.18),
            (0.48, 0.45, 0.046, 0.014, -0.4, -0.38, -0.3),
            (0.66, 0.47, 0.046, 0.014, -0.4, -0.38, -0.3),
            (0.58, 0.58, 0.032, 0.075, 0.1, 0.08, 0.05),
            (0.56, 0.73, 0.085, 0.055, -0.15, -0.35, -0.3),
        ],
    ),
}


def picture(name: str, size: int = 256) -> NDArray[np.uint8]:
    """(size, size, 3) RGB: a face-like arrangement of bumps, the same on every machine."""
    base, (fx, fy, amplitude), bumps = _PICTURES[name]
    u = ((np.arange(size) + 0.5) / size)[None, :]
    v = ((np.arange(size) + 0.5) / size)[:, None]
    channels = []
    for channel in range(3):
        sign = -1 if channel == 1 else 1
        waves = amplitude * (_triangle(fx * u) * _triangle(fy * v) - 0.25)
        values = base[channel] + 0.15 * v + 0.10 * u * sign + waves
        for cx, cy, rx, ry, *colour in bumps:
            q = ((u - cx) / rx) ** 2 + ((v - cy) / ry) ** 2
            values = values + colour[channel] / (1 + q * q)
        channels.append(np.floor(255 * np.clip(values, 0, 1) + 0.5))
    return np.stack(channels, axis=-1).astype(np.uint8)


def _triangle(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(2 * (t - np.floor(t)) - 1)


@cache
def facts() -> dict[str, Any]:
    """Strides, check sums and motion cases."""
    return json.loads((DATA / "recorded.json").read_text("utf-8"))


@cache
def arrays(file: str) -> dict[str, NDArray[Any]]:
    """Name -> recorded array of one file."""
    with np.load(DATA / file, allow_pickle=False) as archive:
        return {name.replace("|", "/"): archive[name] for name in archive.files}


def thinned(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """The elements of a full array that were kept."""
    strides = facts()["strides"].get(name)
    return values if strides is None else values[tuple(slice(None, None, s) for s in strides)]


def deviation(file: str, name: str, values: NDArray[Any]) -> float:
    """Largest difference from the recorded array, relative to its largest element."""
    wanted = arrays(file)[name]
    got = thinned(name, values)
    assert got.shape == wanted.shape, f"{name}: {got.shape} instead of {wanted.shape}"
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())
