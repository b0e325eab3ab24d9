"""The engine `pocket`: Kyutai Pocket TTS, seven languages, streaming, and imitation of a reference.

It tells no phone times. Made in a voice worker only: it needs torch and takes hundreds of
megabytes. The package would fetch whatever address it is given as text, so it is given only paths.
"""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.sound import Sound
from sunriza_assets.studio.speech.speech import Speech
from sunriza_assets.studio.speech.voices.pocket_data import (
    FAMILY,
    INSTALL,
    LICENCE,
    PocketFiles,
    find_voice,
    pull_command,
    version,
)
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest

__all__ = ["Pocket"]

_KEPT_REFERENCES: Final = 4


class Pocket:
    """The `VoiceEngine` of Pocket TTS; keeps the last model loaded.

    Args:
        models: the models folder.

    Raises:
        ModelError: the package is not installed.
    """

    name: Final = FAMILY

    def __init__(self, models: Path) -> None:
        try:
            from pocket_tts import TTSModel
        except ImportError as error:
            raise ModelError(
                f"Pocket TTS is not installed: {error}", remedy=f"Run: {INSTALL}", code="missing"
            ) from error
        self._load_model: Any = TTSModel.load_model
        self._models = models
        self._loaded: tuple[PocketFiles, Any] | None = None
        self._states: dict[str, Any] = {}

    def stream(self, request: SpeakRequest) -> Iterator[Speech]:
        """One part for each 80 ms or more, as they are made; the first names the text.

        Raises:
            ModelError: the weights of the voice are missing or damaged.
            SpeechError: a speed other than 1 is asked for, or the voice needs a reference.
        """
        if request.speed != 1.0:
            raise SpeechError(
                "Pocket TTS speaks at its own speed",
                remedy="Leave the speed out or choose another engine.",
                code="speed",
            )
        files = find_voice(self._models, request.voice)
        model = self._model(files)
        state = self._state(files, model, request.reference)
        stop = threading.Event()
        text = request.text
        try:
            for chunk in model.generate_audio_stream(state, request.text, stop=stop):
                samples = np.asarray(chunk.detach().cpu().numpy(), np.float32).ravel()
                yield Speech(
                    sound=Sound(samples, int(model.sample_rate)),
                    phones=(),
                    words=(),
                    text=text,
                    language=request.language,
                    engine=self.name,
                    engine_version=version(),
                    weights=files.sha256,
                    voice=request.voice,
                    licence=LICENCE,
                )
                text = ""
        finally:
            stop.set()  # whoever has left does not let the rest be made

    def _model(self, files: PocketFiles) -> Any:
        if self._loaded is None or self._loaded[0] != files:
            self._states.clear()
            self._loaded = None
            try:
                model = self._load_model(config=files.config, quantize=True)
            except Exception as error:  # safetensors, torch, pydantic and yaml have their own
                raise ModelError(
                    f"The weights of the voice {files.name} cannot be loaded: {error}",
                    where=files.config,
                    remedy=f"Delete {files.config.parent} and run: {pull_command(files.name)}",
                    code="damaged",
                ) from error
            self._loaded = (files, model)
        return self._loaded[1]

    def _state(self, files: PocketFiles, model: Any, reference: Path | None) -> Any:
        if files.state is None and reference is None:
            raise SpeechError(
                f"The voice {files.name} imitates a reference, and there is none",
                remedy="Send a reference or choose another voice.",
                code="no_reference",
            )
        source = files.state or reference
        if source is None:
            raise TypeError("neither a state nor a reference")
        with source.open("rb") as file:
            key = hashlib.file_digest(file, "sha256").hexdigest()
        if key not in self._states:
            while len(self._states) >= _KEPT_REFERENCES:
                self._states.pop(next(iter(self._states)))
            self._states[key] = model.get_state_for_audio_prompt(source)
        return self._states[key]
