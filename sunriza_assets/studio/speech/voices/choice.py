"""Choosing the voice for a request: by name, or the best that is installed for the language."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sunriza_assets.errors import ModelError, SpeechError, did_you_mean
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest, Voice

__all__ = ["AUTO", "VoiceChoice", "choose_voice", "speaks"]

AUTO = "auto"
"""The value of `engine` that leaves the choice to `choose_voice`."""


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """A voice and why it was chosen."""

    voice: Voice
    reason: str
    """A phrase for answers and metadata."""


def speaks(voice: Voice, language: str, *, accented: bool = False) -> bool:
    """Whether a voice speaks a language, or another variant of it (`en-us` for `en-au`).

    Args:
        voice: which.
        language: BCP 47 in lower case.
        accented: whether an accent is good enough.
    """
    known = (*voice.languages, *(voice.accented if accented else ()))
    return _primary(language) in map(_primary, known)


def choose_voice(
    request: SpeakRequest,
    voices: Sequence[Voice],
    engine: str = AUTO,
    licences: frozenset[str] = frozenset(),
) -> VoiceChoice:
    """The voice that is to speak a request.

    `auto` takes, of the installed voices that speak the language (and imitate, if there is a
    reference), the one of the highest rank; engines whose licence has to be accepted only by name.

    Args:
        request: a checked one.
        voices: all there are.
        engine: name of an engine, or `auto`.
        licences: identifiers of licences that the caller has accepted, as `cpml`.

    Raises:
        SpeechError: there is no such engine or voice, it does not speak the language or cannot
            imitate a reference, or its licence was not accepted.
        ModelError: it is not installed; the message names the command.
    """
    engines = sorted({voice.engine for voice in voices})
    if engine not in {AUTO, *engines}:
        raise SpeechError(
            f"There is no voice engine {engine[:40]!r}",
            remedy=f"{did_you_mean(engine, engines)}Use {AUTO}, {', '.join(engines)}.",
            code="engine",
        )
    left = [voice for voice in voices if engine in {AUTO, voice.engine}]
    left = _named(left, request, engine)
    by_name = engine != AUTO or bool(request.voice)
    left = _speaking(left, request, by_name=by_name)
    left = _imitating(left, request)
    left = _paced(left, request)
    left = _accepted(left, licences, by_name=by_name)
    here = [voice for voice in left if voice.installed]
    if not here:
        wanted = max(left, key=lambda voice: voice.rank)
        raise ModelError(
            f"The voice {wanted.name} of {wanted.engine} is not installed"
            if by_name
            else f"No voice for {request.language!r} is installed",
            remedy=f"Run: {wanted.how_to_install}",
            code="missing",
        )
    best = max(here, key=lambda voice: (voice.rank, request.language in voice.languages))
    return VoiceChoice(best, "asked for by name" if by_name else _reason(best, request, left))


def _named(voices: list[Voice], request: SpeakRequest, engine: str) -> list[Voice]:
    if not request.voice:
        return voices
    named = [voice for voice in voices if voice.name == request.voice]
    if not named:
        of = "" if engine == AUTO else f" of {engine}"
        raise SpeechError(
            f"There is no voice {request.voice!r}{of}",
            remedy=f"{did_you_mean(request.voice, (voice.name for voice in voices))}"
            "`sunriza voices` lists them.",
            code="voice",
        )
    return named


def _speaking(voices: list[Voice], request: SpeakRequest, *, by_name: bool) -> list[Voice]:
    able = [voice for voice in voices if speaks(voice, request.language, accented=by_name)]
    if not able:
        raise SpeechError(
            f"{_subject(voices)} not speak {request.language!r}",
            remedy="`sunriza voices --lang LANGUAGE` lists voices by language.",
            code="language",
        )
    return able


def _imitating(voices: list[Voice], request: SpeakRequest) -> list[Voice]:
    if request.reference is None:
        able = [voice for voice in voices if not voice.clones]
        if not able:
            raise SpeechError(
                f"{_subject(voices)} nothing but imitate a reference voice",
                remedy="Send a reference or choose another voice.",
                code="no_reference",
            )
        return able
    able = [voice for voice in voices if voice.clones]
    if not able:
        raise SpeechError(
            f"{_subject(voices)} not imitate a reference voice",
            remedy="Leave the reference out or choose an engine that clones: `sunriza voices`.",
            code="no_cloning",
        )
    return able


def _paced(voices: list[Voice], request: SpeakRequest) -> list[Voice]:
    able = [voice for voice in voices if voice.any_speed or request.speed == 1.0]
    if not able:
        raise SpeechError(
            f"{_subject(voices)} not speak faster or slower",
            remedy="Leave the speed out or choose another engine.",
            code="speed",
        )
    return able


def _accepted(voices: list[Voice], licences: frozenset[str], *, by_name: bool) -> list[Voice]:
    able = [voice for voice in voices if not voice.to_accept or by_name]
    refused = [voice for voice in able if voice.to_accept and voice.to_accept not in licences]
    if not able or len(refused) == len(able):
        licence = next(voice.to_accept for voice in voices if voice.to_accept)
        raise SpeechError(
            f"The licence {licence} of this voice was not accepted",
            remedy=f"Read it, and if you accept it say licence_accepted={licence}.",
            code="licence",
        )
    return [voice for voice in able if voice not in refused]


def _primary(language: str) -> str:
    return language.partition("-")[0]


def _reason(best: Voice, request: SpeakRequest, able: Iterable[Voice]) -> str:
    others = sorted({voice.engine for voice in able if not voice.installed} - {best.engine})
    lacking = f"; not installed: {', '.join(others)}" if others else ""
    return f"the best voice for {request.language} that is installed{lacking}"


def _subject(voices: list[Voice]) -> str:
    engines = {voice.engine for voice in voices}
    if len(voices) == 1:
        return f"The voice {voices[0].name} of {voices[0].engine} does"
    return f"The voices of {engines.pop()} do" if len(engines) == 1 else "The voices here do"
