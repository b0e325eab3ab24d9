"""`sunriza inspect FILE`: what a media file is, and whether a phone would play it."""

from pathlib import Path
from typing import Any, Final

from sunriza_assets.studio.media.conform import conform
from sunriza_assets.studio.media.info import PictureInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.media.sniff import Medium, sniff_file

__all__ = ["inspect"]

_SHOWN_EVERYWHERE: Final = ("jpeg", "png", "webp")


def inspect(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Describe a file for a person or a script.

    Returns:
        JSON values: `file`, `kind` (clip or picture), `info`, `playable`, `reasons` (why a phone
        would not play it), and for a clip `conforms`, `problems` (why it may not be published as
        an idle) and `findings`.

    Raises:
        MediaError: it is neither a clip nor a picture, or breaks a limit.
    """
    if sniff_file(path, limits).medium is not Medium.CLIP:
        info = probe(path, limits=limits)
        name = info.format if isinstance(info, PictureInfo) else ""
        shown = name in _SHOWN_EVERYWHERE
        reasons = [] if shown else [f"format: not every phone shows {name.upper()}"]
        return {
            "file": str(path), "kind": "picture", "info": info.to_dict(),
            "playable": shown, "reasons": reasons,
        }  # fmt: skip
    result = conform(path, sound=True, limits=limits)
    return {"file": str(path), "kind": "clip", **result.to_dict()}
