"""What a real run took: the same figures in the log, the ledger, the manifest and the reports."""

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

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from resources.avatars_local import LocalAvatars
from resources.event_log import plain_metadata, update_ledger
from resources.forecast import forecast
from resources.storage_local import LocalStorage
from sunriza_assets import __version__
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.cli.lineage import lineage
from sunriza_assets.cli.report import report
from sunriza_assets.cli.runs import AvatarRuns
from sunriza_assets.costs.archive import ARCHIVE_FOLDER, ManifestArchive
from sunriza_assets.costs.events import step_facts
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.reports import COST_COLUMNS, cost_report
from sunriza_assets.definitions import build_defs
from sunriza_assets.jobs import REFRESH_REPORTS
from sunriza_assets.lost_runs import close_lost_runs
from sunriza_assets_tests.graph.conftest import Installation

SHORT = {"max_seconds": 3.0, "stitching_retargeting_eyes_width": 256}


def upstream_of_published() -> list[str]:
    """Every asset that goes into a publication, and the publishing one."""
    graph = build_defs().resolve_asset_graph()
    selected = dg.AssetSelection.assets("published_avatar").upstream().resolve(graph)
    return sorted(key.to_user_string() for key in selected)


BEHIND = upstream_of_published()
MADE_ANEW = sorted(set(BEHIND) - {"hero_image", "hero_video", "trimmed_video", "motion_template"})


@pytest.fixture(scope="module")
def ada(installation: Installation) -> dict[str, Any]:
    """The first run of an avatar of this module's own."""
    add_avatar("ada", installation.sample.portrait, installation.sample.clip)
    result = installation.runs.render("ada", parameters=SHORT)
    assert result["error"] is None
    return result


@pytest.fixture
def ledger(installation: Installation) -> Ledger:
    """The installation's ledger, up to date."""
    ledger = Ledger(installation.home.reports / LEDGER_FOLDER)
    update_ledger(installation.instance, ledger)
    return ledger


def published(installation: Installation, avatar_id: str = "ada") -> Path:
    return installation.home.storage / "avatars" / avatar_id / "dynamics" / "basic"


def manifest_of(installation: Installation, avatar_id: str = "ada") -> Manifest:
    return Manifest.load(published(installation, avatar_id) / MANIFEST_NAME)


def told(installation: Installation, run_id: str) -> dict[str, dict[str, Any]]:
    """Asset -> metadata of what a run materialized, from its own log."""
    records = installation.instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    made = [record.asset_materialization for record in records]
    return {m.asset_key.to_user_string(): plain_metadata(m.metadata) for m in made if m}


def rows_of(ledger: Ledger, run_id: str) -> pd.DataFrame:
    frame = ledger.frame()
    return frame[frame["run_id"] == run_id].set_index("asset")


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
        assert facts["cost"] == pytest.approx(facts["wall_s"] * 0.10 / 3600), asset
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
        assert step.code_version == "1"
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
    """Over everything that this installation has ever done, whatever went wrong in between."""
    facts = cost_report(ledger.frame(COST_COLUMNS), price_book()).facts
    archive = list(ManifestArchive(installation.home.reports / ARCHIVE_FOLDER))
    assert len(archive) >= 1
    manifests = math.fsum(manifest.cost or 0.0 for manifest in archive)
    assert facts["published_cost"]["USD"] == pytest.approx(manifests, rel=1e-9)
    metadata = [told(installation, manifest.run_id) for manifest in archive]
    laid_down = math.fsum(
        run[asset]["cost"] for run in metadata for asset in run if asset in BEHIND
    )
    assert manifests == pytest.approx(laid_down, rel=1e-9)
    everything = ledger.frame(["cost"])["cost"].sum()
    assert facts["total_cost"]["USD"] == pytest.approx(everything, rel=1e-9)


def test_what_made_a_file_is_known_from_its_hash(
    installation: Installation, ada: dict[str, Any], tmp_path: Path
) -> None:
    renamed = tmp_path / "download (1).mp4"
    renamed.write_bytes((published(installation) / "idle.mp4").read_bytes())
    text = CliRunner().invoke(lineage, ["--file", str(renamed)], catch_exceptions=False).stdout
    assert text.startswith("ada  run ")
    assert "hero_video" in text
    tree = CliRunner().invoke(lineage, ["ada"], catch_exceptions=False).stdout
    assert tree.startswith("ada  run ")
    uploaded = str(installation.sample.portrait)
    assert "This file went into:" in CliRunner().invoke(lineage, ["--file", uploaded]).stdout


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
    result = installation.runs.render("ada", only=["mask"])
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
    clocks = 0.01  # two clocks: the record's seconds are a monotonic one's
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
    monkeypatch.setattr("sunriza_assets.assets.overlay._last_visemes", None)
    result = installation.runs.render("ada", only=["mask"])
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
        "from sunriza_assets.cli.runs import AvatarRuns\n"
        "from sunriza_assets.instance import opened_instance\n"
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
    assert (killed["success"], killed["measured"], killed["device"]) == (False, False, "unknown")
    assert killed["wall_s"] > 0
    assert math.isnan(killed["cost"])
    warnings = cost_report(ledger.frame(COST_COLUMNS), price_book()).warnings
    assert any("on unknown have no cost" in line for line in warnings)


