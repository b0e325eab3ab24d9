"""`generate-dynamics`: the app's call, answered at once with the job that works for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import JSONResponse, Response

from resources.orders.order import Order
from resources.orders.store import Acceptance, Outcome
from sunriza_assets.service.asking import (
    DynamicsWish,
    ask_for_dynamics,
    own_avatar,
    read_wish,
)
from sunriza_assets.service.auth.limits import charge_of
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.direct_route import DirectRoute
from sunriza_assets.service.forecast import UNKNOWN_S, duration_forecast, run_seconds
from sunriza_assets.service.idempotency import REPLAYED, IdempotencyHeader, json_fingerprint, key_of
from sunriza_assets.service.json_bodies import documented_body, read_object
from sunriza_assets.service.own_avatars import absence_takes_time
from sunriza_assets.service.schemas.dynamics import DynamicsAnswer, dynamics_request

__all__ = ["router"]

_BODY: Final = documented_body(dynamics_request())
_ROUTE: Final = "POST /generate-dynamics"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Begin to read the ledger, so that the first answer has a forecast."""
    duration_forecast(app.state.service).seconds()
    yield


router = APIRouter(tags=["dynamics"], lifespan=_lifespan, route_class=DirectRoute)


@router.post(
    "/generate-dynamics",
    response_model=DynamicsAnswer,
    summary="Make an avatar move",
    description="Answers at once; the job works on. An unfinished job for the same inputs is"
    " returned again.",
    openapi_extra=_BODY,
)
@router.post(
    "/",
    response_model=DynamicsAnswer,
    summary="Make an avatar move, at the address of old builds",
    openapi_extra=_BODY,
)
async def generate_dynamics(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    idempotency_key: IdempotencyHeader = None,
) -> Response:
    """See `dynamics_request`, `DynamicsAnswer`."""
    given = read_object(request)
    wish = read_wish(given)
    key = key_of(request, principal, _ROUTE, json_fingerprint(given))

    def accept() -> Acceptance:
        document = own_avatar(service, principal, wish.avatar_id)
        return ask_for_dynamics(
            service,
            principal,
            document,
            wish,
            answer=lambda order, outcome: _answer(service, wish, order, outcome),
            key=key,
            charge=charge_of(request),
            eta_s=run_seconds(service, document),
            request_id=request.state.request_id,
        )

    async with absence_takes_time():
        accepted = await in_thread(accept)
    order, outcome, answer = accepted.order, accepted.outcome, accepted.answer
    request.state.made = order.order_id
    return JSONResponse(
        dict(answer.body) if answer else _answer(service, wish, order, outcome),
        headers=REPLAYED if outcome == "replayed" else None,
    )


def _answer(service: Service, wish: DynamicsWish, order: Order, outcome: Outcome) -> dict[str, Any]:
    """The body of the answer; called inside the transaction that stores the order."""
    return {
        "status": "generating",
        "avatar_id": wish.avatar_id,
        "dynamics_id": wish.dynamics_id,
        "estimated_seconds": UNKNOWN_S if order.eta_s is None else round(order.eta_s),
        "message": "The avatar is being made."
        if wish.publish
        else "A draft of the avatar is being made.",
        "job_id": order.order_id,
        "job_url": f"{service.base_path}/jobs/{order.order_id}",
        "deduplicated": outcome == "same_inputs",
    }
