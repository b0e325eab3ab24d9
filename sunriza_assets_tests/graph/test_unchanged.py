"""What is unchanged by content is not made again, and what is said of it stays true."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from resources.avatars.local import LocalAvatars
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.cli.page import export_page
from sunriza_assets.cli.render import render
from sunriza_assets.costs.manifest import Manifest, sha256_of
from sunriza_assets.graph.code_versions import CODE_VERSIONS
from sunriza_assets.runs import up_to_date
from sunriza_assets.runs.up_to_date import unchanged_publication
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.marks.key import known_roots
from sunriza_assets.studio.marks.reading import read_mark_in_process
from sunriza_assets.studio.media.boxes import is_faststart
from sunriza_assets.studio.parameters import resolve
from sunriza_assets_tests.graph.conftest import SHORT, Installation

SECOND = {**SHORT, "max_seconds": 1.0, "loop": False}
"""Parameters of a render of 25 frames: what is made again counts here, not what it looks like."""

BEFORE_IDLE = {"hero_image", "hero_video", "trimmed_video", "motion_template"}
STILL = {"atlas", "mask"}
ALL = {*BEFORE_IDLE, *STILL, "idle_video", "roi", "idle_extras", "published_avatar", "preview_page"}


@pytest.fixture
def fresh(installation: Installation, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The result of an avatar of this test's own, rendered once; its name is `avatar_id`."""
    name = f"eve-{request.node.name.replace('_', '-')[:40]}"
    add_avatar(name, installation.sample.portrait, installation.sample.clip)
    return {"avatar_id": name, **good(installation.runs.render(name, parameters=SECOND))}


@pytest.fixture
def eve(installation: Installation) -> str:
    """An avatar that several tests use: whatever the one before did to it, it is up to date."""
    if not LocalAvatars(installation.home).present(["eve"]):
        add_avatar("eve", installation.sample.portrait, installation.sample.clip)
    if unchanged_publication("eve", SECOND) is None:
        good(installation.runs.render("eve", parameters=SECOND))
    return "eve"


def good(result: dict[str, Any]) -> dict[str, Any]:
    assert result["error"] is None
    return result


def unchanged(result: dict[str, Any]) -> set[str]:
    return {name for name, asset in result["assets"].items() if asset["cache"] == "unchanged"}


def published_by(installation: Installation) -> str:
    """The run that made what of `eve` is visible now."""
    current = LocalAvatars(installation.home).get("eve").record.current
    assert current is not None
    return current.run_id


def versions(installation: Installation, name: str) -> list[str]:
    folder = installation.home.storage / "avatars" / name / "dynamics" / "basic"
    return sorted(path.name for path in folder.glob("v*"))


def manifest(installation: Installation, name: str) -> Manifest:
    folder = installation.home.storage / "avatars" / name / "dynamics" / "basic"
    return Manifest.load(folder / versions(installation, name)[-1] / "manifest.json")


def stored(installation: Installation, name: str, asset: str) -> Path:
    folder = installation.home.storage / "pipeline" / name / asset
    return folder / json.loads((folder / "current.json").read_text())["run"]


def test_the_same_again_makes_nothing_and_publishes_nothing(
    installation: Installation, fresh: dict[str, Any]
) -> None:
    name, first = fresh["avatar_id"], fresh
    before = versions(installation, name)
    again = good(installation.runs.render(name, parameters=SECOND))
    assert unchanged(again) == ALL
    assert versions(installation, name) == before
    document = LocalAvatars(installation.home).get(name)
    assert document.status == "ready"
    assert document.run_id == again["run_id"], "it claimed the avatar and ended its claim"
    assert document.record.current is not None
    assert document.record.current.run_id == first["run_id"], "whose publication stays in place"
    assert not document.needs_run
    for asset in again["assets"].values():
        told = asset["metadata"]
        assert told["cost"] == 0
        assert told["wall_s"] == 0
        assert told["unbooked_s"] > 0
        assert told["reused_from"] == first["run_id"]
    idle, made = again["assets"]["idle_video"], first["assets"]["idle_video"]
    assert idle["metadata"]["cache_saved_s"] == made["metadata"]["wall_s"]
    assert idle["files"] == made["files"]


