"""How the other processes stand, as far as the API process sees it."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from sunriza_assets.errors import SunrizaError
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.engine_client import EngineFacts

__all__ = [
    "DISPATCHER_LEASE",
    "disk_problem",
    "dispatcher_problem",
    "engine_facts",
    "engine_problem",
    "store_problem",
]

DISPATCHER_LEASE: Final = "dispatcher"
"""Name of the lease that the active dispatcher renews."""

_PART_S: Final = 5.0


async def engine_facts(service: Service) -> EngineFacts:
    """How the engine process stands; never raises."""
    try:
        return await asyncio.wait_for(service.engine.facts(), _PART_S)
    except (SunrizaError, TimeoutError) as error:
        reason = error.public if isinstance(error, SunrizaError) else "The engine does not answer."
        return EngineFacts(
            ready=False,
            engine=None,
            version=None,
            gpu_name=None,
            cuda_version=None,
            problem=reason,
        )


async def engine_problem(service: Service) -> str | None:
    """Why no pictures are drawn; None if they are."""
    facts = await engine_facts(service)
    return None if facts.ready else facts.problem or "Models are being loaded."


async def store_problem(service: Service) -> str | None:
    """Why the store of orders cannot be written; None if it can."""
    try:
        await asyncio.wait_for(in_thread(service.orders.check_writable), _PART_S)
    except (SunrizaError, TimeoutError) as error:
        return error.public if isinstance(error, SunrizaError) else "The store does not answer."
    return None


async def disk_problem(service: Service) -> str | None:
    """Why nothing can be made or stored below SUNRIZA_HOME; None if it can."""
    try:
        full = await asyncio.wait_for(in_thread(service.home.is_full), _PART_S)
    except (SunrizaError, TimeoutError):
        return "The disk does not answer."
    return "The disk is full." if full else None


async def dispatcher_problem(service: Service) -> str | None:
    """Why nobody works on orders; None if somebody does."""
    try:
        lease = await asyncio.wait_for(in_thread(service.orders.lease, DISPATCHER_LEASE), _PART_S)
    except (SunrizaError, TimeoutError):
        return "The store does not answer."
    if lease is None or lease.until < datetime.now(UTC):
        return "No dispatcher is at work."
    return None
