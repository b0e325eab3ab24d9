"""Manifests: what made a file, from its hash alone; and costs that add up."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from sunriza_assets.costs.archive import ManifestArchive
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.lineage import lineage_text
from sunriza_assets.costs.manifest import (
    FileFact,
    Manifest,
    ManifestStep,
    file_fact,
)
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.reports import COST_COLUMNS, cost_report
from sunriza_assets.errors import CostError, StoreError
from sunriza_assets_tests.costs.logs import T4, step
from sunriza_assets_tests.costs.manifests import NOON, digest, made


def test_a_manifest_survives_its_file(tmp_path: Path) -> None:
    manifest = made()
    manifest.save(tmp_path / "manifest.json")
    again = Manifest.load(tmp_path / "manifest.json")
    assert again.to_bytes() == manifest.to_bytes()
    assert again == manifest
    document = json.loads(manifest.to_bytes())
    assert document["avatarId"] == "ada"
    assert document["cost"]["priceBook"] == "perf-2025-10"
    assert [item["reused"] for item in document["steps"]] == [True, False, False]


def test_reused_steps_are_not_paid_twice() -> None:
    manifest = made()
    assert manifest.cost == pytest.approx(72 * 0.60 / 3600 + 3.6 * 0.10 / 3600)
    assert manifest.seconds == pytest.approx(75.6)


def test_a_step_without_a_price_leaves_the_cost_unknown() -> None:
    steps = list(made().steps)
    steps[1] = ManifestStep(
        "idle_video", "run-1", "i", {}, "1", step(2, device=("NVIDIA H200", "cuda")).metadata
    )
    assert made(steps=steps).cost is None
    assert "cost not known" in lineage_text(made(steps=steps))


def test_report_total_is_the_sum_of_manifests_is_the_sum_of_metadata(tmp_path: Path) -> None:
    """Three runs of two avatars, one of which reuses the other's template."""
    events, manifests = [], []
    for index, assets in enumerate(
        [("trimmed_video", "motion_template", "idle_video"), ("idle_video",), ("idle_video",)]
    ):
        run = f"run-{index}"
        own = [
            step(10 * index + n, 7.0 * n + index, run=run, asset=asset, avatar=f"a{index % 2}",
                 device=T4 if asset == "idle_video" else ("AMD EPYC", "cpu"))
            for n, asset in enumerate(assets, start=1)
        ]  # fmt: skip
        events += own
        reused = [
            ManifestStep(e.asset, e.run_id, "v", {}, "1", e.metadata)
            for e in events
            if e.run_id == "run-0" and index and e.asset != "idle_video"
        ]
        steps = [ManifestStep(e.asset, run, "v", {}, "1", e.metadata) for e in own]
        manifests.append(made(run, steps=[*reused, *steps]))
    ledger = Ledger(tmp_path)
    ledger.update(events)
    total = cost_report(ledger.frame(COST_COLUMNS), price_book()).facts["total_cost"]["USD"]
    assert total == pytest.approx(sum(manifest.cost or 0 for manifest in manifests), rel=1e-12)
    assert total == pytest.approx(sum(event.metadata["cost"] for event in events), rel=1e-12)


def test_a_file_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    archive = ManifestArchive(tmp_path / "lineage")
    first, second = (
        made("run-1", idle="one"),
        made("run-2", idle="two", at=NOON + timedelta(days=1)),
    )
    again = made("run-3", idle="one", at=NOON + timedelta(days=2))
    for manifest in (first, second, again, first):
        archive.add(manifest)
    assert [(role, m.run_id) for role, m in archive.find(digest("one"))] == [
        ("output", "run-3"),
        ("output", "run-1"),
    ]
    assert [m.run_id for _, m in archive.find(digest("two"))] == ["run-2"]
    assert {role for role, _ in archive.find(digest("clip"))} == {"input"}
    assert archive.find(digest("never seen")) == []
    assert len(list(archive)) == 3


def test_a_renamed_copy_is_found_too(tmp_path: Path) -> None:
    file = tmp_path / "download (3).mp4"
    file.write_bytes(b"idle")
    archive = ManifestArchive(tmp_path / "lineage")
    archive.add(made())
    assert archive.find(file_fact(file).sha256)[0][1].run_id == "run-1"


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "a" * 63, "A" * 64, "g" * 64])
def test_what_is_no_hash_is_refused(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(CostError):
        ManifestArchive(tmp_path).find(sha256)
    with pytest.raises(CostError):
        FileFact("idle.mp4", sha256, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema": 2}',
        b"\xff\xfe",
        b"[" * 100_000,
        made().to_bytes().replace(b'"sha256": "', b'"sha256": "x'),
        made().to_bytes().replace(b"+00:00", b""),
        made().to_bytes().replace(b'"steps": [', b'"steps": [7,'),
        made().to_bytes() + b" " * (5 * 1024 * 1024),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(CostError, match=r"no manifest|no sha256"):
        Manifest.from_bytes(content)


def test_a_manifest_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Manifest.load(tmp_path / "manifest.json")


def test_the_tree_reads_from_the_published_back_to_the_source() -> None:
    lines = lineage_text(made()).splitlines()
    place = {
        word: next(i for i, line in enumerate(lines) if word in line)
        for word in ("ada", "idle.mp4", "hero_video", "face_mesh", "driving_multiplier")
    }
    assert place["ada"] == 0
    steps = [line for line in lines if "version" in line and "sha256" not in line]
    depth = [len(line) - len(line.lstrip("│├└─ ")) for line in steps]
    assert [line.split("─ ")[1].split()[0] for line in steps] == [
        "published_avatar",
        "idle_video",
        "motion_template",
    ]
    assert depth == sorted(depth)
    assert "reused from run run-0" in steps[2]
    assert any("trimmed_video" in line and "not in this manifest" in line for line in lines)


def test_a_name_cannot_steer_the_terminal() -> None:
    text = lineage_text(made(avatar_id="\x1b[2J[red]ada"))
    assert "\x1b" not in text
    assert "[red]ada" in text
