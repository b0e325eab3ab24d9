"""Health: is the service alive, is it ready, and what does it run on."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from sunriza_assets import __version__
from sunriza_assets.errors import SunrizaError
from sunriza_assets.service.context import Service, ServiceDep, in_thread
from sunriza_assets.service.engine_client import EngineFacts
from sunriza_assets.service.schemas.health import Health, Live, Part, Ready

__all__ = ["DISPATCHER_LEASE", "router"]

DISPATCHER_LEASE: Final = "dispatcher"
"""Name of the lease that the active dispatcher renews."""

router = APIRouter(tags=["health"])

_SERVICE: Final = "sunriza"
_WAIT_S: Final = 25.0
_LOOK_S: Final = 0.25
_PART_S: Final = 5.0
_UNREADY: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": Ready, "description": "Not ready; the parts say why."}
}


@router.get(
    "/health",
    summary="How the service stands, waiting while it warms up",
    responses={503: {"model": Health, "description": "Still starting, or unhealthy."}},
)
async def health(
    service: ServiceDep,
    response: Response,
    wait: Annotated[float, Query(ge=0, le=_WAIT_S, description="Seconds to wait.")] = _WAIT_S,
) -> Health:
    """200 once models are loaded; 503 `starting` after the wait, or `unhealthy`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    facts = await engine_facts(service)
    while not facts.ready and facts.problem is None and loop.time() < deadline:
        await asyncio.sleep(min(_LOOK_S, max(0.0, deadline - loop.time())))
        facts = await engine_facts(service)
    if facts.ready:
        status = "healthy"
    else:
        status = "starting" if facts.problem is None else "unhealthy"
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return Health(
        status=status,
        service=_SERVICE,
        gpu_available=facts.gpu_name is not None,
        gpu_name=facts.gpu_name,
        cuda_version=facts.cuda_version,
        model_loaded=facts.ready,
        engine=facts.engine,
        model_version=facts.version,
        version=__version__,
    )


@router.get("/health/live", summary="Whether the process answers")
@router.get("/v2/health/live", summary="Whether the process answers (KServe)")
async def live() -> Live:
    """200 at once: the event loop turns."""
    return Live(live=True)


@router.get("/health/ready", summary="Whether work is done", responses=_UNREADY)
@router.get("/v2/health/ready", summary="Whether work is done (KServe)", responses=_UNREADY)
async def ready(service: ServiceDep, response: Response) -> Ready:
    """Engine warm, store writable, dispatcher at work: 200, else 503."""
    parts = await asyncio.gather(_engine(service), _store(service), _dispatcher(service))
    named = dict(zip(("engine", "store", "dispatcher"), parts, strict=True))
    is_ready = all(part.ready for part in parts)
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return Ready(ready=is_ready, parts=named)


async def engine_facts(service: Service) -> EngineFacts:
    """How the engine process stands; never raises."""
    try:
        return await asyncio.wait_for(service.engine.facts(), _PART_S)
    except (SunrizaError, OSError, TimeoutError) as error:
        reason = error.public if isinstance(error, SunrizaError) else "The engine does not answer."
        warming = isinstance(error, SunrizaError) and error.code == "engine.warming"
        return EngineFacts(
            ready=False,
            engine=None,
            version=None,
            gpu_name=None,
            cuda_version=None,
            problem=None if warming else reason,
        )


async def _engine(service: Service) -> Part:
    facts = await engine_facts(service)
    if facts.ready:
        return Part(ready=True)
    return Part(ready=False, reason=facts.problem or "Models are being loaded.")


async def _store(service: Service) -> Part:
    try:
        await asyncio.wait_for(in_thread(service.orders.check_writable), _PART_S)
    except (SunrizaError, TimeoutError) as error:
        reason = error.public if isinstance(error, SunrizaError) else "The store does not answer."
        return Part(ready=False, reason=reason)
    return Part(ready=True)


async def _dispatcher(service: Service) -> Part:
    try:
        lease = await asyncio.wait_for(in_thread(service.orders.lease, DISPATCHER_LEASE), _PART_S)
    except (SunrizaError, TimeoutError):
        return Part(ready=False, reason="The store does not answer.")
    if lease is None or lease.until < datetime.now(UTC):
        return Part(ready=False, reason="No dispatcher is at work.")
    return Part(ready=True)
