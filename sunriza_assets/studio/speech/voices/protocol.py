"""What every voice engine promises, and what it is asked for. Loads no engine and no numpy."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sunriza_assets.studio.speech.speech import Speech

__all__ = [
    "MAX_CHARACTERS",
    "MAX_SECONDS",
    "SPEEDS",
    "SpeakRequest",
    "Voice",
    "VoiceEngine",
]

MAX_CHARACTERS = 5_000
"""Longest text of one request."""

MAX_SECONDS = 1_200.0
"""Longest sound of one request: 5,000 digits at half speed would go on for over an hour."""

SPEEDS = (0.5, 2.0)
"""Slowest and fastest speaking rate, 1 is the voice's own."""


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """A text to be spoken. `voices.text.checked` cleans and checks one from outside."""

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
    """BCP 47, those that it speaks like a native."""
    licence: str
    """Of the engine and the voice, SPDX where there is an identifier."""
    engine_version: str = ""
    """Changes whenever the same request would sound different; `` if it is not installed."""
    weights: str = ""
    """SHA-256 or revision of its weights; `` for a voice without, or one that is not installed."""
    accented: tuple[str, ...] = ()
    """Languages that it speaks with an accent, when it is asked for by name."""
    rank: int = 0
    """What `engine=auto` prefers: the highest."""
    to_accept: str = ""
    """Identifier of a licence that a caller has to accept, as `cpml`."""
    clones: bool = False
    """Whether it imitates a reference, which it then needs."""
    any_speed: bool = True
    """Whether it speaks at other speeds than its own."""
    installed: bool = True
    """Whether it can speak here and now."""
    how_to_install: str = ""
    """The command that installs it, if it is not."""


class VoiceEngine(Protocol):
    """Speaks text. One instance serves one thread of one process."""

    @property
    def name(self) -> str:
        """As in `engine=`."""

    def stream(self, request: SpeakRequest) -> Iterator["Speech"]:
        """The text as sound with timed phones, part by part, in order, each as soon as it is made.

        Times count from the start of the part. `speech.joined` makes one of them.

        Raises:
            SpeechError: the language, voice or text is not one it can speak.
            ModelError: its package or weights are missing; the message names the command.
        """
