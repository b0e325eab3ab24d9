"""What a real run took: the same figures in the log, the ledger, the manifest and the report."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resources.accounting.event_log import update_ledger
from resources.avatars.local import LocalAvatars
from resources.storage.local import LocalStorage
from sunriza_assets import __version__
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.costs.archive import ARCHIVE_FOLDER, ManifestArchive
from sunriza_assets.costs.devices import cpu
from sunriza_assets.costs.events import step_facts
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.manifest import MANIFEST_NAME
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.reports import COST_COLUMNS, cost_report
from sunriza_assets.graph.code_versions import CODE_VERSIONS
from sunriza_assets.operations.lost_runs import close_lost_runs
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.graph.accounts import (
    BEHIND,
    MADE_ANEW,
    manifest_of,
    published,
    rows_of,
    told,
)
from sunriza_assets_tests.graph.conftest import SHORT, Installation, installed


@pytest.fixture(scope="module")
def installation(
    models_root: Path, sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A home of this module's own: its sums are over everything that was ever done in it."""
    with installed(tmp_path_factory.mktemp("costs"), models_root, sample) as own:
        yield own


@pytest.fixture(scope="module")
def ada(installation: Installation) -> dict[str, Any]:
    """The result of an avatar of which nothing was reused."""
    add_avatar("ada", installation.sample.portrait, installation.sample.clip)
    result = installation.runs.render("ada", parameters=SHORT)
    assert result["error"] is None
    return result


def test_every_asset_says_where_its_time_went(
    installation: Installation, ada: dict[str, Any]
) -> None:
    metadata = told(installation, ada["run_id"])
    assert set(metadata) >= set(BEHIND)
    for asset, facts in metadata.items():
        stages = {name: facts[name] for name in facts if name.startswith("stage_")}
        assert math.fsum(stages.values()) == pytest.approx(facts["wall_s"], abs=1e-5), asset
        assert facts["device"], asset
        assert facts["peak_memory_bytes"] > 0, asset
        assert facts["bytes_in"] > 0, asset
        assert facts["bytes_out"] > 0, asset
        assert facts["cost"] == pytest.approx(facts["cpu_s"] * 0.10 / 3600), asset
        assert facts["price_book"] == "perf-2025-10", asset
        assert facts["stage_dagster_s"] >= 0, asset
    assert metadata["hero_image"]["queue_s"] >= 0
    assert "queue_s" not in metadata["idle_video"], "it waited for nobody's queue"
    assert metadata["motion_template"]["cache"] in ("hit", "miss")
    for asset in ("trimmed_video", "motion_template", "idle_video"):
        assert (metadata[asset]["clip_frames"], metadata[asset]["clip_s"]) == (75, 3.0), asset
    assert {"stage_decode_s", "stage_detect_s", "stage_download_s"} <= metadata["hero_image"].keys()
    assert {"stage_render_s", "stage_encode_s", "stage_fetch_s"} <= metadata["idle_video"].keys()


