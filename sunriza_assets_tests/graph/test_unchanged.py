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
from sunriza_assets_tests.graph.conftest import SHORT, Installation

SECOND = {**SHORT, "max_seconds": 1.0, "loop": False}
"""Parameters of a render of 25 frames: what is made again counts here, not what it looks like."""

BEFORE_IDLE = {"hero_image", "hero_video", "trimmed_video", "motion_template"}
STILL = {"atlas", "mask"}
ALL = {*BEFORE_IDLE, *STILL, "idle_video", "roi", "idle_extras", "published_avatar", "preview_page"}


@pytest.fixture
def eve(installation: Installation, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """An avatar of this test's own, rendered once."""
    name = f"eve-{abs(hash(request.node.name)) % 10**8}"
    add_avatar(name, installation.sample.portrait, installation.sample.clip)
    return name, good(installation.runs.render(name, parameters=SECOND))


def good(result: dict[str, Any]) -> dict[str, Any]:
    assert result["error"] is None
    return result


def unchanged(result: dict[str, Any]) -> set[str]:
    return {name for name, asset in result["assets"].items() if asset["cache"] == "unchanged"}


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
    installation: Installation, eve: tuple[str, dict[str, Any]]
) -> None:
    name, first = eve
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
    installation: Installation, eve: tuple[str, dict[str, Any]]
) -> None:
    name, first = eve
    again = good(installation.runs.render(name, parameters={**SECOND, "driving_multiplier": 1.2}))
    assert unchanged(again) == BEFORE_IDLE | STILL
    made = {step.asset: step.run_id for step in manifest(installation, name).steps}
    for asset in ALL - {"preview_page"}:
        maker = first if asset in BEFORE_IDLE | STILL else again
        assert made[asset] == maker["run_id"], asset
    assert manifest(installation, name).cost == pytest.approx(
        sum(asset["metadata"]["cost"] for asset in again["assets"].values())
        - again["assets"]["preview_page"]["metadata"]["cost"],
        rel=0.05,
    )
    folder = installation.home.storage / "avatars" / name / "dynamics" / "basic"
    former, present = (folder / version for version in versions(installation, name)[-2:])
    for file in ("atlas.jpg", "mask.png"):
        assert (former / file).read_bytes() == (present / file).read_bytes(), "the same mark"
    made_of = {(item.name, item.sha256) for item in manifest(installation, name).inputs}
    roots = known_roots(installation.home.keys).decode()
    for file, source in (("idle.mp4", "compositeSynthetic"), ("mask.png", "algorithmicMedia")):
        mark = read_mark_in_process(present / file, roots=roots)
        assert (mark.state, mark.own, mark.source) == ("valid", True, source)
        assert set(mark.inputs) == made_of
    assert is_faststart(present / "idle.mp4")
    back = good(installation.runs.render(name, parameters=SECOND))
    assert "idle_video" not in unchanged(back), "only the latest result is looked at"
    assert back["parameters"]["driving_multiplier"] == first["parameters"]["driving_multiplier"]


@pytest.mark.slow
def test_an_emotion_changes_the_mouth_too(
    installation: Installation, eve: tuple[str, dict[str, Any]]
) -> None:
    name, _ = eve
    again = good(installation.runs.render(name, parameters={**SECOND, "emotion": "happy"}))
    assert unchanged(again) == BEFORE_IDLE


@pytest.mark.slow
def test_data_versions_stay(installation: Installation, eve: tuple[str, dict[str, Any]]) -> None:
    name, _ = eve

    def version_of(asset: str) -> str | None:
        event = installation.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[name]), limit=1
        ).records[0]
        assert event.asset_materialization is not None
        return (event.asset_materialization.tags or {}).get("dagster/data_version")

    before = {asset: version_of(asset) for asset in ALL}
    good(installation.runs.render(name, parameters=SECOND))
    assert {asset: version_of(asset) for asset in ALL} == before


@pytest.mark.slow
def test_force_makes_all_anew(installation: Installation, eve: tuple[str, dict[str, Any]]) -> None:
    name, _ = eve
    before = versions(installation, name)
    forced = good(installation.runs.render(name, parameters=SECOND, force=True))
    assert unchanged(forced) == set()
    assert forced["assets"]["motion_template"]["cache"] == "miss"
    assert len(versions(installation, name)) == len(before) + 1
    mask = good(installation.runs.render(name, only=["mask"], force=True))
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
def test_a_damaged_result_is_made_again(
    installation: Installation, eve: tuple[str, dict[str, Any]], damage: str
) -> None:
    name, first = eve
    folder = stored(installation, name, "trimmed_video")
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
    again = good(installation.runs.render(name, parameters=SECOND))
    assert "trimmed_video" not in unchanged(again)
    assert unchanged(again) >= {"hero_image", "hero_video", "motion_template", "idle_video"}
    assert stored(installation, name, "trimmed_video").name == again["run_id"]
    assert LocalAvatars(installation.home).get(name).record.current.run_id == first["run_id"]


