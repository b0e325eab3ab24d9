"""Credentials that are none, forged, foreign or over.

Case 1 no credential, 2 garbage, 3 algorithm none, 4 HMAC keyed with the public key, 5 expired,
6 issued in the future, 7 wrong audience, 8 wrong issuer, 9 unknown key id, 10 empty subject, 11 two
credentials, 12 revoked key, 13 key in the query, 14 token of another project; of case 51 the
WebSocket of a foreign page.
"""

import json
import time

import pytest
import websockets
from cryptography.hazmat.primitives import serialization
from fastapi import APIRouter, WebSocket
from websockets.sync.client import connect

from sunriza_assets.service.auth.keys import make_key
from sunriza_assets.service.context import PrincipalDep
from sunriza_assets_tests.service.key_server import PROJECT, SigningKey, key_server
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()


@router.get("/me")
async def me(principal: PrincipalDep) -> dict[str, object]:
    return {"uid": principal.uid, "via": principal.via, "scopes": sorted(principal.scopes)}


@router.post("/generate-dynamics")
async def generate(principal: PrincipalDep) -> dict[str, object]:
    return {"uid": principal.uid, "via": principal.via}


@router.post("/render")
async def render(principal: PrincipalDep) -> dict[str, object]:
    return {"uid": principal.uid}


@router.websocket("/ws/jobs/{job_id}")
async def socket(websocket: WebSocket, principal: PrincipalDep) -> None:
    await websocket.accept()
    await websocket.send_json({"uid": principal.uid})
    await websocket.close()


@pytest.fixture(scope="module")
def keys():
    with key_server() as keys:
        yield keys


@pytest.fixture(scope="module")
def served(tmp_path_factory, keys):
    service = make_service(
        tmp_path_factory.mktemp("home"),
        open_mode=False,
        SUNRIZA_CERTS_URL=keys.url,
        SUNRIZA_FIREBASE_PROJECT=PROJECT,
        SUNRIZA_CORS_ORIGINS="https://app.example.com",
    )
    with serving(service, router) as served:
        yield served


@pytest.fixture(scope="module")
def client(served):
    with served.client() as client:
        yield client


def refused(client, *credentials: tuple[str, str]) -> str:
    """The reason given for a 401; the request changes nothing else."""
    answer = client.get("/me", headers=list(credentials))
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "access.token"
    return answer.json()["detail"]


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def test_a_right_token_is_taken(client, keys):
    answer = client.get("/me", headers=[bearer(keys.token())])
    assert answer.json() == {"uid": "user-1", "via": "token", "scopes": ["jobs", "render"]}


def test_no_credential(client):
    refused(client)
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [
        "x",
        "%",
        "a.b.c",
        "....",
        "e30.e30.e30",
        "W1tbW1tb" * 900,
        "x" * 9000,
        "snz_short",
        f"snz_{'a' * 12}_{'b' * 43}",
    ],
)
def test_garbage(client, garbage):
    refused(client, bearer(garbage))


@pytest.mark.parametrize("kind", ["Basic dXNlcjpwYXNz", "Bearer", "token", ""])
def test_authorization_of_another_kind(client, kind):
    refused(client, ("Authorization", kind))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", None])
def test_algorithm_none(client, keys, name):
    refused(client, bearer(keys.token(header={"alg": name}, signature=b"")))
    refused(client, bearer(keys.token(header={"alg": name})))


