"""WAV files: 16 bit, mono, as this system writes them. Foreign sound is decoded elsewhere."""

import io
import wave
from pathlib import Path

import numpy as np

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.sound import Sound

__all__ = ["read_wav", "wav_bytes", "write_wav"]

_FULL_SCALE = 32_767


def wav_bytes(sound: Sound) -> bytes:
    """A whole WAV file; samples beyond -1..1 are clipped."""
    whole = np.round(np.clip(sound.samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(whole.tobytes())
    return buffer.getvalue()


def write_wav(path: Path, sound: Sound) -> None:
    """Write a WAV file, whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(wav_bytes(sound))


def read_wav(path: Path) -> Sound:
    """Read a WAV file of 16 bit, one channel.

    Raises:
        SpeechError: it is another kind of file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise SpeechError(
                    "The WAV file is not mono with 16 bit",
                    where=path,
                    remedy="Decode it first.",
                    code="wav",
                )
            whole = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            return Sound((whole / np.float32(_FULL_SCALE)).astype(np.float32), file.getframerate())
    except (wave.Error, EOFError) as error:
        raise SpeechError(
            f"This is not a WAV file: {error}", where=path, remedy="Decode it first.", code="wav"
        ) from error
