"""Kyutai Pocket TTS: its languages and voices, and where their weights lie; loads no model.

    <models>/pocket/<language>.safetensors             weights without cloning
    <models>/pocket/<language>.cloning.safetensors     weights with cloning, behind terms on the hub
    <models>/pocket/<language>.tokenizer.json
    <models>/pocket/<voice>.voice.safetensors          the state that a voice begins with
    <models>/pocket/<voice>.pulled.json                record of a pull, written last
    <models>/pocket/<voice>.yaml                       the model's configuration with these paths

A voice is named `<language>-<name>`, as `de-juergen`; `<language>-reference` imitates whoever is
heard in a reference.
"""

import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sunriza_assets.errors import ModelError

__all__ = [
    "FAMILY",
    "INSTALL",
    "LANGUAGES",
    "LICENCE",
    "REFERENCE",
    "VOICES",
    "PocketFiles",
    "find_voice",
    "has_package",
    "language_of",
    "package_folder",
    "pull_command",
    "version",
    "voice_names",
]

FAMILY: Final = "pocket"
LICENCE: Final = "MIT AND CC-BY-4.0"
"""Of the package and the weights; voices may be cloned only with their owners' consent."""
INSTALL: Final = "pip install 'sunriza-assets[pocket]'"
REFERENCE: Final = "reference"
"""Name, after the language, of the voice that imitates."""
_PACKAGE: Final = "pocket_tts"

LANGUAGES: Final[Mapping[str, str]] = {
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "pt": "portuguese",
}
"""BCP 47 -> the package's name of the model."""
VOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "de": ("juergen",),
    "en": ("alba", "anna", "charles", "marius"),
    "es": ("lola",),
    "fr": ("estelle",),
    "it": ("giovanni",),
    "nl": ("daan",),
    "pt": ("rafael",),
}
"""Language -> voices that are offered, the usual one first; the hub has more."""


@dataclass(frozen=True, slots=True)
class PocketFiles:
    """What a voice needs, all here."""

    name: str
    language: str
    """BCP 47."""
    config: Path
    state: Path | None
    """The voice's state; None for one that imitates."""
    sha256: str
    """Of the weights and the state."""


def has_package() -> bool:
    """Whether the package `pocket-tts` is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


def package_folder() -> Path:
    """Where the package is.

    Raises:
        ModelError: it is not installed.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ModelError("Pocket TTS is not installed", remedy=f"Run: {INSTALL}", code="missing")
    return Path(found.origin).parent


def version() -> str:
    """The package's version; `` if it is not installed."""
    try:
        return importlib.metadata.version("pocket-tts")
    except importlib.metadata.PackageNotFoundError:
        return ""


def voice_names() -> list[str]:
    """All voices that are offered, as `de-juergen`."""
    return [
        f"{language}-{name}" for language, names in VOICES.items() for name in (*names, REFERENCE)
    ]


def language_of(voice: str) -> str:
    """The language of a voice.

    Raises:
        ModelError: its name does not begin with one.
    """
    language, _, name = voice.partition("-")
    if language not in LANGUAGES or not name.replace("_", "").isalnum():
        raise ModelError(
            f"{voice!r} is not a name of a voice of Pocket TTS",
            remedy=f"There are: {', '.join(voice_names())}.",
            code="name",
        )
    return language


def pull_command(voice: str) -> str:
    """The command that gets a voice."""
    return f"sunriza models pull {FAMILY} --voice {voice}"


def find_voice(models: Path, voice: str) -> PocketFiles:
    """What a voice needs.

    Raises:
        ModelError: it is not here; the message names the command.
    """
    folder = models / FAMILY
    try:
        facts: Mapping[str, Any] = json.loads((folder / f"{voice}.pulled.json").read_text("utf-8"))
        state = folder / f"{voice}.voice.safetensors"
        return PocketFiles(
            name=voice,
            language=language_of(voice),
            config=folder / f"{voice}.yaml",
            state=None if voice.endswith(f"-{REFERENCE}") else state,
            sha256=str(facts["sha256"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The weights of the voice {voice} are missing",
            where=folder,
            remedy=f"Run: {pull_command(voice)}",
            code="missing",
        ) from error
