"""Inspects a portrait and a clip and returns the findings.

Files are decoded in a child process, a clip only as far as it would be used and at a small size. An
unreadable file is a finding, too, so that both inputs are always covered by one report.
"""

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError, MediaError
from sunriza_assets.studio.face.landmarks import FaceLandmarks, FaceMesh
from sunriza_assets.studio.inspection.figures import FaceFigures, measure
from sunriza_assets.studio.inspection.findings import Finding
from sunriza_assets.studio.inspection.verdicts import (
    ClipFigures,
    clip_findings,
    portrait_findings,
)
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.media.trim import trim
from sunriza_assets.studio.motion.continuity import longest_tracked_segment

__all__ = ["inspect_clip", "inspect_inputs", "inspect_portrait"]

Image = NDArray[np.uint8]

PORTRAIT_SIDE: Final = 1600
"""Longest side at which a portrait is inspected: the default of `source_max_dim`."""
CLIP_SIDE: Final = 640
"""Longest side at which a clip is inspected; findings give sizes in the original clip."""
SAMPLES_PER_SECOND: Final = 6
"""Frames per second in which the face is tracked."""
_CROWD_SAMPLES: Final = 6
"""Number of frames in which further faces are searched."""


def inspect_inputs(
    mesh: FaceMesh,
    *,
    portrait: Path | None = None,
    clip: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Finding]:
    """Inspect one or both inputs of an avatar.

    Args:
        mesh: finds the faces.
        portrait: a picture.
        clip: a talking clip.
        limits: what is refused; `clip_seconds` is what is used of a clip.

    Returns:
        The findings, those on the portrait first; none when all is well.

    Raises:
        StoreError: there is no room for temporary files.
    """
    findings: list[Finding] = []
    if portrait is not None:
        try:
            image = read_picture(portrait, max_side=PORTRAIT_SIDE, limits=limits)
            findings += inspect_portrait(image, mesh)
        except MediaError as error:
            findings.append(Finding("portrait", error.code, "refuse", error.public))
    if clip is not None:
        try:
            findings += inspect_clip(clip, mesh, limits=limits)
        except MediaError as error:
            findings.append(Finding("clip", error.code, "refuse", error.public))
    return findings


def inspect_portrait(image: Image, mesh: FaceMesh) -> list[Finding]:
    """Inspect a portrait, (H, W, 3) RGB."""
    try:
        face = mesh.portrait(image)
    except FaceError as error:
        code = {"face.none": "no_face", "face.several": "several"}.get(error.code, error.code)
        return [Finding("portrait", code, "refuse", error.public)]
    return portrait_findings(measure(image, face))


def inspect_clip(clip: Path, mesh: FaceMesh, *, limits: Limits = DEFAULT_LIMITS) -> list[Finding]:
    """Inspect the part of a clip that would be used.

    Raises:
        MediaError: it cannot be read.
        StoreError: there is no room for temporary files.
    """
    info = probe(clip, limits=limits)
    if not isinstance(info, VideoInfo):
        raise MediaError("A picture has no motion", where=clip, remedy="Use a clip.")
    with tempfile.TemporaryDirectory(prefix="sunriza-") as folder:
        small = Path(folder) / "clip.mp4"
        trimmed = trim(clip, small, keep_audio=False, max_side=CLIP_SIDE, limits=limits)
        step = max(1, ceil(trimmed.rate / SAMPLES_PER_SECOND))
        frames = [frame for index, frame in enumerate(read_frames(small)) if index % step == 0]
    return clip_findings(
        _clip_figures(
            frames,
            mesh,
            rate=trimmed.rate / step,
            scale=max(info.size) / max(trimmed.size),
            seconds=float(info.duration),
            used_seconds=limits.clip_seconds,
        )
    )


def _clip_figures(
    frames: list[Image],
    mesh: FaceMesh,
    *,
    rate: Fraction,
    scale: float,
    seconds: float,
    used_seconds: float,
) -> ClipFigures:
    """Figures of sampled frames, `rate` a second, reduced in size by `scale`."""
    faces = list(mesh.track(frames))
    present = [face is not None for face in faces]
    lost = None
    try:
        longest_tracked_segment(present, rate)
    except FaceError as error:
        lost = error.public
    samples = frames[:: max(1, len(frames) // _CROWD_SAMPLES)]
    return ClipFigures(
        seconds=seconds,
        used_seconds=used_seconds,
        present=float(np.mean(present)),
        lost=lost,
        several=float(np.mean([_shows_several(frame, mesh) for frame in samples])),
        face=_median_figures(frames, faces, scale),
    )


def _shows_several(frame: Image, mesh: FaceMesh) -> bool:
    try:
        mesh.portrait(frame)
    except FaceError as error:
        return error.code == "face.several"
    return False


def _median_figures(
    frames: list[Image], faces: list[FaceLandmarks | None], scale: float
) -> FaceFigures | None:
    """Median of each figure of a clip's face; sizes as in the original clip."""
    measured = list(_measured(frames, faces))
    if not measured:
        return None
    names = FaceFigures.__slots__
    medians = {name: float(np.median([getattr(one, name) for one in measured])) for name in names}
    medians["iod"] *= scale
    return FaceFigures(**medians)


def _measured(frames: list[Image], faces: list[FaceLandmarks | None]) -> Iterator[FaceFigures]:
    for frame, face in zip(frames, faces, strict=True):
        if face is not None:
            yield measure(frame, face)
