"""Who the caller is, what it may use, and what its webhooks are signed with."""

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from resources.orders.order_json import rfc3339
from sunriza_assets.errors import AccessError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.schemas.account import (
    Account,
    Limit,
    RotatedSecret,
    SigningSecrets,
)

__all__ = ["router"]

router = APIRouter(tags=["account"])

_PAGE: Final = 100
_MAX_PAGES: Final = 10


@router.get("/me", summary="Who you are")
async def show_me(service: ServiceDep, principal: PrincipalDep) -> Account:
    """User id, scopes, quota and credits."""
    return await in_thread(_account, service, principal)


@router.get(
    "/webhooks/secret", response_model=SigningSecrets, summary="What webhooks are signed with"
)
async def show_secret(service: ServiceDep, principal: PrincipalDep) -> Response:
    """The valid signing secrets; one is made if there is none."""
    _check_may_sign(principal)
    secrets = await in_thread(service.orders.webhook_secrets, principal.uid)
    return _secret(SigningSecrets(secrets=list(secrets)).model_dump())


@router.post(
    "/webhooks/secret/rotate", response_model=RotatedSecret, summary="Make a new signing secret"
)
async def rotate_secret(service: ServiceDep, principal: PrincipalDep) -> Response:
    """Messages carry signatures by both, until the former one ends after 24 hours."""
    _check_may_sign(principal)
    secret = await in_thread(service.orders.rotate_webhook_secret, principal.uid)
    return _secret(RotatedSecret(secret=secret).model_dump())


def _account(service: Service, principal: Principal) -> Account:
    settings, quota = service.settings, service.quota(principal)
    limited = principal.is_limited
    mine = [one for one in service.orders.unfinished() if one.owner == principal.uid]
    return Account.model_validate(
        {
            "uid": principal.uid,
            "via": principal.via,
            "scopes": sorted(principal.scopes),
            "expires_at": rfc3339(principal.expires_at),
            "credits": service.orders.credits(principal.uid)
            if settings.credits == "enforce"
            else None,
            "unfinished_jobs": Limit(limit=quota.unfinished, used=len(mine)),
            "jobs_per_day": Limit(limit=quota.per_day, used=_jobs_of_a_day(service, principal)),
            "reads_per_minute": settings.reads_per_minute if limited else None,
            "renders_per_minute": settings.renders_per_minute if limited else None,
            "jobs_per_minute": settings.jobs_per_minute if limited else None,
            "upload_bytes_per_day": settings.upload_bytes_per_day if limited else None,
        }
    )


def _jobs_of_a_day(service: Service, principal: Principal) -> int:
    """Jobs of the last 24 hours; at most a thousand are counted."""
    since, count, cursor = datetime.now(UTC) - timedelta(days=1), 0, None
    for _ in range(_MAX_PAGES):
        page = service.orders.page(principal.uid, limit=_PAGE, cursor=cursor)
        new = sum(order.created_at > since for order in page.orders)
        count, cursor = count + new, page.next_cursor
        if cursor is None or new < len(page.orders):
            break
    return count


def _check_may_sign(principal: Principal) -> None:
    """Refuse callers whose user nobody knows.

    Raises:
        AccessError: `access.scope`.
    """
    if principal.via == "anonymous":
        raise AccessError("This needs a token or an API key", code="token")


def _secret(body: dict[str, object]) -> Response:
    return JSONResponse(body, headers={"Cache-Control": "no-store"})
