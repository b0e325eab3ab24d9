"""What the ledger knows of a spoken sound beside its time and price."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from sunriza_assets.costs.record import CacheState

__all__ = ["SPEECH", "SPOKEN_NUMBERS", "SPOKEN_TEXT", "SPOKEN_WHOLE", "SpokenFacts"]

SPEECH: Final = "tts"
"""Kind of all rows about speech."""
SPOKEN_TEXT: Final = ("voice", "licence", "language")
SPOKEN_WHOLE: Final = ("characters",)
SPOKEN_NUMBERS: Final = ("sound_s",)


@dataclass(frozen=True, slots=True)
class SpokenFacts:
    """One spoken sound."""

    voice: str
    """Name of the engine's voice."""
    licence: str
    """Of engine and voice."""
    language: str
    """BCP 47."""
    characters: int
    """Of the text."""
    sound_s: float
    """Seconds of sound."""
    cache: CacheState
    """`hit` if the same had been spoken before; then nothing is booked for it."""
    cache_saved_s: float | None = None
    """On a hit: the seconds that speaking it had taken, if known."""

    def to_dict(self, sounds: int = 1) -> dict[str, Any]:
        """Flat JSON values of so many equal sounds."""
        facts = asdict(self)
        for name in ("characters", "sound_s", "cache_saved_s"):
            if facts[name] is not None:
                facts[name] = round(facts[name] * sounds, 6)
        return {name: value for name, value in facts.items() if value is not None}
