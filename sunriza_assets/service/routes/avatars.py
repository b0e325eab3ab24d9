"""A caller's avatars: list, show, delete."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from resources.avatars.listing import MAX_TEXT, Sort
from resources.avatars.store import Change
from sunriza_assets.service.avatar_rows import detail_of, row_of, state_of
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.etags import tagged_json
from sunriza_assets.service.own_avatars import find_avatar, listed_owner
from sunriza_assets.service.schemas.avatars import AvatarDetail, AvatarList, AvatarState

__all__ = ["AvatarId", "router"]

router = APIRouter(tags=["avatars"])

AvatarId = Annotated[str, Path(description="The avatar's id.", examples=["anna"])]
"""An avatar's id in a path; `find_avatar` checks it."""
_EXAMINED: Final = 400
"""Avatars that one page examines at most for a state."""


@router.get("/avatars", response_model=AvatarList, summary="List avatars")
async def list_avatars(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    q: Annotated[
        str, Query(max_length=MAX_TEXT, description="Part of the name or id, in any case.")
    ] = "",
    state: Annotated[
        list[AvatarState] | None, Query(description="Only these states; repeat it for several.")
    ] = None,
    sort: Annotated[
        Sort,
        Query(description="`updated`: newest change first; `created`: newest first; `name`."),
    ] = "updated",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=4000, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """The caller's own avatars, a page at a time; without identity, all."""
    owner, wanted = listed_owner(principal), frozenset(state or ())

    def read() -> AvatarList:
        found: list[Change] = []
        examined, after = 0, cursor
        while True:
            page = service.stores.avatars.page(
                owner, sort=sort, text=q, limit=limit - len(found), cursor=after
            )
            examined += max(1, len(page.changes))
            found += [one for one in page.changes if not wanted or state_of(one) in wanted]
            after = page.cursor
            if after is None or len(found) == limit or examined >= _EXAMINED or not wanted:
                break
        rows = [row_of(service, one) for one in found if _is_visible(one, owner)]
        return AvatarList(avatars=rows, next_cursor=after)

    return tagged_json(request, await in_thread(read))


@router.get("/avatars/{avatar_id}", response_model=AvatarDetail, summary="Show an avatar")
async def show_avatar(
    request: Request, service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId
) -> Response:
    """How it stands, what it is made of, and where its files are."""
    document = await find_avatar(service, principal, avatar_id, unusable=True)
    return tagged_json(request, await in_thread(detail_of, service, document))


@router.delete("/avatars/{avatar_id}", status_code=204, summary="Delete an avatar")
async def delete_avatar(
    request: Request, service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId
) -> Response:
    """It is gone from every answer at once. Its jobs are cancelled, and its files, uploads and
    records are removed once no run is at work for it."""
    await find_avatar(service, principal, avatar_id, unusable=True)
    await in_thread(_retire, service, avatar_id)
    return Response(status_code=204)


def _retire(service: Service, avatar_id: str) -> None:
    """Mark the avatar as deleted; the purge (`operations.purge`) finds the mark."""
    service.stores.avatars.retire(avatar_id, remove=True)
    for order in service.orders.unfinished():
        if order.avatar_id == avatar_id:
            service.orders.request_cancel(order.order_id)


def _is_visible(change: Change, owner: str | None) -> bool:
    """Whether a row may be shown; the store has asked for the owner, this asks the document."""
    return owner is None or (change.document is not None and change.document.user_id == owner)
