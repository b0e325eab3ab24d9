"""A run of a draft: everything is made, the document stays, and the draft can be published."""

from pathlib import Path
from typing import Any

import pytest

from resources.avatars.local import LocalAvatars
from resources.publishing.publication import folder_of
from resources.publishing.versions import manifest_of, republish
from resources.storage.local import LocalStorage
from sunriza_assets.graph.assets.run_scope import assets_until_published
from sunriza_assets.graph.tags import DRAFT_TAG
from sunriza_assets_tests.graph.conftest import SHORT, Installation

pytestmark = pytest.mark.slow


def test_a_draft_is_rendered_beside_and_published_later(
    installation: Installation, ada: dict[str, Any], tmp_path: Path
) -> None:
    avatars, storage = LocalAvatars(installation.home), LocalStorage(installation.home)
    before = avatars.get("ada")
    result = installation.runs.render(
        "ada",
        only=assets_until_published(installation.runs.assets),
        parameters=SHORT | {"driving_multiplier": 0.8},
        tags={DRAFT_TAG: "true"},
    )
    assert result["error"] is None
    assert "preview_page" not in result["assets"]
    after = avatars.get("ada")
    assert after.data == before.data
    assert after.record.published == before.record.published
    [draft] = after.record.drafts
    assert draft.complete
    assert draft.run_id == result["run_id"]
    names = {
        one.name.removeprefix(f"{folder_of('ada')}/{draft.version}/")
        for one in storage.list(f"{folder_of('ada')}/{draft.version}/")
    }
    assert {"idle.mp4", "atlas.jpg", "roi.json", "manifest.json", "poster.jpg"} <= names
    manifest = manifest_of(storage, "ada", draft.version, tmp_path)
    assert manifest is not None
    assert manifest.parameters["driving_multiplier"] == 0.8
    assert manifest.cost == result["total"]["cost"]
    published = republish(storage, avatars, "ada", draft.version, tmp_path)
    assert published.basic["parameters"]["drivingMultiplier"] == 0.8
    assert not published.needs_run
    assert (
        Path(storage.stat(f"{folder_of('ada')}/idle.mp4").url.removeprefix("file://")).read_bytes()
        == (installation.home.storage / folder_of("ada") / draft.version / "idle.mp4").read_bytes()
    )
