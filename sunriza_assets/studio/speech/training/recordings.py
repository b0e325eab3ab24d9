"""Recordings of real people that Debian distributes: prompts of telephone exchanges and of a game.

    apt-get install asterisk-core-sounds-{en,es,fr,ru}-g722 asterisk-prompt-it-menardi-wav \\
        ktuberling-data

Some 30 speakers in 20 languages, published for any use: CC-BY-SA 3.0 (Allison Smith, June Wallack,
Marco Menardi and Paola Dal Zot, IvrvoiceRU) and the GPL (KTuberling's translators). Nobody has
written down what is said when, so what our listeners hear with the recogniser's help is taken for
it: each learns from what the others know.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

import av
import numpy as np

from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples
from sunriza_assets.studio.speech.training.corpus import Utterance

__all__ = ["recordings"]

_PROMPTS: Final = Path("/usr/share/asterisk/sounds")
_GAME: Final = Path("/usr/share/ktuberling/sounds")
_SECONDS: Final = MappingProxyType(
    {
        "en_US_f_Allison": 600,
        "es_MX_f_Allison": 240,
        "fr_CA_f_June": 280,
        "ru_RU_f_IvrvoiceRU": 200,
        "it_IT_f_Menardi": 150,
    }
)
"""Folder -> how much is taken."""
_GAME_SECONDS: Final = 25
_SHORTEST: Final = 9_600
_SHORTEST_WORD: Final = 3_000
_QUIETEST: Final = 0.02
_PIECE: Final = 5 * ANALYSIS_RATE


def recordings(seed: int = 3) -> Iterator[Utterance]:
    """What of them is installed, a few seconds each, without phones."""
    draw = random.Random(seed)  # noqa: S311 -- a fixed choice
    for name, seconds in _SECONDS.items():
        files = sorted(p for p in (_PROMPTS / name).rglob("*") if p.suffix in {".g722", ".wav"})
        draw.shuffle(files)
        taken = 0.0
        for path in files:
            samples = _decoded(path)
            if len(samples) < _SHORTEST or np.abs(samples).max() < _QUIETEST:
                continue
            yield _utterance(samples, name)
            taken += len(samples) / ANALYSIS_RATE
            if taken > seconds:
                break
    for folder in sorted(path for path in _GAME.glob("*") if path.is_dir()):
        files = sorted(folder.iterdir())
        draw.shuffle(files)
        words: list[Samples] = []
        for path in files:
            if sum(map(len, words)) > _GAME_SECONDS * ANALYSIS_RATE:
                break
            samples = _decoded(path)
            if len(samples) >= _SHORTEST_WORD and np.abs(samples).max() >= _QUIETEST:
                words.append(0.6 * samples / np.abs(samples).max())
        if words:
            joined = np.concatenate(words)
            for piece in np.array_split(joined, len(joined) // _PIECE + 1):
                yield _utterance(piece, f"ktuberling {folder.name}")


def _utterance(samples: Samples, voice: str) -> Utterance:
    loudest = max(1.0, float(np.abs(samples).max()))
    return Utterance(samples / np.float32(loudest), (), "ipa", voice, "", "")


def _decoded(path: Path) -> Samples:
    """(n,) at 16 kHz; nothing of a file that is no sound."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=ANALYSIS_RATE)
    raw = "g722" if path.suffix == ".g722" else None
    try:
        with av.open(str(path), format=raw) as container:
            frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    except (av.FFmpegError, IndexError):
        return np.zeros(0, np.float32)
    frames += resampler.resample(None)
    parts = [frame.to_ndarray()[0] for frame in frames]
    return np.concatenate([*parts, np.zeros(0, np.float32)])
