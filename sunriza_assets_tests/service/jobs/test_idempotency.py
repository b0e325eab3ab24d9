"""One answer for one Idempotency-Key."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from resources.orders.store import IdempotencyKey, StoredAnswer
from sunriza_assets.errors import ConflictError
from sunriza_assets.service.idempotency import answered_once, form_fingerprint, json_fingerprint
from sunriza_assets_tests.service.jobs.world import World

BODY = {"avatar_id": "anna", "parameters": {"fps": 12, "loop": True}}


def post(client: httpx.Client, body: dict[str, object], key: str) -> httpx.Response:
    return client.post("/generate-dynamics", json=body, headers={"Idempotency-Key": key})


def test_fifty_equal_requests_at_once_are_one_job_and_one_answer(served: World) -> None:
    served.add_avatar()
    with served.client() as client, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(client, BODY, "k-1"), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert sorted(map(str, replayed)) == ["None"] + ["true"] * 49
    assert len(served.orders.page("alice").orders) == 1


def test_the_order_of_names_makes_no_other_request(served: World) -> None:
    served.add_avatar()
    with served.client() as client:
        first = post(client, BODY, "k-1")
        again = post(client, {"parameters": {"loop": True, "fps": 12}, "avatar_id": "anna"}, "k-1")
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


def test_another_request_with_a_used_key_is_refused(served: World) -> None:
    served.add_avatar()
    with served.client() as client:
        post(client, BODY, "k-1")
        answer = post(client, {"avatar_id": "anna"}, "k-1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.mismatch")
    assert len(served.orders.page("alice").orders) == 1


def test_a_key_belongs_to_its_user(served: World) -> None:
    served.add_avatar("anna", "alice")
    served.add_avatar("ben", "bob")
    with served.client("alice") as alice, served.client("bob") as bob:
        mine = post(alice, {"avatar_id": "anna"}, "k-1").json()
        theirs = post(bob, {"avatar_id": "ben"}, "k-1")
    assert theirs.status_code == 200
    assert theirs.json()["job_id"] != mine["job_id"]


def test_the_replayed_answer_is_the_first_one_after_the_job_has_ended(served: World) -> None:
    served.add_avatar()
    with served.client() as client:
        first = post(client, BODY, "k-1")
        job_id = first.json()["job_id"]
        client.post(f"/jobs/{job_id}/cancel")
        again = post(client, BODY, "k-1")
        assert again.content == first.content
        assert post(client, BODY, "k-2").json()["job_id"] != job_id


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256, "a\tb"])
def test_what_is_no_key_is_refused(served: World, key: str) -> None:
    served.add_avatar()
    with served.client() as client:
        answer = client.post(
            "/generate-dynamics", json=BODY, headers={"Idempotency-Key": key.encode("latin-1")}
        )
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter.idempotency_key")
    assert served.orders.page("alice").orders == []


def test_fingerprints_tell_requests_apart() -> None:
    assert json_fingerprint({"a": 1, "b": [1]}) == json_fingerprint({"b": [1], "a": 1})
    assert json_fingerprint({"a": [1, 2]}) != json_fingerprint({"a": [2, 1]})
    one = form_fingerprint({"emotion": ["happy"]}, {"source_image": ["00"]})
    assert one != form_fingerprint({"emotion": ["happy"]}, {"source_image": ["01"]})
    assert one != form_fingerprint({"emotion": ["happy", "sad"]}, {"source_image": ["00"]})
    assert one != form_fingerprint({"source_image": ["00"]}, {"emotion": ["happy"]})


class TestAnsweredOnce:
    """Requests that spend without making a job."""

    KEY = IdempotencyKey("alice", "POST /render", "k-1", "f" * 64)

    def run(
        self, served: World, key: IdempotencyKey | None, work: Callable[[], Awaitable[StoredAnswer]]
    ) -> tuple[int, bytes, str | None]:
        response = asyncio.run(answered_once(served.service, key, work))
        return (
            response.status_code,
            bytes(response.body),
            response.headers.get("idempotency-replayed"),
        )

    def test_the_work_is_done_once(self, served: World) -> None:
        done = []

        async def work() -> StoredAnswer:
            done.append(1)
            return StoredAnswer(200, {"filename": "a.png"})

        first = self.run(served, self.KEY, work)
        again = self.run(served, self.KEY, work)
        assert first == (200, b'{"filename":"a.png"}', None)
        assert again == (200, b'{"filename":"a.png"}', "true")
        assert len(done) == 1
        self.run(served, None, work)
        assert len(done) == 2

    def test_what_has_failed_may_be_tried_again(self, served: World) -> None:
        async def fails() -> StoredAnswer:
            raise ConflictError("no", code="x")

        async def work() -> StoredAnswer:
            return StoredAnswer(200, {})

        with pytest.raises(ConflictError):
            self.run(served, self.KEY, fails)
        assert self.run(served, self.KEY, work)[0] == 200

    def test_what_is_under_way_is_not_begun_again(self, served: World) -> None:
        async def within() -> StoredAnswer:
            with pytest.raises(ConflictError) as caught:
                await answered_once(served.service, self.KEY, within)
            assert caught.value.code == "conflict.in_progress"
            return StoredAnswer(200, {})

        assert self.run(served, self.KEY, within)[0] == 200
