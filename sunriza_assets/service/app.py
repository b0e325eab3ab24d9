"""The application: middleware around routers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from sunriza_assets import __version__
from sunriza_assets.logs import ensure_logging
from sunriza_assets.service.auth.addresses import TrustedProxies
from sunriza_assets.service.auth.authenticate import Authentication
from sunriza_assets.service.auth.limits import Limits
from sunriza_assets.service.context import Service
from sunriza_assets.service.documentation import install_documentation
from sunriza_assets.service.middleware.bodies import Bodies
from sunriza_assets.service.middleware.cors import Cors
from sunriza_assets.service.middleware.dispatch import Dispatch
from sunriza_assets.service.middleware.edge import Edge
from sunriza_assets.service.middleware.hosts import Hosts
from sunriza_assets.service.middleware.methods import Methods
from sunriza_assets.service.middleware.routing_table import RoutingTable
from sunriza_assets.service.outputs import OutputFolder, keep_outputs_swept
from sunriza_assets.service.pages import documentation, home
from sunriza_assets.service.problems import install_problem_handlers
from sunriza_assets.service.routes import ROUTERS
from sunriza_assets.service.schemas.webhooks import WEBHOOKS
from sunriza_assets.service.uploads_folder import keep_swept, make_uploads_folder

__all__ = ["create_app"]


def create_app(service: Service, routers: Sequence[APIRouter] = ROUTERS) -> FastAPI:
    """The ASGI application of one API process.

    Args:
        service: what routes call on.
        routers: the routes; all of them unless a test wants others.
    """
    ensure_logging("api")
    app = FastAPI(
        title="Sunriza",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        webhooks=WEBHOOKS,
        redirect_slashes=False,  # a redirect's address would be made of the caller's path
    )
    app.state.service = service
    for router in (*routers, home.router, documentation.router):
        app.include_router(router)
    install_problem_handlers(app)
    install_documentation(app, service)
    _wrap(app, service)
    return app


def _wrap(app: FastAPI, service: Service) -> None:
    """Put the middleware around the routers, innermost first."""
    settings = service.settings
    table = RoutingTable(app)

    def layers(inner: ASGIApp) -> ASGIApp:
        inner = Bodies(inner)
        inner = Methods(inner, table=table)
        inner = Limits(inner, service=service)
        inner = Authentication(inner, service=service)
        inner = Cors(inner, origins=settings.cors_origins)
        inner = Hosts(
            inner,
            hosts=settings.public_hosts,
            open_mode=service.open_mode,
            origins=settings.cors_origins,
        )
        return Edge(inner, table=table, proxies=TrustedProxies(settings.trusted_proxies))

    app.add_middleware(layers)
    app.router.middleware_stack = Dispatch(app.router.middleware_stack)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the folders; sweep what a killed process has left, and outputs whose time is over."""
    service: Service = app.state.service
    make_uploads_folder(service.uploads_folder)
    outputs = OutputFolder(service.outputs_folder)
    outputs.make()
    sweepers = [
        asyncio.create_task(keep_swept(service.uploads_folder)),
        asyncio.create_task(keep_outputs_swept(outputs, service.orders, service.stores.storage)),
    ]
    try:
        yield
    finally:
        for sweeper in sweepers:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
