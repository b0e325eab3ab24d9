"""`sunriza inspect FILE`: what a media file is, and whether a phone would play it."""

from pathlib import Path
from typing import Any

from sunriza_assets.studio.media.conform import conform
from sunriza_assets.studio.media.info import PictureInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import probe

__all__ = ["inspect"]


def inspect(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Describe a file for a person or a script.

    Returns:
        JSON values: `file`, `kind` (clip or picture), `info`, `playable`, `reasons` (why a phone
        would not play it), and for a clip `conforms`, `problems` (why it may not be published as
        an idle) and `findings`.

    Raises:
        MediaError: it is neither a clip nor a picture, or breaks a limit.
    """
    info = probe(path, limits=limits)
    if isinstance(info, PictureInfo):
        shown = info.format in ("jpeg", "png", "webp")
        reasons = [] if shown else [f"format: not every phone shows {info.format.upper()}"]
        return {
            "file": str(path), "kind": "picture", "info": info.to_dict(),
            "playable": shown, "reasons": reasons,
        }  # fmt: skip
    result = conform(path, sound=True, limits=limits)
    return {"file": str(path), "kind": "clip", **result.to_dict()}
