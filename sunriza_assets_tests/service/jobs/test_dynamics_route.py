"""`generate-dynamics` as the app, its documentation and other backends call it."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resources.orders.order import is_order_id
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.service.jobs.world import World, world

APP_BODY = (
    '{"avatar_id":"anna","dynamics_id":"basic","parameters":{"driving_multiplier":0.41,'
    '"scale":2.0,"source_max_dim":1600,"animation_region":"all"}}'
)


@pytest.mark.parametrize("path", ["/", "/generate-dynamics"])
def test_the_apps_call_byte_for_byte(served: World, path: str) -> None:
    """As Dart's `http` sends it; whoever reads the answer reads these names and nothing else."""
    served.add_avatar()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.putrequest("POST", path, skip_accept_encoding=True)
    for name, value in (
        ("user-agent", "Dart/3.9 (dart:io)"),
        ("content-type", "application/json"),
        ("accept-encoding", "gzip"),
        ("content-length", str(len(APP_BODY))),
        ("authorization", f"Bearer {served.token('alice')}"),
    ):
        connection.putheader(name, value)
    connection.endheaders(APP_BODY.encode())
    answer = connection.getresponse()
    assert answer.status == 200
    body = json.loads(answer.read())
    assert body["status"] == "generating"
    assert (body["avatar_id"], body["dynamics_id"]) == ("anna", "basic")
    assert body["estimated_seconds"] == 120
    assert type(body["estimated_seconds"]) is int
    assert isinstance(body["message"], str)
    assert is_order_id(body["job_id"])
    assert body["job_url"] == f"/jobs/{body['job_id']}"
    assert body["deduplicated"] is False
    document = served.avatars.get("anna")
    assert (document.status, document.basic["jobId"]) == ("pending", body["job_id"])
    assert document.wishes == {
        "drivingMultiplier": 0.41,
        "stitchingRetargetingEyesWidth": 1600,
        "animationRegion": "all",
    }
    order = served.order(body["job_id"])
    assert (order.owner, order.kind, order.state) == ("alice", "dynamics", "accepted")
    assert order.inputs_version == document.inputs_version
    assert order.inputs == {
        "parameters": document.wishes,
        "dynamics_id": "basic",
        "publish": True,
        "force": False,
    }


@pytest.mark.parametrize(
    "body",
    [
        {
            "avatar_id": "anna",
            "hero_image_url": "https://evil.example.com/x.jpg",
            "hero_video_url": "https://evil.example.com/x.mp4",
            "driving_multiplier": 1.2,
            "scale_multiplier": 0.5,
            "stitching_retargeting_eyes_width": 1024,
        },
        {
            "avatarId": "anna",
            "dynamicsId": "basic",
            "parameters": {
                "drivingMultiplier": 1.2,
                "scaleMultiplier": 0.5,
                "sourceMaxDim": 1024,
                "scale": 1.7,
            },
        },
        {
            "avatar_id": "anna",
            "parameters": {"driving_multiplier": 1.2, "scale_multiplier": 0.5},
            "source_maxdim": 1024,
        },
    ],
    ids=["documented", "camel", "mixed"],
)
def test_each_shape_asks_for_the_same(served: World, body: dict[str, object]) -> None:
    served.add_avatar()
    with served.client() as client:
        assert client.post("/generate-dynamics", json=body).status_code == 200
    document = served.avatars.get("anna")
    assert document.wishes == {
        "drivingMultiplier": 1.2,
        "scaleMultiplier": 0.5,
        "stitchingRetargetingEyesWidth": 1024,
    }
    assert document.hero_image_url == "avatars/anna/images/hero.png"


