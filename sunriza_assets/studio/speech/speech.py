"""What a voice makes: sound, its timed phones and words, and how it was made."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.phones import Phone, Word, filled
from sunriza_assets.studio.speech.sound import Sound

__all__ = ["Speech", "joined"]


@dataclass(frozen=True, slots=True)
class Speech:
    """A text that a voice has spoken, or a part of one."""

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
    offset: float = 0.0
    """Seconds by which the phone times were moved earlier; measured for the voice."""
    cpu_seconds: float = 0.0
    """Processor seconds that the engine took; no part of the sound."""


def joined(parts: Iterable[Speech]) -> Speech:
    """The parts of one text, as a voice streams them, as one.

    Raises:
        SpeechError: there are none, so nothing was heard.
    """
    spoken = list(parts)
    if not spoken or not sum(len(part.sound.samples) for part in spoken):
        raise SpeechError(
            "The voice made no sound of this text",
            remedy="Send text in the language that the voice speaks.",
            code="no_sound",
        )
    first = spoken[0]
    if len(spoken) == 1:
        return first
    phones: list[Phone] = []
    words: list[Word] = []
    count = 0
    for part in spoken:
        begin = count / first.sound.rate
        phones += (Phone(one.ipa, begin + one.start, begin + one.end) for one in part.phones)
        words += (Word(one.text, begin + one.start, begin + one.end) for one in part.words)
        count += len(part.sound.samples)
    samples = np.concatenate([part.sound.samples for part in spoken])
    sound = Sound(samples, first.sound.rate)
    return replace(
        first,
        sound=sound,
        phones=filled(phones, sound.seconds) if phones else (),
        words=tuple(words),
        cpu_seconds=sum(part.cpu_seconds for part in spoken),
        text=" ".join(part.text for part in spoken if part.text),
    )
