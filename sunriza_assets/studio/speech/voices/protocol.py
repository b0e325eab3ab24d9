"""What every voice engine promises, and what it is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sunriza_assets.studio.speech.speech import Speech

__all__ = ["MAX_CHARACTERS", "SPEEDS", "SpeakRequest", "Voice", "VoiceEngine"]

MAX_CHARACTERS = 5_000
"""Longest text of one request."""

SPEEDS = (0.5, 2.0)
"""Slowest and fastest speaking rate, 1 is the voice's own."""


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """A text to be spoken. The text is cleaned already (`voices.text`)."""

    text: str
    language: str
    """BCP 47, as `de` or `en-us`."""
    voice: str = ""
    """Name of one of the engine's voices; ``: its default for the language."""
    speed: float = 1.0
    """In `SPEEDS`."""
    reference: Path | None = None
    """WAV of the voice that is to be imitated, 3-20 s, decoded and checked; engines that can."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice that can be asked for."""

    engine: str
    name: str
    languages: tuple[str, ...]
    """BCP 47; the first is its own."""
    licence: str
    clones: bool = False
    """Whether it imitates a reference."""
    installed: bool = True
    """Whether it can speak here and now."""
    how_to_install: str = ""
    """The command that installs it, if it is not."""


class VoiceEngine(Protocol):
    """Speaks text. One instance serves one thread of one process."""

    @property
    def name(self) -> str:
        """As in `engine=`."""

    @property
    def version(self) -> str:
        """Changes whenever the same request would sound different."""

    def voices(self) -> tuple[Voice, ...]:
        """All voices it knows, installed or not."""

    def speak(self, request: SpeakRequest) -> Speech:
        """The text as sound with timed phones.

        Raises:
            SpeechError: the language, voice or text is not one it can speak.
            ModelError: its package or weights are missing; the message names the command.
        """
