"""The marks of spoken sound: C2PA manifests that say it is synthetic, by which voice engine."""

from typing import Final

from sunriza_assets import __version__
from sunriza_assets.studio.marks.mark import MEDIA_TYPES, Mark, Marker, Source

__all__ = ["marked_sound", "speech_mark"]

_BY_RULE: Final = frozenset({"espeak"})
"""Voice engines that follow rules; others have learned to speak."""


def speech_mark(engine: str, engine_version: str, text_sha256: str, reference_sha256: str) -> Mark:
    """What a spoken sound says of itself.

    Args:
        engine: the voice engine.
        engine_version: its version.
        text_sha256: hash of the text.
        reference_sha256: hash of the samples of the voice that was imitated; `` without.
    """
    inputs = [("text", text_sha256), ("reference", reference_sha256)]
    return Mark(
        Source.ALGORITHM if engine in _BY_RULE else Source.TRAINED,
        __version__,
        f"{engine} {engine_version}",
        tuple((name, digest) for name, digest in inputs if digest),
    )


def marked_sound(content: bytes, audio_format: str, mark: Mark, marker: Marker | None) -> bytes:
    """A sound file with its mark; as it is without a marker, or of a format that bears none.

    Args:
        content: a whole file.
        audio_format: as `wav`; Opus, raw AAC and bare samples bear no mark.
        mark: what it says.
        marker: marks it, or None.

    Raises:
        StoreError: it cannot be marked.
    """
    media_type = MEDIA_TYPES.get(f".{audio_format}")
    if marker is None or media_type is None:
        return content
    return marker.marked(content, media_type, mark, title=f"speech.{audio_format}")
