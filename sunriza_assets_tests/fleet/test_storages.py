"""Dagster's storages with connections that stay open: the same files, tables and answers."""

import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine

from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.platform.dagster_internals import SqliteEventLogStorage
from sunriza_assets.platform.instance import shipped_settings
from sunriza_assets_tests.fleet.servers import postgres, wait_until

PARTITIONS = AVATARS.name or ""


@dg.asset(partitions_def=AVATARS)
def thing() -> int:
    return 1


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """One machine's instance as shipped."""
    (tmp_path / "dagster.yaml").write_text(shipped_settings().read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as opened:
        yield opened


def make(instance: dg.DagsterInstance, *names: str) -> list[str]:
    """A run for each; ids of the runs."""
    instance.add_dynamic_partitions(PARTITIONS, list(names))
    results = [dg.materialize([thing], partition_key=name, instance=instance) for name in names]
    assert all(result.success for result in results)
    return [result.run_id for result in results]


@contextmanager
def statements() -> Iterator[list[str]]:
    """What databases are asked meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def schema_of(file: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(file) as opened:
        (mode,) = opened.execute("PRAGMA journal_mode").fetchone()
        revision = opened.execute("SELECT version_num FROM alembic_version").fetchall()
        tables = opened.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        return [(mode,), *revision, *tables.fetchall()]


def test_the_database_of_a_later_run_is_like_that_of_the_first(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    folder = tmp_path / "history" / "runs"
    with statements() as asked:
        first, second, third = make(instance, "a", "b", "c")
    assert schema_of(folder / f"{first}.db") == schema_of(folder / f"{third}.db")
    assert schema_of(folder / f"{first}.db")[0] == ("wal",)
    made = [one for one in asked if one.startswith("CREATE TABLE event_logs")]
    assert len(made) <= 2, "the index and the first run; the others are copies"
    assert not list(folder.glob(".*.part"))

    theirs = SqliteEventLogStorage(str(folder))
    for run_id in (first, second, third):
        told = [entry.dagster_event_type for entry in theirs.get_logs_for_run(run_id)]
        assert told == [entry.dagster_event_type for entry in instance.all_logs(run_id)]
        assert told.count(dg.DagsterEventType.ASSET_MATERIALIZATION) == 1


def test_a_partition_is_asked_for_once_and_forgotten_when_it_is_deleted(
    instance: dg.DagsterInstance,
) -> None:
    make(instance, "warm")
    instance.add_dynamic_partitions(PARTITIONS, ["a"])
    with statements() as asked:
        assert all(instance.has_dynamic_partition(PARTITIONS, "a") for _ in range(5))
        assert not instance.has_dynamic_partition(PARTITIONS, "b")
    assert sum("dynamic_partitions" in one for one in asked) == 2
    instance.add_dynamic_partitions(PARTITIONS, ["b"])
    assert instance.has_dynamic_partition(PARTITIONS, "b"), "an absence is not remembered"
    instance.delete_dynamic_partition(PARTITIONS, "a")
    assert not instance.has_dynamic_partition(PARTITIONS, "a")


@pytest.mark.slow
def test_postgres_that_drops_its_connections_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a restart of the database does to a worker that renders meanwhile and tells nothing."""
    from sunriza_assets.platform.storage import postgres as storage

    monkeypatch.setattr(storage, "MAX_IDLE_S", 0.0)  # as if every connection had lain idle
    with tempfile.TemporaryDirectory(prefix="sunriza-") as name:
        root = Path(name)
        root.chmod(0o755)
        with postgres(root / "postgres") as url:
            custom = {
                "module": "sunriza_assets.platform.storage.postgres",
                "class": "PooledPostgresStorage",
                "config": {"postgres_url": url},
            }
            settings = {"storage": {"custom": custom}, "telemetry": {"enabled": False}}
            (root / "dagster.yaml").write_text(yaml.safe_dump(settings))
            monkeypatch.setenv("DAGSTER_HOME", str(root))
            with dg.DagsterInstance.get() as instance:
                make(instance, "before", "again")
                with statements() as asked:
                    make(instance, "warm")
                looked = [one for one in asked if "pg_class" in one or "pg_attribute" in one]
                assert len(looked) < 12, "dagster-postgres looks two hundred times a run"
                pids = backends(url)
                assert pids
                for pid in pids:
                    os.kill(pid, signal.SIGTERM)
                wait_until("they are gone", lambda: not backends(url) & pids, every_s=0.1)
                (run_id,) = make(instance, "after")
                assert instance.get_run_by_id(run_id).is_success  # type: ignore[union-attr]


def backends(url: str) -> set[int]:
    """Processes of the database that serve others than this question."""
    import psycopg2

    plain = url.replace("+psycopg2", "")
    with psycopg2.connect(plain) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in cursor.fetchall()}
