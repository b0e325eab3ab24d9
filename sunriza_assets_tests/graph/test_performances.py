"""An avatar of a portrait alone, from the command line to the manifest."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.avatars.local import LocalAvatars
from resources.avatars.standing import standing_of
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.costs.lineage import lineage_text
from sunriza_assets.costs.manifest import Manifest
from sunriza_assets.errors import AvatarError, ParameterError
from sunriza_assets.studio.performances.builtin import motion_script
from sunriza_assets.studio.performances.script import SCRIPT_NAME, MotionScript
from sunriza_assets_tests.graph.conftest import Installation

SMALL = {"stitching_retargeting_eyes_width": 256}


@pytest.fixture(scope="module")
def alone(installation: Installation) -> dict[str, Any]:
    """The result of `alone`, which has a portrait and is cheerful."""
    add_avatar("alone", installation.sample.portrait, None, performance="cheerful")
    result = installation.runs.render("alone", parameters=SMALL)
    assert result["error"] is None
    return result


def folder(installation: Installation) -> Path:
    return installation.home.storage / "avatars" / "alone" / "dynamics" / "basic"


def metadata(installation: Installation, asset: str) -> dict[str, Any]:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=["alone"])
    (record,) = installation.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization is not None
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_it_is_rendered_and_published_like_any_other(
    installation: Installation, alone: dict[str, Any]
) -> None:
    document = LocalAvatars(installation.home).get("alone")
    assert document.status == "ready"
    assert standing_of(document).state == "ready"
    assert not document.needs_run
    told = alone["assets"]["idle_video"]["metadata"]
    assert told["frame_count"] == motion_script("cheerful").frame_count
    assert told["facts"]["loop"]["glide_frames"] == 0
    for name in ("idle.mp4", "atlas.jpg", "mask.png", "roi.json", "preview.html"):
        found = folder(installation) / name
        assert name == "preview.html" or found.exists(), name


def test_everything_says_what_moved_it(installation: Installation, alone: dict[str, Any]) -> None:
    told = ("hero_video", "trimmed_video", "motion_template", "idle_video", "published_avatar")
    for asset in told:
        assert metadata(installation, asset)["performance"] == "cheerful", asset
    (script,) = alone["assets"]["hero_video"]["files"]
    assert Path(script).name == SCRIPT_NAME
    assert MotionScript.load(Path(script)).sha256 == motion_script("cheerful").sha256
    manifest = Manifest.load(folder(installation) / "manifest.json")
    assert manifest.performance == "cheerful"
    assert motion_script("cheerful").sha256 in {item.sha256 for item in manifest.inputs}
    assert "performance cheerful" in lineage_text(manifest)
    (page,) = alone["assets"]["preview_page"]["files"]
    text = Path(page).read_text("utf-8")
    assert '"performance":"cheerful"' in text
    assert '"clip":null' in text


def test_a_cheerful_face_smiles_without_wishing_it(
    installation: Installation, alone: dict[str, Any]
) -> None:
    assert alone["parameters"]["emotion"] == "happy"
    document = LocalAvatars(installation.home).get("alone")
    assert document.basic["parameters"]["emotion"] == "happy"
    assert "emotion" not in document.wishes, "the document has asked for no emotion"
    told = installation.runs.render(
        "alone", only=["idle_video"], parameters={**SMALL, "emotion": "neutral"}
    )
    assert told["parameters"]["emotion"] == "neutral", "the launchpad has the last word"


def test_its_motion_is_written_once(installation: Installation, alone: dict[str, Any]) -> None:
    add_avatar("alone2", installation.sample.portrait, None, performance="cheerful")
    again = installation.runs.render(
        "alone2", only=["hero_video", "trimmed_video", "motion_template"]
    )
    assert again["error"] is None
    assert again["assets"]["motion_template"]["cache"] == "hit"


@pytest.mark.parametrize("odd", ["happy", "../calm", 7, {"name": "calm"}])
def test_an_unknown_performance_is_told_in_the_document(
    installation: Installation, odd: Any
) -> None:
    add_avatar("odd", installation.sample.portrait, None)
    LocalAvatars(installation.home).merge("odd", {"training": {"performance": odd}})
    result = installation.runs.render("odd")
    assert result["error"]["code"] == "avatar.performance"
    error = LocalAvatars(installation.home).get("odd").basic["error"]
    assert error["code"] == "avatar.performance"
    assert "calm, cheerful, attentive" in error["message"]


class TestAdding:
    def test_a_new_avatar_without_a_clip_is_calm(self, installation: Installation) -> None:
        add_avatar("new", installation.sample.portrait, None)
        document = LocalAvatars(installation.home).get("new")
        assert document.performance == "calm"
        assert document.needs_run

    def test_a_new_portrait_keeps_what_moves_it(self, installation: Installation) -> None:
        add_avatar("kept", installation.sample.portrait, installation.sample.clip)
        before = LocalAvatars(installation.home).get("kept")
        add_avatar("kept", installation.sample.portrait, None)
        after = LocalAvatars(installation.home).get("kept")
        assert after.hero_video_url == before.hero_video_url
        assert after.hero_image_url != before.hero_image_url

    def test_clip_and_performance_take_each_others_place(self, installation: Installation) -> None:
        add_avatar("both", installation.sample.portrait, installation.sample.clip)
        add_avatar("both", installation.sample.portrait, None, performance="attentive")
        performed = LocalAvatars(installation.home).get("both")
        assert performed.performance == "attentive"
        assert performed.inputs["video"] is None
        add_avatar("both", installation.sample.portrait, installation.sample.clip)
        filmed = LocalAvatars(installation.home).get("both")
        assert filmed.performance is None
        assert filmed.data["training"]["performance"] is None

    def test_nonsense_is_refused_before_anything_is_uploaded(
        self, installation: Installation
    ) -> None:
        with pytest.raises(AvatarError):
            add_avatar("none", installation.sample.portrait, None, performance="sad")
        with pytest.raises(ParameterError):
            add_avatar(
                "none", installation.sample.portrait, installation.sample.clip, performance="calm"
            )
        assert not LocalAvatars(installation.home).present(["none"])
        assert not (installation.home.storage / "avatars" / "none").exists()


def test_the_list_of_performances_is_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    from sunriza_assets.cli.performances import performances

    performances.main(["--json"], standalone_mode=False)
    listed = json.loads(capsys.readouterr().out)["performances"]
    assert [row["name"] for row in listed] == ["calm", "cheerful", "attentive"]
    assert all(6 <= row["seconds"] <= 8 for row in listed)
