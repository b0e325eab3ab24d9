"""What a voice makes: sound, its timed phones and words, and how it was made."""

from dataclasses import dataclass

from sunriza_assets.studio.speech.phones import Phone, Word
from sunriza_assets.studio.speech.sound import Sound

__all__ = ["Speech"]


@dataclass(frozen=True, slots=True)
class Speech:
    """A text that a voice has spoken."""

    sound: Sound
    phones: tuple[Phone, ...]
    """In order of time, without overlap, silences included; empty if the voice does not tell."""
    words: tuple[Word, ...]
    """In order of time; empty if the voice does not tell."""
    text: str
    """What was spoken, cleaned."""
    language: str
    """BCP 47, as `de` or `en-us`."""
    engine: str
    """Name of the voice engine, as `espeak`."""
    engine_version: str
    weights: str
    """SHA-256 or revision of the weights; `` for an engine without."""
    voice: str
    licence: str
    """Licence of engine and voice, SPDX where there is an identifier."""
