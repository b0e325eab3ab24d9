"""The engine `kokoro`: Kokoro-82M as an ONNX graph, driven directly.

Symbols come from eSpeak NG, so that an instance lives in a voice worker only. How long each token
sounds is read from inside the graph, in steps of 600 samples.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.sound import Samples, Sound
from sunriza_assets.studio.speech.speech import Speech
from sunriza_assets.studio.speech.voices.espeak import Espeak
from sunriza_assets.studio.speech.voices.kokoro_data import (
    LICENCE,
    OFFSET_S,
    VERSION,
    WHEEL_VOICES,
    find_kokoro,
    pull_command,
    voice_path,
)
from sunriza_assets.studio.speech.voices.onnx_session import open_with_output
from sunriza_assets.studio.speech.voices.pronunciation import sentences_of
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.symbol_times import (
    TimedSymbol,
    phones_of,
    words_in_time,
)

__all__ = ["Kokoro", "tokens_of"]

_RATE: Final = 24_000
_STEP: Final = 600
"""Samples of a step of the durations."""
_DURATIONS: Final = "/encoder/Clip_output_0"
_MOST_TOKENS: Final = 509
_SENTENCE_PAUSE_S: Final = 0.2
_STYLE_SHAPE: Final = (510, 256)
_ONE_TOKEN: Final[Mapping[str, str]] = {
    "eɪ": "A",
    "aɪ": "I",
    "oʊ": "O",
    "əʊ": "Q",
    "aʊ": "W",
    "ɔɪ": "Y",
    "tʃ": "ʧ",
    "dʒ": "ʤ",
}
"""Pairs of symbols that the model reads as one."""
_TWO_TOKENS: Final[Mapping[str, str]] = {"ɚ": "əɹ", "ɝ": "ɜɹ"}
_UNITS: Final = re.compile("|".join(_ONE_TOKEN) + "|.", re.DOTALL)


class Kokoro:
    """The `VoiceEngine` of Kokoro.

    Args:
        models: the models folder.

    Raises:
        ModelError: the model is missing or damaged.
    """

    name: Final = "kokoro"

    def __init__(self, models: Path) -> None:
        files = find_kokoro(models)
        self._models = models
        self._weights = files.sha256
        self._espeak = Espeak()
        self._session, durations = open_with_output(
            files.model, node_output=_DURATIONS, remedy=pull_command()
        )
        self._outputs = [self._session.get_outputs()[0].name, durations]
        vocabulary = json.loads(files.vocabulary.read_text("utf-8"))
        self._tokens: Mapping[str, int] = vocabulary.get("vocab", vocabulary)
        self._styles: dict[str, NDArray[np.float32]] = {}

    def stream(self, request: SpeakRequest) -> Iterator[Speech]:
        """One part a sentence.

        Raises:
            ModelError: the voice is missing or damaged.
            SpeechError: the text cannot be pronounced.
        """
        voice = request.voice or WHEEL_VOICES[0]
        style = self._style(voice)
        for sentence in sentences_of(self._espeak, request.text, request.language):
            samples, symbols = self._speak(sentence.symbols, style, request.speed)
            if not symbols:
                continue
            pause = np.zeros(round(_SENTENCE_PAUSE_S * _RATE), np.float32)
            sound = Sound(np.concatenate([samples, pause]), _RATE)
            yield Speech(
                sound=sound,
                phones=phones_of(symbols, OFFSET_S, sound.seconds),
                words=words_in_time(sentence.words, symbols, OFFSET_S, sound.seconds),
                text=sentence.text,
                language=request.language,
                engine=self.name,
                engine_version=VERSION,
                weights=self._weights,
                voice=voice,
                licence=LICENCE,
                offset=OFFSET_S,
            )

    def _speak(
        self, symbols: str, style: NDArray[np.float32], speed: float
    ) -> tuple[Samples, list[TimedSymbol]]:
        units = [unit for unit in tokens_of(symbols) if unit[2] in self._tokens][:_MOST_TOKENS]
        if not units:
            return np.zeros(0, np.float32), []
        tokens = [0, *(self._tokens[token] for _, _, token in units), 0]
        sound, steps = self._session.run(
            self._outputs,
            {
                "tokens": np.array([tokens], np.int64),
                "style": style[min(len(units), len(style) - 1)][None],
                "speed": np.array([speed], np.float32),
            },
        )
        ends = np.cumsum(np.ravel(steps)) * _STEP / _RATE
        timed = [
            TimedSymbol(index, sign, float(begin), float(end))
            for (index, sign, _), begin, end in zip(units, ends, ends[1:], strict=False)
        ]
        return np.ravel(sound).astype(np.float32), timed

    def _style(self, voice: str) -> NDArray[np.float32]:
        """(510, 256) the style of a voice by number of tokens."""
        if voice not in self._styles:
            path = voice_path(self._models, voice)
            try:
                style: NDArray[Any] = np.load(path, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise ModelError(
                    f"The voice {voice} of Kokoro is missing or damaged",
                    where=path,
                    remedy=f"Run: {pull_command(voice)}",
                    code="missing",
                ) from error
            if style.shape != _STYLE_SHAPE:
                raise ModelError(
                    f"The voice {voice} of Kokoro has the shape {style.shape}",
                    where=path,
                    remedy=f"Delete it and run: {pull_command(voice)}",
                    code="damaged",
                )
            self._styles[voice] = style.astype(np.float32)
        return self._styles[voice]


def tokens_of(symbols: str) -> list[tuple[int, str, str]]:
    """(index in the symbols, IPA, symbol of the model's vocabulary) of each token."""
    return [
        (match.start(), token if match.group() in _TWO_TOKENS else match.group(), token)
        for match in _UNITS.finditer(symbols)
        for token in _TWO_TOKENS.get(match.group(), _ONE_TOKEN.get(match.group(), match.group()))
    ]
