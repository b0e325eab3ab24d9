"""The main job, end to end: portrait and clip in, published avatar out, through Dagster."""

import base64
import io
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from PIL import Image

from resources.avatars.local import LocalAvatars
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.graph.checks import idle_problems, loop_problems
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.media.conform import conform
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.probe import describe_own
from sunriza_assets_tests.graph.conftest import Installation

ASSETS = [
    "hero_image",
    "hero_video",
    "trimmed_video",
    "motion_template",
    "idle_video",
    "atlas",
    "mask",
    "roi",
    "published_avatar",
    "preview_page",
    "idle_extras",
]


@pytest.fixture(scope="module")
def first(installation: Installation) -> dict[str, Any]:
    """The result of the first render of `demo`, and what it left in the scratch folder."""
    scratch = installation.home.cache / "scratch"
    before = set(scratch.glob("*"))  # what a test that kills a process has left
    result = installation.runs.render("demo")
    return {**result, "left": set(scratch.glob("*")) - before}


def published(installation: Installation, avatar_id: str = "demo") -> Path:
    return installation.home.storage / "avatars" / avatar_id / "dynamics" / "basic"


def test_every_asset_is_made(first: dict[str, Any]) -> None:
    assert first["error"] is None
    assert first["status"] == "ready"
    assert first["engine"] == "mesh"
    assert sorted(first["assets"]) == sorted(ASSETS)
    for name, asset in first["assets"].items():
        assert asset["seconds"] > 0, name
        assert asset["metadata"]["cost"] > 0, name
        for file in asset["files"]:
            assert Path(file).is_file(), (name, file)


def test_results_lie_where_the_app_looks(installation: Installation, first: dict[str, Any]) -> None:
    names = {path.name for path in published(installation).iterdir() if path.is_file()}
    assert {"idle.mp4", "atlas.jpg", "atlas.json", "mask.png", "roi.json"} <= names


def test_the_idle_plays_and_lasts(installation: Installation, first: dict[str, Any]) -> None:
    idle = published(installation) / "idle.mp4"
    info = describe_own(idle)
    planned = first["assets"]["idle_video"]["metadata"]["frame_count"]
    assert not conform(idle, frame_count=planned).problems
    assert len(list(read_frames(idle))) == planned == info.frame_count
    assert 3 <= float(info.duration) <= 10


def test_the_idle_says_how_well_it_was_encoded(first: dict[str, Any]) -> None:
    quality = first["assets"]["idle_video"]["metadata"]["quality"]
    assert quality["encoder"] in ("libx264", "h264_nvenc")
    assert 0.97 <= quality["lowest_ssim"] <= quality["mean_ssim"] < 1
    assert quality["size_bytes"] <= quality["budget_bytes"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"rate": [30000, 1001]}, "rate"),
        ({"frame_count": 24}, "frame_count"),
        ({"quality": {"mean_ssim": 0.96}}, "ssim"),
    ],
)
def test_an_idle_that_breaks_its_promises_is_not_published(
    tmp_path: Path, change: dict[str, Any], problem: str | None
) -> None:
    grey = (np.full((64, 64, 3), 60 + i, np.uint8) for i in range(25))
    encode(grey, tmp_path / "idle.mp4", rate=Fraction(25))
    sheet = {"rate": [25, 1], "frame_count": 25, "quality": {"mean_ssim": 0.99}, **change}
    (tmp_path / "idle.json").write_text(json.dumps(sheet))
    problems, told = idle_problems(tmp_path)
    assert [said.partition(":")[0] for said in problems] == ([problem] if problem else [])
    assert told["mean_ssim"] == (0.96 if problem == "ssim" else 0.99)


@pytest.mark.parametrize(
    ("wanted", "there_and_back", "head", "said"),
    [
        (True, True, 0.8, []),
        (True, True, 1.4, ["its rotation jumps"]),
        (True, False, 0.8, ["it jumps"]),
        (False, False, 1.4, []),
    ],
)
def test_an_idle_that_jumps_is_not_published(
    tmp_path: Path, wanted: bool, there_and_back: bool, head: float, said: list[str]
) -> None:
    """In what its engine planned or in what was encoded; one that shall not loop may."""
    steps = np.arange(40)
    grey = 60 + 3 * (np.minimum(steps, 40 - steps) if there_and_back else steps)
    frames = (np.full((64, 64, 3), level, np.uint8) for level in grey)
    encode(frames, tmp_path / "idle.mp4", rate=Fraction(25))
    sheet = {
        "parameters": {"loop": wanted},
        "facts": {"loop": {"seam": {"rotation": head, "closure": 0.5}}},
    }
    (tmp_path / "idle.json").write_text(json.dumps(sheet))
    problems, told = loop_problems(tmp_path)
    assert [problem.partition(" where")[0] for problem in problems] == said
    assert told.get("seam_rotation") == (head if wanted else None)


