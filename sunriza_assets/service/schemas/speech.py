"""Bodies and answers of the routes that speak."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sunriza_assets.service.webhooks import EVENTS
from sunriza_assets.studio.speech.voices.protocol import MAX_CHARACTERS, SPEEDS

__all__ = [
    "OPENAI_ERROR",
    "SPEECH_FORM",
    "SPEECH_FORMATS",
    "ConsentList",
    "ConsentShown",
    "OpenAISpeech",
    "SpeechBody",
    "SpokenAnswer",
    "SpokenTimes",
    "VoiceConsent",
    "VoiceList",
    "VoiceShown",
    "speech_schema",
]

SPEECH_FORMATS: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""`response_format` of OpenAI's shape -> media type."""

Language = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$",
        description="BCP 47: `de`, `en-us`.",
    ),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+ -]{0,64}$")]
Speed = Annotated[
    float, Field(ge=SPEEDS[0], le=SPEEDS[1], description="1 is the voice's own rate.")
]
_WEBHOOK_URL: Final[dict[str, Any]] = {
    "pattern": r"^https://([A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]*(/[!-~]*)?$",
    "maxLength": 2048,
}
# Longer text is refused by the check that refuses markup, too, with a code of its own.
Text = Annotated[
    str,
    Field(
        json_schema_extra={"minLength": 1, "maxLength": MAX_CHARACTERS},
        description="Plain text; tags of SSML or HTML are refused.",
    ),
]


class VoiceConsent(BaseModel):
    """Declares that somebody agrees to the imitation of their voice."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "who": "Anna Beispiel",
                    "when": "2026-01-31",
                    "statement": "I agree that my voice is imitated for my own avatar.",
                }
            ]
        },
    )

    who: str = Field(min_length=1, max_length=200, description="Whose voice it is.")
    when: str = Field(
        max_length=40,
        json_schema_extra={"format": "date"},
        description="When that person has agreed: an ISO 8601 date, or a time with its zone.",
    )
    statement: str = Field(
        min_length=1, max_length=2000, description="What that person has agreed to."
    )

    @field_validator("who", "statement")
    @classmethod
    def _has_words(cls, value: str) -> str:
        if not any(sign.isalnum() for sign in value):
            raise ValueError("It holds no words")
        return value.strip()

    @field_validator("when")
    @classmethod
    def _is_past(cls, value: str) -> str:
        try:
            at = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("It is no date such as 2026-01-31") from None
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        if at > datetime.now(UTC) + timedelta(days=1):
            raise ValueError("It lies in the future")
        return value.strip()


class SpeechBody(BaseModel):
    """A text to be spoken."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text": "Guten Morgen", "lang": "de"}]},
    )

    text: Text
    lang: Language = "de"
    voice: Name | None = Field(
        default=None, description="One of `GET /voices`; the engine's default without it."
    )
    engine: Name | None = Field(
        default=None, description="One of `GET /voices`; the best that is installed without it."
    )
    speed: Speed = 1.0
    licence_accepted: Name | None = Field(
        default=None, description="`cpml` for `xtts`, whose licence forbids commercial use."
    )
    consent: VoiceConsent | None = Field(
        default=None, description="Needed with `voice_clone_wav`; kept with the sample's hash."
    )
    avatar_id: str | None = Field(
        default=None,
        max_length=128,
        description="The caller's avatar whose voice is imitated: the consent is deleted with it.",
    )
    webhook_url: str | None = Field(
        default=None,
        json_schema_extra=_WEBHOOK_URL,
        description="Public https address that is told of the end, if this becomes a job.",
    )
    webhook_events: list[Literal["job.done", "job.error", "job.running"]] | None = Field(
        default=None, description="What it is told of: `job.done` and `job.error` by default."
    )


def speech_schema() -> dict[str, Any]:
    """The JSON schema of `SpeechBody`, with nothing that it refers to."""
    schema = SpeechBody.model_json_schema()
    consent = schema.pop("$defs")["VoiceConsent"]
    schema["properties"]["consent"]["anyOf"] = [consent, {"type": "null"}]
    return schema


SPEECH_FORM: Final[dict[str, Any]] = {
    "text": {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS},
    "lang": {"type": "string", "default": "de", "description": "BCP 47: `de`, `en-us`."},
    "voice": {"type": "string", "description": "One of `GET /voices`."},
    "engine": {"type": "string", "description": "One of `GET /voices`."},
    "speed": {"type": "number", "minimum": SPEEDS[0], "maximum": SPEEDS[1], "default": 1},
    "licence_accepted": {"type": "string"},
    "voice_clone_wav": {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "3-20 s of the voice to imitate: WAV, MP3, Ogg, FLAC, M4A or WebM, 25 MB at"
        " most. It is deleted with the request.",
    },
    "consent": {
        "type": "string",
        "description": "As in the JSON body, as JSON text; needed with `voice_clone_wav`.",
    },
    "avatar_id": {"type": "string"},
    "webhook_url": {"type": "string", **_WEBHOOK_URL},
    "webhook_events": {
        "type": "array",
        "items": {"type": "string", "enum": list(EVENTS)},
        "description": "Repeated.",
    },
}
"""Fields of the multipart form."""


