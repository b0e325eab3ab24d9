"""One router for each subject; a route checks, calls, and answers with a schema."""

from typing import Final

from fastapi import APIRouter

from sunriza_assets.service.routes import avatars, health, metrics, output, render, versions

__all__ = ["ROUTERS"]

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    metrics.router,
    avatars.router,
    versions.router,
    render.router,
    output.router,
)
"""All routers, in the order of the documentation."""
