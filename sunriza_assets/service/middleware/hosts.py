"""Refuses requests for other hosts, and in open mode what foreign web pages send.

In open mode nobody is asked who he is, so a web page of anybody could reach the service through
its visitor's browser: by a name that resolves to 127.0.0.1 (DNS rebinding), or by a plain form. The
host must then be a name of this machine, and an Origin the service's own or a listed one.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from sunriza_assets.errors import AccessError
from sunriza_assets.service.middleware.routing_table import own_path
from sunriza_assets.service.request_errors import RequestError

__all__ = ["LOOPBACK_HOSTS", "Hosts", "origin_allowed"]

LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
"""Names of this machine, as a Host header writes them."""

_PROBES: Final = frozenset(("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"))


class Hosts:
    """Checks Host and, in open mode, Origin.

    Args:
        app: the next application.
        hosts: allowed names; empty: any.
        open_mode: whether everybody may call.
        origins: origins whose pages may call.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], open_mode: bool, origins: Collection[str]
    ) -> None:
        self.app = app
        self.open_mode = open_mode
        self.hosts = LOOPBACK_HOSTS if open_mode else frozenset(hosts)
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whose host and origin are allowed.

        Raises:
            RequestError: `request.host`.
            AccessError: `access.origin`.
        """
        if scope["type"] in ("http", "websocket"):
            self._check(scope)
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        given = [value for name, value in scope["headers"] if name == b"host"]
        host = given[0].decode("latin-1").lower() if len(given) == 1 else ""
        # A kubelet probes by the pod's address.
        if self.hosts and host_name(host) not in self.hosts and not self._is_probe(scope):
            raise RequestError(
                "This service is not reached under that host name",
                code="host",
                remedy="Use localhost." if self.open_mode else None,
            )
        if self.open_mode and not origin_allowed(scope, self.origins):
            raise AccessError(
                "Pages of this origin may not call the service",
                code="origin",
                remedy="SUNRIZA_CORS_ORIGINS lists those that may.",
            )

    def _is_probe(self, scope: Scope) -> bool:
        return not self.open_mode and scope["type"] == "http" and own_path(scope) in _PROBES


def host_name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def origin_allowed(scope: Scope, origins: Collection[str]) -> bool:
    """Whether a request carries no Origin, the service's own, or one of these."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    if not given:
        return True
    if len(given) > 1:
        return False
    if given[0] in origins:
        return True
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    try:
        return bool(hosts) and urlsplit(given[0]).netloc.lower() == hosts[0].lower()
    except ValueError:
        return False
