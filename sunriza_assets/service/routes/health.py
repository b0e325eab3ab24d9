"""Health: is the service alive, is it ready, and what does it run on."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from sunriza_assets import __version__
from sunriza_assets.service.context import ServiceDep
from sunriza_assets.service.schemas.health import Health, Live, Part, Ready
from sunriza_assets.service.standing import (
    disk_problem,
    dispatcher_problem,
    engine_facts,
    engine_problem,
    store_problem,
)

__all__ = ["router"]

router = APIRouter(tags=["health"])

_SERVICE: Final = "sunriza"
_WAIT_S: Final = 25.0
_LOOK_S: Final = 0.25
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
    while facts.starting and loop.time() < deadline:
        await asyncio.sleep(min(_LOOK_S, max(0.0, deadline - loop.time())))
        facts = await engine_facts(service)
    if facts.ready:
        status = "healthy"
    else:
        status = "starting" if facts.starting else "unhealthy"
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
    """Engine warm, store writable, dispatcher at work, disk not full: 200, else 503."""
    problems = await asyncio.gather(
        engine_problem(service),
        store_problem(service),
        dispatcher_problem(service),
        disk_problem(service),
    )
    parts = {
        name: Part(ready=problem is None, reason=problem)
        for name, problem in zip(("engine", "store", "dispatcher", "disk"), problems, strict=True)
    }
    is_ready = all(part.ready for part in parts.values())
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return Ready(ready=is_ready, parts=parts)