def test_a_double_tap_is_one_job(served: World) -> None:
    served.add_avatar()
    with ThreadPoolExecutor(8) as pool, served.client() as client:
        answers = list(
            pool.map(
                lambda _: client.post("/generate-dynamics", json=json.loads(APP_BODY)).json(),
                range(8),
            )
        )
    assert len({answer["job_id"] for answer in answers}) == 1
    assert sorted(answer["deduplicated"] for answer in answers) == [False] + [True] * 7
    assert served.avatars.get("anna").basic["jobId"] == answers[0]["job_id"]
    with served.client() as client:
        other = client.post("/", json={"avatar_id": "anna", "parameters": {"fps": 12}}).json()
    assert other["job_id"] != answers[0]["job_id"]


@pytest.mark.parametrize("body", ["{}", '{"avatar_id":""}', '{"avatar_id":null}'])
def test_the_words_for_a_missing_avatar_id_are_the_known_ones(served: World, body: str) -> None:
    with served.client() as client:
        answer = client.post("/", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == answer.json()["error"] == "avatar_id required"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"dynamics_id": "daumen_hoch"}, "daumen_hoch"),
        ({"parameters": {"driving_multiplyer": 1}}, "driving_multiplier"),
        ({"driving_multiplyer": 1}, "driving_multiplier"),
        ({"parameters": {"driving_multiplier": 99}}, "0 to 3"),
        ({"parameters": {"emotion": "bored"}}, "neutral"),
        ({"fps": 99, "parameters": {"fps": 12}}, "1 to 60"),
        ({"parameters": [1]}, "object"),
        ({"webhook_url": 5}, "text"),
        ({"webhook_url": "https://example.com/", "webhook_events": "job.done"}, "list"),
        ({"publish": "maybe"}, "publish"),
        ({"webhook_url": "http://example.com/"}, "https"),
        ({"webhook_url": "https://127.0.0.1/"}, "public"),
        ({"webhook_url": "https://[::1]/"}, "public"),
        ({"webhook_url": "https://u:p@example.com/"}, "credentials"),
        ({"webhook_url": "https://example.com:8443/"}, "443"),
        ({"webhook_url": "https://example.com/", "webhook_events": ["job.don"]}, "job.done"),
    ],
)
def test_what_nobody_can_make_is_refused_and_leaves_no_job(
    served: World, body: dict[str, object], says: str
) -> None:
    served.add_avatar()
    with served.client() as client:
        answer = client.post("/generate-dynamics", json={"avatar_id": "anna", **body})
        assert answer.status_code in (400, 422), answer.text
        assert says in answer.json()["detail"]
        assert client.get("/jobs").json()["jobs"] == []
    assert served.avatars.get("anna").status is None