def test_a_rerender_makes_what_moves_and_its_manifest_names_the_makers(
    installation: Installation, eve: str
) -> None:
    makers = {step.asset: step.run_id for step in manifest(installation, eve).steps}
    again = good(installation.runs.render(eve, parameters={**SECOND, "driving_multiplier": 1.2}))
    assert unchanged(again) == BEFORE_IDLE | STILL
    made = {step.asset: step.run_id for step in manifest(installation, eve).steps}
    for asset in ALL - {"preview_page"}:
        maker = makers[asset] if asset in BEFORE_IDLE | STILL else again["run_id"]
        assert made[asset] == maker, asset
    assert manifest(installation, eve).cost == pytest.approx(
        sum(asset["metadata"]["cost"] for asset in again["assets"].values())
        - again["assets"]["preview_page"]["metadata"]["cost"],
        rel=0.05,
    )
    folder = installation.home.storage / "avatars" / eve / "dynamics" / "basic"
    former, present = (folder / version for version in versions(installation, eve)[-2:])
    for file in ("atlas.jpg", "mask.png"):
        assert (former / file).read_bytes() == (present / file).read_bytes(), "the same mark"
    made_of = {(item.name, item.sha256) for item in manifest(installation, eve).inputs}
    roots = known_roots(installation.home.keys).decode()
    for file, source in (("idle.mp4", "compositeSynthetic"), ("mask.png", "algorithmicMedia")):
        mark = read_mark_in_process(present / file, roots=roots)
        assert (mark.state, mark.own, mark.source) == ("valid", True, source)
        assert set(mark.inputs) == made_of
    assert is_faststart(present / "idle.mp4")
    back = good(installation.runs.render(eve, parameters=SECOND))
    assert "idle_video" not in unchanged(back), "only the latest result is looked at"
    assert back["parameters"]["driving_multiplier"] == resolve({}).driving_multiplier


@pytest.mark.slow
def test_an_emotion_changes_the_mouth_too(installation: Installation, eve: str) -> None:
    again = good(installation.runs.render(eve, parameters={**SECOND, "emotion": "happy"}))
    assert unchanged(again) == BEFORE_IDLE


@pytest.mark.slow
def test_data_versions_stay(installation: Installation, eve: str) -> None:
    def version_of(asset: str) -> str | None:
        event = installation.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[eve]), limit=1
        ).records[0]
        assert event.asset_materialization is not None
        return (event.asset_materialization.tags or {}).get("dagster/data_version")

    before = {asset: version_of(asset) for asset in ALL}
    good(installation.runs.render(eve, parameters=SECOND))
    assert {asset: version_of(asset) for asset in ALL} == before


@pytest.mark.slow
def test_force_makes_all_anew(installation: Installation, eve: str) -> None:
    before = set(versions(installation, eve))
    forced = good(installation.runs.render(eve, parameters=SECOND, force=True))
    assert unchanged(forced) == set()
    assert forced["assets"]["motion_template"]["cache"] == "miss"
    assert len(set(versions(installation, eve)) - before) == 1
    mask = good(installation.runs.render(eve, only=["mask"], force=True))
    assert unchanged(mask) == set(), "an asset without config, too"


