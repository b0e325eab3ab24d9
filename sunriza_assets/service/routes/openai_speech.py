"""`/v1/audio/speech`: speech in OpenAI's shape, so that its clients work here."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from resources.orders.spoken import SpeechWish
from sunriza_assets.service.context import PrincipalDep, ServiceDep, in_thread
from sunriza_assets.service.languages import guessed_language
from sunriza_assets.service.outputs import OutputFolder
from sunriza_assets.service.schemas.speech import OPENAI_ERROR, SPEECH_FORMATS, OpenAISpeech
from sunriza_assets.service.speaking import checked_wish, validated
from sunriza_assets.studio.speech.voices.protocol import SPEEDS

__all__ = ["router"]

router = APIRouter(tags=["speech"])

_CHUNK: Final = 64 * 1024
_OPENAI_VOICES: Final = frozenset(
    (
        *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
        *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
    )
)
"""Names of voices that are no voices of ours."""
_MODELS: Final = ("tts-", "gpt-", "whisper", "openai")
"""What OpenAI's models begin with."""
_ERROR: Final = {
    "description": "An error in OpenAI's shape.",
    "content": {"application/json": {"schema": OPENAI_ERROR}},
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The sound.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in SPEECH_FORMATS.values()
        },
    },
    "4XX": _ERROR,
    "5XX": _ERROR,
}


@router.post(
    "/v1/audio/speech",
    response_class=Response,
    responses=_ANSWERS,
    summary="Speak a text, in OpenAI's shape",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": OpenAISpeech.model_json_schema()}},
        }
    },
)
async def create_speech(request: Request, service: ServiceDep, principal: PrincipalDep) -> Response:
    """The sound itself, in chunks. `base_url` of OpenAI's client is `<service>/v1`, its `api_key` a
    token or a key of this service."""
    body = validated(OpenAISpeech, getattr(request.state, "json", None))
    wish = _wish(body)
    await in_thread(OutputFolder(service.outputs_folder).check_room)
    folder = service.uploads_folder / f"speech-{secrets.token_hex(8)}"
    sound = folder / f"speech.{body.response_format}"
    try:
        folder.mkdir(mode=0o700, parents=True)
        made = await service.engine.speak_to(
            wish, sound, audio_format=body.response_format, owner=principal.uid
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Sound(
        sound,
        SPEECH_FORMATS[body.response_format],
        {"X-Sunriza-Engine": made.engine, "X-Sunriza-Cached": str(made.cached).lower()},
    )


class _Sound(StreamingResponse):
    """A file in a folder of its own, sent in chunks; deleted when it has been, or cannot be."""

    def __init__(self, path: Path, kind: str, headers: dict[str, str]) -> None:
        self._path = path
        super().__init__(_chunks(path), media_type=kind, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            shutil.rmtree(self._path.parent, ignore_errors=True)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


def _wish(body: OpenAISpeech) -> SpeechWish:
    voice = body.voice if isinstance(body.voice, str) else str(body.voice.get("id", ""))
    model = body.model.strip().lower()
    return checked_wish(
        body.input,
        body.lang or guessed_language(body.input),
        voice="" if voice.strip().lower() in _OPENAI_VOICES else voice,
        engine="auto" if model.startswith(_MODELS) else model,
        speed=min(max(body.speed, SPEEDS[0]), SPEEDS[1]),
    )
