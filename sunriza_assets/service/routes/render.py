"""Emotion pictures: drawn at once by the warm engine."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from resources.orders.store import StoredAnswer
from sunriza_assets.errors import ParameterError
from sunriza_assets.service.auth.limits import charge_of
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.emotions import (
    DEFAULT_INTENSITY,
    DEFAULT_SIDE,
    MAX_BATCH,
    PICTURE_FORMATS,
    SEED_TABLE,
    SIDES,
    check_picture,
)
from sunriza_assets.service.engine_client import RenderedPicture
from sunriza_assets.service.idempotency import (
    IdempotencyHeader,
    answered_once,
    form_fingerprint,
    key_of,
)
from sunriza_assets.service.monitor import metrics
from sunriza_assets.service.outputs import OutputFolder, output_expiry
from sunriza_assets.service.schemas.render import (
    EmotionEntry,
    Emotions,
    Picture,
    Pictures,
    SeedScale,
)
from sunriza_assets.service.uploads import UploadedForm, UploadRules, uploaded
from sunriza_assets.studio.expression.emotions import EMOTIONS, Emotion

__all__ = ["router"]

router = APIRouter(tags=["emotions"])

_RULES: Final = UploadRules(files=("source_image",), max_files=1)
_FIELDS: Final[Mapping[str, Any]] = {
    "source_image": {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "The portrait: JPEG, PNG, WebP, AVIF or HEIC, 50 MB at most.",
    },
    "intensity": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": DEFAULT_INTENSITY,
        "description": "0 is the portrait itself.",
    },
    "output_format": {"type": "string", "enum": list(PICTURE_FORMATS), "default": "png"},
    **{
        name: {
            "type": "integer",
            "minimum": SIDES[0],
            "maximum": SIDES[1],
            "description": "Bounds the picture, which keeps its proportions and is never enlarged."
            f" Without width and height the longest side is {DEFAULT_SIDE}.",
        }
        for name in ("width", "height")
    },
}


def _form(required: Sequence[str], **fields: Any) -> dict[str, Any]:
    """The OpenAPI description of a multipart form."""
    schema = {
        "type": "object",
        "required": ["source_image", *required],
        "properties": {**_FIELDS, **fields},
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a form asks for, checked."""

    emotions: Sequence[str]
    intensity: float
    output_format: str
    width: int | None
    height: int | None


@router.get("/emotions", summary="The emotions that can be drawn")
async def emotions() -> Emotions:
    """Names, what each is drawn by, and how earlier clients know it."""
    return Emotions(
        emotions=[
            EmotionEntry(
                name=name,
                seed_scale=SeedScale(**SEED_TABLE[name]),
                action_units=None if emotion is None else _amounts(emotion),
                creases={} if emotion is None else dict(emotion.creases),
            )
            for name, emotion in EMOTIONS.items()
        ],
        default_intensity=DEFAULT_INTENSITY,
        formats=list(PICTURE_FORMATS),
        max_batch=MAX_BATCH,
        sides=SIDES,
    )


@router.post(
    "/render",
    response_model=Picture,
    summary="Draw an emotion of a portrait",
    openapi_extra=_form(["emotion"], emotion={"type": "string", "enum": list(EMOTIONS)}),
)
async def render(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    idempotency_key: IdempotencyHeader = None,
) -> Response:
    """The picture is ready when this answers; fetch it at `url` within 24 hours."""
    async with uploaded(request, _RULES) as form:

        async def work() -> StoredAnswer:
            emotion = form.field("emotion")
            if emotion is None:
                raise _missing("emotion")
            (picture,) = await _draw(request, service, principal.uid, form, [emotion])
            return StoredAnswer(200, picture.model_dump(mode="json"))

        key = key_of(request, principal, "POST /render", form_fingerprint(form.fields, form.hashes))
        return await answered_once(service, key, work, charge=charge_of(request))