def test_a_foreign_avatar_is_an_absent_one(served: World) -> None:
    served.add_avatar("anna", "bob")
    with served.client("alice") as client:
        answers = [
            client.post("/generate-dynamics", json={"avatar_id": avatar_id})
            for avatar_id in ("anna", "nobody")
        ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert answers[0].json()["code"] == answers[1].json()["code"] == "avatar.missing"
    assert served.avatars.get("anna").status is None


def test_an_avatar_without_portrait_or_clip_is_a_conflict(served: World) -> None:
    served.avatars.merge("bare", {"userId": "alice"})
    served.avatars.merge("still", {"userId": "alice", "avatarImageUrl": "x"})
    served.avatars.merge(
        "calm",
        {"userId": "alice", "avatarImageUrl": "x", "training": {"performance": "calm"}},
    )
    with served.client() as client:
        answers = {
            one: client.post("/generate-dynamics", json={"avatar_id": one})
            for one in ("bare", "still", "calm")
        }
    assert [answers["bare"].status_code, answers["bare"].json()["code"]] == [
        409,
        "avatar.no_image",
    ]
    assert [answers["still"].status_code, answers["still"].json()["code"]] == [
        409,
        "avatar.no_video",
    ]
    assert answers["calm"].status_code == 200


def test_a_draft_leaves_the_document_as_it_is(served: World) -> None:
    served.add_avatar()
    before = served.avatars.get("anna")
    job_id = served.make_job(publish=False, parameters={"fps": 12})
    assert served.avatars.get("anna") == before
    assert served.order(job_id).inputs["publish"] is False
    assert served.order(job_id).inputs["parameters"] == {"fps": 12.0}


def test_a_refused_job_leaves_no_request_in_the_document(tmp_path: Path) -> None:
    with world(tmp_path, SUNRIZA_UNFINISHED_JOBS="1") as served:
        served.add_avatar("anna")
        served.add_avatar("ben")
        served.make_job("anna")
        with served.client() as client:
            answer = client.post("/generate-dynamics", json={"avatar_id": "ben"})
        assert answer.status_code == 429
        assert served.avatars.get("ben").status is None


def test_an_avatars_first_run_is_free_by_the_servers_record(tmp_path: Path) -> None:
    with world(tmp_path, SUNRIZA_CREDITS="enforce") as served:
        served.add_avatar(training={"heroVideoUrl": "x", "dynamicsFreeUsed": False})
        first = served.make_job()
        served.change(first, state="running", run_id="r")
        served.change(first, state="done")
        with served.client() as client:
            body = {"avatar_id": "anna", "parameters": {"fps": 12}}
            answer = client.post("/generate-dynamics", json=body)
            assert (answer.status_code, answer.json()["code"]) == (402, "credits.insufficient")
            served.orders.add_credits("alice", 5)
            assert client.post("/generate-dynamics", json=body).status_code == 200
        assert served.orders.credits("alice") == 0


def test_an_order_is_not_lost_where_the_document_cannot_be_written(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is there; the dispatcher writes the wishes when it takes the order up."""
    served.add_avatar()

    def fails(*_: object, **__: object) -> None:
        raise StoreError("The disk is full", code="full")

    with monkeypatch.context() as broken:
        broken.setattr(served.avatars, "ask", fails)
        job_id = served.make_job(parameters={"fps": 12})
    assert served.order(job_id).state == "accepted"
    asked = served.avatars.ask(
        "anna", parameters=served.order(job_id).inputs["parameters"], job_id=job_id
    )
    assert asked.inputs_version == served.order(job_id).inputs_version


def test_old_app_builds_may_call_without_a_token_for_a_while(tmp_path: Path) -> None:
    with world(tmp_path, SUNRIZA_AUTH="anonymous-until=2099-01-01") as served:
        served.add_avatar()
        with served.client(None) as client:
            answer = client.post("/", json={"avatar_id": "anna"})
            assert answer.status_code == 200
            assert answer.headers["sunset"]
            assert client.get(answer.json()["job_url"]).status_code == 401
        assert served.order(answer.json()["job_id"]).owner == "alice"


def test_everything_is_visible_in_open_mode(tmp_path: Path) -> None:
    with world(tmp_path, open_mode=True) as served:
        served.add_avatar("anna", "somebody")
        with served.client(None) as client:
            job_id = client.post("/", json={"avatar_id": "anna"}).json()["job_id"]
            assert [job["id"] for job in client.get("/jobs").json()["jobs"]] == [job_id]


def test_a_cancelled_job_leaves_the_wishes_as_they_were(served: World) -> None:
    """Of two jobs, one laid over the other, too, in whatever order they are cancelled."""
    served.add_avatar(dynamics={"basic": {"parameters": {"fps": 25}}})
    first = served.make_job(parameters={"drivingMultiplier": 2.0})
    assert served.avatars.get("anna").wishes == {"fps": 25, "drivingMultiplier": 2.0}
    second = served.make_job(parameters={"fps": 12})
    with served.client() as client:
        client.post(f"/jobs/{first}/cancel")
        assert served.avatars.get("anna").wishes == {"fps": 12, "drivingMultiplier": 2.0}
        client.post(f"/jobs/{second}/cancel")
    document = served.avatars.get("anna")
    assert document.wishes == {"fps": 25}
    assert not document.needs_run and document.status == "error"
