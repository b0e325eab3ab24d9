"""Our own voice engines as speakers of training sound, among them mixed voices of Kokoro.

A convex mixture of Kokoro's styles with a little noise is a new speaker. One voice of Kokoro and
the German of eSpeak NG are kept back for measuring.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sunriza_assets.studio.speech.listening.whole import at_analysis_rate
from sunriza_assets.studio.speech.speech import Speech
from sunriza_assets.studio.speech.training.corpus import Utterance
from sunriza_assets.studio.speech.training.texts import random_words
from sunriza_assets.studio.speech.voices.espeak_data import STANDARD
from sunriza_assets.studio.speech.voices.kokoro_data import WHEEL_VOICES, voice_path
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.worker import VoiceWorker

__all__ = [
    "APART_LANGUAGES",
    "ESPEAK_LANGUAGES",
    "KOKORO_LANGUAGES",
    "KOKORO_TEST_VOICE",
    "by_espeak",
    "by_kokoro",
    "by_piper",
    "mixed_texts",
    "spoken_by",
]

KOKORO_TEST_VOICE: Final = "jf_tebukuro"
"""Never trained on, nor is it in a mixture."""
ESPEAK_LANGUAGES: Final = (
    *("en-us", "fr", "es", "it", "pl", "nl", "pt-br", "sv", "ru", "tr", "cs", "fi", "da"),
    *("ro", "hu"),
)
"""German is kept back."""
APART_LANGUAGES: Final = (
    *("hr", "sk", "id", "nb", "uk", "ca", "et", "lt", "sl", "el", "bg", "eo", "eu", "lv", "sr"),
    *("ga", "ms"),
)
"""Those of the fusion."""
KOKORO_LANGUAGES: Final = ("en-us", "de", "fr", "es", "it", "nl", "pl")
_ESPEAK_VOICES: Final = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5"),
    *("klatt", "klatt2", "klatt3", STANDARD),
)
_STYLE_NOISE: Final = 0.04
_CONCENTRATION: Final = 0.5
"""Of the mixture: small values make speakers that are mostly one voice."""


def by_espeak(models: Path, language: str, texts: Sequence[str], seed: int) -> Iterator[Utterance]:
    """Texts by many voices of eSpeak NG at many speeds."""
    draw = random.Random(seed)  # noqa: S311 -- data, no secret
    with VoiceWorker("espeak", models) as worker:
        for text in texts:
            voice = draw.choice(_ESPEAK_VOICES)
            yield spoken_by(worker, text, language, voice, draw.uniform(0.7, 1.3))


def by_piper(models: Path, texts: Sequence[str], seed: int) -> Iterator[Utterance]:
    """Texts in English by Piper's voice joe at many speeds."""
    draw = random.Random(seed)  # noqa: S311
    with VoiceWorker("piper", models) as worker:
        for text in texts:
            yield spoken_by(worker, text, "en-us", "", draw.uniform(0.77, 1.18))


def by_kokoro(models: Path, language: str, texts: Sequence[str], seed: int) -> Iterator[Utterance]:
    """Texts by mixed voices of Kokoro, each by another one.

    Args:
        models: a models folder with Kokoro that may be written to: mixed voices are put there.
        language: one of `KOKORO_LANGUAGES`.
        texts: sentences.
        seed: of the mixtures.
    """
    draw = np.random.default_rng(seed)
    names = [name for name in WHEEL_VOICES if name != KOKORO_TEST_VOICE]
    styles = np.stack([np.load(voice_path(models, n), allow_pickle=False) for n in names])
    with VoiceWorker("kokoro", models) as worker:
        for number, text in enumerate(texts):
            shares = draw.dirichlet(np.full(len(names), _CONCENTRATION))
            mixed = np.tensordot(shares, styles, axes=1)
            mixed += draw.normal(0.0, _STYLE_NOISE, mixed.shape[-1])
            voice = f"mixture-{seed}-{number}"
            path = voice_path(models, voice)
            np.save(path, mixed.astype(np.float32), allow_pickle=False)
            yield spoken_by(worker, text, language, voice, float(draw.uniform(0.8, 1.2)))
            path.unlink()


def spoken_by(
    worker: VoiceWorker, text: str, language: str, voice: str = "", speed: float = 1.0
) -> Utterance:
    """A text as an utterance with the engine's own phone times."""
    request = SpeakRequest(text=text, language=language, voice=voice, speed=speed)
    return _utterance(worker.speak(request))


def _utterance(speech: Speech) -> Utterance:
    samples = at_analysis_rate(speech.sound)
    return Utterance(
        samples=samples / max(1.0, float(np.abs(samples).max(initial=0.0))),
        phones=tuple((phone.ipa, phone.start, phone.end) for phone in speech.phones),
        alphabet="ipa",
        voice=f"{speech.engine} {speech.voice}",
        language=speech.language,
        text=speech.text,
    )


def mixed_texts(texts: Sequence[str], seed: int, share: float = 0.35) -> list[str]:
    """English sentences of which a share is replaced by random words, rich in rare sounds."""
    draw = random.Random(seed)  # noqa: S311
    return [
        (random_words(draw, draw.randint(3, 7)) or text) if draw.random() < share else text
        for text in texts
    ]