class SpokenAnswer(BaseModel):
    """A spoken sound."""

    audio_url: str = Field(description="Fetch it here; `.json` behind it has phones and visemes.")
    audio_id: str = Field(description="For `/animate`, and in the address.")
    duration_ms: int = Field(ge=0, description="Length of the sound.")
    sample_rate: int = Field(description="Samples per second.")
    cached: bool = Field(description="Whether the same had been spoken before; then it is free.")
    engine: str = Field(description="Which engine has spoken.")
    why: str = Field(description="Why this engine.")
    voice: str = Field(description="Which of its voices.")
    licence: str = Field(description="Of engine and voice.")
    language: str = Field(description="BCP 47.")
    consent_id: str | None = Field(
        default=None, description="The declaration that was stored, where a voice was imitated."
    )


class TimedPhone(BaseModel):
    """One speech sound."""

    ipa: str = Field(description="International Phonetic Alphabet; empty for silence.")
    start: float = Field(description="Seconds from the start of the sound; as all times here.")
    end: float


class ShownViseme(BaseModel):
    """One shape of the mouth."""

    viseme: str = Field(description="One of the twelve of an avatar's atlas.")
    start: float
    end: float


class TimedWord(BaseModel):
    """One word."""

    text: str
    start: float
    end: float


class SpokenTimes(BaseModel):
    """What happens when in a spoken sound, and how it was made."""

    phones: list[TimedPhone] = Field(description="In order, silences included.")
    visemes: list[ShownViseme] = Field(description="In order; equal neighbours are one.")
    words: list[TimedWord] = Field(description="Empty where the voice does not tell.")
    seconds: float = Field(description="Length of the sound.")
    rate: int = Field(description="Samples per second.")
    engine: str
    engine_version: str
    weights: str = Field(description="sha256 or revision; empty for an engine without.")
    voice: str
    licence: str
    language: str
    speed: float
    characters: int
    offset: float = Field(description="Seconds by which phones were moved earlier for the voice.")


class VoiceShown(BaseModel):
    """One voice."""

    engine: str
    name: str
    languages: list[str] = Field(description="BCP 47; the first is its own.")
    licence: str = Field(description="Of engine and voice.")
    clones: bool = Field(description="Whether it imitates a sample.")
    installed: bool = Field(description="Whether it can speak here and now.")
    how_to_install: str = Field(description="The command that installs it; empty if it is.")


class VoiceList(BaseModel):
    """All voices that this installation knows."""

    voices: list[VoiceShown]


class ConsentShown(BaseModel):
    """A stored declaration."""

    consent_id: str
    sample_sha256: str = Field(description="Of the sample's file, which is not kept.")
    who: str
    when: str
    statement: str
    avatar_id: str | None
    recorded_at: str = Field(description="RFC 3339.")


class ConsentList(BaseModel):
    """The caller's declarations."""

    consents: list[ConsentShown] = Field(description="Newest first.")


class OpenAISpeech(BaseModel):
    """The body of OpenAI's `POST /v1/audio/speech`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "tts-1", "input": "Good morning", "voice": "alloy", "lang": "en"}
            ]
        }
    )

    model: str = Field(
        max_length=64,
        description="OpenAI's (`tts-1`, `gpt-4o-mini-tts`…) or `auto` for the best engine that is"
        " installed, or the name of an engine of `GET /voices`.",
    )
    input: Text
    voice: str | dict[str, Any] = Field(
        description="One of `GET /voices`; OpenAI's own names (`alloy`…) and `default` stand for"
        " the engine's default."
    )
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = Field(
        default="mp3", description="`pcm`: 24 kHz, 16 bits, little-endian, mono."
    )
    speed: float = Field(
        default=1.0, ge=0.25, le=4.0, description="Values beyond 0.5 to 2 count as these."
    )
    instructions: str | None = Field(default=None, description="Ignored.")
    stream_format: Literal["audio"] = "audio"
    lang: Language | None = Field(
        default=None,
        description="Language of the text, which OpenAI has no field for; guessed without it.",
    )


OPENAI_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
"""JSON schema of an error in OpenAI's shape."""
