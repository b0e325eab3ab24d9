"""Which route a path belongs to, known before the router is asked.

Middleware needs it early: for the label of metrics, the policy, the accepted content types, and the
`Allow` of a method that no route has.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path
from starlette.types import Scope

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
    known: bool = False
    """Whether a route has both method and path."""

    @property
    def takes_uploads(self) -> bool:
        """Whether files may be sent to it."""
        return "multipart/form-data" in self.content_types


@dataclass(frozen=True, slots=True)
class _Entry:
    template: str
    pattern: re.Pattern[str]
    methods: frozenset[str]
    content_types: frozenset[str]


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
        allowed: set[str] = set()
        template = OTHER
        head = path[1:].partition("/")[0]
        for entry in (*self._by_head.get(head, ()), *self._by_head.get("", ())):
            if entry.pattern.match(path) is None:
                continue
            if method in entry.methods:
                return FoundRoute(
                    entry.template, tuple(sorted(entry.methods)), entry.content_types, known=True
                )
            if template == OTHER:
                template = entry.template
            allowed |= entry.methods
        return FoundRoute(template, tuple(sorted(allowed)))

    def allowed(self, path: str) -> tuple[str, ...]:
        """Every method that some route has for a path."""
        return tuple(sorted(set(self.find("", path).allowed)))

    def _build(self) -> None:
        entries: dict[str, list[_Entry]] = {}
        for route in iter_route_contexts(self.app.router.routes):
            if not route.path or not route.methods:
                continue
            pattern, template, _ = compile_path(route.path)
            head = template[1:].partition("/")[0]
            entry = _Entry(template, pattern, frozenset(route.methods), _content_types(route))
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
