"""Requests to speak: what they ask for, the consent of whoever is imitated, and jobs of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from resources.orders.order import Order, Webhook, new_order_id
from resources.orders.order_json import order_to_json, rfc3339
from resources.orders.records import Acceptance, Consent, IdempotencyKey
from resources.orders.spoken import AUDIO_SUFFIXES, SpeechWish, SpokenSound
from sunriza_assets.errors import ModelError, ParameterError, SpeechError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.outputs import output_expiry
from sunriza_assets.service.own_avatars import find_avatar
from sunriza_assets.service.schemas.speech import ConsentShown, SpeechBody, VoiceConsent
from sunriza_assets.service.uploads import UploadedFile, UploadedForm
from sunriza_assets.service.webhooks import requested_webhook
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.text import checked

__all__ = [
    "ANY_VOICE",
    "PATIENCE_S",
    "SpeechAsk",
    "ask_for_speech",
    "checked_wish",
    "declared_consent",
    "read_body",
    "read_form",
    "register_sound",
    "shown_consent",
    "validated",
]

PATIENCE_S: Final = 20.0
"""A sound that will probably take longer is made by a job."""
ANY_VOICE: Final = frozenset({"", "auto", "default"})
"""What stands for no particular voice or engine."""
Body = TypeVar("Body", bound=BaseModel)
_SAME: Final = "tts"
"""`Order.inputs_version` of all orders to speak: equal unfinished ones are one."""


@dataclass(frozen=True, slots=True)
class SpeechAsk:
    """A request to speak, checked."""

    wish: SpeechWish
    """What is spoken, and how."""
    consent: VoiceConsent | None = None
    """The declaration that came with it."""
    avatar_id: str | None = None
    """The avatar that the declaration belongs to; not known to be the caller's."""
    webhook: Webhook | None = None
    """Who is told, if it becomes a job."""


def read_body(body: object) -> SpeechAsk:
    """A request in JSON, parsed.

    Raises:
        RequestValidationError: it does not fit the schema.
        SpeechError, ParameterError: see `checked_wish`, `requested_webhook`.
    """
    return _ask(validated(SpeechBody, body))


def read_form(form: UploadedForm) -> SpeechAsk:
    """A request in a form.

    Raises:
        RequestError: a field was sent twice.
        RequestValidationError: it does not fit the schema.
        SpeechError, ParameterError: see `checked_wish`, `requested_webhook`.
    """
    values: dict[str, Any] = {}
    for name, given in form.fields.items():
        if name == "webhook_events":
            values[name] = [event for event in given if event.strip()] or None
        elif (text := form.field(name)) is not None and (text.strip() or name == "text"):
            values[name] = _object(text) if name == "consent" else text
    return _ask(validated(SpeechBody, values))


