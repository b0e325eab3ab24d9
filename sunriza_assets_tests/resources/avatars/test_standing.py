"""The standing of avatars, computed from real documents, and shown by `avatar_status`."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.avatars.local import LocalAvatars
from resources.avatars.standing import standing_of
from resources.home import Home
from resources.services import Stores
from sunriza_assets.cli.backfill import chosen_avatars
from sunriza_assets.graph.assets.status import avatar_status

INPUTS: dict[str, Any] = {
    "training": {"heroImageUrl": "avatars/a/p.jpg", "heroVideoUrl": "avatars/a/v.mp4"}
}


@pytest.fixture
def avatars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAvatars:
    """Five avatars, each standing somewhere else."""
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    store = LocalAvatars(Home(tmp_path))
    for name in ("ready", "stale", "new", "failed", "working"):
        store.merge(name, INPUTS)
    store.merge("empty", {"name": "no inputs yet"})
    for name in ("ready", "stale"):
        store.claim(name, f"run-{name}")
        store.publish(
            name,
            f"run-{name}",
            version="v000001-00000000",
            results={"idleVideoUrl": "file:///idle.mp4"},
            parameters={"drivingMultiplier": 1.7},
            overridden={"drivingMultiplier": {"by": 1.7, "document": None}},
        )
    store.merge("stale", {"dynamics": {"basic": {"parameters": {"drivingMultiplier": 1.2}}}})
    store.claim("failed", "run-failed")
    store.fail("failed", "run-failed", code="face.none", message="No face was found.")
    store.claim("working", "run-working")
    return store


def test_every_avatar_says_where_it_stands_and_why(avatars: LocalAvatars) -> None:
    standings = {name: standing_of(avatars.get(name)) for name in avatars.ids()}
    assert {name: standing.state for name, standing in standings.items()} == {
        "empty": "incomplete",
        "failed": "error",
        "new": "waiting",
        "ready": "ready",
        "stale": "stale",
        "working": "generating",
    }
    assert standings["stale"].reason == "changed: drivingMultiplier"
    assert standings["stale"].version == standings["ready"].version == "v000001-00000000"
    assert standings["ready"].published == standings["ready"].wanted
    assert standings["stale"].published not in ("", standings["stale"].wanted)
    assert standings["new"].published == standings["new"].version == ""
    assert standings["failed"].reason == "face.none: No face was found."
    assert standings["new"].reason == "it was never rendered"


def test_a_new_portrait_and_a_request_are_reasons(avatars: LocalAvatars) -> None:
    avatars.merge("ready", {"training": {"heroImageUrl": "avatars/a/other.jpg"}})
    assert standing_of(avatars.get("ready")).reason == "changed: portrait"
    avatars.merge("ready", {"dynamics": {"basic": {"status": "pending"}}})
    assert standing_of(avatars.get("ready")).reason == "a run was asked for"


def test_a_backfill_chooses_by_where_avatars_stand(avatars: LocalAvatars) -> None:
    assert chosen_avatars(avatars, [], stale=True) == ["new", "stale"]
    assert chosen_avatars(avatars, [], failed=True) == ["failed"]
    assert chosen_avatars(avatars, ["ready", "new", "ready"]) == ["ready", "new"]
    assert len(chosen_avatars(avatars, [])) == 6


def test_the_table_shows_what_needs_a_look_first(avatars: LocalAvatars, tmp_path: Path) -> None:
    (tmp_path / "avatars" / "broken.json").write_text("{")
    result = dg.materialize([avatar_status], resources={"stores": Stores()})
    (event,) = result.asset_materializations_for_node("avatar_status")
    metadata = event.metadata
    rows = [dict(record.data) for record in metadata["table"].records]  # type: ignore[union-attr]
    assert [row["avatar"] for row in rows] == [
        "broken",
        "failed",
        "stale",
        "new",
        "working",
        "empty",
        "ready",
    ]
    assert list(rows[0]) == [
        "avatar",
        "status",
        "wanted",
        "published",
        "version",
        "reason",
        "age_h",
    ]
    assert metadata["avatars"].value == 7
    assert metadata["status_stale"].value == 1