def test_the_ledger_holds_what_the_log_says(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    rows = rows_of(ledger, ada["run_id"])
    metadata = told(installation, ada["run_id"])
    assert set(rows.index) == set(metadata)
    for asset, facts in metadata.items():
        row = rows.loc[asset]
        assert row["wall_s"] == facts["wall_s"]
        assert row["cost"] == facts["cost"]
        assert row["success"]
        assert row["measured"]


def test_the_manifest_is_published_and_says_what_made_the_avatar(
    installation: Installation, ada: dict[str, Any]
) -> None:
    document = LocalAvatars(installation.home).get("ada")
    assert document.basic["manifestUrl"].endswith(f"/{MANIFEST_NAME}")
    manifest = manifest_of(installation)
    assert (manifest.avatar_id, manifest.run_id) == ("ada", ada["run_id"])
    assert (manifest.engine, manifest.package_version) == ("mesh", __version__)
    assert manifest.parameters == ada["parameters"]
    for item in manifest.outputs:
        content = (published(installation) / item.name).read_bytes()
        assert (item.sha256, item.size) == (sha256(content).hexdigest(), len(content))
    uploaded = {"hero_image": installation.sample.portrait, "hero_video": installation.sample.clip}
    assert {item.name: (item.sha256, item.size) for item in manifest.inputs} == {
        name: (sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for name, path in uploaded.items()
    }
    assert {model.licence for model in manifest.models} == {"Apache-2.0"}
    assert all(len(model.sha256) == 64 for model in manifest.models)
    assert sorted(step.asset for step in manifest.steps) == BEHIND
    steps = {step.asset: step for step in manifest.steps}
    for step in manifest.steps:
        assert step.code_version == CODE_VERSIONS[step.asset]
        assert {name: steps[name].data_version for name in step.upstream} == dict(step.upstream)
    assert set(steps["published_avatar"].upstream) >= {"idle_video", "atlas", "mask", "roi"}


def test_manifest_metadata_and_ledger_have_one_record(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    metadata = told(installation, ada["run_id"])
    manifest = manifest_of(installation)
    for step in manifest.steps:
        facts = step_facts(metadata[step.asset])
        facts.pop("unbooked_s", None)  # what came after the manifest had been written
        assert dict(step.facts) == facts, step.asset
    spent = math.fsum(metadata[asset]["cost"] for asset in BEHIND)
    assert manifest.cost == pytest.approx(spent, rel=1e-12)
    assert metadata["published_avatar"]["run_cost"] == manifest.cost
    assert metadata["published_avatar"]["unbooked_s"] >= 0
    rows = rows_of(ledger, ada["run_id"])
    assert rows.loc[BEHIND, "cost"].sum() == pytest.approx(spent, rel=1e-12)


def test_a_step_that_is_used_again_is_named_and_not_paid_again(
    installation: Installation, ada: dict[str, Any]
) -> None:
    add_avatar("bob", installation.sample.portrait, installation.sample.clip)
    other = installation.runs.render("bob", only=["hero_image"])
    assert other["error"] is None, "what is newest of an asset need not be this avatar's"
    again = installation.runs.render("ada", only=MADE_ANEW, parameters={"driving_multiplier": 1.0})
    assert again["error"] is None
    manifest = manifest_of(installation)
    assert {step.asset for step in manifest.own_steps} == set(MADE_ANEW)
    reused = {step.asset: step.run_id for step in manifest.steps if step.run_id != again["run_id"]}
    assert reused == dict.fromkeys(set(BEHIND) - set(MADE_ANEW), ada["run_id"])
    metadata = told(installation, again["run_id"])
    assert manifest.cost == pytest.approx(math.fsum(f["cost"] for f in metadata.values()))


def test_the_report_adds_up_to_the_manifests_and_to_the_metadata(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    """Over everything that this installation has ever done, whatever went wrong in between.

    As booked: a run may have been priced by another book, or by one that had no price for it.
    """
    facts = cost_report(ledger.frame(COST_COLUMNS), None).facts
    archive = list(ManifestArchive(installation.home.reports / ARCHIVE_FOLDER))
    assert len(archive) >= 1
    manifests = math.fsum(manifest.cost or 0.0 for manifest in archive)
    assert facts["published_cost"]["USD"] == pytest.approx(manifests, rel=1e-9)
    metadata = [told(installation, manifest.run_id) for manifest in archive]
    laid_down = math.fsum(
        run[asset].get("cost", 0.0) for run in metadata for asset in run if asset in BEHIND
    )
    assert manifests == pytest.approx(laid_down, rel=1e-9)
    everything = ledger.frame(["cost"])["cost"].sum()
    assert facts["total_cost"]["USD"] == pytest.approx(everything, rel=1e-9)


def test_fetching_and_storing_are_part_of_the_step(
    installation: Installation, ada: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow store is seen in the record, which fits between the log's own events."""
    nap = 0.3
    fetch, put = LocalStorage.fetch, LocalStorage.put

    def slow_fetch(self: LocalStorage, name: str, folder: Path) -> Path:
        if name.endswith("idle.mp4"):
            time.sleep(nap)
        return fetch(self, name, folder)

    def slow_put(self: LocalStorage, source: Path, name: str, **how: Any) -> Any:
        if name.endswith("mask.png"):
            time.sleep(nap)
        return put(self, source, name, **how)

    monkeypatch.setattr(LocalStorage, "fetch", slow_fetch)
    monkeypatch.setattr(LocalStorage, "put", slow_put)
    result = installation.runs.render("ada", only=["mask"], force=True)
    facts = told(installation, result["run_id"])["mask"]
    assert facts["stage_fetch_s"] >= nap
    assert facts["stage_upload_s"] >= nap
    events = installation.instance.get_records_for_run(result["run_id"]).records
    at: dict[str, list[float]] = {}
    for record in events:
        event = record.event_log_entry.dagster_event
        if event is not None and event.step_key == "mask":
            at.setdefault(event.event_type_value, []).append(record.timestamp)
    begin, end = facts["started_at"], facts["started_at"] + facts["wall_s"]
    clocks = 0.1  # two clocks, and moments in which the processor does something else
    assert begin == pytest.approx(at["STEP_START"][0], abs=clocks)
    assert begin <= at["LOADED_INPUT"][-1] - nap + clocks, "it waited inside of the record"
    assert end >= at["STEP_OUTPUT"][0] + nap - clocks, "and so it did when it was stored"
    assert end <= at["ASSET_MATERIALIZATION"][0] + clocks


def test_a_step_that_fails_says_what_it_took(
    installation: Installation, tmp_path: Path, ledger: Ledger
) -> None:
    cat = tmp_path / "cat.png"
    Image.fromarray(np.full((300, 300, 3), 128, np.uint8)).save(cat)
    add_avatar("grey", cat, installation.sample.clip)
    result = installation.runs.render("grey")
    assert result["error"]["code"] == "face.none"
    update_ledger(installation.instance, ledger)
    row = rows_of(ledger, result["run_id"]).loc["hero_image"]
    assert (row["success"], row["measured"]) == (False, True)
    assert row["stage_detect_s"] > 0
    assert row["cost"] > 0


def test_a_bug_is_told_as_one_and_costs_what_it_took(
    installation: Installation, ada: dict[str, Any], monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    monkeypatch.setattr("sunriza_assets.graph.assets.overlay._viseme_cache", None)
    result = installation.runs.render("ada", only=["mask"], force=True)
    assert result["error"]["code"] == "internal"
    assert result["error"]["message"].startswith("TypeError")
    update_ledger(installation.instance, ledger)
    row = rows_of(ledger, result["run_id"]).loc["mask"]
    assert (row["success"], row["measured"]) == (False, True)


def test_a_missing_input_is_a_step_too(installation: Installation, ledger: Ledger) -> None:
    add_avatar("blank", installation.sample.portrait, installation.sample.clip)
    result = installation.runs.render("blank", only=["mask"])
    assert result["error"]["code"] == "store.missing"
    update_ledger(installation.instance, ledger)
    row = rows_of(ledger, result["run_id"]).loc["mask"]
    assert (row["success"], row["measured"]) == (False, True)
    assert row["stage_fetch_s"] > 0


def test_a_killed_run_keeps_the_logs_own_seconds(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    script = (
        "from sunriza_assets.runs.avatar_runs import AvatarRuns\n"
        "from sunriza_assets.platform.instance import opened_instance\n"
        "from resources.home import Home\n"
        "def tell(avatar, asset, share):\n"
        "    print(asset, flush=True)\n"
        "with opened_instance(Home.from_environment()) as instance:\n"
        "    AvatarRuns(instance, tell).render('ada')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == "trimmed_video":
                child.send_signal(signal.SIGKILL)
    (lost,) = close_lost_runs(installation.instance)
    update_ledger(installation.instance, ledger)
    rows = rows_of(ledger, lost)
    assert rows.loc["hero_image", "measured"]
    killed = rows.loc["trimmed_video"]
    assert (killed["success"], killed["measured"]) == (False, False)
    assert (killed["device"], killed["device_kind"]) == (cpu().name, "cpu")
    assert killed["wall_s"] > 0
    assert not math.isnan(killed["cost"])
    warnings = cost_report(ledger.frame(COST_COLUMNS), price_book()).warnings
    assert not any("on unknown have no cost" in line for line in warnings)