def validated(kind: type[Body], given: object) -> Body:
    """A parsed body as its model.

    Raises:
        RequestValidationError: it does not fit.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(found) from None


def checked_wish(
    text: str,
    language: str,
    *,
    voice: str | None = None,
    engine: str | None = None,
    speed: float = 1.0,
    licence_accepted: str | None = None,
) -> SpeechWish:
    """What is to be spoken, cleaned and checked as far as no engine is needed.

    Raises:
        SpeechError: text, language, voice or speed cannot be used.
    """
    named = "" if voice is None or voice.strip().lower() in ANY_VOICE else voice.strip()
    request = checked(SpeakRequest(text, language, voice=named, speed=speed))
    chosen = (engine or "").strip().lower()
    return SpeechWish(
        text=request.text,
        language=request.language,
        voice=request.voice,
        engine="auto" if chosen in ANY_VOICE else chosen,
        speed=request.speed,
        licence_accepted=(licence_accepted or "").strip().lower(),
    )


async def declared_consent(
    service: Service, principal: Principal, ask: SpeechAsk, sample: UploadedFile
) -> Consent:
    """Store the declaration that a sample may be imitated. Nothing is imitated before.

    Raises:
        SpeechError: `speech.consent` there is none.
        AvatarError: the avatar is not the caller's.
        ModelError: `model.cloning` nothing here could imitate it.
    """
    said = ask.consent
    if said is None:
        raise SpeechError(
            "Nobody has declared that this voice may be imitated",
            remedy='Send consent: {"who", "when", "statement"} of the person whose voice it is.',
            code="consent",
        )
    if ask.avatar_id is not None:
        await find_avatar(service, principal, ask.avatar_id)
    await _check_cloning(service, ask.wish)
    return await in_thread(
        service.orders.add_consent,
        principal.uid,
        sample_sha256=sample.sha256,
        who=said.who,
        given_on=said.when,
        statement=said.statement,
        avatar_id=ask.avatar_id,
    )


def shown_consent(consent: Consent) -> ConsentShown:
    """A stored declaration as it is answered."""
    return ConsentShown(
        consent_id=consent.consent_id,
        sample_sha256=consent.sample_sha256,
        who=consent.who,
        when=consent.given_on,
        statement=consent.statement,
        avatar_id=consent.avatar_id,
        recorded_at=rfc3339(consent.at),
    )


def register_sound(service: Service, owner: str, sound: SpokenSound) -> None:
    """Note whose sound it is, and until when; blocking. One without a note goes after an hour."""
    expires_at = output_expiry(service.settings.keep_audio_hours * 3600)
    for suffix in AUDIO_SUFFIXES:
        service.orders.add_output(
            f"{sound.audio_id}.{suffix}", owner, order_id=None, expires_at=expires_at
        )


def ask_for_speech(
    service: Service,
    principal: Principal,
    ask: SpeechAsk,
    *,
    key: IdempotencyKey | None,
    charge: Callable[[], None] | None = None,
    eta_s: float | None,
    request_id: str | None,
    retry_of: str | None = None,
) -> Acceptance:
    """Store an order to speak; blocking.

    Raises:
        LimitError, ConflictError, StoreError: as `OrderStore.accept`.
    """
    order = Order(
        order_id=new_order_id(),
        kind="tts",
        owner=principal.uid,
        state="accepted",
        created_at=datetime.now(UTC),
        inputs_version=_SAME,
        inputs=ask.wish.to_dict(),
        eta_s=eta_s,
        webhook=ask.webhook,
        retry_of=retry_of,
        request_id=request_id,
    )
    return service.orders.accept(
        order,
        quota=service.quota(principal),
        key=key,
        charge=charge,
        answer=lambda new, _: order_to_json(new, base=service.base_path),
        answer_status=202,
        api_key=principal.credential.removeprefix("key:") if principal.via == "key" else None,
    )


async def _check_cloning(service: Service, wish: SpeechWish) -> None:
    """Refuse what no installed voice could imitate in the language.

    Raises:
        ModelError: `model.cloning`.
    """
    able = [voice for voice in await service.engine.voices() if voice["clones"]]
    if wish.engine != "auto":
        able = [voice for voice in able if voice["engine"] == wish.engine]
    language = wish.language.partition("-")[0]
    able = [
        voice
        for voice in able
        if language in {known.partition("-")[0] for known in voice["languages"]}
    ]
    if any(voice["installed"] for voice in able):
        return
    commands = dict.fromkeys(voice["how_to_install"] for voice in able if voice["how_to_install"])
    raise ModelError(
        f"No voice that imitates others in {wish.language!r} is installed here",
        remedy=f"Install one: {' or: '.join(commands)}"
        if commands
        else "Use another engine or language, see `GET /voices`.",
        code="cloning",
    )


def _ask(body: SpeechBody) -> SpeechAsk:
    wish = checked_wish(
        body.text,
        body.lang,
        voice=body.voice,
        engine=body.engine,
        speed=body.speed,
        licence_accepted=body.licence_accepted,
    )
    return SpeechAsk(
        wish,
        body.consent,
        body.avatar_id,
        requested_webhook(body.webhook_url, body.webhook_events),
    )


def _object(text: str) -> Any:
    """The JSON object in a field.

    Raises:
        ParameterError: it is none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ParameterError(
            "consent is no JSON object",
            remedy='Such as {"who": "Anna", "when": "2026-01-31", "statement": "I agree."}.',
            code="consent",
        )
    return value
