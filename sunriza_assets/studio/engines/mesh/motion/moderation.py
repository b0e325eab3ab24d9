"""How much of an expression is shown where all of it would fold the face: less, and smoothly so.

A face whose proportions differ from the clip's cannot follow every frame. Holding back single
frames would twitch; so what a frame may show is the least that its neighbours may, averaged.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["moderate"]

Array = NDArray[np.float64]
Shape = TypeVar("Shape")

_MOST_FOLDS: Final = 1
"""Triangles of 852 that may fold in a frame: 1.2 permille."""
_STEP: Final = 0.85
"""What a frame's share is multiplied by until it does not fold."""
_LEAST: Final = 0.2
_WINDOW_S: Final = 0.4
"""Duration over which the least share counts, and over which it is then averaged, seconds."""
_ROUNDS: Final = 8
"""How often frames that still fold after averaging are held back further."""


def moderate(
    shape: Callable[[int, Array], Shape],
    folded: Callable[[Shape], tuple[int, int]],
    count: int,
    *,
    rate: float,
    loop: bool,
) -> tuple[list[Shape], Array]:
    """The shapes of all frames, moderated where they fold.

    Args:
        shape: from a frame and (2,) shares of the upper and the lower face's motion to its shape.
        folded: triangles of the upper and of the lower face that a shape folds.
        count: frames.
        rate: frames per second.
        loop: whether the last frame is followed by the first.

    Returns:
        The shapes, and (count, 2) the shares of motion that they show, 0.2-1.
    """
    most = np.ones((count, 2))
    whole = np.ones(2)
    shapes = [shape(frame, whole) for frame in range(count)]
    shares = most.copy()
    window = 2 * round(0.5 * _WINDOW_S * rate) + 1
    for round_ in range(_ROUNDS):
        offending = [frame for frame in range(count) if sum(folded(shapes[frame])) > _MOST_FOLDS]
        if not offending:
            break
        for frame in offending:
            most[frame] = np.minimum(most[frame], shares[frame])
            _hold_back(shape, folded, frame, most[frame], shapes[frame], once=round_ > 0)
        previous, shares = shares, _filtered(most, window, loop=loop)
        for lowered in np.flatnonzero((shares < previous - 1e-6).any(axis=1)):
            shapes[lowered] = shape(int(lowered), shares[lowered])
    return shapes, shares


def _hold_back(
    shape: Callable[[int, Array], Shape],
    folded: Callable[[Shape], tuple[int, int]],
    frame: int,
    shares: Array,
    current: Shape,
    *,
    once: bool,
) -> None:
    """Lower the shares (2,) of a frame, in place, in the half of the face that folds: until it does
    not, or by one step."""
    while sum(folded(current)) > _MOST_FOLDS and shares.max() > _LEAST:
        halves = np.array(folded(current)) > 0
        shares[halves] = np.maximum(shares[halves] * _STEP, _LEAST)
        if once or shares[halves].max() <= _LEAST:
            break
        current = shape(frame, shares)


def _filtered(most: Array, window: int, *, loop: bool) -> Array:
    """(T, 2) a smooth curve that never exceeds `most`: the mean of a running minimum."""
    half = window // 2
    places = np.arange(-2 * half, len(most) + 2 * half)
    padded = most[places % len(most) if loop else np.clip(places, 0, len(most) - 1)]
    least = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0).min(axis=-1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(least, window, axis=0).mean(axis=-1))
