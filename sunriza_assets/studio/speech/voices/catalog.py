"""All voices of all engines, installed or not. Loads no engine, no weights and no numpy."""

from pathlib import Path

from sunriza_assets.studio.speech.voices.espeak_data import (
    ESPEAK_INSTALL,
    LICENCE,
    STANDARD,
    espeak_version,
    has_espeak,
    languages,
    variants,
)
from sunriza_assets.studio.speech.voices.protocol import Voice

__all__ = ["ENGINES", "all_voices"]

ENGINES = ("espeak",)
"""Names of all engines."""

_ESPEAK_RANK = 10


def all_voices(models: Path) -> tuple[Voice, ...]:
    """Every voice, whether it can speak here, and the command that installs it if it cannot.

    Args:
        models: the models folder.
    """
    del models
    return _espeak_voices()


def _espeak_voices() -> tuple[Voice, ...]:
    installed = has_espeak()
    spoken = languages() or ("de", "en")
    return tuple(
        Voice(
            engine="espeak",
            name=name,
            languages=spoken,
            licence=LICENCE,
            engine_version=espeak_version(),
            rank=_ESPEAK_RANK if name == STANDARD else _ESPEAK_RANK - 1,
            installed=installed,
            how_to_install="" if installed else ESPEAK_INSTALL,
        )
        for name in (STANDARD, *variants())
    )
