"""One router for each subject; a route checks, calls, and answers with a schema."""

from typing import Final

from fastapi import APIRouter

from sunriza_assets.service.routes import (
    audio,
    avatars,
    costs,
    creating,
    dynamics,
    files,
    health,
    inspect,
    jobs,
    keys,
    me,
    metrics,
    openai_speech,
    output,
    performances,
    preview,
    render,
    speech,
    streams,
    trim,
    versions,
)

__all__ = ["ROUTERS"]

# `/jobs/events` is asked before `/jobs/{job_id}`.
ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    metrics.router,
    dynamics.router,
    trim.router,
    streams.router,
    jobs.router,
    avatars.router,
    creating.router,
    versions.router,
    files.router,
    preview.router,
    inspect.router,
    performances.router,
    costs.router,
    me.router,
    keys.router,
    render.router,
    speech.router,
    audio.router,
    openai_speech.router,
    output.router,
)
"""All routers, in the order of the documentation."""
