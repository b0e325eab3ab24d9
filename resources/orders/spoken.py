"""What speaking takes and gives: the inputs and the result of orders of kind `tts`, too.

The sound of an order lies below `orders/<order id>/` in the bucket, `<audio id>.wav` with its times
`<audio id>.json` beside it; both are outputs of that name.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from sunriza_assets.studio.speech.voices.protocol import SpeakRequest

__all__ = ["AUDIO_SUFFIXES", "SpeechForecast", "SpeechWish", "SpokenSound", "object_name"]

AUDIO_SUFFIXES: Final = ("wav", "json")
"""The files of a spoken sound: itself, its phones, visemes and words."""


@dataclass(frozen=True, slots=True)
class SpeechWish:
    """A text that is to be spoken, as JSON values; checked."""

    text: str
    """Clean, see `voices.text.cleaned`."""
    language: str
    """BCP 47, as `de` or `en-us`."""
    voice: str = ""
    """Name of one of the engine's voices; ``: its default for the language."""
    engine: str = "auto"
    """Name of an engine, or `auto` for the best one that is installed."""
    speed: float = 1.0
    """1 is the voice's own."""
    licence_accepted: str = ""
    """Licence that the caller accepts, for an engine that demands it."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SpeechWish":
        """Read it back; other names are left alone."""
        return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})

    @property
    def licences(self) -> frozenset[str]:
        """What the caller accepts."""
        return frozenset({self.licence_accepted} - {""})

    def request(self) -> SpeakRequest:
        """What an engine is asked."""
        return SpeakRequest(self.text, self.language, voice=self.voice, speed=self.speed)


@dataclass(frozen=True, slots=True)
class SpokenSound:
    """A spoken sound, ready to be fetched; JSON values."""

    audio_id: str
    """32 hexadecimal digits that nobody can guess."""
    duration_ms: int
    """Milliseconds of sound."""
    sample_rate: int
    """Samples per second."""
    cached: bool
    """Whether the same had been spoken before."""
    engine: str
    """Which engine has spoken."""
    why: str
    """Why this engine."""
    voice: str
    """Which of its voices."""
    licence: str
    """Of engine and voice, SPDX where there is an identifier."""
    language: str
    """BCP 47."""
    characters: int
    """Of the text, cleaned."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SpokenSound":
        """Read it back; other names are left alone."""
        return cls(**{one.name: values[one.name] for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class SpeechForecast:
    """What speaking a text will probably take."""

    seconds: float
    """Of waiting, without a queue."""
    engine: str
    """The engine that will speak."""
    cached: bool
    """Whether it was spoken before."""


def object_name(order_id: str, name: str) -> str:
    """The name in the bucket of an order's output."""
    return f"orders/{order_id}/{name}"
