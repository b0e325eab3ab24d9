"""Metadata of assets: data versions, clip facts, preview pictures.

The event log keeps metadata for ever, so it is small: a preview has at most fifty kilobytes,
and the thumbnail shown without a click less than one.
"""

import hashlib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import Image
    from sunriza_assets.studio.media.info import VideoInfo
    from sunriza_assets.studio.performances.script import MotionScript

__all__ = [
    "INLINE_CHARACTERS",
    "PREVIEW_KEYS",
    "clip_facts",
    "data_version",
    "first_frame_preview",
    "preview_frame_numbers",
    "preview_metadata",
    "script_facts",
    "sha256_of",
]

PREVIEW_KEYS: Final = ("look", "preview")
"""Names of the metadata that `preview_metadata` makes."""
PREVIEW_CELLS: Final = 8
PREVIEW_WIDTH: Final = 160
INLINE_CHARACTERS: Final = 999
"""Longest Markdown that Dagster 1.13 shows without a click."""


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_version(*files: Path) -> dg.DataVersion:
    """The version of an asset made of these files: a hash of their bytes."""
    if len(files) == 1:
        return dg.DataVersion(sha256_of(files[0]))
    joined = "".join(sha256_of(file) for file in files)
    return dg.DataVersion(hashlib.sha256(joined.encode()).hexdigest())


def clip_facts(info: "VideoInfo") -> dict[str, Any]:
    """Duration, rate, size and codec of a clip, to plot and filter by."""
    return {
        "duration_s": round(float(info.duration), 3),
        "frame_rate": f"{info.rate.numerator}/{info.rate.denominator}",
        "frame_count": info.frame_count,
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
    }


def script_facts(script: "MotionScript") -> dict[str, Any]:
    """Name, duration and rate of a motion script, which has no pixels."""
    return {
        "performance": script.name,
        "duration_s": round(float(script.seconds), 3),
        "frame_rate": f"{script.rate.numerator}/{script.rate.denominator}",
        "frame_count": script.frame_count,
    }


def preview_frame_numbers(frame_count: int) -> set[int]:
    """Indices of the evenly spread frames that a clip's preview shows."""
    last = frame_count - 1
    return {round(i * last / (PREVIEW_CELLS - 1)) for i in range(PREVIEW_CELLS)}


def preview_metadata(
    pictures: Iterable["Image"], *, every: bool = False, columns: int = PREVIEW_CELLS // 2
) -> dict[str, dg.MarkdownMetadataValue]:
    """A contact sheet of pictures as inline Markdown for the Dagster UI, keyed by PREVIEW_KEYS.

    The UI shows Markdown of less than a thousand characters as it is and hides longer ones behind a
    click. So there are two: `look`, a thumbnail shown at once, and `preview`, the whole
    contact sheet.

    Args:
        pictures: pictures of the sheet, in order.
        every: whether the thumbnail shows all pictures; else it shows the middle one.
        columns: pictures in a row.
    """
    from sunriza_assets.studio.media.sheet import (
        contact_sheet,
        thumbnail_data_uri,
        webp_data_uri,
    )

    chosen = list(pictures)
    sheet = contact_sheet(chosen, columns=columns, cell_width=PREVIEW_WIDTH)
    seen = sheet if every else chosen[len(chosen) // 2]
    return {
        "look": _picture("look", thumbnail_data_uri(seen, INLINE_CHARACTERS - len("![look]()"))),
        "preview": _picture("preview", webp_data_uri(sheet)),
    }


def _picture(name: str, uri: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![{name}]({uri})")


def first_frame_preview(idle: Path) -> dict[str, dg.MarkdownMetadataValue]:
    """`preview_metadata` of an idle's first frame."""
    from sunriza_assets.studio.media.frames import read_frames

    return preview_metadata(islice(read_frames(idle), 1), columns=1)
