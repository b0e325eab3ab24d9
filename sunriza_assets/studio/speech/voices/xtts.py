"""The engine `xtts`: XTTS-v2, seventeen languages and imitation; for non-commercial use.

Made only in a worker that runs in XTTS's own environment (`worker.worker_command`): its packages do
not go together with ours. Of this system only what needs nothing but numpy is imported there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.sound import Sound
from sunriza_assets.studio.speech.speech import Speech
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.xtts_data import (
    FAMILY,
    LICENCE,
    REFERENCE,
    VERSION,
    find_weights,
)

__all__ = ["Xtts"]

_RATE: Final = 24_000


class Xtts:
    """The `VoiceEngine` of XTTS-v2; on CUDA where there is a device.

    Args:
        models: the models folder.

    Raises:
        ModelError: the package is not installed here, or the weights are missing or damaged.
    """

    name: Final = FAMILY

    def __init__(self, models: Path) -> None:
        self._weights = find_weights(models)
        folder = models / FAMILY
        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # no pickled object is ever made
        try:
            import torch
            from TTS.tts.configs.xtts_config import XttsConfig
            from TTS.tts.models.xtts import Xtts as Model
        except ImportError as error:
            raise ModelError(
                f"XTTS's environment lacks a package: {error}",
                remedy="Run there: pip install 'coqui-tts>=0.28,<0.29' torch torchaudio",
                code="missing",
            ) from error
        try:
            config = XttsConfig()
            config.load_json(str(folder / "config.json"))
            self._model: Any = Model.init_from_config(config)
            self._model.load_checkpoint(config, checkpoint_dir=str(folder))
            if torch.cuda.is_available():
                self._model.cuda()
        except Exception as error:  # its packages' errors have no base of their own
            raise ModelError(
                f"The weights of XTTS cannot be loaded: {error}", where=folder, code="damaged"
            ) from error

    def stream(self, request: SpeakRequest) -> Iterator[Speech]:
        """Parts as they are made; the first names the text.

        Raises:
            SpeechError: there is no such voice, or a reference is missing.
        """
        latent, embedding = self._speaker(request)
        text = request.text
        for chunk in self._model.inference_stream(
            request.text,
            request.language,
            latent,
            embedding,
            speed=request.speed,
            enable_text_splitting=True,
        ):
            samples = np.asarray(chunk.detach().cpu().numpy(), np.float32).ravel()
            yield Speech(
                sound=Sound(samples, _RATE),
                phones=(),
                words=(),
                text=text,
                language=request.language,
                engine=self.name,
                engine_version=VERSION,
                weights=self._weights,
                voice=request.voice,
                licence=LICENCE,
            )
            text = ""

    def _speaker(self, request: SpeakRequest) -> tuple[Any, Any]:
        if request.voice == REFERENCE:
            if request.reference is None:
                raise SpeechError(
                    "This voice imitates a reference, and there is none",
                    remedy="Send a reference or choose another voice.",
                    code="no_reference",
                )
            latents: tuple[Any, Any] = self._model.get_conditioning_latents(
                audio_path=[str(request.reference)]
            )
            return latents
        known = self._model.speaker_manager.speakers
        if request.voice not in known:
            raise SpeechError(
                f"XTTS has no voice {request.voice!r}",
                remedy=f"It has {', '.join(sorted(known)[:10])} and others.",
                code="voice",
            )
        speaker = known[request.voice]
        return speaker["gpt_cond_latent"], speaker["speaker_embedding"]
