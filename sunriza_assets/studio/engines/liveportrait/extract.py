"""From a clip to its motion template: follow the face, fix one square, read every crop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.engines.base import Image, Progress
from sunriza_assets.studio.engines.liveportrait import crop
from sunriza_assets.studio.engines.liveportrait.crop import cut, mean_square
from sunriza_assets.studio.engines.liveportrait.faces import Face, FaceReader
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion
from sunriza_assets.studio.engines.liveportrait.pipeline import ahead, batched
from sunriza_assets.studio.engines.liveportrait.reader import Reader, shrunk
from sunriza_assets.studio.engines.liveportrait.template import arrays_of, made_template
from sunriza_assets.studio.engines.liveportrait.weights import sha256_of
from sunriza_assets.studio.engines.mesh.gaps import bridge
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.motion.neutral import find_neutral
from sunriza_assets.studio.motion.template import MotionTemplate

__all__ = ["extract_motion"]

_AHEAD: Final = 4
"""Decoded frames that may wait."""


def extract_motion(
    clip: Path, faces: FaceReader, reader: Reader, *, batch: int, progress: Progress
) -> MotionTemplate:
    """Read the motion of a trimmed clip.

    The clip is decoded twice, for the square that holds for all of it is the mean over all frames:
    decoding is cheap, and a clip that is kept is not.

    Args:
        clip: constant frame rate, upright.
        faces: finds the face.
        reader: reads its motion.
        batch: crops read at a time.
        progress: told of frames done; each frame counts a half in either pass.

    Raises:
        MediaError: the clip cannot be decoded.
        FaceError: no face, or none that can be followed.
    """
    info = probe(clip)
    if not isinstance(info, VideoInfo):
        raise MediaError("A picture has no motion", where=clip, remedy="Use a clip.")
    total = info.frame_count
    seen: list[Face | None] = []
    for face in faces.follow(ahead(read_frames(clip), _AHEAD, name="decode")):
        seen.append(face)
        progress(len(seen) // 2, total)
    landmarks, known, gaps = bridge(
        [None if face is None else face.mesh for face in seen], info.rate
    )
    neutral = find_neutral(landmarks, info.rate, usable=known)
    points, _, _ = bridge([None if face is None else face.points for face in seen], info.rate)
    followed = [Face(mesh, place) for mesh, place in zip(landmarks, points, strict=True)]
    squares = [followed[frame].square(crop.DRIVING) for frame in np.flatnonzero(known)]
    square = mean_square(np.array([[each.x, each.y, each.side] for each in squares]))
    ratios = [face.ratios() for face in followed]
    parts: list[Motion] = []
    done = 0
    for crops in batched(ahead(_crops(clip, square), _AHEAD, name="decode"), batch):
        parts.append(reader.motion(crops))
        done += len(crops)
        progress((total + done) // 2, total)
    arrays = arrays_of(Motion.joined(parts))
    arrays["eyes"] = np.stack([eyes for eyes, _ in ratios])
    arrays["lip"] = np.stack([lip for _, lip in ratios])
    return made_template(
        arrays,
        rate=info.rate,
        source_sha256=sha256_of(clip),
        neutral_frame=neutral.frame,
        facts={
            "frames_with_face": int(known.sum()),
            "gaps": gaps,
            "square": [round(value, 2) for value in (square.x, square.y, square.side)],
        },
    )


def _crops(clip: Path, square: crop.FaceSquare) -> Iterator[Image]:
    """Every frame's 256 crop."""
    to_crop = square.to_crop(crop.DRIVING.size)
    for frame in read_frames(clip):
        yield shrunk(cut(frame, to_crop, crop.DRIVING.size), averaging=False)
