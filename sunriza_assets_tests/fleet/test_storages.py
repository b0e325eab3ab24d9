"""Dagster's storages with connections that stay open: the same files, tables and answers."""

import os
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine

from resources.postgres import is_refusal
from sunriza_assets.errors import StoreError
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.platform.dagster_internals import SqliteEventLogStorage
from sunriza_assets.platform.instance import shipped_settings
from sunriza_assets_tests.fleet.servers import Postgres, wait_until
from sunriza_assets_tests.processes import free_port

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


@contextmanager
def on_postgres(patch: pytest.MonkeyPatch) -> Iterator[tuple[Postgres, dg.DagsterInstance]]:
    """A server, and an instance that keeps everything there."""
    with tempfile.TemporaryDirectory(prefix="sunriza-") as name:
        root = Path(name)
        root.chmod(0o755)
        with Postgres(root / "postgres") as server:
            custom = {
                "module": "sunriza_assets.platform.storage.postgres",
                "class": "PooledPostgresStorage",
                "config": {"postgres_url": server.url},
            }
            settings = {"storage": {"custom": custom}, "telemetry": {"enabled": False}}
            (root / "dagster.yaml").write_text(yaml.safe_dump(settings))
            patch.setenv("DAGSTER_HOME", str(root))
            with dg.DagsterInstance.get() as instance:
                yield server, instance


@pytest.mark.slow
def test_postgres_that_drops_its_connections_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a restart of the database does to a worker that renders meanwhile and tells nothing."""
    with on_postgres(monkeypatch) as (server, instance):
        make(instance, "before", "again")
        with statements() as asked:
            make(instance, "warm")
        looked = [one for one in asked if "pg_class" in one or "pg_attribute" in one]
        assert len(looked) < 12, "dagster-postgres looks two hundred times a run"
        pids = backends(server.url)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        wait_until("they are gone", lambda: not backends(server.url) & pids, every_s=0.1)
        (run_id,) = make(instance, "after")
        assert instance.get_run_by_id(run_id).is_success  # type: ignore[union-attr]

        @dg.asset
        def cut_off() -> int:
            """Something during which the database goes, and comes back only after a while."""
            time.sleep(1.0)  # it holds the latest events in memory for up to .6 s
            server.kill()
            threading.Timer(1.5, server.start).start()
            return 1

        @dg.asset(deps=[cut_off])
        def interrupted() -> int:
            """Something during which a statement fails that the server has begun."""
            for pid in backends(server.url):
                os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.3, end_backends, (server.url,)).start()
            return 1

        result = dg.materialize([cut_off, interrupted], instance=instance)
        assert result.success
        told = [entry.dagster_event_type for entry in instance.all_logs(result.run_id)]
        for kind in ("STEP_START", "STEP_SUCCESS", "ASSET_MATERIALIZATION"):
            assert told.count(dg.DagsterEventType[kind]) == 2, "none is lost, none is there twice"
        assert told.count(dg.DagsterEventType.RUN_SUCCESS) == 1


def end_backends(url: str) -> None:
    for pid in backends(url):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_refuses_or_stays_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from sunriza_assets.platform.storage import postgres as storage

    monkeypatch.setattr(storage, "PATIENCE_S", 0.2)
    monkeypatch.setattr(storage, "_LOOK_S", 0.05)
    url = f"postgresql+psycopg2://anna:geheim@127.0.0.1:{free_port()}/x"
    with pytest.raises(StoreError) as away:
        storage.PooledPostgresStorage(url)
    assert away.value.code == "store.unreachable"
    assert "geheim" not in str(away.value)
    assert is_refusal(Exception('FATAL:  password authentication failed for user "anna"'))
    assert is_refusal(Exception('FATAL:  database "x" does not exist'))
    assert not is_refusal(Exception("FATAL:  the database system is starting up"))
    assert not is_refusal(away.value.__cause__ or away.value)


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