@pytest.mark.slow
def test_files_that_no_event_speaks_of_do_not_count(
    installation: Installation, eve: tuple[str, dict[str, Any]]
) -> None:
    """A process was killed after it had stored another mask and before it could say so."""
    name, _ = eve
    folder = stored(installation, name, "mask").parent
    (folder / "current.json").write_text(json.dumps({"run": "killed"}))
    again = good(installation.runs.render(name, parameters=SECOND))
    assert ALL - unchanged(again) == {"mask"}


@pytest.mark.slow
def test_the_same_clip_again_under_another_name_is_the_same_clip(
    installation: Installation, eve: tuple[str, dict[str, Any]]
) -> None:
    name, _ = eve
    add_avatar(name, installation.sample.portrait, installation.sample.clip)
    assert LocalAvatars(installation.home).get(name).needs_run
    again = good(installation.runs.render(name, parameters=SECOND))
    assert unchanged(again) == ALL
    assert not LocalAvatars(installation.home).get(name).needs_run


@pytest.mark.slow
def test_another_portrait_is_made_again_and_the_motion_is_not(
    installation: Installation, eve: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    name, _ = eve
    picture = np.asarray(Image.open(installation.sample.portrait).convert("RGB"))
    Image.fromarray(picture[:, ::-1]).save(tmp_path / "mirrored.png")
    add_avatar(name, tmp_path / "mirrored.png", installation.sample.clip)
    again = good(installation.runs.render(name, parameters=SECOND))
    assert unchanged(again) == {"hero_video", "trimmed_video", "motion_template"}


@pytest.mark.slow
def test_another_engine_version_renders_again(
    installation: Installation,
    eve: tuple[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, _ = eve
    monkeypatch.setattr(MeshEngine, "version", "next")
    again = good(installation.runs.render(name, parameters=SECOND))
    assert not unchanged(again) & {"motion_template", "idle_video", "atlas", "mask"}
    assert manifest(installation, name).engine_version == "next"


@pytest.mark.slow
def test_single_assets_are_looked_at_alike(
    installation: Installation, eve: tuple[str, dict[str, Any]]
) -> None:
    name, _ = eve
    assets = ["idle_video", "atlas", "mask", "roi", "idle_extras", "published_avatar"]
    again = good(installation.runs.render(name, only=assets, parameters=SECOND))
    assert unchanged(again) == {*assets}
    assert unchanged_publication(name, SECOND) is not None
    slower = {**SECOND, "driving_multiplier": 1.2}
    good(installation.runs.render(name, only=assets, parameters=slower))
    assert manifest(installation, name).requested == {}, "not all of it was looked at"
    assert unchanged_publication(name, slower) is None
    good(installation.runs.render(name, parameters=slower))
    assert unchanged_publication(name, slower) is not None


def test_what_is_in_place_is_known_without_a_run(
    installation: Installation,
    eve: tuple[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, first = eve
    found = unchanged_publication(name, SECOND)
    assert found is not None
    assert found.manifest.run_id == first["run_id"]
    settings = [f"--set={key}={value}" for key, value in SECOND.items()]
    shown = CliRunner().invoke(render, [name, *settings], catch_exceptions=False)
    assert (shown.exit_code, "unchanged" in shown.output) == (0, True)
    answer = CliRunner().invoke(render, [name, *settings, "--json"], catch_exceptions=False)
    result = json.loads(answer.stdout)["avatars"][name]
    assert (result["run_id"], result["total"]["seconds"]) == (first["run_id"], 0.0)
    assert unchanged_publication(name, {}) is None, "other parameters"
    with monkeypatch.context() as patch:
        patch.setattr(up_to_date, "CODE_VERSIONS", {**CODE_VERSIONS, "roi": "next"})
        assert unchanged_publication(name, SECOND) is None, "other code"
    folder = installation.home.storage / "avatars" / name / "dynamics" / "basic"
    plain = folder / "mask.png"
    content = plain.read_bytes()
    plain.unlink()
    assert unchanged_publication(name, SECOND) is None, "an object is gone"
    good(installation.runs.render(name, parameters=SECOND))
    assert plain.read_bytes() == content, "and the run puts it back"
    assert unchanged_publication(name, SECOND) is not None
    LocalAvatars(installation.home).merge(name, {"dynamics": {"basic": {"status": "pending"}}})
    assert unchanged_publication(name, SECOND) is None, "somebody waits for a run"


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
def test_a_damaged_publication_is_published_anew(
    installation: Installation, eve: tuple[str, dict[str, Any]]
) -> None:
    name, _ = eve
    folder = installation.home.storage / "avatars" / name / "dynamics" / "basic"
    (folder / versions(installation, name)[-1] / "idle.mp4").write_bytes(b"torn")
    assert unchanged_publication(name, SECOND) is None
    before = versions(installation, name)
    again = good(installation.runs.render(name, parameters=SECOND))
    assert ALL - unchanged(again) == {"published_avatar"}
    assert versions(installation, name)[-1] not in before
    (made,) = (file for file in again["assets"]["idle_video"]["files"] if file.endswith("idle.mp4"))
    facts = {fact.name: fact for fact in manifest(installation, name).outputs}
    mark = facts["idle.mp4"].mark
    assert mark is not None
    assert mark.content == sha256_of(Path(made))
    assert facts["idle.mp4"].sha256 == sha256_of(folder / "idle.mp4")
