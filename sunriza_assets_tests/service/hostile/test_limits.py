"""Callers who send too much, and who pretend to be others.

Case 64 forged X-Forwarded-For; rates, uploads of a day, old app builds without a token.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import APIRouter, Request

from sunriza_assets.service.auth.keys import make_key
from sunriza_assets.service.context import PrincipalDep
from sunriza_assets.service.uploads import UploadRules, uploaded
from sunriza_assets_tests.service.jobs.world import world
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()
MULTIPART = {"requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}


@router.get("/things")
async def things(request: Request) -> dict[str, str]:
    return {"address": request.state.client.address, "scheme": request.url.scheme}


@router.post("/generate-dynamics")
async def generate(principal: PrincipalDep) -> dict[str, str]:
    return {"uid": principal.uid, "via": principal.via}


@router.post("/render", openapi_extra=MULTIPART)
async def render(request: Request) -> dict[str, int]:
    async with uploaded(request, UploadRules(files=("source_image",))) as form:
        return {"size": form.files["source_image"][0].size}


LIMITS = {
    "SUNRIZA_READS_PER_MINUTE": "60",
    "SUNRIZA_JOBS_PER_MINUTE": "3",
    "SUNRIZA_RENDERS_PER_MINUTE": "50",
    "SUNRIZA_UPLOAD_BYTES_PER_DAY": "4000",
}


@pytest.fixture
def key():
    return make_key("user-1", ["jobs", "render"], "a test's")


def serve(root, key, **settings):
    service = make_service(root, open_mode=False, **{**LIMITS, **settings})
    service.orders.add_key(key[1])
    return serving(service, router)


def test_rates_hold_for_each_caller(tmp_path, key):
    other = make_key("user-2", ["jobs"], "another")
    with serve(tmp_path, key) as served:
        served.service.orders.add_key(other[1])
        with served.client(authorization=f"Bearer {key[0]}") as client:
            answers = [client.post("/generate-dynamics") for _ in range(4)]
            assert [one.status_code for one in answers] == [200, 200, 200, 429]
            assert answers[0].headers["ratelimit"] == '"orders";r=2'
            assert answers[0].headers["ratelimit-policy"] == '"orders";q=3;w=60'
            assert int(answers[3].headers["retry-after"]) > 0
            assert answers[3].json()["code"] == "limit.rate"
            reads = [client.get("/things").status_code for _ in range(80)]
            # The jobs count, too; a block's rounding.
            assert 60 <= len(answers) + reads.count(200) <= 62
        with served.client(authorization=f"Bearer {other[0]}") as client:
            assert client.post("/generate-dynamics").status_code == 200


def test_uploaded_bytes_are_counted(tmp_path, key):
    with serve(tmp_path, key) as served, served.client(authorization=f"Bearer {key[0]}") as client:
        answers = [
            client.post("/render", files={"source_image": bytes([1]) * 1000}) for _ in range(4)
        ]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert answers[3].json()["code"] == "limit.uploads"
        assert answers[0].json() == {"size": 1000}


def test_forged_forwarding_headers_count_for_nothing(tmp_path):
    with serving(make_service(tmp_path), router) as served, served.client() as client:
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
            answer = client.get("/things", headers={name: "1.2.3.4"})
            assert answer.json() == {"address": "127.0.0.1", "scheme": "http"}
        assert (
            "strict-transport-security"
            not in client.get("/things", headers={"X-Forwarded-Proto": "https"}).headers
        )


def test_a_trusted_proxy_names_the_caller_it_has_seen(tmp_path):
    service = make_service(tmp_path, SUNRIZA_TRUSTED_PROXIES="127.0.0.0/8, 10.1.0.0/16")
    with serving(service, router) as served, served.client() as client:
        for forwarded, address in (
            ("1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4", "1.2.3.4"),  # the left one was written by the caller
            ("6.6.6.6, 1.2.3.4, 10.1.2.3", "1.2.3.4"),
            ("6.6.6.6, nonsense", "127.0.0.1"),
            ("2001:db8::7", "2001:db8::7"),
        ):
            answer = client.get("/things", headers={"X-Forwarded-For": forwarded})
            assert answer.json()["address"] == address
        secure = client.get("/things", headers={"X-Forwarded-Proto": "https"})
        assert secure.headers["strict-transport-security"]
        assert secure.json()["scheme"] == "https"


def test_old_app_builds_are_served_until_a_date(tmp_path):
    trusted = {"SUNRIZA_TRUSTED_PROXIES": "127.0.0.1"}
    until = make_service(
        tmp_path / "a", open_mode=False, SUNRIZA_AUTH="anonymous-until=2999-01-01", **trusted
    )
    with serving(until, router) as served, served.client() as client:
        first = client.post("/generate-dynamics", headers={"X-Forwarded-For": "9.9.9.1"})
        assert first.json() == {"uid": "anonymous:9.9.9.0/24", "via": "anonymous"}
        assert first.headers["deprecation"].startswith("@")
        assert first.headers["sunset"] == "Tue, 01 Jan 2999 00:00:00 GMT"
        assert client.get("/things").status_code == 401
        assert client.post("/render", files={"source_image": b"x"}).status_code == 401
        # Six an hour for each network, whoever in it asks.
        answers = [
            client.post("/generate-dynamics", headers={"X-Forwarded-For": f"9.9.9.{n}"})
            for n in range(2, 9)
        ]
        assert [one.status_code for one in answers] == [200] * 5 + [429] * 2
        other = client.post("/generate-dynamics", headers={"X-Forwarded-For": "9.9.8.1"})
        assert other.status_code == 200
    over = make_service(tmp_path / "b", open_mode=False, SUNRIZA_AUTH="anonymous-until=2020-01-01")
    with serving(over, router) as served, served.client() as client:
        assert client.post("/generate-dynamics").status_code == 401


def test_metrics_are_for_this_machine_or_a_key(tmp_path):
    text, key = make_key("ops", ["metrics"], "prometheus")
    plain, other = make_key("user-1", ["jobs"], "an app's")
    with serve(tmp_path, (text, key), SUNRIZA_TRUSTED_PROXIES="") as served:
        served.service.orders.add_key(other)
        with served.client() as client:
            assert client.get("/metrics").status_code == 200
            # Through a proxy on this machine, it is not this machine that asks.
            behind = {"X-Forwarded-For": "8.8.8.8"}
            assert client.get("/metrics", headers=behind).status_code == 401
            allowed = {**behind, "X-API-Key": text}
            assert client.get("/metrics", headers=allowed).status_code == 200
            assert client.get("/metrics", headers={**behind, "X-API-Key": plain}).status_code == 403
            assert client.get("/things", headers={"X-API-Key": text}).status_code == 403


def test_an_answer_that_is_given_again_costs_nothing_of_the_rate(tmp_path):
    """Case 53 with a rate: equal requests at once are one job, however few may be made."""
    with world(tmp_path, SUNRIZA_JOBS_PER_MINUTE="2", SUNRIZA_RENDERS_PER_MINUTE="1") as served:
        for avatar_id in ("anna", "berta", "cleo"):
            served.add_avatar(avatar_id)

        def ask(avatar_id):
            headers = {"Idempotency-Key": f"key-of-{avatar_id}"}
            return client.post("/generate-dynamics", json={"avatar_id": avatar_id}, headers=headers)

        with served.client() as client, ThreadPoolExecutor(10) as pool:
            equal = list(pool.map(ask, ["anna"] * 20))
            assert {one.status_code for one in equal} == {200}
            assert len({one.content for one in equal}) == 1
            limits = sorted({one.headers["ratelimit"].partition(";")[0] for one in equal})
            assert limits == ['"orders"', '"reads"']
            assert ask("berta").status_code == 200
            refused = ask("cleo")
            assert (refused.status_code, refused.json()["code"]) == (429, "limit.rate")
            assert refused.headers["ratelimit"].startswith('"orders";r=0')
            assert ask("anna").headers["idempotency-replayed"] == "true"


def test_repetitions_count_as_requests(tmp_path):
    """The general rate holds for them, so a key is no way around all limits."""
    with world(tmp_path, SUNRIZA_READS_PER_MINUTE="5") as served, served.client() as client:
        served.add_avatar()
        sent = {"json": {"avatar_id": "anna"}, "headers": {"Idempotency-Key": "one"}}
        answers = [client.post("/generate-dynamics", **sent) for _ in range(7)]
    assert [one.status_code for one in answers] == [200] * 5 + [429] * 2