@pytest.mark.parametrize(
    "damage",
    [
        "other bytes",
        pytest.param("gone", marks=pytest.mark.slow),
        pytest.param("cut", marks=pytest.mark.slow),
        pytest.param("no listing", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_result_is_made_again(installation: Installation, eve: str, damage: str) -> None:
    publisher = published_by(installation)
    folder = stored(installation, eve, "trimmed_video")
    file = folder / "trimmed.mp4"
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[:-100])
    elif damage == "other bytes":
        file.write_bytes(bytes(len(content)))
    else:
        (folder / "files.json").unlink()
    again = good(installation.runs.render(eve, parameters=SECOND))
    assert "trimmed_video" not in unchanged(again)
    assert unchanged(again) >= {"hero_image", "hero_video", "motion_template", "idle_video"}
    assert stored(installation, eve, "trimmed_video").name == again["run_id"]
    assert published_by(installation) == publisher


@pytest.mark.slow
def test_files_that_no_event_speaks_of_do_not_count(installation: Installation, eve: str) -> None:
    """A process was killed after it had stored another mask and before it could say so."""
    folder = stored(installation, eve, "mask").parent
    (folder / "current.json").write_text(json.dumps({"run": "killed"}))
    again = good(installation.runs.render(eve, parameters=SECOND))
    assert ALL - unchanged(again) == {"mask"}


@pytest.mark.slow
def test_the_same_clip_again_under_another_name_is_the_same_clip(
    installation: Installation, eve: str
) -> None:
    add_avatar(eve, installation.sample.portrait, installation.sample.clip)
    assert LocalAvatars(installation.home).get(eve).needs_run
    again = good(installation.runs.render(eve, parameters=SECOND))
    assert unchanged(again) == ALL
    assert not LocalAvatars(installation.home).get(eve).needs_run


@pytest.mark.slow
def test_another_portrait_is_made_again_and_the_motion_is_not(
    installation: Installation, fresh: dict[str, Any], tmp_path: Path
) -> None:
    name = fresh["avatar_id"]
    picture = np.asarray(Image.open(installation.sample.portrait).convert("RGB"))
    Image.fromarray(picture[:, ::-1]).save(tmp_path / "mirrored.png")
    add_avatar(name, tmp_path / "mirrored.png", installation.sample.clip)
    again = good(installation.runs.render(name, parameters=SECOND))
    assert unchanged(again) == {"hero_video", "trimmed_video", "motion_template"}


@pytest.mark.slow
def test_another_engine_version_renders_again(
    installation: Installation,
    eve: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MeshEngine, "version", "next")
    again = good(installation.runs.render(eve, parameters=SECOND))
    assert not unchanged(again) & {"motion_template", "idle_video", "atlas", "mask"}
    assert manifest(installation, eve).engine_version == "next"


@pytest.mark.slow
def test_single_assets_are_looked_at_alike(installation: Installation, eve: str) -> None:
    assets = ["idle_video", "atlas", "mask", "roi", "idle_extras", "published_avatar"]
    again = good(installation.runs.render(eve, only=assets, parameters=SECOND))
    assert unchanged(again) == {*assets}
    assert unchanged_publication(eve, SECOND) is not None
    slower = {**SECOND, "driving_multiplier": 1.2}
    good(installation.runs.render(eve, only=assets, parameters=slower))
    assert manifest(installation, eve).requested == {}, "not all of it was looked at"
    assert unchanged_publication(eve, slower) is None
    good(installation.runs.render(eve, parameters=slower))
    assert unchanged_publication(eve, slower) is not None


def test_what_is_in_place_is_known_without_a_run(
    installation: Installation,
    eve: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher = published_by(installation)
    found = unchanged_publication(eve, SECOND)
    assert found is not None
    assert found.manifest.run_id == publisher
    settings = [f"--set={key}={value}" for key, value in SECOND.items()]
    shown = CliRunner().invoke(render, [eve, *settings], catch_exceptions=False)
    assert (shown.exit_code, "unchanged" in shown.output) == (0, True)
    answer = CliRunner().invoke(render, [eve, *settings, "--json"], catch_exceptions=False)
    result = json.loads(answer.stdout)["avatars"][eve]
    assert (result["run_id"], result["total"]["seconds"]) == (publisher, 0.0)
    assert unchanged_publication(eve, {}) is None, "other parameters"
    with monkeypatch.context() as patch:
        patch.setattr(up_to_date, "CODE_VERSIONS", {**CODE_VERSIONS, "roi": "next"})
        assert unchanged_publication(eve, SECOND) is None, "other code"
    folder = installation.home.storage / "avatars" / eve / "dynamics" / "basic"
    plain = folder / "mask.png"
    content = plain.read_bytes()
    plain.unlink()
    assert unchanged_publication(eve, SECOND) is None, "an object is gone"
    good(installation.runs.render(eve, parameters=SECOND))
    assert plain.read_bytes() == content, "and the run puts it back"
    assert unchanged_publication(eve, SECOND) is not None
    LocalAvatars(installation.home).merge(eve, {"dynamics": {"basic": {"status": "pending"}}})
    assert unchanged_publication(eve, SECOND) is None, "somebody waits for a run"


def test_a_page_links_to_its_files_and_one_that_travels_holds_them(
    installation: Installation, ada: dict[str, Any], tmp_path: Path
) -> None:
    (page,) = ada["assets"]["preview_page"]["files"]
    text = Path(page).read_text("utf-8")
    assert "data:video" not in text
    avatar = json.loads(text.partition('id="avatar">')[2].partition("</script>")[0])
    for name in ("idle", "clip", "atlasImage"):
        assert (Path(page).parent / avatar[name]).resolve().is_file(), name
    size = export_page("ada", tmp_path / "ada.html")
    exported = (tmp_path / "ada.html").read_text("utf-8")
    assert (tmp_path / "ada.html").stat().st_size == size
    assert exported.count("data:video/mp4;base64,") == 2
    assert "../" not in exported.partition('id="avatar">')[2].partition("</script>")[0]


@pytest.mark.slow
def test_a_damaged_publication_is_published_anew(installation: Installation, eve: str) -> None:
    folder = installation.home.storage / "avatars" / eve / "dynamics" / "basic"
    (folder / versions(installation, eve)[-1] / "idle.mp4").write_bytes(b"torn")
    assert unchanged_publication(eve, SECOND) is None
    before = versions(installation, eve)
    again = good(installation.runs.render(eve, parameters=SECOND))
    assert ALL - unchanged(again) == {"published_avatar"}
    assert versions(installation, eve)[-1] not in before
    (made,) = (file for file in again["assets"]["idle_video"]["files"] if file.endswith("idle.mp4"))
    facts = {fact.name: fact for fact in manifest(installation, eve).outputs}
    mark = facts["idle.mp4"].mark
    assert mark is not None
    assert mark.content == sha256_of(Path(made))
    assert facts["idle.mp4"].sha256 == sha256_of(folder / "idle.mp4")
