"""`/tts`: text becomes sound, at once or by a job; the voices; declarations of consent."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from resources.orders.records import Consent, StoredAnswer
from resources.orders.spoken import SpeechForecast, SpokenSound
from resources.orders.store import IdempotencyKey
from sunriza_assets.errors import AccessError
from sunriza_assets.service.auth.limits import charge_of
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.idempotency import (
    REPLAYED,
    IdempotencyHeader,
    form_fingerprint,
    json_fingerprint,
    key_of,
)
from sunriza_assets.service.jobs import ended_order, job_response
from sunriza_assets.service.middleware.routing_table import media_type
from sunriza_assets.service.outputs import OutputFolder
from sunriza_assets.service.prefer import PreferAsyncHeader, preferred_wait_s, prefers_async
from sunriza_assets.service.schemas.jobs import Job
from sunriza_assets.service.schemas.speech import (
    SPEECH_FORM,
    ConsentList,
    SpokenAnswer,
    VoiceList,
    VoiceShown,
    speech_schema,
)
from sunriza_assets.service.speaking import (
    PATIENCE_S,
    SpeechAsk,
    ask_for_speech,
    declared_consent,
    read_body,
    read_form,
    register_sound,
    shown_consent,
)
from sunriza_assets.service.uploads import UploadedFile, UploadRules, uploaded

__all__ = ["router"]

router = APIRouter(tags=["speech"])

_SAMPLE: Final = "voice_clone_wav"
_RULES: Final = UploadRules(files=(_SAMPLE,), max_files=1, file_bytes=25 * 1024 * 1024)
_ROUTE: Final = "POST /tts"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": speech_schema()},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["text"], "properties": SPEECH_FORM}
            },
        },
    }
}
ConsentId = Annotated[str, Path(max_length=64, description="As `consent_id` said.")]


@router.post(
    "/tts",
    response_model=SpokenAnswer,
    responses={202: {"model": Job, "description": "A job speaks it."}},
    summary="Speak a text",
    openapi_extra=_BODY,
)
async def speak(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    idempotency_key: IdempotencyHeader = None,
    prefer: PreferAsyncHeader = None,
) -> Response:
    """The sound is ready when this answers 200. What will probably take longer than 20 seconds, or
    comes with `Prefer: respond-async`, becomes a job. A voice is imitated at once or not at all."""
    if media_type(request.scope["headers"]) == "multipart/form-data":
        async with uploaded(request, _RULES) as form:
            key = key_of(request, principal, _ROUTE, form_fingerprint(form.fields, form.hashes))
            asking = _Asking(request, service, principal, key, prefer, form.file(_SAMPLE))
            return await asking.answer(read_form(form))
    body = getattr(request.state, "json", None)
    key = key_of(request, principal, _ROUTE, json_fingerprint(body))
    return await _Asking(request, service, principal, key, prefer, None).answer(read_body(body))


@router.get("/voices", response_model=VoiceList, summary="The voices that can speak")
async def voices(service: ServiceDep, principal: PrincipalDep) -> VoiceList:
    """Those that are not installed, too, with the command that installs them."""
    found = await service.engine.voices()
    names = VoiceShown.model_fields
    return VoiceList(
        voices=[VoiceShown(**{name: one[name] for name in names}) for one in found],
    )


@router.get("/consents", response_model=ConsentList, summary="Declarations about voices")
async def list_consents(service: ServiceDep, principal: PrincipalDep) -> ConsentList:
    """What the caller has declared of voices that were to be imitated."""
    return ConsentList(
        consents=[shown_consent(one) for one in await in_thread(_consents, service, principal)]
    )


@router.delete("/consents/{consent_id}", status_code=204, summary="Delete a declaration")
async def delete_consent(
    consent_id: ConsentId, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """Sounds that were made with it stay until their time is over."""

    def remove() -> bool:
        known = {one.consent_id for one in _consents(service, principal)}
        return consent_id in known and service.orders.remove_consent(consent_id)

    if not await in_thread(remove):
        raise AccessError("There is no such declaration", code="missing")
    return Response(status_code=204)


class _Asking:
    """One request to speak, from its check to its answer."""

    def __init__(
        self,
        request: Request,
        service: Service,
        principal: Principal,
        key: IdempotencyKey | None,
        prefer: str | None,
        sample: UploadedFile | None,
    ) -> None:
        self._request = request
        self._service = service
        self._principal = principal
        self._key = key
        self._prefer = prefer
        self._sample = sample

    async def answer(self, ask: SpeechAsk) -> Response:
        """The sound, or the job that makes it; the first answer again where the key is known."""
        if self._key is None:
            return await self._made(ask)
        orders = self._service.orders
        known = await in_thread(orders.begin_answer, self._key)
        if known is not None:
            return JSONResponse(dict(known.body), known.status, headers=REPLAYED)
        try:
            if (charge := charge_of(self._request)) is not None:
                await in_thread(charge)
            return await self._made(ask)
        except BaseException:  # a caller who leaves cancels the work
            await in_thread(orders.abandon_answer, self._key)
            raise

    async def _made(self, ask: SpeechAsk) -> Response:
        service, sample = self._service, self._sample
        consent = None
        if sample is not None:
            consent = await declared_consent(service, self._principal, ask, sample)
        elif prefers_async(self._prefer):
            return await self._job(ask, await service.engine.speech_forecast(ask.wish))
        await in_thread(OutputFolder(service.outputs_folder).check_room)
        made = await service.engine.speak(
            ask.wish,
            owner=self._principal.uid,
            reference=None if sample is None else sample.path,
            patience_s=PATIENCE_S if sample is None else None,
        )
        if isinstance(made, SpeechForecast):
            return await self._job(ask, made)
        await in_thread(register_sound, service, self._principal.uid, made)
        body = self._body(made, consent).model_dump(mode="json")
        if self._key is not None:
            await in_thread(service.orders.finish_answer, self._key, StoredAnswer(200, body))
        return JSONResponse(body)

    async def _job(self, ask: SpeechAsk, forecast: SpeechForecast) -> Response:
        service = self._service
        if self._key is not None:  # from here on it belongs to the order
            await in_thread(service.orders.abandon_answer, self._key)
        accepted = await in_thread(
            ask_for_speech,
            service,
            self._principal,
            ask,
            key=self._key,
            eta_s=round(forecast.seconds, 1),
            request_id=self._request.state.request_id,
        )
        order = accepted.order
        self._request.state.made = order.order_id
        headers = {"Location": f"{service.base_path}/jobs/{order.order_id}"}
        if accepted.outcome == "replayed" and accepted.answer is not None:
            return JSONResponse(
                dict(accepted.answer.body), accepted.answer.status, headers=REPLAYED | headers
            )
        if wait_s := preferred_wait_s(self._prefer):
            order = await ended_order(service, order, wait_s=wait_s)
            headers["Preference-Applied"] = f"wait={wait_s}"
        response = await job_response(service, order, 202)
        response.headers.update(headers)
        return response

    def _body(self, sound: SpokenSound, consent: Consent | None) -> SpokenAnswer:
        url = self._request.url
        base = f"{url.scheme}://{url.netloc}{self._service.base_path}"
        return SpokenAnswer(
            audio_url=f"{base}/audio/{sound.audio_id}",
            consent_id=None if consent is None else consent.consent_id,
            **{name: value for name, value in sound.to_dict().items() if name != "characters"},
        )


def _consents(service: Service, principal: Principal) -> list[Consent]:
    """The caller's declarations; everybody's in open mode."""
    owner = None if principal.via == "open" else principal.uid
    return list(service.orders.consents(owner))
