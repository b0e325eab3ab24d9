"""What every answer has: ids, headers, problems, health."""

import json

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from sunriza_assets.errors import LimitError, MediaError
from sunriza_assets.service.context import PrincipalDep
from sunriza_assets.service.engine_client import EngineFacts
from sunriza_assets.service.problems import ProblemBody
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()


class Thing(BaseModel):
    number: int
    text: str = ""


@router.post("/things/{thing_id}")
async def make_thing(thing_id: str, thing: Thing, principal: PrincipalDep) -> dict[str, object]:
    if thing.text == "bug":
        raise ZeroDivisionError("secret reason")
    if thing.text == "media":
        raise MediaError("The clip is too long", where="/secret/path", remedy="Trim it.", code="x")
    if thing.text == "limit":
        raise LimitError("Too many", code="rate", retry_after_s=7.2)
    return {"id": thing_id, "number": thing.number, "uid": principal.uid}


@router.get("/things/{thing_id}")
async def get_thing(thing_id: str) -> dict[str, str]:
    return {"id": thing_id}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(make_service(tmp_path_factory.mktemp("home")), router) as served:
        yield served


@pytest.fixture(scope="module")
def client(served):
    with served.client() as client:
        yield client


def test_every_answer_has_an_id_and_headers(client):
    answer = client.get("/things/1")
    assert answer.json() == {"id": "1"}
    assert len(answer.headers["x-request-id"]) == 24
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_a_callers_id_is_echoed_if_it_is_plain(client):
    assert client.get("/", headers={"X-Request-Id": "a.B-9_"}).headers["x-request-id"] == "a.B-9_"
    for foreign in ("a b", "x" * 65, "ä".encode("latin-1").decode("latin-1"), ""):
        answer = client.get("/", headers={"X-Request-Id": foreign.encode("latin-1")})
        assert answer.headers["x-request-id"] != foreign


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [("media", 422, "media.x"), ("limit", 429, "limit.rate"), ("bug", 500, "internal")],
)
def test_errors_are_problems(client, text, status, code):
    answer = client.post("/things/1", json={"number": 1, "text": text})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code and problem["status"] == status
    assert problem["detail"] == problem["error"]
    assert problem["instance"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    if status == 429:
        assert answer.headers["retry-after"] == "8"


def test_validation_says_each_place_and_a_text(client):
    answer = client.post("/things/1", json={"number": "many", "text": 3})
    problem = answer.json()
    assert answer.status_code == 422
    assert isinstance(problem["detail"], str) and "number" in problem["detail"]
    assert [one["loc"] for one in problem["errors"]] == [["body", "number"], ["body", "text"]]


def test_unknown_paths_and_methods(client):
    assert client.get("/nothing").json()["code"] == "request.path"
    answer = client.put("/things/1")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert client.options("/things/1").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    head = client.head("/things/1")
    assert head.status_code == 200 and head.content == b""
    assert head.headers["content-length"] == "10"


def test_health_waits_and_tells(served, client):
    health = client.get("/health").json()
    assert health["status"] == "healthy" and health["model_loaded"] is True
    assert health["gpu_available"] is False and health["engine"] == "mesh"
    served.service.engine.facts_now = EngineFacts(False, None, None, None, None, starting=True)
    try:
        answer = client.get("/health?wait=0.3")
        assert answer.status_code == 503 and answer.json()["status"] == "starting"
        assert client.get("/health?wait=26").status_code == 422
        loading = client.get("/health/ready").json()["parts"]["engine"]
        assert loading == {"ready": False, "reason": "Models are being loaded."}
        silent = EngineFacts(False, None, None, None, None, "The engine has not answered for 40 s.")
        served.service.engine.facts_now = silent
        assert client.get("/health").json()["status"] == "unhealthy"
        assert client.get("/health/ready").json()["parts"]["engine"]["reason"] == silent.problem
    finally:
        served.service.engine.facts_now = EngineFacts(True, "mesh", "1", None, None)


def test_ready_names_its_parts(served, client):
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"]["dispatcher"]["reason"] == "No dispatcher is at work."
    served.service.orders.hold_lease("dispatcher", "me")
    assert client.get("/v2/health/ready").json()["ready"] is True
    assert client.get("/health/live").json() == {"live": True}


def test_not_ready_with_a_broken_store(tmp_path):
    service = make_service(tmp_path)
    service.orders.check_writable()
    with serving(service) as served, served.client() as client:
        for path in (tmp_path / "service").glob("service.db*"):
            path.write_bytes(b"no database" * 1000)
        assert client.get("/health/ready").json()["parts"]["store"]["ready"] is False


def test_the_documentation_is_for_this_machine(served, client):
    page = client.get("/docs")
    assert page.status_code == 200 and "/things/{thing_id}" in page.text
    assert "<script" not in page.text and "https://" not in page.text
    assert client.get("/docs", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 404


def test_problems_are_what_the_document_says(client):
    for answer in (
        client.get("/nothing"),
        client.put("/things/1"),
        client.post("/things/1", json={}),
        client.post("/things/1", content=b"{", headers={"Content-Type": "application/json"}),
        client.post("/things/1", json={"number": 1, "text": "bug"}),
    ):
        ProblemBody.model_validate(answer.json())


def test_openapi_names_problems_of_every_operation(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {"4XX", "5XX"} <= set(operation["responses"])
            assert "security" not in operation
    assert "HTTPValidationError" not in json.dumps(document)
