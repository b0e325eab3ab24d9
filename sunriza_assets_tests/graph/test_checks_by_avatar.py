"""What an operator's browser is told of checks when one avatar is bad and another is good."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from resources.home import Home
from sunriza_assets.graph.checks import avatar_check
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.platform.instance import opened_instance

ASKED = """
query Checks($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {
          checks {
            name
            partitionStatuses {
              ... on AssetCheckDefaultPartitionStatuses {
                succeededPartitions
                failedPartitions
                executionFailedPartitions
              }
            }
          }
        }
      }
    }
  }
  all: assetCheckExecutions(assetKey: $asset, checkName: "plays", limit: 9) {
    status partition evaluation { description }
  }
}
"""
"""The fields that Dagster's pages of checks ask for."""


@dg.asset(partitions_def=AVATARS)
def idle() -> int:
    """Stands for an idle."""
    return 1


@avatar_check("idle")
def plays(context: dg.AssetCheckExecutionContext, idle: int) -> dg.AssetCheckResult:
    """Bad avatars do not."""
    bad = context.partition_key in BAD
    return dg.AssetCheckResult(passed=not bad, description=f"{context.partition_key}: looked at")


@dg.asset(partitions_def=AVATARS, deps=["idle"])
def published() -> None:
    """Must not be there for a bad one."""


BAD = {"bad"}
defs = dg.Definitions(assets=[idle, published], asset_checks=[plays])


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance of a home, with the storage that is shipped."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    with opened_instance(Home(tmp_path)) as opened:
        yield opened


def made(instance: dg.DagsterInstance, avatar_id: str) -> bool:
    """Run everything for an avatar; whether it was published."""
    instance.add_dynamic_partitions(AVATARS.name or "", [avatar_id])
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance, partition_key=avatar_id, raise_on_error=False
    )
    return result.success


def told(instance: dg.DagsterInstance) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The statuses by avatar, and all executions of the check, the latest first."""
    target = PythonFileTarget(__file__, "defs", working_directory=None, location_name="here")
    with WorkspaceProcessContext(instance, target) as workspace:
        answer = execute_dagster_graphql(
            workspace.create_request_context(), ASKED, variables={"asset": {"path": ["idle"]}}
        )
    assert not answer.errors, answer.errors
    (check,) = answer.data["assetNodeOrError"]["assetChecksOrError"]["checks"]
    return check["partitionStatuses"], answer.data["all"]


@pytest.mark.slow
def test_one_bad_avatar_hides_no_good_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made(instance, "good")
    assert not made(instance, "bad"), "a blocking check lets nothing bad be published"
    statuses, executions = told(instance)
    assert statuses["succeededPartitions"] == ["good"]
    assert statuses["failedPartitions"] == ["bad"]
    assert [(one["partition"], one["status"]) for one in executions] == [
        ("bad", "FAILED"),
        ("good", "SUCCEEDED"),
    ]
    assert executions[0]["evaluation"]["description"] == "bad: looked at"

    assert made(instance, "fine"), "the next one is good"
    statuses, _ = told(instance)
    assert sorted(statuses["succeededPartitions"]) == ["fine", "good"]
    assert statuses["failedPartitions"] == ["bad"], "and hides no bad one either"

    monkeypatch.setattr(f"{__name__}.BAD", set())
    assert made(instance, "bad"), "its clip was replaced"
    statuses, _ = told(instance)
    assert sorted(statuses["succeededPartitions"]) == ["bad", "fine", "good"]
    assert statuses["failedPartitions"] == []
