"""`sunriza inspect FILE`: what a media file is, and whether a phone would play it."""

from pathlib import Path
from typing import Any, Final

from sunriza_assets.studio.media.conform import conform
from sunriza_assets.studio.media.info import PictureInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.media.sniff import Medium, sniff_file
from sunriza_assets.studio.media.sound_file import describe_sound

__all__ = ["inspect"]

_SHOWN_EVERYWHERE: Final = ("jpeg", "png", "webp")
_NOT_PLAYED_EVERYWHERE: Final = ("Ogg file",)


def inspect(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Describe a file for a person or a script.

    Returns:
        JSON values: `file`, `kind` (clip, picture or sound), `info`, `playable`, `reasons` (why a
        phone would not play it), and for a clip `conforms`, `problems` (why it may not be
        published as an idle) and `findings`.

    Raises:
        MediaError: it is no clip, picture or sound, or breaks a limit.
    """
    kind = sniff_file(path, limits)
    if kind.medium is Medium.SOUND:
        played = kind.name not in _NOT_PLAYED_EVERYWHERE
        return {
            "file": str(path), "kind": "sound",
            "info": describe_sound(path, limits=limits).to_dict(), "playable": played,
            "reasons": [] if played else [f"format: not every phone plays this: {kind.name}"],
        }  # fmt: skip
    if kind.medium is not Medium.CLIP:
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
