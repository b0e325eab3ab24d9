"""A caller's own API keys."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import JSONResponse, Response

from resources.orders.order_json import rfc3339
from resources.orders.store import ApiKey
from sunriza_assets.errors import AccessError
from sunriza_assets.service.auth.keys import make_key
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import PrincipalDep, ServiceDep, in_thread
from sunriza_assets.service.schemas.account import KeyList, KeyRequest, MadeKey, ShownKey

__all__ = ["router"]

router = APIRouter(prefix="/keys", tags=["account"])


@router.get("", summary="List API keys")
async def list_keys(service: ServiceDep, principal: PrincipalDep) -> KeyList:
    """The caller's own keys; of no key the secret is known any more."""
    keys = await in_thread(service.orders.keys, principal.uid)
    return KeyList(keys=[_shown(key) for key in keys])


@router.post("", status_code=201, response_model=MadeKey, summary="Make an API key")
async def add_key(service: ServiceDep, principal: PrincipalDep, body: KeyRequest) -> Response:
    """The key is shown once, in this answer. A key may make keys only if it has scope `admin`."""
    _check_may_manage(principal)
    beyond = sorted(set(body.scopes) - principal.scopes)
    if beyond:
        raise AccessError(
            f"You may not hand out the scope {beyond[0]}",
            remedy="A key may do at most what its maker may.",
            code="scope",
        )
    text, key = make_key(principal.uid, body.scopes, body.name)
    await in_thread(service.orders.add_key, key)
    made = MadeKey(**_shown(key).model_dump(), key=text)
    return JSONResponse(made.model_dump(), 201, headers={"Cache-Control": "no-store"})


@router.delete("/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(
    service: ServiceDep,
    principal: PrincipalDep,
    key_id: Annotated[str, Path(description="Its `id`.", max_length=64)],
) -> Response:
    """It stays listed, and works no more."""
    _check_may_manage(principal)
    found = await in_thread(service.orders.find_key, key_id)
    if found is None or found.owner != principal.uid:
        raise AccessError("There is no such key", code="missing")
    await in_thread(service.orders.revoke_key, key_id)
    return Response(status_code=204)


def _check_may_manage(principal: Principal) -> None:
    """Refuse keys that would outlive their own revocation by making others.

    Raises:
        AccessError: `access.scope`.
    """
    if principal.via == "anonymous" or (principal.via == "key" and "admin" not in principal.scopes):
        raise AccessError(
            "This credential may not manage API keys",
            remedy="Use a user's token, or a key with scope admin.",
            code="scope",
        )


def _shown(key: ApiKey) -> ShownKey:
    return ShownKey.model_validate(
        {
            "id": key.key_id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "created_at": rfc3339(key.created_at),
            "revoked_at": rfc3339(key.revoked_at),
            "last_used_at": rfc3339(key.last_used_at),
        }
    )
