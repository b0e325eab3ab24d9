"""Which route a path belongs to, known before the router is asked.

Middleware needs it early: for the label of metrics, the policy, the accepted content types, and the
`Allow` of a method that no route has. `Dispatch` needs it in the router's place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.convertors import Convertor
from starlette.routing import compile_path
from starlette.types import ASGIApp, Scope

__all__ = ["OTHER", "FoundRoute", "RoutingTable", "media_type", "own_path"]

OTHER: Final = "other"
"""Label of paths that no route knows."""

_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class FoundRoute:
    """What the table says of a method and a path."""

    template: str
    """The route's path with names for its variable parts; `other` if there is none."""
    allowed: tuple[str, ...]
    """Methods that the path has, sorted; empty if no route knows it."""
    content_types: frozenset[str] = frozenset()
    """Media types that the route's body may have; empty if it takes none."""
    app: ASGIApp | None = None
    """What answers; None unless a route has both method and path."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Variable parts of the path by name."""

    @property
    def known(self) -> bool:
        """Whether a route has both method and path."""
        return self.app is not None

    @property
    def takes_uploads(self) -> bool:
        """Whether files may be sent to it."""
        return "multipart/form-data" in self.content_types


@dataclass(frozen=True, slots=True)
class _Entry:
    pattern: re.Pattern[str]
    convertors: Mapping[str, Convertor[Any]]
    found: FoundRoute

    def with_parameters(self, match: re.Match[str]) -> FoundRoute:
        """What is found, with the variable parts of a path."""
        if not self.convertors:
            return self.found
        parts = match.groupdict()
        return replace(
            self.found,
            parameters={name: one.convert(parts[name]) for name, one in self.convertors.items()},
        )


@dataclass
class RoutingTable:
    """All HTTP routes of an application, in its order."""

    app: FastAPI
    _by_head: dict[str, list[_Entry]] = field(default_factory=dict)
    _built_from: int = -1

    def find(self, method: str, path: str) -> FoundRoute:
        """The route of a method and a path (without the service's base path)."""
        if self._built_from != len(self.app.router.routes):
            self._build()
        others: list[FoundRoute] = []
        head = path[1:].partition("/")[0]
        for entry in (*self._by_head.get(head, ()), *self._by_head.get("", ())):
            match = entry.pattern.match(path)
            if match is None:
                continue
            if method in entry.found.allowed:
                return entry.with_parameters(match)
            others.append(entry.found)
        allowed = sorted({name for other in others for name in other.allowed})
        return FoundRoute(others[0].template if others else OTHER, tuple(allowed))

    def _build(self) -> None:
        entries: dict[str, list[_Entry]] = {}
        for route in iter_route_contexts(self.app.router.routes):
            if not route.path or not route.methods:
                continue
            pattern, template, convertors = compile_path(route.path)
            head = template[1:].partition("/")[0]
            found = FoundRoute(
                template, tuple(sorted(route.methods)), _content_types(route), app=route.app
            )
            entry = _Entry(pattern, convertors, found)
            entries.setdefault("" if "{" in head else head, []).append(entry)
        self._by_head = entries
        self._built_from = len(self.app.router.routes)


def _content_types(route: Any) -> frozenset[str]:
    """What a route's body may be: as its documentation says, and JSON for a model."""
    extra = getattr(route, "openapi_extra", None) or {}
    documented: Iterable[str] = extra.get("requestBody", {}).get("content", {})
    types = {name.lower() for name in documented}
    if getattr(route, "body_field", None) is not None:
        types.add(_JSON)
    return frozenset(types)


def own_path(scope: Scope) -> str:
    """The path of a request below the service's base path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] or "/" if root and path.startswith(root) else path


def media_type(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The media type of a request's body, lower case, without parameters; None without one."""
    for name, value in headers:
        if name == b"content-type":
            return value.split(b";", 1)[0].strip().lower().decode("latin-1")
    return None
