"""Keys, quota and signing secrets over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.orders.order import Order, new_order_id
from resources.orders.store import Quota
from sunriza_assets_tests.service.studio.world import World, studio_world

ALL = ("render", "jobs", "metrics", "admin")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with studio_world(tmp_path_factory.mktemp("account")) as world:
        yield world


def test_a_key_is_made_shown_once_used_and_revoked(world: World) -> None:
    client = world.client("ann", ALL)
    answer = client.post("/keys", json={"name": "website", "scopes": ["render", "jobs"]})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    made = answer.json()
    used = {"X-API-Key": made["key"]}
    assert client.get("/keys").text.count(made["key"]) == 0
    other = world.client(None)
    assert other.get("/me", headers=used).json()["uid"] == "ann"
    assert other.get("/me", headers=used).json()["scopes"] == ["jobs", "render"]
    assert client.delete(f"/keys/{made['id']}").status_code == 204
    assert other.get("/me", headers=used).status_code == 401
    [shown] = [key for key in client.get("/keys").json()["keys"] if key["id"] == made["id"]]
    assert shown["revoked_at"]


def test_a_key_without_admin_makes_no_keys(world: World) -> None:
    client = world.client("ann", ("jobs", "render"))
    assert client.post("/keys", json={"name": "x", "scopes": ["jobs"]}).status_code == 403
    assert client.delete("/keys/abcdefghijkl").status_code == 403
    assert client.get("/keys").status_code == 200


def test_nobody_hands_out_more_than_he_has(world: World) -> None:
    client = world.client("ann", ("jobs", "admin"))
    answer = client.post("/keys", json={"name": "x", "scopes": ["metrics"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "access.scope")
    for wrong in ({"name": ""}, {"name": "x", "scopes": []}, {"name": "x", "scopes": ["root"]}, {}):
        assert client.post("/keys", json=wrong).status_code == 422


def test_foreign_keys_are_absent(world: World) -> None:
    mine, theirs = world.client("ann", ALL), world.client("ben", ALL)
    made = mine.post("/keys", json={"name": "mine", "scopes": ["jobs"]}).json()
    answers = [theirs.delete(f"/keys/{key_id}") for key_id in (made["id"], "abcdefghijkl", "x")]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert made["id"] not in theirs.get("/keys").text


def test_who_i_am_and_what_i_may_use(world: World) -> None:
    order = Order(new_order_id(), "dynamics", "cleo", "accepted", datetime.now(UTC))
    world.service.orders.accept(order, quota=Quota())
    me = world.client("cleo").get("/me").json()
    assert (me["uid"], me["via"], me["scopes"]) == ("cleo", "key", ["jobs", "render"])
    assert me["unfinished_jobs"] == {"limit": 3, "used": 1}
    assert me["jobs_per_day"] == {"limit": 50, "used": 1}
    assert me["credits"] is None


def test_any_credential_may_ask_whose_it_is(world: World) -> None:
    for scope in ("render", "metrics"):
        answer = world.client("cleo", (scope,)).get("/me")
        assert (answer.status_code, answer.json()["scopes"]) == (200, [scope])


def test_open_mode_has_no_limits(tmp_path: Path) -> None:
    with studio_world(tmp_path, open_mode=True) as world:
        me = world.client(None).get("/me").json()
        assert (me["uid"], me["via"]) == ("local", "open")
        assert me["unfinished_jobs"]["limit"] is None
        assert me["reads_per_minute"] is None


def test_signing_secrets_are_shown_and_rotated(world: World) -> None:
    client = world.client("dora")
    [first] = client.get("/webhooks/secret").json()["secrets"]
    assert first.startswith("whsec_")
    second = client.post("/webhooks/secret/rotate").json()["secret"]
    assert client.get("/webhooks/secret").json()["secrets"] == [second, first]
    assert first not in world.client("eve").get("/webhooks/secret").text
