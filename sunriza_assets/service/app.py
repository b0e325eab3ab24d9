"""The application: middleware around routers."""

from fastapi import FastAPI

from sunriza_assets import __version__
from sunriza_assets.service.context import Service
from sunriza_assets.service.routes import ROUTERS

__all__ = ["create_app"]


def create_app(service: Service) -> FastAPI:
    """The ASGI application of one API process."""
    app = FastAPI(title="Sunriza", version=__version__)
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    return app