def test_hmac_keyed_with_the_public_key(client, keys):
    certificate = keys.keys["k1"].certificate().encode()
    public = (
        keys.keys["k1"]
        .key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for key in (certificate, public):
        for algorithm in ("HS256", "RS256"):
            refused(client, bearer(keys.token(header={"alg": algorithm}, hmac_key=key)))


def test_expired(client, keys):
    token = keys.token(exp=int(time.time()) - 60, iat=int(time.time()) - 3600)
    assert "expired" in refused(client, bearer(token))


def test_issued_in_the_future(client, keys):
    refused(client, bearer(keys.token(iat=int(time.time()) + 600)))
    refused(client, bearer(keys.token(auth_time=int(time.time()) + 600)))


@pytest.mark.parametrize("audience", ["another", "", None, [PROJECT], {"a": 1}])
def test_wrong_audience(client, keys, audience):
    refused(client, bearer(keys.token(aud=audience)))


@pytest.mark.parametrize(
    "issuer", ["https://evil.example", f"https://securetoken.google.com/{PROJECT}/", None, 7]
)
def test_wrong_issuer(client, keys, issuer):
    refused(client, bearer(keys.token(iss=issuer)))


def test_unknown_key_id_and_another_signer(client, keys):
    stranger = SigningKey()
    refused(client, bearer(keys.token(header={"kid": "k9"}, signer=stranger)))
    refused(client, bearer(keys.token(header={"kid": None}, signer=stranger)))
    refused(client, bearer(keys.token(header={"kid": ["k1"]})))
    refused(client, bearer(keys.token(signer=stranger)))
    before = keys.asked
    for number in range(20):
        refused(client, bearer(keys.token(header={"kid": f"x{number}"}, signer=stranger)))
    assert keys.asked - before <= 1  # inventing key ids fetches nothing


@pytest.mark.parametrize("subject", ["", None, 7, "x" * 129, ["user-1"]])
def test_empty_or_odd_subject(client, keys, subject):
    refused(client, bearer(keys.token(sub=subject)))


@pytest.mark.parametrize("claim", ["exp", "iat", "auth_time"])
def test_times_that_are_no_numbers(client, keys, claim):
    for value in ("soon", None, True, [1]):
        refused(client, bearer(keys.token(**{claim: value})))


def test_two_credentials(client, keys):
    token = keys.token()
    for second in (bearer(token), bearer("x"), ("X-API-Key", "snz_x")):
        answer = client.get("/me", headers=[bearer(token), second])
        assert (answer.status_code, answer.json()["code"]) == (400, "access.credentials")


def test_a_key_until_it_is_revoked(served, client):
    text, key = make_key("user-7", ["jobs"], "a test's")
    served.service.orders.add_key(key)
    for header in (bearer(text), ("X-API-Key", text)):
        assert client.get("/me", headers=[header]).json()["uid"] == "user-7"
    assert client.post("/render", headers=[bearer(text)]).status_code == 403
    refused(client, bearer(text[:-1] + ("A" if text[-1] != "A" else "B")))
    served.service.orders.revoke_key(key.key_id)
    refused(client, bearer(text))


def test_a_key_in_the_query_is_ignored(served, client, keys):
    text, key = make_key("user-7", ["jobs"], "a test's")
    served.service.orders.add_key(key)
    for name in ("key", "token", "access_token", "api_key", "X-API-Key", "Authorization"):
        for credential in (text, keys.token()):
            assert client.get("/me", params={name: credential}).status_code == 401


def test_a_token_of_another_project(client, keys):
    other = keys.token(iss="https://securetoken.google.com/other", aud="other")
    refused(client, bearer(other))


def test_certificates_that_cannot_be_fetched_are_503(tmp_path, keys):
    service = make_service(
        tmp_path,
        open_mode=False,
        SUNRIZA_CERTS_URL="http://127.0.0.1:9/certs",
        SUNRIZA_FIREBASE_PROJECT=PROJECT,
    )
    with serving(service, router) as served, served.client() as client:
        answer = client.get("/me", headers=[bearer(keys.token())])
        assert (answer.status_code, answer.json()["code"]) == (503, "store.certificates")
        assert answer.headers["retry-after"]


def test_a_socket_takes_its_token_from_a_header_or_a_subprotocol(served, keys):
    url = f"ws://127.0.0.1:{served.port}/ws/jobs/1"
    token = keys.token()
    with connect(url, additional_headers=[bearer(token)]) as one:
        assert json.loads(one.recv()) == {"uid": "user-1"}
    offered = ["sunriza.v1", f"bearer.{token}"]
    with connect(url, subprotocols=offered) as one:
        assert one.subprotocol == "sunriza.v1"
        assert json.loads(one.recv()) == {"uid": "user-1"}


def test_sockets_without_a_right_token_are_closed_with_4401(served, keys):
    url = f"ws://127.0.0.1:{served.port}/ws/jobs/1"
    expired = keys.token(exp=int(time.time()) - 60)
    for target, options in (
        (url, {}),
        (url, {"subprotocols": ["sunriza.v1", "bearer.x"]}),
        (url, {"subprotocols": ["sunriza.v1", f"bearer.{expired}"]}),
        (f"{url}?token={keys.token()}", {}),
    ):
        with connect(target, **options) as one, pytest.raises(websockets.ConnectionClosed):
            one.recv()
        assert one.close_code == 4401


def test_pages_of_foreign_origins_get_no_socket(served, keys):
    url = f"ws://127.0.0.1:{served.port}/ws/jobs/1"
    for origin in ("https://evil.example", "null", "https://app.example.com.evil.example"):
        with pytest.raises(websockets.InvalidStatus) as refusal:
            connect(url, origin=origin, additional_headers=[bearer(keys.token())])
        assert refusal.value.response.status_code == 403
    with connect(
        url, origin="https://app.example.com", additional_headers=[bearer(keys.token())]
    ) as one:
        assert json.loads(one.recv()) == {"uid": "user-1"}
