"""The portrait's head motion, laid out for all frames: gain, soft limits, room to move."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.motion import limits
from sunriza_assets.studio.motion.head_pose import HeadMotion, rotation_matrices

__all__ = ["plan_heads"]

Array = NDArray[np.float64]

_MAX_STRETCH: Final = 0.8
"""Relative stretch beside the face above which a shift is reduced; at one the picture folds."""
_MIN_ROOM: Final = 0.15
"""Stretch that a shift may always add, however much the rotation already causes."""


def plan_heads(
    rig: PortraitRig,
    arrays: Mapping[str, NDArray[Any]],
    to_portrait: Array,
    *,
    gain: float,
    scale_share: float,
) -> tuple[list[HeadMotion], dict[str, float]]:
    """Where the head is in every frame.

    Args:
        rig: the portrait.
        arrays: a mesh template's.
        to_portrait: (3, 3) rotation from the clip's neutral pose to the portrait's: a nod is a nod
            about the portrait's own axes, whichever way it faces.
        gain: of rotation and shift.
        scale_share: how much of the zoom is carried over.

    Returns:
        One motion per frame, and per kind of limit the share of frames that it reduced.
    """
    limited_shares: dict[str, float] = {}
    rotation = np.empty(arrays["rotation"].shape)
    kinds = (("pitch", limits.PITCH), ("yaw", limits.YAW), ("roll", limits.ROLL))
    for axis, (name, limit) in enumerate(kinds):
        rotation[:, axis], limited_shares[name] = limits.limited(
            arrays["rotation"][:, axis], limit, gain
        )
    zoom = scale_share * min(gain, 1.0) * arrays["log_scale"]
    zoom, limited_shares["zoom"] = limits.limited(zoom, limits.ZOOM, 1.0)
    shift, limited_shares["shift"] = _shifts(arrays["translation"], gain)
    turns = to_portrait @ rotation_matrices(rotation) @ to_portrait.T
    wanted = [
        HeadMotion(turn, float(np.exp(log_scale)), vector)
        for turn, log_scale, vector in zip(turns, zoom, shift * rig.iod, strict=True)
    ]
    heads = [_within_stretch(rig, head) for head in wanted]
    reduced = [
        np.linalg.norm(head.shift) < 0.98 * np.linalg.norm(unlimited.shift)
        for head, unlimited in zip(heads, wanted, strict=True)
    ]
    limited_shares["stretch"] = float(np.mean(reduced))
    return heads, limited_shares


def _shifts(translation: NDArray[Any], gain: float) -> tuple[Array, float]:
    """(T, 3) shifts in the clip -> (T, 2) in the portrait, IOD, bent by their length."""
    shift = translation[:, :2].astype(np.float64)
    size = np.linalg.norm(shift, axis=1)
    limited, limited_share = limits.limited(size, limits.SHIFT, gain)
    return shift * (limited / np.maximum(size, 1e-9))[:, None], limited_share


def _within_stretch(rig: PortraitRig, head: HeadMotion) -> HeadMotion:
    """The same motion, its shift reduced where it would fold the picture beside the face."""
    stretch = rig.warp.stretch(head)
    if stretch <= _MAX_STRETCH:
        return head
    unshifted = rig.warp.stretch(HeadMotion(head.rotation, head.scale, np.zeros(2)))
    room = max(_MAX_STRETCH - unshifted, _MIN_ROOM)
    share = min(1.0, room / max(stretch - unshifted, 1e-6))
    return HeadMotion(head.rotation, head.scale, share * head.shift)
