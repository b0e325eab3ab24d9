"""A `DirectRoute` answers as any other route of FastAPI does."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from sunriza_assets.service.context import PrincipalDep, ServiceDep
from sunriza_assets.service.direct_route import DirectRoute
from sunriza_assets_tests.service.serving import make_service, serving


class Thing(BaseModel):
    name: str


async def show(
    request: Request,
    number: Annotated[int, Path(ge=1)],
    service: ServiceDep,
    principal: PrincipalDep,
    wait: Annotated[int, Query(ge=0, le=60)] = 0,
    mark: Annotated[str | None, Header(alias="X-Mark")] = None,
) -> Response:
    return JSONResponse([request.method, number, principal.uid, service.open_mode, wait, mark])


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    router = APIRouter()
    for path, route_class in (("/direct", DirectRoute), ("/solved", None)):
        router.add_api_route(
            f"{path}/{{number}}", show, methods=["GET"], route_class_override=route_class
        )
    root = tmp_path_factory.mktemp("direct")
    with serving(make_service(root), router) as served, served.client() as client:
        yield client


@pytest.mark.parametrize(
    ("rest", "headers"),
    [
        ("7", {}),
        ("7?wait=5", {"X-Mark": "m"}),
        ("0", {}),
        ("seven?wait=61", {}),
        ("7?wait=", {}),
        ("7?wait=1&wait=2", {}),
    ],
)
def test_it_finds_and_refuses_what_the_resolver_does(client, rest, headers):
    direct, solved = (
        client.get(f"/{kind}/{rest}", headers=headers) for kind in ("direct", "solved")
    )
    assert direct.status_code == solved.status_code
    for answer in (direct, solved):
        assert answer.headers["x-request-id"]
    if direct.status_code == 200:
        assert direct.json() == solved.json()
    else:
        assert direct.status_code == 422
        assert direct.json()["errors"] == solved.json()["errors"]


def test_its_parameters_are_documented(client):
    paths = client.get("/openapi.json").json()["paths"]
    direct, solved = (paths[f"/{kind}/{{number}}"]["get"] for kind in ("direct", "solved"))
    assert direct["parameters"] == solved["parameters"] != []


def test_what_it_cannot_answer_is_refused_when_it_is_declared():
    router = APIRouter(route_class=DirectRoute)

    async def with_body(thing: Thing) -> Response:
        return JSONResponse(thing.name)

    async def with_model() -> Thing:
        return Thing(name="a")

    for endpoint in (with_body, with_model):
        with pytest.raises(TypeError, match="/thing"):
            router.add_api_route("/thing", endpoint)
