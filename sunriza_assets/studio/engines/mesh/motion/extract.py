"""From a clip to its motion template: track, choose rest, split pose from expression."""

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.contracts.engine import Image, Progress
from sunriza_assets.studio.drawing.sampling import read_linearly_at
from sunriza_assets.studio.drawing.skin import skin_around_mouth
from sunriza_assets.studio.face.landmarks import FaceLandmarks, FaceMesh
from sunriza_assets.studio.face.measures import eye_apertures, gaze_offsets, mouth_aperture
from sunriza_assets.studio.face.regions import LOWER_LIP, SKULL, UPPER_LIP
from sunriza_assets.studio.face.topology import MESH_POINTS, POINTS
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.motion.continuity import fill_gaps, find_cuts, longest_tracked_segment
from sunriza_assets.studio.motion.head_pose import eye_distance, split
from sunriza_assets.studio.motion.neutral import find_neutral
from sunriza_assets.studio.motion.rigid import fit_similarity
from sunriza_assets.studio.motion.template import MotionTemplate

__all__ = ["TEXTURE_SHAPE", "cut_mouth", "extract_motion"]

TEXTURE_SHAPE: Final = (48, 96)
"""Rows and columns of a cut-out mouth."""
_THUMBNAIL_WIDTH: Final = 32
_MIN_LIP_OPENING: Final = 0.012
"""Inner-lip opening, IOD, below which there is no mouth to cut out."""
_OPEN_EYE_PERCENTILE: Final = 65
"""Of all openings of an eye in a clip, the one that counts as open; blinks pull means down."""
_IRIS_HIDDEN_CLOSURE: Final = 0.35
"""Closure from which on the iris is too hidden to measure the gaze."""


def extract_motion(
    clip: Path, mesh: FaceMesh, *, engine: str, version: str, progress: Progress
) -> MotionTemplate:
    """Read the motion of a trimmed clip.

    Raises:
        MediaError: the clip cannot be decoded.
        FaceError: no face, or none that can be followed.
    """
    info = probe(clip)
    if not isinstance(info, VideoInfo):
        raise MediaError("A picture has no motion", where=clip, remedy="Use a clip.")
    faces: list[NDArray[np.float32] | None] = []
    textures: list[Image] = []
    skins: list[NDArray[np.float32]] = []
    thumbnails: list[Image] = []
    for frame, face in _tracked(clip, mesh):
        faces.append(None if face is None else face.points)
        textures.append(_mouth_of(frame, face))
        thumbnails.append(_thumbnail(frame))
        if face is not None:
            skins.append(skin_around_mouth(frame, face.points))
        progress(len(faces), info.frame_count)
    present = np.array([points is not None for points in faces])
    cuts = find_cuts(np.stack(thumbnails), present, info.rate)
    part = longest_tracked_segment(present, info.rate, cuts=cuts)
    frames = slice(part.start, part.stop)
    blank = np.full((POINTS, 3), np.nan)
    landmarks = np.stack([blank if points is None else points for points in faces[frames]])
    landmarks = fill_gaps(landmarks.astype(np.float64), present[frames])
    arrays, neutral_frame = _arrays(landmarks, present[frames], info.rate)
    arrays["mouth_texture"] = np.stack(textures[frames])
    arrays["skin"] = np.median(np.stack(skins), axis=0).astype(np.float32)
    return MotionTemplate(
        engine=engine,
        engine_version=version,
        rate=info.rate,
        frame_count=len(landmarks),
        source_sha256=_sha256(clip),
        neutral_frame=neutral_frame,
        arrays=arrays,
        facts={"frames_with_face": int(present.sum()), **part.facts(info.rate)},
    )


def _tracked(clip: Path, mesh: FaceMesh) -> Iterator[tuple[Image, FaceLandmarks | None]]:
    """Every frame together with its face; one frame is held at a time."""
    latest: list[Image] = []

    def frames() -> Iterator[Image]:
        for frame in read_frames(clip):
            latest[:] = [frame]
            yield frame

    for face in mesh.track(frames()):
        yield latest[0], face


