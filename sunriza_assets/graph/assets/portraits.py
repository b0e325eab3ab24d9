"""The portrait in pixels, decoded once for all steps of a run in one process.

Decoding runs in a process of its own, and starting that costs more than any check of the result.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sunriza_assets.graph.assets.metadata import sha256_of

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import Image

__all__ = ["read_portrait"]


def read_portrait(file: Path) -> "Image":
    """(H, W, 3) RGB uint8 of a portrait's file, as a copy; see `read_picture` for errors."""
    from sunriza_assets.studio.media.picture import read_picture

    key = sha256_of(file)
    if key not in _cache:
        picture = read_picture(file)
        _cache.clear()  # one avatar's worth, or a long-lived worker would grow
        _cache[key] = picture
    return _cache[key].copy()


_cache: dict[str, "Image"] = {}
