"""Every route of an avatar tells a foreign avatar and a missing one alike, and asks who calls."""

from collections.abc import Iterator
from typing import Any

import pytest

from sunriza_assets_tests.service.studio.world import World, studio_world

ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/avatars/{id}", {}),
    ("PATCH", "/avatars/{id}", {"json": {"name": "Mine"}}),
    ("PATCH", "/avatars/{id}", {"files": {"portrait": ("x", b"\xff\xd8\xff x")}}),
    ("DELETE", "/avatars/{id}", {}),
    ("POST", "/avatars/{id}/preview", {"json": {"parameters": {}}}),
    ("GET", "/avatars/{id}/versions", {}),
    ("POST", "/avatars/{id}/versions/{version}/publish", {}),
    ("DELETE", "/avatars/{id}/versions/{version}", {}),
    ("GET", "/avatars/{id}/versions/{version}/files/idle.mp4", {}),
    ("GET", "/avatars/{id}/files", {}),
    ("GET", "/avatars/{id}/zip", {}),
    ("GET", "/avatars/{id}/gallery", {}),
    ("GET", "/avatars/{id}/lineage", {}),
    ("GET", "/avatars/{id}/inputs/portrait", {}),
    ("GET", "/forecast?avatar_id={id}", {}),
]
OTHERS = [
    ("GET", "/avatars"), ("POST", "/avatars"), ("POST", "/inspect"), ("GET", "/performances"),
    ("GET", "/parameters"), ("GET", "/costs"), ("GET", "/forecast"), ("GET", "/keys"),
    ("POST", "/keys"), ("DELETE", "/keys/x"), ("GET", "/me"), ("GET", "/webhooks/secret"),
    ("POST", "/webhooks/secret/rotate"),
]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with studio_world(tmp_path_factory.mktemp("owners")) as world:
        world.add("bens", "ben")
        world.publish("bens", "run-1")
        world.publish("bens", "run-2")
        yield world


@pytest.mark.parametrize(("method", "path", "sent"), ROUTES)
def test_a_foreign_avatar_is_absent(
    world: World, method: str, path: str, sent: dict[str, Any]
) -> None:
    before = world.avatars.get("bens")
    version = before.record.published[0].version
    client = world.client("ann")
    answers = [
        client.request(method, path.format(id=name, version=version), **sent)
        for name in ("bens", "nobodys")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert len({(answer.json()["detail"], answer.json()["code"]) for answer in answers}) == 1
    assert world.avatars.get("bens") == before


@pytest.mark.parametrize(
    ("method", "path"), [*OTHERS, *[(method, path) for method, path, _ in ROUTES]]
)
def test_nobody_is_told_anything(world: World, method: str, path: str) -> None:
    answer = world.client(None).request(method, path.format(id="bens", version="1"))
    assert (answer.status_code, answer.json()["code"]) == (401, "access.token")


def test_a_key_for_pictures_alone_sees_no_avatars(world: World) -> None:
    client = world.client("ben", ("render",))
    for path in ("/avatars", "/avatars/bens", "/costs", "/avatars/bens/zip"):
        assert client.get(path).status_code == 403


def test_an_operator_sees_everybodys(world: World) -> None:
    client = world.client("root", ("jobs", "admin"))
    assert [row["id"] for row in client.get("/avatars").json()["avatars"]] == ["bens"]
    assert client.get("/avatars/bens/versions").status_code == 200
