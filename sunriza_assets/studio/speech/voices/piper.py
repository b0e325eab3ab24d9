"""The engine `piper`: VITS voices as ONNX graphs, driven directly.

Symbols come from eSpeak NG, so that an instance lives in a voice worker only. How long each symbol
sounds is read from inside the graph: the output of its only `Ceil` node, in frames of 256 samples.
The graph draws noise of its own, so that the same text never sounds quite the same.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.sound import Samples, Sound
from sunriza_assets.studio.speech.speech import Speech
from sunriza_assets.studio.speech.voices.espeak import Espeak
from sunriza_assets.studio.speech.voices.onnx_session import open_with_output
from sunriza_assets.studio.speech.voices.piper_data import (
    JOE,
    OFFSETS,
    USUAL_OFFSET_S,
    VERSION,
    PiperVoice,
    find_voice,
    pull_command,
)
from sunriza_assets.studio.speech.voices.pronunciation import Sentence, sentences_of
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.symbol_times import (
    TimedSymbol,
    phones_of,
    words_in_time,
)

__all__ = ["Piper"]

_FRAME: Final = 256
"""Samples of a step of the durations."""
_PAD, _BEGIN, _END = "_", "^", "$"
_SENTENCE_PAUSE_S: Final = 0.2
"""Silence between sentences."""


class Piper:
    """The `VoiceEngine` of Piper voices; keeps the last voice loaded.

    Args:
        models: the models folder.
    """

    name: Final = "piper"

    def __init__(self, models: Path) -> None:
        self._models = models
        self._espeak = Espeak()
        self._loaded: _Loaded | None = None

    def stream(self, request: SpeakRequest) -> Iterator[Speech]:
        """One part a sentence.

        Raises:
            ModelError: the weights of the voice are missing or damaged.
            SpeechError: the text cannot be pronounced.
        """
        voice = self._load(request.voice or JOE)
        for sentence in sentences_of(self._espeak, request.text, voice.pronounced_as):
            samples, symbols = voice.speak(sentence.symbols, request.speed)
            if len(samples) == 0:
                continue
            yield _speech(sentence, samples, symbols, voice, request)

    def _load(self, name: str) -> "_Loaded":
        if self._loaded is None or self._loaded.voice.name != name:
            self._loaded = _Loaded(find_voice(self._models, name))
        return self._loaded


class _Loaded:
    """A voice in memory."""

    def __init__(self, voice: PiperVoice) -> None:
        self.voice = voice
        try:
            config: dict[str, Any] = json.loads(voice.config.read_text("utf-8"))
            self.rate = int(config["audio"]["sample_rate"])
            self.pronounced_as = str(config["espeak"]["voice"])
            self._ids: dict[str, list[int]] = config["phoneme_id_map"]
            usual = config.get("inference", {})
            self._noise = float(usual.get("noise_scale", 0.667))
            self._length = float(usual.get("length_scale", 1.0))
            self._noise_w = float(usual.get("noise_w", 0.8))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The configuration of the voice {voice.name} cannot be read: {error}",
                where=voice.config,
                remedy=f"Delete it and run: {pull_command(voice.name)}",
                code="damaged",
            ) from error
        self._session, durations = open_with_output(
            voice.model, operator="Ceil", remedy=pull_command(voice.name)
        )
        self._outputs = ["output", durations]
        self._has_speakers = any(node.name == "sid" for node in self._session.get_inputs())

    def speak(self, symbols: str, speed: float) -> tuple[Samples, list[TimedSymbol]]:
        """Samples, and those symbols that the voice knows in time."""
        known = [(index, sign) for index, sign in enumerate(symbols) if sign in self._ids]
        pad = self._ids[_PAD]
        ids = [*self._ids[_BEGIN], *pad]
        places = []  # (index, sign, the padding before, the padding after)
        for index, sign in known:
            before = len(ids) - 1
            ids += (*self._ids[sign], *pad)
            places.append((index, sign, before, len(ids) - 1))
        ids += self._ids[_END]
        feed: dict[str, NDArray[Any]] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([self._noise, self._length / speed, self._noise_w], np.float32),
        }
        if self._has_speakers:
            feed["sid"] = np.zeros(1, np.int64)
        sound, frames = self._session.run(self._outputs, feed)
        ends = np.cumsum(np.ravel(frames)) * _FRAME / self.rate
        edges = [0.0, *ends.tolist()]
        timed = [
            TimedSymbol(index, sign, edges[first], edges[end]) for index, sign, first, end in places
        ]
        return np.ravel(sound).astype(np.float32), timed


def _speech(
    sentence: Sentence,
    samples: Samples,
    symbols: list[TimedSymbol],
    voice: _Loaded,
    request: SpeakRequest,
) -> Speech:
    pause = np.zeros(round(_SENTENCE_PAUSE_S * voice.rate), np.float32)
    sound = Sound(np.concatenate([samples, pause]), voice.rate)
    offset = OFFSETS.get(voice.voice.name, USUAL_OFFSET_S)
    return Speech(
        sound=sound,
        phones=phones_of(symbols, offset, sound.seconds),
        words=words_in_time(sentence.words, symbols, offset, sound.seconds),
        text=sentence.text,
        language=request.language,
        engine=Piper.name,
        engine_version=VERSION,
        weights=voice.voice.sha256,
        voice=voice.voice.name,
        licence=f"{voice.voice.licence}, pronounced by GPL-3.0-or-later",
        offset=offset,
    )
