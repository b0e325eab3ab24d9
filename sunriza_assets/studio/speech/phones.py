"""Timed phones and words of a spoken sound, and the viseme that each phone shows."""

from dataclasses import dataclass

__all__ = ["Phone", "Word"]


@dataclass(frozen=True, slots=True)
class Phone:
    """One speech sound in time."""

    ipa: str
    """Symbol of the International Phonetic Alphabet, without stress; `` is silence."""
    start: float
    """Seconds from the start of the sound, corrected by the voice's measured offset."""
    end: float
    """Seconds, >= `start`."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word in time."""

    text: str
    """The word as it was written."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds, >= `start`."""
