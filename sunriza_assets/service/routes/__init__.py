"""One router for each subject; a route checks, calls, and answers with a schema."""

from typing import Final

from fastapi import APIRouter

from sunriza_assets.service.routes import dynamics, health, jobs, streams, trim

__all__ = ["ROUTERS"]

# `/jobs/events` is asked before `/jobs/{job_id}`.
ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    dynamics.router,
    trim.router,
    streams.router,
    jobs.router,
)
"""All routers, in the order of the documentation."""