def test_atlas_mask_and_roi_belong_together(
    installation: Installation, first: dict[str, Any]
) -> None:
    folder = published(installation)
    index = json.loads((folder / "atlas.json").read_text())
    roi = json.loads((folder / "roi.json").read_text())
    atlas = np.asarray(Image.open(folder / "atlas.jpg").convert("RGB"), np.float32)
    mask = np.asarray(Image.open(folder / "mask.png"))
    assert index["classes"] == list(VISEMES)
    assert {key: roi[key] for key in "xywh"} == {key: index["roi"][key] for key in "xywh"}
    assert mask.shape == (roi["h"], roi["w"])
    assert len(roi["track"]) == first["assets"]["idle_video"]["metadata"]["frame_count"]
    cells = {
        name: atlas[c["y"] : c["y"] + c["h"], c["x"] : c["x"] + c["w"]]
        for name, c in index["cells"].items()
    }
    for name, cell in cells.items():
        if name != "Rest":
            assert np.abs(cell - cells["Rest"]).mean() > 1, f"{name} is a copy of Rest"


def test_the_document_says_what_was_made(installation: Installation, first: dict[str, Any]) -> None:
    document = LocalAvatars(installation.home).get("demo")
    assert document.status == "ready"
    assert document.run_id == first["run_id"]
    assert document.basic["parameters"]["drivingMultiplier"] == 1.7
    assert not document.needs_run
    for key in ("idleVideoUrl", "atlasUrl", "maskUrl", "atlasJsonUrl", "roiJsonUrl"):
        assert document.basic[key]


def test_a_rerender_does_not_extract(installation: Installation, first: dict[str, Any]) -> None:
    small = {"stitching_retargeting_eyes_width": 256}
    again = installation.runs.render("demo", parameters={"driving_multiplier": 1.0} | small)
    assert again["error"] is None
    assert again["assets"]["motion_template"]["cache"] == "unchanged"
    assert again["parameters"]["driving_multiplier"] == 1.0
    document = LocalAvatars(installation.home).get("demo")
    assert document.basic["parameters"]["drivingMultiplier"] == 1.0
    assert document.wishes == {}, "a launchpad's word is no wish of the document"


def test_the_same_clip_on_a_second_avatar_is_not_extracted(
    installation: Installation, first: dict[str, Any]
) -> None:
    add_avatar("twin", installation.sample.portrait, installation.sample.clip)
    twin = installation.runs.render("twin", only=["hero_video", "trimmed_video", "motion_template"])
    assert twin["error"] is None
    assert twin["assets"]["motion_template"]["cache"] == "hit"
    assert LocalAvatars(installation.home).get("twin").status is None, "nothing was published"


def test_force_extracts_again(installation: Installation, first: dict[str, Any]) -> None:
    forced = installation.runs.render("demo", only=["motion_template"], force=True)
    assert forced["assets"]["motion_template"]["cache"] == "miss"


def test_one_asset_alone_is_the_same_again(
    installation: Installation, first: dict[str, Any]
) -> None:
    before = np.asarray(Image.open(published(installation) / "mask.png"))
    result = installation.runs.render("demo", only=["mask"])
    assert result["error"] is None
    (made,) = result["assets"]["mask"]["files"]
    assert np.array_equal(np.asarray(Image.open(made)), before), "but for its mark"


def test_stage_times_add_up_to_the_step(first: dict[str, Any]) -> None:
    for name, asset in first["assets"].items():
        told = asset["metadata"]
        stages = sum(value for key, value in told.items() if key.startswith("stage_"))
        assert stages == pytest.approx(told["wall_s"], rel=0.01, abs=1e-4), name


