"""Routes that are called most: their arguments are found without FastAPI's resolver.

The resolver makes a scope, a response and exit stacks for each dependency of each request. What a
`DirectRoute` takes is read straight off the request; FastAPI documents it as any other route.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from sunriza_assets.service.context import DIRECT

__all__ = ["DirectRoute"]


class DirectRoute(APIRoute):
    """A route that returns its own `Response`, and takes `Request`, `ServiceDep`, `PrincipalDep`
    and parameters of path, query and headers.

    Raises:
        TypeError: when it is declared: it takes or returns something else.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request; FastAPI's own handler says which parameter is wrong."""
        checked = super().get_route_handler()
        endpoint, arguments = self.endpoint, _Arguments.of(self)

        async def handle(request: Request) -> Response:
            found = arguments.of_request(request)
            if found is None:
                return await checked(request)
            response: Response = await endpoint(**found)
            return response

        return handle


@dataclass(frozen=True, slots=True)
class _Arguments:
    """Where the arguments of a route's endpoint are found."""

    dependant: Dependant
    injected: Mapping[str, Callable[[Request], Any]]
    without_query: Mapping[str, Any] | None
    """Values of the query's parameters where there is no query; None if one must be there."""

    @classmethod
    def of(cls, route: APIRoute) -> "_Arguments":
        dependant = route.dependant
        known = all(one.call in DIRECT for one in dependant.dependencies)
        other = dependant.body_params or dependant.cookie_params or dependant.response_param_name
        answers = signature(route.endpoint).return_annotation
        if not known or other or not (isinstance(answers, type) and issubclass(answers, Response)):
            raise TypeError(f"{route.path} takes or returns what a DirectRoute cannot")
        injected: dict[str, Callable[[Request], Any]] = {
            str(one.name): DIRECT[one.call] for one in dependant.dependencies if one.call
        }
        if dependant.request_param_name:
            injected[dependant.request_param_name] = lambda request: request
        values, missing = request_params_to_args(dependant.query_params, QueryParams())
        return cls(dependant, injected, None if missing else values)

    def of_request(self, request: Request) -> Mapping[str, Any] | None:
        """The arguments; None if a parameter is not as it has to be."""
        found = {name: given(request) for name, given in self.injected.items()}
        sections: list[tuple[Sequence[ModelField], Mapping[str, Any]]]
        sections = [(self.dependant.path_params, request.path_params)]
        if self.without_query is None or request.scope["query_string"]:
            sections.append((self.dependant.query_params, request.query_params))
        else:
            found |= self.without_query
        if self.dependant.header_params:
            sections.append((self.dependant.header_params, request.headers))
        for fields, given in sections:
            values, errors = request_params_to_args(fields, given)
            if errors:
                return None
            found |= values
        return found