def test_a_run_says_beforehand_what_it_will_take(
    installation: Installation, ada: dict[str, Any]
) -> None:
    announced: dict[str, Any] = {}
    seen: list[tuple[int, int]] = []

    def look(*_: object) -> None:
        basic = LocalAvatars(installation.home).get("ada").basic
        if basic["status"] == "generating":
            seen.append((basic["progress"], basic["etaSeconds"]))

    runs = AvatarRuns(installation.instance, look, lambda _, said: announced.update(said))
    result = runs.render("ada", parameters=SHORT)
    assert result["error"] is None
    assert result["estimate"] == announced
    assert announced["eta_s"] > 0
    assert announced["expected_cost"] == pytest.approx(announced["eta_s"] * 0.10 / 3600, rel=1e-3)
    assert "like runs" in announced["estimate_basis"]
    assert announced["estimate_clip_frames"] == 75, "the clip is that of the last run"
    percents, etas = zip(*seen, strict=True)
    assert list(percents) == sorted(percents)
    assert etas[0] == pytest.approx(announced["eta_s"], abs=1.0)
    assert etas[-1] <= etas[0]
    basic = LocalAvatars(installation.home).get("ada").basic
    assert "etaSeconds" not in basic
    facts = told(installation, result["run_id"])["published_avatar"]
    assert facts["eta_s"] > 0
    assert facts["estimate_clip_frames"] == 75


def test_a_clip_that_nobody_knows_is_looked_at(
    installation: Installation, ada: dict[str, Any]
) -> None:
    add_avatar("newcomer", installation.sample.portrait, installation.sample.clip)
    newcomer = LocalAvatars(installation.home).get("newcomer")

    def frames(**said: float) -> int:
        return forecast(installation.instance, newcomer, BEHIND, said=said).clip_frames

    assert frames() == len(installation.sample.mouth_opening)
    assert frames(max_seconds=2.0) == 50


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch, installation: Installation) -> Iterator[Any]:
    """Publishes ada again under a budget; the check's word."""

    def check(said: str | None) -> dg.AssetCheckEvaluation:
        if said is not None:
            monkeypatch.setenv("SUNRIZA_BUDGET", said)
        result = installation.runs.render("ada", only=["published_avatar"])
        assert result["status"] == "ready", "a budget stops nothing"
        records = installation.instance.get_records_for_run(
            result["run_id"], of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records
        (event,) = [record.event_log_entry.dagster_event for record in records]
        assert event is not None
        return event.asset_check_evaluation_data

    yield check


def test_a_budget_warns_and_stops_nothing(ada: dict[str, Any], budget: Any) -> None:
    assert budget(None).passed
    assert budget("1000").passed
    over = budget("0.00000001")
    assert not over.passed
    assert over.severity == dg.AssetCheckSeverity.WARN
    assert "the budget is 1e-08" in over.description
    assert not budget("much").passed


def test_a_device_without_a_price_costs_nobody_knows_what(
    installation: Installation, ada: dict[str, Any], monkeypatch: pytest.MonkeyPatch, budget: Any
) -> None:
    monkeypatch.setenv("SUNRIZA_PRICE_BOOK", "musetalk")  # which prices no CPU
    said = budget("1000")
    assert not said.passed
    assert "not known" in said.description
    facts = told(installation, manifest_of(installation).run_id)["published_avatar"]
    assert "cost" not in facts
    assert "musetalk has no price" in facts["cost_warning"]
    assert manifest_of(installation).cost is None


def test_a_price_book_that_is_none_is_told_before_anything_is_made(
    installation: Installation, ada: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNRIZA_PRICE_BOOK", "gold")
    result = installation.runs.render("ada")
    assert result["error"]["code"] == "cost.price_book"
    assert result["assets"] == {}


def test_the_report_assets_write_files_and_small_previews(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    before = len(ledger)
    job = build_defs().resolve_job_def(REFRESH_REPORTS.name)
    result = job.execute_in_process(instance=installation.instance)
    assert result.success
    made = {
        event.materialization.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    for name in ("runtime_report", "cost_report"):
        files = [
            installation.home.reports / f"{name}.{kind}" for kind in ("parquet", "csv", "html")
        ]
        assert len(pd.read_parquet(files[0])) == len(pd.read_csv(files[1])) > 0
        page = files[2].read_text()
        assert "ada" in page
        assert page.count("data:image/webp") >= 2
        facts = plain_metadata(made[name])
        shown = [value for value in facts.values() if isinstance(value, str)]
        assert sum("![picture](data:image/webp" in text for text in shown) >= 2
        assert max(map(len, shown)) <= 50_000
        assert facts["wall_s"] > 0
    costs = plain_metadata(made["cost_report"])
    assert costs["total_cost"] == pytest.approx(
        pd.read_parquet(installation.home.reports / "cost_report.parquet")["cost"].sum()
    )
    assert before <= costs["steps"]


def test_the_command_reads_the_log_before_it_reports(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    before = len(ledger)
    installation.runs.render("ada", only=["roi"])
    result = CliRunner().invoke(
        report, ["costs", "--by", "asset", "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert '"roi"' in result.stdout
    assert len(ledger) == before + 1
    again = CliRunner().invoke(report, ["runtime", "--json"], catch_exceptions=False)
    assert again.exit_code == 0
    assert len(ledger) == before + 1
