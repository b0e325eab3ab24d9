"""Jobs: reading (with ETag and long poll), listing, cancelling, repeating, deleting, deliveries."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from resources.orders.order import Kind, Order, Status
from resources.orders.order_json import order_to_json, rfc3339
from resources.orders.spoken import SpeechWish
from resources.orders.store import Acceptance, IdempotencyKey
from sunriza_assets.errors import AccessError, ConflictError
from sunriza_assets.service.asking import DynamicsWish, ask_for_dynamics, own_avatar
from sunriza_assets.service.auth.limits import charge_of
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.direct_route import DirectRoute
from sunriza_assets.service.forecast import run_seconds
from sunriza_assets.service.idempotency import REPLAYED, IdempotencyHeader, json_fingerprint, key_of
from sunriza_assets.service.jobs import (
    cancelled,
    changed_order,
    ended_order,
    etag_of,
    job_now,
    job_response,
    own_order,
)
from sunriza_assets.service.monitor import metrics
from sunriza_assets.service.own_avatars import absence_takes_time
from sunriza_assets.service.prefer import PreferHeader, preferred_wait_s
from sunriza_assets.service.schemas.jobs import DeliveryList, Job, JobPage
from sunriza_assets.service.speaking import SpeechAsk, ask_for_speech

__all__ = ["router"]

router = APIRouter(tags=["jobs"], route_class=DirectRoute)

_CANCEL_WAIT_S: Final = 10.0
"""How long a deletion waits for the end of a running job."""
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')

JobId = Annotated[str, Path(description="`job_` and 26 characters.", max_length=64)]
_NO_STORE: Final = {"Cache-Control": "no-store"}
_UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "The job is as the caller knows it (`If-None-Match`)."}
}


@router.get("/jobs", response_model=JobPage, summary="The caller's jobs, newest first")
async def list_jobs(
    service: ServiceDep,
    principal: PrincipalDep,
    status: Annotated[Status | None, Query(description="One of the four stable words.")] = None,
    kind: Annotated[Kind | None, Query(description="What it makes.")] = None,
    avatar_id: Annotated[str | None, Query(max_length=128)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor`.")] = None,
) -> Response:
    """All filters hold together."""
    page = await in_thread(
        service.orders.page,
        None if principal.via == "open" else principal.uid,
        status=status,
        kind=kind,
        avatar_id=avatar_id,
        limit=limit,
        cursor=cursor,
    )
    jobs = await in_thread(lambda: [job_now(service, order) for order in page.orders])
    return JSONResponse({"jobs": jobs, "next_cursor": page.next_cursor}, headers=_NO_STORE)


@router.get("/jobs/{job_id}", response_model=Job, summary="One job", responses={**_UNCHANGED})
async def get_job(
    request: Request,
    job_id: JobId,
    service: ServiceDep,
    principal: PrincipalDep,
    wait: Annotated[
        int, Query(ge=0, le=60, description="Seconds to wait for the next revision.")
    ] = 0,
) -> Response:
    """With `wait`, the answer comes when the revision is another than the known one.

    That is the one in `If-None-Match`, or else the one at the time of the request.
    """
    known = _known_tags(request)
    if wait:
        with metrics.STREAM_CONNECTIONS.labels(kind="long_poll").track_inprogress():
            order = await changed_order(
                service, principal, job_id, revision=_revision(known), wait_s=wait
            )
    else:
        order = await own_order(service, principal, job_id)
    tag = etag_of(order)
    if known is not None and (tag[1:-1] in known or "*" in known):
        return Response(status_code=304, headers={"ETag": tag, **_NO_STORE})
    return await job_response(service, order)


@router.post(
    "/jobs/{job_id}/cancel",
    response_model=Job,
    status_code=202,
    summary="Cancel a job",
    responses={200: {"model": Job, "description": "It had ended before."}},
)
async def cancel_job(job_id: JobId, service: ServiceDep, principal: PrincipalDep) -> Response:
    """In any state; a job at work ends within seconds (`cancelling`). May be repeated."""
    order = await own_order(service, principal, job_id)
    if order.is_terminal:
        return await job_response(service, order)
    return await job_response(service, await cancelled(service, order), 202)


@router.post(
    "/jobs/{job_id}/retry",
    response_model=Job,
    status_code=202,
    summary="Repeat a job that has failed",
    responses={200: {"model": Job, "description": "The new job has ended (`Prefer: wait`)."}},
)
async def retry_job(
    request: Request,
    job_id: JobId,
    service: ServiceDep,
    principal: PrincipalDep,
    idempotency_key: IdempotencyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """A new job with the same request; only where `status` is `error`."""
    order = await own_order(service, principal, job_id)
    if order.status != "error":
        raise ConflictError(
            "This job has not failed",
            remedy="Only jobs with status `error` are repeated.",
            code="not_failed",
        )
    key = key_of(request, principal, "POST /jobs/{job_id}/retry", json_fingerprint(job_id))
    accepted = await _repeated(request, service, principal, order, key)
    new = accepted.order
    request.state.made = new.order_id
    location = {"Location": f"{service.base_path}/jobs/{new.order_id}"}
    if accepted.outcome == "replayed" and accepted.answer is not None:
        return JSONResponse(
            dict(accepted.answer.body), accepted.answer.status, headers=REPLAYED | location
        )
    if wait_s := preferred_wait_s(prefer):
        new = await ended_order(service, new, wait_s=wait_s)
        location["Preference-Applied"] = f"wait={wait_s}"
    response = await job_response(service, new, 200 if new.is_terminal else 202)
    response.headers.update(location)
    return response


async def _repeated(
    request: Request,
    service: Service,
    principal: Principal,
    order: Order,
    key: IdempotencyKey | None,
) -> Acceptance:
    """A new order with the same inputs."""
    if order.kind == "tts":
        return await in_thread(
            ask_for_speech,
            service,
            principal,
            SpeechAsk(SpeechWish.from_dict(order.inputs), webhook=order.webhook),
            key=key,
            charge=charge_of(request),
            eta_s=order.eta_s,
            request_id=request.state.request_id,
            retry_of=order.order_id,
        )
    if order.kind != "dynamics" or order.avatar_id is None:
        raise ConflictError("Jobs of this kind cannot be repeated", code="kind")
    wish = DynamicsWish(avatar_id=order.avatar_id, webhook=order.webhook, **order.inputs)

    def accept() -> Acceptance:
        document = own_avatar(service, principal, wish.avatar_id)
        return ask_for_dynamics(
            service,
            principal,
            document,
            wish,
            key=key,
            charge=charge_of(request),
            answer=lambda new, _: order_to_json(new, base=service.base_path),
            answer_status=202,
            retry_of=order.order_id,
            eta_s=run_seconds(service, document),
            request_id=request.state.request_id,
        )

    async with absence_takes_time():
        return await in_thread(accept)


@router.delete("/jobs/{job_id}", status_code=204, summary="Delete a job and what it has made")
async def delete_job(job_id: JobId, service: ServiceDep, principal: PrincipalDep) -> Response:
    """A job at work is cancelled first. What an avatar shows stays."""
    order = await own_order(service, principal, job_id)
    if not order.is_terminal:
        order = await cancelled(service, order)
        order = await ended_order(service, order, wait_s=_CANCEL_WAIT_S)
        if not order.is_terminal:
            raise ConflictError(
                "This job is being cancelled",
                remedy="Delete it when it has ended.",
                code="cancelling",
            )
    await in_thread(_remove, service, order)
    return Response(status_code=204)


@router.get(
    "/jobs/{job_id}/deliveries",
    response_model=DeliveryList,
    summary="What became of its webhook messages",
)
async def list_deliveries(job_id: JobId, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Every try, with the receiver's status alone: nothing of its answer is shown."""
    order = await own_order(service, principal, job_id)
    tries = await in_thread(service.orders.deliveries, order.order_id)
    return JSONResponse(
        {
            "deliveries": [
                {
                    "number": one.number,
                    "webhook_id": one.notice_id,
                    "event": one.event,
                    "at": rfc3339(one.at),
                    "status": one.status,
                    "ms": one.ms,
                    "outcome": one.outcome,
                }
                for one in tries
            ]
        },
        headers=_NO_STORE,
    )


