"""A small still of an avatar as it would look with other parameters."""

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from sunriza_assets.service.context import PrincipalDep, ServiceDep, in_thread
from sunriza_assets.service.forms import checked_parameters
from sunriza_assets.service.own_avatars import find_avatar
from sunriza_assets.service.portraits import local_portrait
from sunriza_assets.service.routes.avatars import AvatarId
from sunriza_assets.studio.parameters import resolve
from sunriza_assets.studio.performances.named import with_performance_defaults

__all__ = ["router"]

router = APIRouter(tags=["avatars"])

SIZE: Final = 256
"""Longest side of a preview still, pixels."""


class PreviewRequest(BaseModel):
    """Parameters to look at."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"parameters": {"emotion": "happy"}}]}
    )

    parameters: dict[str, Any] = Field(
        default={},
        description="Laid over the avatar's own; see `GET /parameters`, `shown_in_still`.",
    )
    size: int = Field(default=SIZE, ge=64, le=512, description="Longest side, pixels.")


@router.post(
    "/avatars/{avatar_id}/preview",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "The still."}},
    summary="Look at other parameters",
)
async def preview(
    service: ServiceDep,
    principal: PrincipalDep,
    avatar_id: AvatarId,
    body: PreviewRequest | None = None,
) -> Response:
    """A JPEG, 256 pixels; nothing is kept of it. Parameters of motion alone change nothing."""
    wish = body or PreviewRequest()
    document = await find_avatar(service, principal, avatar_id)
    asked = {**document.wishes, **checked_parameters(wish.parameters)}
    parameters = resolve(with_performance_defaults(document.performance, asked)).to_dict()
    portrait = await in_thread(local_portrait, service, document)
    path = await service.engine.preview(portrait, parameters, size=wish.size, owner=principal.uid)
    try:
        content = await in_thread(path.read_bytes)
    finally:
        await in_thread(path.unlink, missing_ok=True)
    return Response(
        content, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"}
    )
