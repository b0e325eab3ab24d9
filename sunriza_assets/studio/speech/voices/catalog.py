"""All voices of all engines, installed or not. Loads no engine, no weights and no numpy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.voices import (
    espeak_data,
    kokoro_data,
    piper_data,
    pocket_data,
)
from sunriza_assets.studio.speech.voices.protocol import Voice

__all__ = ["all_voices"]

_POCKET, _KOKORO_HUB, _PIPER, _KOKORO_WHEEL, _ESPEAK = 80, 70, 60, 50, 10
"""What `auto` prefers: the clearer and the more natural, the higher."""
_ACCENTED: Final = ("de", "en-us", "en-gb", "es", "fr", "hi", "it", "pt-br")
"""Kokoro speaks from IPA, so that each of its voices speaks all of these."""


def all_voices(models: Path) -> tuple[Voice, ...]:
    """Every voice, whether it can speak here, and the command that installs it if it cannot.

    Args:
        models: the models folder.
    """
    return (*_espeak(), *_piper(models), *_kokoro(models), *_pocket(models))


def _espeak() -> Iterator[Voice]:
    installed = espeak_data.has_espeak()
    spoken = espeak_data.languages() or ("de", "en")
    for name in (espeak_data.STANDARD, *espeak_data.variants()):
        yield Voice(
            engine="espeak",
            name=name,
            languages=spoken,
            licence=espeak_data.LICENCE,
            engine_version=espeak_data.espeak_version(),
            rank=_ESPEAK if name == espeak_data.STANDARD else _ESPEAK - 1,
            installed=installed,
            how_to_install="" if installed else espeak_data.ESPEAK_INSTALL,
        )


def _piper(models: Path) -> Iterator[Voice]:
    here = {voice.name: voice for voice in piper_data.installed_voices(models)}
    for voice in here.values():
        yield Voice(
            engine="piper",
            name=voice.name,
            languages=(voice.language,),
            licence=voice.licence,
            engine_version=_pronounced(piper_data.VERSION),
            weights=voice.sha256,
            rank=_PIPER,
            installed=espeak_data.has_espeak(),
            how_to_install="" if espeak_data.has_espeak() else espeak_data.ESPEAK_INSTALL,
        )
    for known in piper_data.KNOWN:
        if known.name not in here:
            yield Voice(
                engine="piper",
                name=known.name,
                languages=(known.language,),
                licence=piper_data.CARD_LICENCE,
                rank=_PIPER,
                installed=False,
                how_to_install=piper_data.pull_command(known.name),
            )


def _kokoro(models: Path) -> Iterator[Voice]:
    try:
        weights = kokoro_data.find_kokoro(models).sha256
    except ModelError:
        weights = ""
    named = {**dict.fromkeys(kokoro_data.WHEEL_VOICES, ""), **kokoro_data.HUB_VOICES}
    for name, own in named.items():
        there = kokoro_data.voice_path(models, name).is_file()
        installed = bool(weights) and there and espeak_data.has_espeak()
        languages = (own,) if own else ("en-us", "en-gb")
        yield Voice(
            engine="kokoro",
            name=name,
            languages=languages,
            licence=kokoro_data.LICENCE,
            engine_version=_pronounced(kokoro_data.VERSION) if installed else "",
            weights=weights,
            accented=tuple(tag for tag in _ACCENTED if tag not in languages),
            rank=_KOKORO_HUB if own else _KOKORO_WHEEL,
            installed=installed,
            how_to_install="" if installed else kokoro_data.pull_command(name),
        )


def _pocket(models: Path) -> Iterator[Voice]:
    installed = pocket_data.has_package()
    for name in pocket_data.voice_names():
        weights, how = "", pocket_data.pull_command(name)
        try:
            weights = pocket_data.find_voice(models, name).sha256
        except ModelError:
            if not installed:
                how = f"{pocket_data.INSTALL} && {how}"
        here = installed and bool(weights)
        yield Voice(
            engine=pocket_data.FAMILY,
            name=name,
            languages=(pocket_data.language_of(name),),
            licence=pocket_data.LICENCE,
            engine_version=pocket_data.version() if here else "",
            weights=weights,
            rank=_POCKET,
            clones=name.endswith(f"-{pocket_data.REFERENCE}"),
            any_speed=False,
            installed=here,
            how_to_install="" if here else how,
        )


def _pronounced(version: str) -> str:
    """Version of an engine that is given its symbols by eSpeak NG."""
    return f"{version}+espeak-{espeak_data.espeak_version()}"
