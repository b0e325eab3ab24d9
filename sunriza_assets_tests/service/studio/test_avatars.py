"""A caller's avatars over HTTP: listing, showing, deleting."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.orders.order import Order, new_order_id
from resources.orders.store import Quota
from sunriza_assets_tests.service.studio.world import World, studio_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with studio_world(tmp_path) as world:
        yield world


def test_a_listing_holds_the_callers_avatars_with_their_pictures(world: World) -> None:
    world.add("anna", "u")
    version = world.publish("anna", "run-1")
    world.add("ben", "v")
    client = world.client("u")
    answer = client.get("/avatars")
    assert answer.status_code == 200
    [row] = answer.json()["avatars"]
    assert answer.json()["next_cursor"] is None
    assert (row["id"], row["name"], row["state"]) == ("anna", "Anna", "ready")
    assert row["version"] == version
    for field in ("thumbnail_url", "poster_url", "idle_url"):
        found = client.get(row[field])
        assert found.status_code == 200
        assert found.content.startswith(b"run-1 ")
        assert world.client("v").get(row[field]).status_code == 404
    tag = answer.headers["etag"]
    assert client.get("/avatars", headers={"If-None-Match": tag}).status_code == 304


def test_states_search_and_pages(world: World) -> None:
    for number in range(6):
        world.add(f"a{number}", "u")
    world.publish("a2", "run-1")
    world.avatars.claim("a4", "run-2")
    world.avatars.progress("a4", "run-2", 40, eta_s=7)
    client = world.client("u")
    rows = client.get("/avatars", params={"state": ["ready", "generating"]}).json()["avatars"]
    assert {row["id"]: row["state"] for row in rows} == {"a2": "ready", "a4": "generating"}
    [row] = client.get("/avatars", params={"q": "A4"}).json()["avatars"]
    assert (row["progress"], row["eta_seconds"]) == (40, 7)
    seen, cursor = [], None
    while True:
        asked = {"limit": 2, "sort": "name"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/avatars", params=asked).json()
        seen += [row["id"] for row in page["avatars"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"a{number}" for number in range(6)]
    for wrong in ({"cursor": "x"}, {"limit": 0}, {"limit": 101}, {"sort": "x"}, {"state": "x"}):
        answer = client.get("/avatars", params=wrong)
        assert answer.status_code in (400, 422)
        assert isinstance(answer.json()["detail"], str)


def test_open_mode_shows_everything(tmp_path: Path) -> None:
    with studio_world(tmp_path, open_mode=True) as world:
        world.add("anna", "u")
        world.add("nobodys", None)
        rows = world.client(None).get("/avatars").json()["avatars"]
        assert {row["id"] for row in rows} == {"anna", "nobodys"}


def test_one_avatar_with_all_that_may_be_changed(world: World) -> None:
    world.add("anna", "u")
    world.publish("anna", "run-1", lips="still")
    client = world.client("u")
    answer = client.get("/avatars/anna")
    shown = answer.json()
    assert shown["parameters"]["lips"] == "still"
    assert shown["effective_parameters"]["driving_multiplier"] == 1.7
    assert shown["inputs"]["performance"] == "calm"
    assert client.get(shown["inputs"]["portrait_url"]).headers["content-type"] == "image/jpeg"
    assert shown["files"]["idleVideoUrl"].endswith("/idle.mp4")
    assert "/home/" not in answer.text
    assert (
        client.get("/avatars/anna", headers={"If-None-Match": answer.headers["etag"]}).status_code
        == 304
    )


def test_a_deleted_avatar_is_gone_from_every_answer_at_once(world: World) -> None:
    world.add("anna", "u")
    version = world.publish("anna", "run-1")
    order = Order(new_order_id(), "dynamics", "u", "accepted", datetime.now(UTC), avatar_id="anna")
    world.service.orders.accept(order, quota=Quota())
    client = world.client("u")
    assert client.delete("/avatars/anna").status_code == 204
    assert client.get("/avatars").json()["avatars"] == []
    for path in (
        "", "/files", "/versions", "/zip", "/gallery", "/lineage",
        f"/versions/{version}/files/idle.mp4", "/inputs/portrait",
    ):  # fmt: skip
        assert client.get(f"/avatars/anna{path}").status_code == 404, path
    assert client.delete("/avatars/anna").status_code == 404
    stored = world.service.orders.get(order.order_id)
    assert stored is not None
    assert stored.state == "cancelled"
    assert world.avatars.retired(10) == ["anna"]  # the purge finds it


def test_a_missing_avatar_is_told_like_a_foreign_one(world: World) -> None:
    world.add("bens", "v")
    client = world.client("u")
    answers = [client.get(f"/avatars/{name}") for name in ("bens", "nobody", "x" * 200, "a b", "é")]
    assert [answer.status_code for answer in answers] == [404] * 5
    details = {answer.json()["detail"] for answer in answers}
    assert len(details) == 1


def test_a_document_whose_id_is_a_former_owners_shows_an_error_alone(world: World) -> None:
    world.add("anna", "u")
    world.publish("anna", "run-1")
    path = world.service.home.avatars / "anna.json"
    path.write_text(path.read_text().replace('"userId": "u"', '"userId": "v"'))
    client = world.client("v")
    [row] = client.get("/avatars").json()["avatars"]
    assert (row["state"], row["version"], row["idle_url"]) == ("error", None, None)
    assert client.get("/avatars/anna").json()["files"] == {}
    assert client.get("/avatars/anna/versions").status_code == 404