@router.post(
    "/render/batch",
    response_model=Pictures,
    summary="Draw several emotions of a portrait",
    openapi_extra=_form(
        [],
        emotions={
            "type": "array",
            "items": {"type": "string", "enum": list(EMOTIONS)},
            "maxItems": MAX_BATCH,
            "description": "Repeated, or one field with a JSON list or names between commas."
            " Default: all.",
        },
    ),
)
async def render_batch(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    idempotency_key: IdempotencyHeader = None,
) -> Response:
    """All pictures or none."""
    started = time.perf_counter()
    async with uploaded(request, _RULES) as form:

        async def work() -> StoredAnswer:
            wanted = _emotions(form.fields.get("emotions", []))
            results = await _draw(request, service, principal.uid, form, wanted)
            made = Pictures(
                results=results,
                count=len(results),
                latency_ms=round((time.perf_counter() - started) * 1000, 2),
            )
            return StoredAnswer(200, made.model_dump(mode="json"))

        key = key_of(
            request, principal, "POST /render/batch", form_fingerprint(form.fields, form.hashes)
        )
        return await answered_once(service, key, work, charge=charge_of(request))


async def _draw(
    request: Request, service: Service, owner: str, form: UploadedForm, wanted: Sequence[str]
) -> list[Picture]:
    wish = _wish(form, wanted)
    portrait = form.file("source_image")
    if portrait is None:
        raise _missing("source_image")
    folder = OutputFolder(service.outputs_folder)
    await in_thread(folder.check_room)
    drawn = await service.engine.render(
        portrait.path,
        wish.emotions,
        intensity=wish.intensity,
        output_format=wish.output_format,
        width=wish.width,
        height=wish.height,
        owner=owner,
        request_id=str(getattr(request.state, "request_id", "")),
    )
    await in_thread(_register, service, owner, drawn)
    for picture in drawn:
        for stage, seconds in picture.stages.items():
            metrics.RENDER_STAGE.labels(stage=stage).observe(seconds)
    return [_answer(request, service, picture) for picture in drawn]


def _amounts(emotion: Emotion) -> dict[str, float | None]:
    """Name -> amount of everything an emotion moves."""
    names = (item.name for item in fields(emotion) if item.name != "creases")
    return {name: getattr(emotion, name) for name in names}


def _register(service: Service, owner: str, pictures: Sequence[RenderedPicture]) -> None:
    """Note whose pictures these are; those of a kill before this are nobody's and go."""
    expires_at = output_expiry()
    for picture in pictures:
        service.orders.add_output(picture.path.name, owner, order_id=None, expires_at=expires_at)


def _answer(request: Request, service: Service, picture: RenderedPicture) -> Picture:
    path = f"{service.base_path}/output/{picture.path.name}"
    return Picture(
        output_path=path,
        filename=picture.path.name,
        url=f"{request.url.scheme}://{request.url.netloc}{path}",
        emotion=picture.emotion,
        intensity=picture.intensity,
        latency_ms=picture.latency_ms,
        gpu_used=picture.gpu_used,
        model_version=picture.version,
        width=picture.width,
        height=picture.height,
        engine=picture.engine,
        cached=picture.cached,
        seed_scale=SeedScale(**SEED_TABLE[picture.emotion]),
    )


def _wish(form: UploadedForm, wanted: Sequence[str]) -> _Wish:
    wish = _Wish(
        emotions=[emotion.strip().lower() for emotion in wanted],
        intensity=_number("intensity", form.field("intensity"), DEFAULT_INTENSITY),
        output_format=(form.field("output_format") or "png").strip().lower(),
        width=_side("width", form.field("width")),
        height=_side("height", form.field("height")),
    )
    check_picture(
        wish.emotions,
        intensity=wish.intensity,
        output_format=wish.output_format,
        width=wish.width,
        height=wish.height,
    )
    return wish


def _emotions(values: Sequence[str]) -> list[str]:
    """Emotions of a repeated field, a JSON list, or names between commas; all without any.

    Raises:
        ParameterError: it is none of these.
    """
    if not values or (len(values) == 1 and not values[0].strip()):
        return list(EMOTIONS)
    if len(values) > 1:
        return list(values)
    text = values[0].strip()
    if not text.startswith("["):
        return text.split(",")
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ParameterError(
            "emotions is no list of names", remedy='Give happy,sad or ["happy","sad"].'
        )
    return names


def _number(name: str, text: str | None, default: float) -> float:
    if text is None or not text.strip():
        return default
    try:
        return float(text)
    except ValueError:
        raise ParameterError(f"{name} is no number", remedy="Give a number such as 0.7.") from None


def _side(name: str, text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and len(text) < 10):
        raise ParameterError(
            f"{name} is no whole number of pixels", remedy=f"Give {SIDES[0]} to {SIDES[1]}."
        )
    return int(text)


def _missing(name: str) -> ParameterError:
    return ParameterError(f"{name} is missing", remedy="Send it in the form.", code="missing")
