"""Messages between a process and its voice worker: JSON with a length before it, then samples.

    4 bytes    length of the JSON, unsigned, little-endian
    JSON       an object; `samples` says how many float32 follow, little-endian
    samples

Nothing is unpickled and no length is believed beyond what one part of a speech may have.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np

from sunriza_assets.errors import EngineError, ModelError, SpeechError, SunrizaError
from sunriza_assets.studio.speech.phones import Phone, Word
from sunriza_assets.studio.speech.sound import RATES, Samples, Sound
from sunriza_assets.studio.speech.speech import Speech
from sunriza_assets.studio.speech.voices.protocol import MAX_SECONDS, SpeakRequest

__all__ = [
    "Source",
    "error_from",
    "error_to_dict",
    "receive",
    "request_from",
    "request_to_dict",
    "send",
    "speech_from",
    "speech_to_dict",
]

_LENGTH: Final = struct.Struct("<I")
_MOST_JSON: Final = 16_000_000
_MOST_SAMPLES: Final = int(MAX_SECONDS * RATES[-1])
_ERRORS: Final[Mapping[str, type[SunrizaError]]] = {
    error.family: error for error in (SpeechError, ModelError, EngineError)
}
_NO_SAMPLES: Final = np.zeros(0, np.float32)


class Source(Protocol):
    """Where messages come from."""

    def read(self, count: int, /) -> bytes | None:
        """At most so many bytes; none at the end."""


def send(out: BinaryIO, message: Mapping[str, Any], samples: Samples = _NO_SAMPLES) -> None:
    """Write one message and flush it."""
    content = json.dumps({**message, "samples": len(samples)}).encode()
    out.write(_LENGTH.pack(len(content)) + content)
    out.write(samples.astype("<f4", copy=False).tobytes())
    out.flush()


def receive(source: Source) -> tuple[dict[str, Any], Samples]:
    """Read one message.

    Raises:
        EOFError: the other side has closed its end, perhaps in the middle.
        ValueError: what came is no message.
    """
    (length,) = _LENGTH.unpack(_exactly(source, _LENGTH.size))
    if length > _MOST_JSON:
        raise ValueError(f"a message of {length} bytes")
    message = json.loads(_exactly(source, length))
    if not isinstance(message, dict) or not 0 <= int(message["samples"]) <= _MOST_SAMPLES:
        raise ValueError("a message of another shape")
    samples = np.frombuffer(_exactly(source, 4 * int(message["samples"])), "<f4")
    return message, samples.astype(np.float32)


def _exactly(source: Source, count: int) -> bytes:
    pieces = []
    while count:
        piece = source.read(count)
        if not piece:
            raise EOFError
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def request_to_dict(request: SpeakRequest) -> dict[str, Any]:
    """A request as JSON."""
    return {**asdict(request), "reference": request.reference and str(request.reference)}


def request_from(message: Mapping[str, Any]) -> SpeakRequest:
    """The request that `request_to_dict` has written."""
    reference = message["reference"]
    return SpeakRequest(
        text=message["text"],
        language=message["language"],
        voice=message["voice"],
        speed=float(message["speed"]),
        reference=Path(reference) if reference else None,
    )


_FACTS: Final = (
    *("text", "language", "engine", "engine_version", "weights", "voice", "licence"),
    *("offset", "cpu_seconds"),
)


def speech_to_dict(speech: Speech) -> dict[str, Any]:
    """All of a speech but its samples, as JSON."""
    return {
        **{name: getattr(speech, name) for name in _FACTS},
        "rate": speech.sound.rate,
        "phones": [[one.ipa, one.start, one.end] for one in speech.phones],
        "words": [[one.text, one.start, one.end] for one in speech.words],
    }


def speech_from(message: Mapping[str, Any], samples: Samples) -> Speech:
    """The speech that `speech_to_dict` has written."""
    return Speech(
        sound=Sound(samples, int(message["rate"])),
        phones=tuple(Phone(ipa, start, end) for ipa, start, end in message["phones"]),
        words=tuple(Word(text, start, end) for text, start, end in message["words"]),
        **{name: message[name] for name in _FACTS},
    )


def error_to_dict(error: SunrizaError) -> dict[str, Any]:
    """A named error as JSON."""
    code = error.code.removeprefix(f"{error.family}.") if "." in error.code else None
    return {
        "family": error.family,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "code": code,
    }


def error_from(message: Mapping[str, Any]) -> SunrizaError:
    """The error that `error_to_dict` has written."""
    error = _ERRORS.get(message["family"], SpeechError)
    return error(
        message["what"],
        where=message["where"],
        remedy=message["remedy"],
        code=message["code"],
    )
