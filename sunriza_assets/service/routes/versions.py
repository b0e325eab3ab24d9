"""Versions of an avatar: list them, put one in place, discard one."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from resources.publishing.versions import discard_version, republish
from sunriza_assets.errors import ConflictError
from sunriza_assets.service.avatar_rows import detail_of
from sunriza_assets.service.avatar_versions import known_version, list_versions
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.etags import tagged_json
from sunriza_assets.service.own_avatars import find_avatar
from sunriza_assets.service.routes.avatars import AvatarId
from sunriza_assets.service.schemas.avatars import AvatarDetail
from sunriza_assets.service.schemas.versions import VersionList

__all__ = ["VersionName", "router"]

router = APIRouter(tags=["versions"])

VersionName = Annotated[
    str,
    PathParameter(
        description="A version's name, or the number of a published one.",
        examples=["v000003-1f0c2a9b"],
    ),
]
"""A version in a path; `known_version` checks it."""


@router.get("/avatars/{avatar_id}/versions", response_model=VersionList, summary="List versions")
async def show_versions(
    request: Request, service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId
) -> Response:
    """What was published, what can be put in place again, and drafts."""
    document = await find_avatar(service, principal, avatar_id)
    return tagged_json(request, await in_thread(list_versions, service, document))


@router.post(
    "/avatars/{avatar_id}/versions/{version}/publish",
    response_model=AvatarDetail,
    summary="Put a version in place",
)
async def publish_version(
    service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId, version: VersionName
) -> AvatarDetail:
    """Publishes a draft, or an older version again: at once, without rendering. Its parameters
    become the avatar's. Repeating it changes nothing. 409 while a run is at work."""
    document = await find_avatar(service, principal, avatar_id)
    chosen = known_version(document, version)
    await in_thread(_refuse_while_rendering, service, avatar_id)

    def publish() -> AvatarDetail:
        with TemporaryDirectory(prefix="sunriza-") as folder:
            after = republish(
                service.stores.storage, service.stores.avatars, avatar_id, chosen, Path(folder)
            )
        return detail_of(service, after)

    return await in_thread(publish)


@router.delete(
    "/avatars/{avatar_id}/versions/{version}", status_code=204, summary="Discard a version"
)
async def remove_version(
    service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId, version: VersionName
) -> Response:
    """Removes a draft, or an older version, with its files; 409 for the one in place."""
    document = await find_avatar(service, principal, avatar_id)
    stores = service.stores
    await in_thread(
        discard_version, stores.storage, stores.avatars, avatar_id, known_version(document, version)
    )
    return Response(status_code=204)


def _refuse_while_rendering(service: Service, avatar_id: str) -> None:
    """Refuse if a job is to publish something for this avatar, which would replace the version.

    Raises:
        ConflictError: `conflict.generating`.
    """
    for order in service.orders.unfinished():
        if (
            order.avatar_id == avatar_id
            and order.kind == "dynamics"
            and order.inputs.get("publish", True)
        ):
            raise ConflictError(
                "A job is at work for this avatar and would replace the version",
                where=avatar_id,
                remedy="Cancel it, or wait for its end.",
                code="generating",
            )
