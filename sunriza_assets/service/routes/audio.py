"""Spoken sounds by id: fetched whole or in ranges, with their times, and deleted."""

from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from sunriza_assets.errors import AccessError
from sunriza_assets.service.context import PrincipalDep, ServiceDep
from sunriza_assets.service.schemas.speech import SpokenTimes
from sunriza_assets.service.sent_outputs import file_answers, remove_output, send_output

__all__ = ["router"]

router = APIRouter(tags=["speech"])

AudioId = Annotated[str, Path(description="As `audio_id` said.", max_length=64)]
_SOUND: Final = file_answers("audio/wav")
_TIMES: Final[dict[int | str, dict[str, Any]]] = {
    **file_answers("application/json"),
    200: {"model": SpokenTimes, "description": "The times."},
}


# The longer path is asked first, for an id is whatever has no slash; of two decorators the lower
# one is.
@router.get(
    "/audio/{audio_id}.json",
    response_class=Response,
    responses=_TIMES,
    summary="Phones, visemes and words of a sound",
)
async def get_times(
    request: Request, audio_id: AudioId, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """Times are seconds from the start of the sound."""
    return await send_output(request, f"{audio_id}.json", service, principal)


@router.head("/audio/{audio_id}.json", response_class=Response, responses=_TIMES)
async def head_times(
    request: Request, audio_id: AudioId, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """Size, type and tag of the times of a sound."""
    return await send_output(request, f"{audio_id}.json", service, principal)


@router.get(
    "/audio/{audio_id}", response_class=Response, responses=_SOUND, summary="A spoken sound"
)
async def get_sound(
    request: Request, audio_id: AudioId, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """WAV, 16 bits, mono."""
    return await send_output(request, f"{audio_id}.wav", service, principal)


@router.head("/audio/{audio_id}", response_class=Response, responses=_SOUND)
async def head_sound(
    request: Request, audio_id: AudioId, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """Size, type and tag of a spoken sound."""
    return await send_output(request, f"{audio_id}.wav", service, principal)


@router.delete(
    "/audio/{audio_id}", status_code=204, response_class=Response, summary="Delete a spoken sound"
)
@router.delete(
    "/audio/{audio_id}.json",
    status_code=204,
    response_class=Response,
    summary="Delete a spoken sound, by the address of its times",
)
async def delete_sound(audio_id: AudioId, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Its times are deleted with it."""
    await remove_output(f"{audio_id}.wav", service, principal)
    with suppress(AccessError):  # somebody else was faster with this one
        await remove_output(f"{audio_id}.json", service, principal)
    return Response(status_code=204)
