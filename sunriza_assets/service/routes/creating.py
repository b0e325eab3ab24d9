"""Making an avatar from a portrait and a clip, and changing it."""

import json
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from resources.avatars.document import AvatarDocument
from resources.orders.order import Order
from resources.orders.store import StoredAnswer
from sunriza_assets.errors import LimitError, ParameterError
from sunriza_assets.service.auth.limits import charge_of
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.avatar_rows import detail_of
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.creating import (
    AvatarForm,
    avatar_form,
    check_new_avatar,
    checked_change,
    create_from,
    refused_run,
    render_avatar,
    update_from,
)
from sunriza_assets.service.forms import checked_parameters, form_schema
from sunriza_assets.service.idempotency import (
    IdempotencyHeader,
    answered_once,
    form_fingerprint,
    key_of,
)
from sunriza_assets.service.jobs import job_now
from sunriza_assets.service.own_avatars import find_avatar
from sunriza_assets.service.routes.avatars import AvatarId
from sunriza_assets.service.routes.inspect import FILE_FIELD
from sunriza_assets.service.schemas.avatars import AvatarChange, AvatarCreated
from sunriza_assets.service.schemas.jobs import Job
from sunriza_assets.service.uploads import UploadRules, uploaded

__all__ = ["router"]

router = APIRouter(tags=["avatars"])

_RULES: Final = UploadRules(files=("portrait", "clip"), max_files=2)
_ROUTE: Final = "POST /avatars"
_CHANGED: Final[dict[str, Any]] = {
    "portrait": {**FILE_FIELD, "description": "JPEG, PNG, WebP, AVIF or HEIC, 50 MB at most."},
    "clip": {
        **FILE_FIELD,
        "description": "A talking clip: MP4, MOV, WebM or MKV, 50 MB at most. Its first seconds are"
        " used, or what trim_start and trim_end say.",
    },
    "performance": {
        "type": "string",
        "description": "A built-in performance in the clip's place, see `GET /performances`.",
    },
    "name": {"type": "string", "maxLength": 200},
    "parameters": {
        "type": "string",
        "description": "Render parameters as a JSON object, see `GET /parameters`.",
    },
    "trim_start": {"type": "number", "minimum": 0, "description": "Seconds; 0 without it."},
    "trim_end": {
        "type": "number",
        "description": "Seconds; the clip is cut there, exact to the frame.",
    },
    "consent": {
        "type": "boolean",
        "description": "Declares that the person shown agrees; kept with time and portrait.",
    },
    "check": {
        "type": "boolean",
        "default": True,
        "description": "Look at the files first, and refuse what cannot work.",
    },
    "render": {
        "type": "boolean",
        "default": True,
        "description": "Ask for a run at once; false also keeps it from being rendered by itself.",
    },
}
_CREATED: Final = {
    "id": {
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$",
        "description": "The wanted id; one is made without it.",
    },
    **_CHANGED,
}


@router.post(
    "/avatars",
    status_code=201,
    response_model=AvatarCreated,
    summary="Make an avatar",
    openapi_extra=form_schema(_CREATED, ("portrait",)),
)
async def add_avatar(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    idempotency_key: IdempotencyHeader = None,
) -> Response:
    """Stores a portrait, and a clip or the performance that moves it, and asks for the first run.
    Without a clip or a performance, `calm` moves it."""
    async with uploaded(request, _RULES) as form:
        key = key_of(request, principal, _ROUTE, form_fingerprint(form.fields, form.hashes))

        async def make() -> StoredAnswer:
            avatar_id = await check_new_avatar(service, form)
            async with avatar_form(service, principal, form) as asked:
                document = await in_thread(create_from, service, principal, avatar_id, asked)
                order = None
                if asked.render is not False:
                    order = await in_thread(_first_run, request, service, principal, document)
                return StoredAnswer(201, await in_thread(_answer, service, asked, document, order))

        answer = await answered_once(service, key, make, charge=charge_of(request))
    made = json.loads(bytes(answer.body))
    answer.headers["Location"] = f"{service.base_path}/avatars/{made['avatar']['id']}"
    return answer


@router.patch(
    "/avatars/{avatar_id}",
    response_model=AvatarCreated,
    summary="Change an avatar",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"type": "object", "properties": _CHANGED}},
                "application/json": {"schema": AvatarChange.model_json_schema()},
            },
        }
    },
)
async def change_avatar(
    request: Request, service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId
) -> AvatarCreated:
    """Changes name, parameters or performance (as JSON, too), or replaces portrait or clip, and
    asks for a run if that changes what is shown. The published version stays until then."""
    await find_avatar(service, principal, avatar_id)
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        return await _change(request, service, principal, avatar_id, await _json_change(request))
    async with (
        uploaded(request, _RULES) as form,
        avatar_form(service, principal, form) as asked,
    ):
        if asked.avatar_id is not None:
            raise ParameterError("An avatar's id stays", code="id")
        return await _change(request, service, principal, avatar_id, asked)


async def _change(
    request: Request, service: Service, principal: Principal, avatar_id: str, asked: AvatarForm
) -> AvatarCreated:
    document = await in_thread(update_from, service, principal, avatar_id, asked)
    order = None
    if asked.render is not False and document.needs_run:
        try:
            order = await in_thread(
                render_avatar, service, principal, document, _request_id(request)
            )
        except LimitError as error:
            raise refused_run(error) from None
        document = await in_thread(service.stores.avatars.get, avatar_id)
    return AvatarCreated.model_validate(await in_thread(_answer, service, asked, document, order))


async def _json_change(request: Request) -> AvatarForm:
    try:
        body = AvatarChange.model_validate_json(await request.body())
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(found) from None
    return checked_change(
        body.name, body.performance, checked_parameters(body.parameters), body.render
    )


def _first_run(
    request: Request, service: Service, principal: Principal, document: AvatarDocument
) -> Order:
    """Ask for the run of a new avatar, which is removed again if none may be asked for."""
    try:
        order = render_avatar(service, principal, document, _request_id(request))
    except LimitError:
        service.stores.avatars.retire(document.avatar_id, remove=True)
        raise
    request.state.made = order.order_id
    return order


def _answer(
    service: Service, asked: AvatarForm, document: AvatarDocument, order: Order | None
) -> dict[str, Any]:
    if order is not None:
        document = service.stores.avatars.get(document.avatar_id)
    answer = AvatarCreated(
        avatar=detail_of(service, document),
        job=None if order is None else Job.model_validate(job_now(service, order)),
        findings=list(asked.findings),
    )
    return answer.model_dump(mode="json")


def _request_id(request: Request) -> str | None:
    found = getattr(request.state, "request_id", None)
    return None if found is None else str(found)
