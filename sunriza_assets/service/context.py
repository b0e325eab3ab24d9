"""What routes call on: one `Service` a process, and the principal of a request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from resources.home import Home
from resources.orders.store import OrderStore, Quota
from resources.settings import Settings
from resources.stores import OpenStores
from sunriza_assets.errors import AccessError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.engine_client import EngineService

__all__ = [
    "DIRECT",
    "PrincipalDep",
    "Service",
    "ServiceDep",
    "in_thread",
    "principal_of",
    "read_orders",
    "service_of",
]

T = TypeVar("T")


@dataclass
class Service:
    """Everything that routes call on; made by `app.create_app`, closed with it."""

    settings: Settings
    """Settings of the process."""
    home: Home
    """SUNRIZA_HOME."""
    orders: OrderStore
    """The store of orders."""
    stores: OpenStores
    """Avatar documents and the bucket."""
    engine: EngineService
    """The engine process."""
    open_mode: bool
    """Whether everybody may call (SUNRIZA_AUTH=off)."""
    base_path: str = ""
    """Path prefix under which the service is mounted."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Objects of parts of the service (metrics, streams) by name."""

    @property
    def folder(self) -> Path:
        """Where the service keeps its files: `SUNRIZA_HOME/service`, mode 0700."""
        return self.home.root / "service"

    @property
    def outputs_folder(self) -> Path:
        """Finished pictures, by output name."""
        return self.folder / "outputs"

    @property
    def uploads_folder(self) -> Path:
        """Uploads of requests that are being answered."""
        return self.folder / "uploads"

    def quota(self, principal: Principal) -> Quota:
        """The quota of a caller's orders."""
        settings = self.settings
        if not principal.is_limited:
            return Quota(unfinished=None, per_day=None, queue=settings.queued_jobs)
        return Quota(settings.unfinished_jobs, settings.jobs_per_day, settings.queued_jobs)


def service_of(connection: HTTPConnection) -> Service:
    """The process's `Service`."""
    return cast(Service, connection.app.state.service)


def principal_of(connection: HTTPConnection) -> Principal:
    """The caller, as the authentication middleware has found it.

    Raises:
        AccessError: `access.token` the route is public and nobody has said who he is.
    """
    principal = cast(Principal | None, getattr(connection.state, "principal", None))
    if principal is None:
        raise AccessError("This needs a token or an API key", code="token")
    return principal


# Dependencies are coroutines: FastAPI sends plain functions through a thread, at .1 ms each.
async def _service(connection: HTTPConnection) -> Service:
    return service_of(connection)


async def _principal(connection: HTTPConnection) -> Principal:
    return principal_of(connection)


ServiceDep = Annotated[Service, Depends(_service)]
"""The process's `Service`."""
PrincipalDep = Annotated[Principal, Depends(_principal)]
"""The caller of this request."""
DIRECT: Final[Mapping[Callable[..., Any], Callable[[HTTPConnection], Any]]] = {
    _service: service_of,
    _principal: principal_of,
}
"""What `DirectRoute` calls in the place of these dependencies."""


async def read_orders(service: Service, function: Callable[..., T], *args: Any) -> T:
    """Call a function that only reads a row or two of the order store.

    In SQLite that takes microseconds and waits for no writer, less than handing it to a thread
    does; so it is called at once. Postgres is asked in a thread.
    """
    if service.settings.orders_url is None:
        return function(*args)
    return await in_thread(function, *args)


async def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a blocking function of a store in one of the process's threads."""
    return await run_in_threadpool(function, *args, **kwargs)