@router.post(
    "/jobs/{job_id}/deliveries/{number}/redeliver",
    response_model=Job,
    status_code=202,
    summary="Send a message again",
)
async def redeliver(
    job_id: JobId,
    number: Annotated[int, Path(ge=1, le=1_000_000, description="Of the try.")],
    service: ServiceDep,
    principal: PrincipalDep,
) -> Response:
    """The message of that try is sent again at once, with the same `webhook-id`."""
    order = await own_order(service, principal, job_id)
    if not await in_thread(service.orders.redeliver, order.order_id, number):
        raise AccessError("There is no such delivery", code="missing")
    return await job_response(service, order, 202)


def _remove(service: Service, order: Order) -> None:
    """Delete an order's own objects, and then its row: killed in between, it is deleted again."""
    storage = service.stores.storage
    for stored in storage.list(f"orders/{order.order_id}/"):
        storage.delete(stored.name)
    service.orders.remove(order.order_id)


def _known_tags(request: Request) -> frozenset[str] | None:
    """Entity tags in If-None-Match, without quotes; None without the header."""
    header = request.headers.get("if-none-match")
    if header is None:
        return None
    if header.strip() == "*":
        return frozenset({"*"})
    return frozenset(_ENTITY_TAG.findall(header))


def _revision(tags: frozenset[str] | None) -> int | None:
    """The newest revision among entity tags."""
    revisions = [int(tag) for tag in tags or () if tag.isdecimal() and len(tag) < 10]
    return max(revisions, default=None)
