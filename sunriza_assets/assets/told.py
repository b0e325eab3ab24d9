"""What assets tell about themselves: data versions, clip facts, preview pictures.

Everything here ends in the event log and is kept for ever, so it is small: a preview has at most
fifty kilobytes.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

if TYPE_CHECKING:
    from sunriza_assets.studio.engines.base import Image
    from sunriza_assets.studio.media.info import VideoInfo

__all__ = ["clip_facts", "data_version", "previewed", "sha256_of", "shown_numbers"]

PREVIEW_CELLS: Final = 8
PREVIEW_WIDTH: Final = 160


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
    """What is worth plotting and filtering of a clip."""
    return {
        "duration_s": round(float(info.duration), 3),
        "frame_rate": f"{info.rate.numerator}/{info.rate.denominator}",
        "frame_count": info.frame_count,
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
    }


def shown_numbers(frame_count: int) -> set[int]:
    """Numbers of the evenly spread frames that a clip's preview shows."""
    last = frame_count - 1
    return {round(i * last / (PREVIEW_CELLS - 1)) for i in range(PREVIEW_CELLS)}


def previewed(
    pictures: Iterable["Image"], *, columns: int = PREVIEW_CELLS // 2
) -> dg.MarkdownMetadataValue:
    """A contact sheet of pictures, inline for the Dagster UI."""
    from sunriza_assets.studio.media.sheet import contact_sheet, webp_data_uri

    sheet = contact_sheet(pictures, columns=columns, cell_width=PREVIEW_WIDTH)
    return dg.MetadataValue.md(f"![preview]({webp_data_uri(sheet)})")