def _arrays(
    landmarks: NDArray[np.float64], known: NDArray[np.bool_], rate: Fraction
) -> tuple[dict[str, NDArray[Any]], int]:
    """All arrays that come of landmarks (T, 478, 3) alone, and the neutral frame."""
    neutral = find_neutral(landmarks, rate, usable=known)
    parts = split(landmarks, neutral.points)
    upright = fit_similarity(neutral.points[SKULL], landmarks[:, SKULL]).inverse().apply(landmarks)
    openings = eye_apertures(upright)
    open_eyes = np.percentile(openings[known], _OPEN_EYE_PERCENTILE, axis=0)
    closure = 1.0 - openings / np.maximum(open_eyes, 1e-6)
    gaze = gaze_offsets(upright) - gaze_offsets(neutral.points)
    faces = neutral.points[:MESH_POINTS] + parts.expression * eye_distance(neutral.points)
    return {
        "neutral": neutral.points.astype(np.float32),
        "rotation": parts.rotation.astype(np.float32),
        "log_scale": parts.log_scale.astype(np.float32),
        "translation": parts.translation.astype(np.float32),
        "expression": parts.expression.astype(np.float16),
        "closure": closure.astype(np.float32),
        "gaze": _interpolated_through_blinks(gaze, closure).astype(np.float32),
        "mouth_opening": mouth_aperture(faces).astype(np.float32),
    }, neutral.frame


def _interpolated_through_blinks(
    gaze: NDArray[np.float64], closure: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(T, 2, 2) gaze with the frames of a lowered lid filled from both sides."""
    held = gaze.copy()
    times = np.arange(len(gaze))
    open_enough = closure.max(axis=1) < _IRIS_HIDDEN_CLOSURE
    if not open_enough.any():
        return np.zeros_like(gaze)
    for side in (0, 1):
        for axis in (0, 1):
            values = gaze[open_enough, side, axis]
            held[:, side, axis] = np.interp(times, times[open_enough], values)
    return held


def _mouth_of(frame: Image, face: FaceLandmarks | None) -> Image:
    """`TEXTURE_SHAPE` picture of what is between the inner lips; black where they are shut."""
    if face is None or mouth_aperture(face.points) < _MIN_LIP_OPENING:
        return np.zeros((*TEXTURE_SHAPE, 3), np.uint8)
    return cut_mouth(frame, face.xy)


def cut_mouth(frame: Image, points: NDArray[Any]) -> Image:
    """`TEXTURE_SHAPE` picture of what is between the inner lips of a face with these landmarks
    (478, 2), pixels: columns from corner to corner, rows from upper to lower lip."""
    rows, columns = TEXTURE_SHAPE
    oversampling = 2  # read twice as fine and averaged, so that a near face does not alias
    across = (np.arange(columns * oversampling) + 0.5) / (columns * oversampling)
    down = ((np.arange(rows * oversampling) + 0.5) / (rows * oversampling))[:, None, None]
    upper, lower = (_points_along(points[row[-1]], across) for row in (UPPER_LIP, LOWER_LIP))
    places = upper * (1.0 - down) + lower * down - 0.5
    texture = read_linearly_at(frame, places.astype(np.float32))
    return np.asarray(
        cv2.resize(texture, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _thumbnail(frame: Image) -> Image:
    """Small grey picture of a frame, for telling cuts."""
    height, width = frame.shape[:2]
    step = max(1, width // (4 * _THUMBNAIL_WIDTH))
    size = (_THUMBNAIL_WIDTH, max(1, round(_THUMBNAIL_WIDTH * height / width)))
    grey = cv2.cvtColor(np.ascontiguousarray(frame[::step, ::step]), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _points_along(rim: NDArray[Any], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) points of a lip's rim and (M,) shares of the way along it -> (M, 2) points."""
    knots = np.linspace(0.0, 1.0, len(rim))
    return np.stack([np.interp(across, knots, rim[:, axis]) for axis in (0, 1)], axis=1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
