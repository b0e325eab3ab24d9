"""From a motion script to a mesh template, performed by a generic face.

That face is `neutral_face.json`: the landmarks of the sample's portrait, turned to the front, made
symmetrical and brought to rest. Only its proportions are used.
"""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.engines.mesh.motion.closure import SHUT_CLOSURE, measured_closure
from sunriza_assets.studio.engines.mesh.motion.extract import TEXTURE_SHAPE
from sunriza_assets.studio.expression.emotion_offsets import emotion_offsets
from sunriza_assets.studio.expression.emotions import Emotion
from sunriza_assets.studio.face.measures import mouth_aperture
from sunriza_assets.studio.face.regions import (
    CHIN,
    EYE_CONTOURS,
    LOWER_LIP,
    NOSE_BASE,
    OVAL,
    UPPER_LIP,
)
from sunriza_assets.studio.face.topology import MESH_POINTS, MOUTH_CORNERS
from sunriza_assets.studio.motion.head_pose import eye_distance
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.performances.script import MotionScript

__all__ = ["neutral_face", "perform_script"]

Array = NDArray[np.float64]

_SMILE: Final = Emotion(cheeks=0.035, corners=0.33, width=1.24)
"""About as `happy` in `studio.emotions`, but for the eyes, which a script moves itself."""
_BROWS_UP: Final = Emotion(inner_brow=0.08, outer_brow=0.08)
"""About as `surprised`."""
_WIDENED: Final = Emotion(width=1.1)
"""A mouth a tenth wider."""
_OPENING_EXPONENT: Final = 0.65
"""Exponent of the outline of parted lips: an ellipse has a half, a parabola one."""
_UPPER_SHARE: Final = 0.12
"""Share of an opening by which the upper lip rises; the jaw has the rest."""
_JAW_SHARE: Final = 0.6
"""Displacement of the chin over that of the lower lip."""
_JAW_REACH: Final = 8
"""Points of the outline on either side of the chin up to which it is the jaw's."""
_SHEPARD_POWER: Final = 3.0
_FIXED_VERTICES: Final = (*EYE_CONTOURS.ravel().tolist(), NOSE_BASE, 1, 4, 5, 195, 197, 6, 168)
"""Lids, tip and bridge of the nose."""
_NEUTRAL_SKIN: Final = (190.0, 150.0, 130.0)
"""RGB of the template's `skin`; unused, as a script has no mouth texture."""


def perform_script(script: MotionScript, *, engine: str, version: str) -> MotionTemplate:
    """The template of a face that performs a script."""
    neutral = neutral_face()
    expression = _expression(script, neutral[:MESH_POINTS])
    turns = Rotation.from_euler("YXZ", np.stack([-script.yaw, script.pitch, script.roll], axis=1))
    no_depth = np.zeros(script.frame_count)
    faces = neutral[:MESH_POINTS] + eye_distance(neutral) * expression
    arrays = {
        "neutral": neutral,
        "rotation": turns.as_rotvec(),
        "log_scale": script.log_scale,
        "translation": np.column_stack([script.shift, no_depth]),
        "expression": expression.astype(np.float16),
        "closure": np.repeat(measured_closure(script.closure, SHUT_CLOSURE)[:, None], 2, axis=1),
        "gaze": np.repeat(script.gaze[:, None], 2, axis=1),
        "mouth_opening": mouth_aperture(faces),
        "mouth_texture": np.zeros((0, *TEXTURE_SHAPE, 3), np.uint8),
        "skin": np.array(_NEUTRAL_SKIN),
    }
    return MotionTemplate(
        engine=engine,
        engine_version=version,
        rate=script.rate,
        frame_count=script.frame_count,
        source_sha256=script.sha256,
        neutral_frame=0,
        arrays={
            name: array.astype(np.float32) if array.dtype == np.float64 else array
            for name, array in arrays.items()
        },
        facts={"performance": script.name},
    )


@lru_cache(maxsize=1)
def neutral_face() -> Array:
    """(478, 3) the face at rest from the front, in IOD, origin between its outer eye corners."""
    text = files("sunriza_assets.studio.engines.mesh.motion").joinpath("neutral_face.json")
    face = np.array(json.loads(text.read_text("utf-8"))["points"], dtype=np.float64) / 10_000
    face.flags.writeable = False
    return face


def _expression(script: MotionScript, mesh: Array) -> Array:
    """(T, 468, 3) offsets in IOD: what each curve moves, times the curve."""
    iod = eye_distance(mesh)
    parts = (
        (script.smile, emotion_offsets(mesh, _SMILE)),
        (script.brows, emotion_offsets(mesh, _BROWS_UP)),
        (script.width, emotion_offsets(mesh, _WIDENED) / (_WIDENED.width - 1.0)),
        (script.opening, iod * _jaw_drop(mesh)),
    )
    total = sum(np.multiply.outer(curve, offsets / iod) for curve, offsets in parts)
    return np.asarray(total)


def _jaw_drop(mesh: Array) -> Array:
    """(468, 3) where the mesh goes for each unit that its closed lips part.

    Lips and jaw are given, `_FIXED_VERTICES` stay, and the skin between is interpolated by inverse
    distances (D. Shepard, ACM '68): lips that touch have nothing between them that a
    smoother interpolation could pass through.
    """
    across = mesh[MOUTH_CORNERS[1], 0] - mesh[MOUTH_CORNERS[0], 0]
    middle = mesh[list(MOUTH_CORNERS), 0].mean()
    drop = np.full(MESH_POINTS, np.nan)
    drop[list(_FIXED_VERTICES)] = 0.0
    chin = int(np.flatnonzero(OVAL == CHIN)[0])
    apart = np.clip(np.abs(np.arange(len(OVAL)) - chin) / _JAW_REACH, 0.0, 1.0)
    drop[OVAL] = (1.0 - _UPPER_SHARE) * _JAW_SHARE * np.cos(apart * np.pi / 2) ** 2
    for rows, share in ((UPPER_LIP, -_UPPER_SHARE), (LOWER_LIP, 1.0 - _UPPER_SHARE)):
        x = np.clip(np.abs(mesh[rows, 0] - middle) / (across / 2), 0.0, 1.0)
        drop[rows] = share * (1.0 - x**2) ** _OPENING_EXPONENT
    given = np.flatnonzero(np.isfinite(drop))
    skin = np.flatnonzero(np.isnan(drop))
    distances = np.linalg.norm(mesh[skin, None, :2] - mesh[given, :2], axis=2)
    weights = np.maximum(distances, 1e-3) ** -_SHEPARD_POWER
    drop[skin] = weights @ drop[given] / weights.sum(axis=1)
    return np.column_stack([np.zeros(MESH_POINTS), drop, np.zeros(MESH_POINTS)])
