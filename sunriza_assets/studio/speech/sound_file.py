"""Sound files from outside as sound in memory."""

from pathlib import Path

from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.sound_file import read_samples
from sunriza_assets.studio.speech.sound import Sound

__all__ = ["read_sound"]


def read_sound(path: Path, *, rate: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Sound:
    """Decode a sound file in a child process: WAV, MP3, Ogg, Opus, FLAC, M4A, MP4, WebM.

    Args:
        path: the file; its bytes say what it is, not its name.
        rate: wanted samples per second, 8-192 kHz; the file's own if None.
        limits: the fields about sounds apply: 25 MB, 300 s, 8 channels.

    Raises:
        MediaError: it is no sound, damaged, or breaks a limit; see docs/media.md.
    """
    samples, found = read_samples(path, rate=rate, limits=limits)
    return Sound(samples, found)
