"""The code location as Dagster sees it: cheap to load, complete, and set up as operators expect."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from sunriza_assets.definitions import build_defs
from sunriza_assets.platform.instance import shipped_settings

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("asset_specs.json")
HEAVY = [
    "torch",
    "cv2",
    "onnxruntime",
    "pandas",
    "firebase_admin",
    "google.cloud.firestore",
    "google.cloud.storage",
    "dagster_gcp",
    "scipy",
    "skimage",
    "matplotlib",
    "pyarrow",
    # Executors and far-away engines that are not in use.
    "celery",
    "dagster_celery",
    "dagster_k8s",
    "dagster_postgres",
    "kubernetes",
    "modal",
]


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


def test_loading_the_code_location_imports_nothing_heavy() -> None:
    script = (
        "import sys, json, sunriza_assets.definitions;"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(loaded.stdout) == []


def test_asset_specs_are_those_of_the_snapshot(defs: dg.Definitions) -> None:
    """Names, deps, groups, kinds and pools are a contract with operators' habits and dashboards.

    After a wanted change: python -m sunriza_assets_tests.graph.test_definitions
    """
    assert described(defs) == json.loads(SNAPSHOT.read_text())


def test_every_avatar_asset_is_described_owned_and_versioned(defs: dg.Definitions) -> None:
    for asset in defs.resolve_asset_graph().assets_defs:
        for spec in asset.specs:
            assert spec.description, spec.key
            assert spec.owners, spec.key
            assert spec.code_version, spec.key


def test_no_step_has_a_retry_policy(defs: dg.Definitions) -> None:
    """With the in-process executor, Terminate would be retried and end as SUCCESS."""
    for job in ("avatar_dynamics", "rerender"):
        for node in defs.resolve_job_def(job).nodes:
            assert node.retry_policy is None
            assert node.definition.retry_policy is None


def test_rerender_starts_at_the_idle(defs: dg.Definitions) -> None:
    selected = defs.resolve_job_def("rerender").asset_layer.selected_asset_keys
    assert {key.to_user_string() for key in selected} == {
        "idle_video",
        "atlas",
        "mask",
        "roi",
        "published_avatar",
        "preview_page",
        "idle_extras",
    }


def test_checks_block(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    checks = {key.name for key in graph.asset_check_keys}
    assert {"idle_plays", "idle_lasts", "idle_loops", "mask_fits", "roi_fits"} <= checks
    for key in graph.asset_check_keys:
        assert graph.get_check_spec(key).blocking == (key.name != "within_budget"), key


def test_shipped_settings_free_the_slots_of_killed_runs() -> None:
    settings = yaml.safe_load(shipped_settings().read_text())
    assert settings["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    assert settings["run_monitoring"]["max_resume_run_attempts"] == 0
    assert settings["concurrency"]["pools"]["granularity"] == "op"
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False


@pytest.mark.slow
def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    dagster = Path(sys.executable).with_name("dagster")
    done = subprocess.run(
        [dagster, "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "DAGSTER_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def described(defs: dg.Definitions) -> dict[str, object]:
    return {
        spec.key.to_user_string(): {
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "group": spec.group_name,
            "kinds": sorted(spec.kinds),
            "partitioned": spec.partitions_def is not None,
            "pool": asset.op.pool,
        }
        for asset in defs.resolve_asset_graph().assets_defs
        for spec in asset.specs
    }


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(described(build_defs()), indent=2, sort_keys=True) + "\n")
