"""From a clip to its motion template: follow the face, fix one square, read every crop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.contracts.engine import Image, Progress
from sunriza_assets.studio.engines.liveportrait import crop
from sunriza_assets.studio.engines.liveportrait.crop import FaceSquare, cut, mean_square
from sunriza_assets.studio.engines.liveportrait.faces import Face, FaceReader
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion
from sunriza_assets.studio.engines.liveportrait.pipeline import batched, prefetch
from sunriza_assets.studio.engines.liveportrait.reader import Reader, shrunk
from sunriza_assets.studio.engines.liveportrait.template import arrays_of, build_template
from sunriza_assets.studio.engines.liveportrait.weights import sha256_of
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.motion.continuity import fill_gaps, find_cuts, longest_tracked_segment
from sunriza_assets.studio.motion.neutral import find_neutral
from sunriza_assets.studio.motion.template import MotionTemplate

__all__ = ["extract_motion"]

_PREFETCHED_FRAMES: Final = 4
"""Decoded frames that may wait."""
_THUMBNAIL_SIZE: Final = (32, 18)
"""Columns and rows of the small pictures that cuts are found in."""


@dataclass(frozen=True)
class _TrackedFaces:
    """What the first pass through a clip has seen."""

    faces: list[Face | None]
    """Of every frame."""
    thumbnails: NDArray[np.uint8]
    """(T, h, w) small grey pictures."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """(T,) which frames show the face."""
        return np.array([face is not None for face in self.faces], dtype=bool)

    def filled(self, frames: slice) -> list[Face]:
        """The faces of some frames, those that were not seen put in between their neighbours."""
        present = self.present[frames]
        seen = [face for face in self.faces[frames] if face is not None]
        meshes, points = (
            fill_gaps(_with_gaps(values, present), present)
            for values in ([face.mesh for face in seen], [face.points for face in seen])
        )
        return [Face(mesh, place) for mesh, place in zip(meshes, points, strict=True)]


def extract_motion(
    clip: Path, faces: FaceReader, reader: Reader, *, batch: int, progress: Progress
) -> MotionTemplate:
    """Read the motion of a trimmed clip.

    The clip is decoded twice, for the square that holds for all of it is the mean over all frames:
    decoding is cheap, and keeping a clip is not.

    Args:
        clip: constant frame rate, upright.
        faces: finds the face.
        reader: reads its motion.
        batch: crops read at a time.
        progress: called with frames done; each frame counts a half in either pass.

    Raises:
        MediaError: the clip cannot be decoded.
        FaceError: no face, or none that can be followed.
    """
    info = probe(clip)
    if not isinstance(info, VideoInfo):
        raise MediaError("A picture has no motion", where=clip, remedy="Use a clip.")
    total = info.frame_count
    tracked = _track_faces(clip, faces, lambda done: progress(done // 2, total))
    cuts = find_cuts(tracked.thumbnails, tracked.present, info.rate)
    part = longest_tracked_segment(tracked.present, info.rate, cuts=cuts)
    frames = slice(part.start, part.stop)
    known = tracked.present[frames]
    used = tracked.filled(frames)
    neutral = find_neutral(np.stack([face.mesh for face in used]), info.rate, usable=known)
    squares = [face.square(crop.DRIVING) for face, seen in zip(used, known, strict=True) if seen]
    square = mean_square(np.array([[each.x, each.y, each.side] for each in squares]))
    motions: list[Motion] = []
    done = 0
    crops = prefetch(_crops(clip, square, frames), _PREFETCHED_FRAMES, name="decode")
    for group in batched(crops, batch):
        motions.append(reader.motion(group))
        done += len(group)
        progress((total + done) // 2, total)
    arrays = arrays_of(Motion.joined(motions))
    ratios = [face.ratios() for face in used]
    arrays["eyes"] = np.stack([eyes for eyes, _ in ratios])
    arrays["lip"] = np.stack([lip for _, lip in ratios])
    return build_template(
        arrays,
        rate=info.rate,
        source_sha256=sha256_of(clip),
        neutral_frame=neutral.frame,
        facts={
            "frames_with_face": int(tracked.present.sum()),
            "square": [round(value, 2) for value in (square.x, square.y, square.side)],
            **faces.facts,
            **part.facts(info.rate),
        },
    )


def _track_faces(clip: Path, faces: FaceReader, seen: Callable[[int], None]) -> _TrackedFaces:
    """The first pass: the face in every frame; `seen` is called with the frames done."""
    thumbnails: list[Image] = []

    def decoded() -> Iterator[Image]:
        """In the decoding thread, whose time is not missed: thumbnails are made there, too."""
        for frame in read_frames(clip):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            small = cv2.resize(grey, _THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
            thumbnails.append(np.asarray(small, dtype=np.uint8))
            yield frame

    found: list[Face | None] = []
    for face in faces.follow(prefetch(decoded(), _PREFETCHED_FRAMES, name="decode")):
        found.append(face)
        seen(len(found))
    return _TrackedFaces(found, np.stack(thumbnails))


def _with_gaps(
    values: list[NDArray[np.float64]], present: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """One value for each present frame -> (T, ...), NaN where there is none."""
    result = np.full((len(present), *values[0].shape), np.nan)
    result[present] = values
    return result


def _crops(clip: Path, square: FaceSquare, frames: slice) -> Iterator[Image]:
    """The 256 crop of these frames."""
    to_crop = square.to_crop(crop.DRIVING.size)
    for frame in islice(read_frames(clip), frames.start, frames.stop):
        yield shrunk(cut(frame, to_crop, crop.DRIVING.size), averaging=False)