def test_previews_are_small_and_inline(installation: Installation, first: dict[str, Any]) -> None:
    for name in (
        "hero_image", "trimmed_video", "idle_video", "atlas", "mask", "published_avatar",
        "preview_page",
    ):  # fmt: skip
        event = installation.instance.get_latest_materialization_event(dg.AssetKey(name))
        assert event is not None
        assert event.asset_materialization is not None
        text = event.asset_materialization.metadata["preview"].value
        assert isinstance(text, str)
        assert text.startswith("![preview](data:image/webp;base64,")
        assert len(text) < 70_000, name
        thumbnail = event.asset_materialization.metadata["look"]
        assert isinstance(thumbnail, dg.MarkdownMetadataValue)
        # What is longer is hidden behind a click (dagster-webserver's bundle: mdStr.length<1e3).
        assert len(thumbnail.value or "") < 1000, name
        picture = (thumbnail.value or "").partition("base64,")[2].removesuffix(")")
        with Image.open(io.BytesIO(base64.b64decode(picture))) as decoded:
            assert max(decoded.size) >= 64, name


def test_the_page_and_what_the_app_reads_are_linked(
    installation: Installation, first: dict[str, Any]
) -> None:
    """By addresses that a browser follows from the UI, which is served over HTTP."""
    for asset, entry, file in (
        ("preview_page", "open", "preview.html"),
        ("published_avatar", "idleVideoUrl", "idle.mp4"),
        ("published_avatar", "open", "idle.mp4"),
        ("idle_video", "open", "idle.mp4"),
        ("atlas", "open", "atlas.jpg"),
    ):
        event = installation.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        value = event.asset_materialization.metadata[entry]
        assert isinstance(value, dg.UrlMetadataValue)
        assert value.url.startswith("/files/"), "a path of whichever UI shows it"
        assert value.url.endswith(f"/{file}")


def test_a_grainy_portrait_is_smoothed_and_not_refused(
    installation: Installation, first: dict[str, Any], tmp_path: Path
) -> None:
    """What bends with a face is new in every frame: its grain would not fit into the file."""
    portrait = np.asarray(Image.open(installation.sample.portrait).convert("RGB")).astype(float)
    grain = np.random.default_rng(0).normal(0.0, 14.0, portrait.shape)
    grainy = tmp_path / "grainy.png"
    Image.fromarray(np.clip(portrait + grain, 0, 255).astype(np.uint8)).save(grainy)
    add_avatar("grainy", grainy, installation.sample.clip)
    assets = ["hero_image", "hero_video", "trimmed_video", "motion_template", "idle_video", "atlas"]
    made = installation.runs.render("grainy", only=assets)
    assert made["error"] is None
    told = made["assets"]["idle_video"]["metadata"]
    assert told["parameters"]["denoise"] > 0
    assert told["quality"]["mean_ssim"] >= 0.97
    assert told["quality"]["size_bytes"] <= told["quality"]["budget_bytes"]
    sharp = first["assets"]["idle_video"]["metadata"]
    assert sharp["parameters"]["denoise"] == 0, "what fits is left alone"


def test_a_missing_upstream_is_named(installation: Installation) -> None:
    add_avatar("fresh", installation.sample.portrait, installation.sample.clip)
    result = installation.runs.render("fresh", only=["mask"])
    assert result["status"] == "error"
    assert "Materialize" in result["error"]["message"]


def test_a_changed_portrait_keeps_the_old_results_until_the_new_are_there(
    installation: Installation, first: dict[str, Any], tmp_path: Path
) -> None:
    before = LocalAvatars(installation.home).get("demo")
    cat = tmp_path / "cat.png"
    Image.fromarray(_cat()).save(cat)
    add_avatar("demo", cat, installation.sample.clip)
    try:
        failed = installation.runs.render("demo")
        after = LocalAvatars(installation.home).get("demo")
        assert failed["error"]["code"] == "face.none"
        assert after.status == "error"
        assert after.basic["error"]["code"] == "face.none"
        assert after.basic["idleVideoUrl"] == before.basic["idleVideoUrl"]
        assert (published(installation) / "idle.mp4").exists()
    finally:
        add_avatar("demo", installation.sample.portrait, installation.sample.clip)


def test_nothing_is_left_in_the_scratch_folder(first: dict[str, Any]) -> None:
    assert first["left"] == set()


def test_a_full_disk_is_named(
    installation: Installation, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "idle.mp4")

    monkeypatch.setattr(shutil, "copyfile", full)
    result = installation.runs.render("demo")
    assert result["error"]["code"].startswith("store.")
    assert LocalAvatars(installation.home).get("demo").status == "error"


def _cat() -> np.ndarray:
    from skimage.data import chelsea

    return np.asarray(chelsea())
