"""What is spoken for training and for measuring: one corpus file for each source."""

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from sunriza_assets.studio.speech.sound import ANALYSIS_RATE
from sunriza_assets.studio.speech.training.corpus import Utterance, write_corpus
from sunriza_assets.studio.speech.training.engines import (
    APART_LANGUAGES,
    ESPEAK_LANGUAGES,
    KOKORO_LANGUAGES,
    KOKORO_TEST_VOICE,
    by_espeak,
    by_kokoro,
    by_piper,
    mixed_texts,
    spoken_by,
)
from sunriza_assets.studio.speech.training.programs import (
    FESTIVAL_VOICES,
    FLITE_TEST_VOICE,
    FLITE_VOICES,
    by_festival,
    by_flite,
)
from sunriza_assets.studio.speech.training.recordings import recordings
from sunriza_assets.studio.speech.training.texts import HELD_BACK, sentences
from sunriza_assets.studio.speech.voices.worker import VoiceWorker

__all__ = ["APART", "RECORDED", "TESTS", "TRAINING", "make_corpora"]

TRAINING: Final = ("flite", "espeak", "festival", "piper", "kokoro")
RECORDED: Final = "recorded"
"""Real people; nothing says what they say when."""
APART: Final = "apart"
"""Voices and languages that only the fusion is trained on: the network has to be a stranger to
them, or the fusion would believe it too much."""
TESTS: Final = ("test_A", "test_B", "test_C", "test_D")
"""flite rms, English; Kokoro tebukuro, English and German; eSpeak NG, German."""

_FLITE_S: Final = 220.0
_ESPEAK_S: Final = {"en-us": 300.0}
_ESPEAK_OTHERS_S: Final = 80.0
_FESTIVAL_S: Final = 100.0
_PIPER_S: Final = 330.0
_KOKORO_S: Final = {"en-us": 600.0, "de": 480.0}
_KOKORO_OTHERS_S: Final = 50.0
_APART_ESPEAK_S: Final = 45.0
_APART_KOKORO_S: Final = {
    "en-us": 140.0, "de": 110.0, "fr": 60.0, "es": 60.0, "it": 60.0, "nl": 40.0, "pl": 30.0,
}  # fmt: skip
_SECONDS_A_SENTENCE: Final = 2.5
_CATALOGUES: Final = {"en-us": "en", "pt-br": "pt_BR"}
_log = logging.getLogger(__name__)


def make_corpora(folder: Path, models: Path) -> None:
    """Speak everything that `folder` has no file of yet.

    Args:
        folder: where the corpora are kept.
        models: a models folder with Kokoro that may be written to.
    """
    sources: Mapping[str, Callable[[], Iterator[Utterance]]] = {
        "test_A": lambda: by_flite(FLITE_TEST_VOICE, sentences("en")[:48]),
        "test_B": lambda: _kept_back(models, "kokoro", "en-us", KOKORO_TEST_VOICE, 70.0),
        "test_C": lambda: _kept_back(models, "kokoro", "de", KOKORO_TEST_VOICE, 112.0),
        "test_D": lambda: _kept_back(models, "espeak", "de", "", 200.0),
        "flite": _flite,
        "espeak": lambda: _espeak(models),
        "festival": _festival,
        "piper": lambda: _limited(
            by_piper(models, mixed_texts(_texts("en-us", 3), 3), 3), _PIPER_S
        ),
        "kokoro": lambda: _kokoro(models),
        RECORDED: recordings,
        APART: lambda: _apart(models),
    }
    for name, source in sources.items():
        path = folder / f"{name}.npz"
        if path.exists():
            continue
        utterances = list(source())
        seconds = sum(len(u.samples) for u in utterances) / ANALYSIS_RATE
        _log.info("%s: %d utterances, %.0f s", name, len(utterances), seconds)
        if utterances:
            write_corpus(path, utterances)


def _texts(language: str, seed: int) -> list[str]:
    """Sentences that are not kept back, in an order of their own for each seed."""
    name = _CATALOGUES.get(language, language)
    texts = list(sentences(name)[HELD_BACK:])
    random.Random(seed).shuffle(texts)  # noqa: S311 -- a fixed order
    return texts


def _limited(utterances: Iterator[Utterance], seconds: float) -> Iterator[Utterance]:
    """The first of them, up to a length."""
    taken = 0.0
    for utterance in utterances:
        yield utterance
        taken += len(utterance.samples) / ANALYSIS_RATE
        if taken > seconds:
            return


def _kept_back(
    models: Path, engine: str, language: str, voice: str, seconds: float
) -> Iterator[Utterance]:
    texts = sentences(_CATALOGUES.get(language, language))[:HELD_BACK]
    with VoiceWorker(engine, models) as worker:
        yield from _limited((spoken_by(worker, text, language, voice) for text in texts), seconds)


def _flite() -> Iterator[Utterance]:
    for number, voice in enumerate(FLITE_VOICES):
        texts = mixed_texts(_texts("en-us", 10 + number), number, 0.4)
        stretch = (1.0, 0.85, 1.2)[number]
        yield from _limited(by_flite(voice, texts, stretch), _FLITE_S)


def _espeak(models: Path) -> Iterator[Utterance]:
    for number, language in enumerate(ESPEAK_LANGUAGES):
        texts = _texts(language, 20 + number)
        if language == "en-us":
            texts = mixed_texts(texts, 20, 0.4)
        seconds = _ESPEAK_S.get(language, _ESPEAK_OTHERS_S)
        yield from _limited(by_espeak(models, language, texts, number), seconds)


def _festival() -> Iterator[Utterance]:
    for number, (voice, language) in enumerate(FESTIVAL_VOICES.items()):
        texts = _texts(language, 40 + number)[: round(_FESTIVAL_S / _SECONDS_A_SENTENCE)]
        yield from by_festival(voice, texts)


def _kokoro(models: Path) -> Iterator[Utterance]:
    for number, language in enumerate(KOKORO_LANGUAGES):
        texts = _texts(language, 60 + number)
        if language == "en-us":
            texts = mixed_texts(texts, 60)
        seconds = _KOKORO_S.get(language, _KOKORO_OTHERS_S)
        yield from _limited(by_kokoro(models, language, texts, number), seconds)


def _apart(models: Path) -> Iterator[Utterance]:
    for number, language in enumerate(APART_LANGUAGES):
        texts = _texts(language, 80 + number)
        yield from _limited(by_espeak(models, language, texts, 80 + number), _APART_ESPEAK_S)
    for number, (language, seconds) in enumerate(_APART_KOKORO_S.items()):
        texts = _texts(language, 90 + number)
        yield from _limited(by_kokoro(models, language, texts, 90 + number), seconds)
