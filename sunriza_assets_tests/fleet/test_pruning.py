"""Old runs go; each avatar's latest whole run, and what Dagster shows by it, stays."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.operations.pruning import prune
from sunriza_assets.platform.instance import shipped_settings


@dg.asset(partitions_def=AVATARS)
def first() -> None:
    """One of two."""


@dg.asset(partitions_def=AVATARS, deps=[first])
def second(context: dg.AssetExecutionContext) -> None:
    """The other, which may fail."""
    if "fail" in context.run.tags:
        raise dg.Failure("as asked", allow_retries=False)


@dg.asset
def report() -> None:
    """Of no avatar."""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """One machine's instance as shipped."""
    (tmp_path / "dagster.yaml").write_text(shipped_settings().read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as opened:
        opened.add_dynamic_partitions(AVATARS.name or "", ["a", "b"])
        yield opened


def run(instance: dg.DagsterInstance, avatar_id: str, **tags: str) -> str:
    """A run of both assets, or of the one that is named."""
    only = tags.pop("only", None)
    job = dg.define_asset_job("both", selection=[first, second])
    made = dg.Definitions(assets=[first, second], jobs=[job]).resolve_job_def("both")
    return made.execute_in_process(
        instance=instance,
        partition_key=avatar_id,
        tags=tags,
        asset_selection=[dg.AssetKey(only)] if only else None,
        raise_on_error=False,
    ).run_id


def test_what_later_runs_have_replaced_goes(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    old = run(instance, "a")
    failed = run(instance, "a", fail="yes")
    latest = run(instance, "a")
    part = run(instance, "a", only="second")
    failed_last = run(instance, "a", fail="yes")
    never = [run(instance, "b", fail="yes"), run(instance, "b", only="first")]
    told = dg.materialize([report], instance=instance).run_id

    ledger = Ledger(tmp_path / "ledger")
    now = datetime.now(UTC)
    all_assets = {"first", "second"}
    yesterday, soon = now - timedelta(days=1), now + timedelta(minutes=1)
    assert prune(instance, ledger, before=yesterday, all_assets=all_assets) == 0, "all are young"
    assert prune(instance, ledger, before=soon, all_assets=all_assets) == 3
    assert {one.run_id for one in instance.get_runs()} == {latest, part, failed_last, *never}
    for gone in (old, failed, told):
        assert not list((tmp_path / "history" / "runs").glob(f"{gone}*"))
    for key in (first.key, second.key):
        assert "a" in instance.get_materialized_partitions(key)
    told_last = instance.get_latest_materialization_event(second.key)
    assert told_last
    assert told_last.run_id == part
    assert ledger.cursor, "it was read before anything was deleted"
    assert prune(instance, ledger, before=soon, all_assets=all_assets) == 0
    assert run(instance, "a"), "and life goes on"
