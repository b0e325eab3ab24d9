"""preview.html: a self-contained page of an avatar that opens from disk without a network.

Pictures and videos are linked to, or embedded in a page that is to be passed on alone.

The page plays the idle in a loop, lays viseme cells over it along the ROI's track, and speaks what
is typed. It uses the published files exactly as the app does, so it also verifies them.
"""

import base64
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cv2
import numpy as np

from sunriza_assets.atomic import replacing
from sunriza_assets.studio.media.encode import VideoWriter
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.probe import describe_own
from sunriza_assets.studio.overlay.atlas import INDEX_NAME, PICTURE_NAME
from sunriza_assets.studio.overlay.speech import inside_script, speech_script

__all__ = ["CLIP_BYTES", "write_player"]

CLIP_BYTES: Final = 1_500_000
"""Largest clip that is embedded as it is; a larger one is embedded as a small copy."""
_CLIP_HEIGHT: Final = 360
_CLIP_CRF: Final = 26


def write_player(
    file: Path,
    *,
    title: str,
    idle: Path,
    atlas: Path,
    mask: Path,
    roi: Path,
    clip: Path | None = None,
    tables: Mapping[str, Mapping[str, object]] | None = None,
    links: Mapping[str, str] | None = None,
) -> int:
    """Write the page; returns its size in bytes.

    Args:
        file: destination, .html.
        title: the avatar's name.
        idle: idle.mp4.
        atlas: the folder of atlas.jpg and atlas.json.
        mask: mask.png.
        roi: roi.json with a track of as many transforms as the idle has frames.
        clip: the trimmed clip, shown beside the idle.
        tables: heading -> name -> value, shown below: parameters, timing, cost.
        links: `idle`, `atlas`, `clip` -> where the page finds that file, relative to itself; what
            is not named here goes into the page, a large clip as a small copy. The mask always
            does: a browser lets no page that was opened from disk read another file's pixels.

    Raises:
        MediaError: the clip cannot be decoded.
        StoreError: the folder cannot be written to.
    """
    info, linked = describe_own(idle), links or {}
    shown = f"{info.width} × {info.height}, {float(info.duration):.2f} s"
    avatar = {
        "title": title,
        "caption": f"{shown} at {float(info.rate):g} frames a second",
        "rate": float(info.rate),
        "idle": linked.get("idle") or _data_uri(idle.read_bytes(), "video/mp4"),
        "size": [info.width, info.height],
        "roi": json.loads(roi.read_text("utf-8")),
        "atlas": json.loads((atlas / INDEX_NAME).read_text("utf-8")),
        "atlasImage": linked.get("atlas")
        or _data_uri((atlas / PICTURE_NAME).read_bytes(), "image/jpeg"),
        "mask": _data_uri(mask.read_bytes(), "image/png"),
        "clip": (linked.get("clip") or _data_uri(_embedded_clip(clip), "video/mp4"))
        if clip
        else None,
        "tables": {
            heading: {name: _format_value(value) for name, value in rows.items()}
            for heading, rows in (tables or {}).items()
        },
    }
    parts = {
        "title": html.escape(title),
        "speech": speech_script(),
        "avatar": inside_script(avatar),
    }
    page = files("sunriza_assets.studio.overlay").joinpath("player.html").read_text("utf-8")
    # All at once: a name may contain what looks like a place for another part.
    content = re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page).encode()
    with replacing(file) as open_file:
        open_file.write(content)
    return len(content)


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


def _embedded_clip(clip: Path) -> bytes:
    """The clip's bytes, or those of a silent copy of few pixels where it is large."""
    if clip.stat().st_size <= CLIP_BYTES:
        return clip.read_bytes()
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "clip.mp4"
        rate = describe_own(clip).rate
        with VideoWriter(copy, rate=rate, crf=_CLIP_CRF, encoder="libx264") as writer:
            for frame in read_frames(clip):
                height, width = frame.shape[:2]
                shrink = min(1.0, _CLIP_HEIGHT / height)
                size = (2 * round(width * shrink / 2), 2 * round(height * shrink / 2))
                small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                writer.write(np.asarray(small, dtype=np.uint8))
        return copy.read_bytes()
