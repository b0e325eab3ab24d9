"""Dagster's private names: where each is, and what stops working when a release moves it."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTERNALS = {
    "resources/dagster_internals.py": {
        "ChildProcessCrashException": "a step whose process was killed is taken for a named error",
        "ConfigType": "the launchpad cannot check parameters",
        "ConfigTypeKind": "the launchpad cannot check parameters",
        "DefaultRunLauncher": "nothing tells one machine from a fleet",
        "PostProcessingError": "the launchpad cannot say which values are allowed",
        "RunFailureReason": "Ctrl-C in `sunriza render` is taken for a failed run",
        "SqlRunStorage": "the ledger cannot tell how far it is behind the event log",
        "StepFailureData": "a step whose process was killed is taken for a named error",
        "extract_data_provenance_from_entry": "manifests do not know which inputs a step read",
        "extract_data_version_from_entry": "manifests do not know which version a step made",
    },
    "sunriza_assets/platform/dagster_internals.py": {
        "ASSET_CHECK_EVENTS": "an event whose connection broke is not stored again as a whole",
        "ASSET_EVENTS": "an event whose connection broke is not stored again as a whole",
        "FINISHED_STATUSES": "the Checks tab cannot tell running checks from finished ones",
        "INDEX_SHARD_NAME": "the pooled SQLite event log finds no database",
        "AssetCheckExecutionRecordStatus": "the Checks tab shows no avatar's result",
        "AssetCheckExecutionResolvedStatus": "the Checks tab shows no avatar's result",
        "AssetCheckPartitionInfo": "the Checks tab shows no avatar's result",
        "AssetCheckState": "the Checks tab shows no avatar's result",
        "CheckRunHealthResult": "the Celery launcher cannot report a lost worker",
        "ConfigurableClassData": "dagster.yaml cannot name the pooled storages",
        "DagsterSqliteStorage": "the pooled SQLite storage has no base",
        "EventLogStorage": "the pooled Postgres storage has no event log",
        "SerializableEntitySubset": "the Checks tab shows no avatar's result",
        "SqlEventLogStorage": "the cached event log has no base",
        "SqlEventLogStorageTable": "an event whose connection broke may be stored twice",
        "SqliteEventLogStorage": "the pooled SQLite event log has no base",
        "SqliteRunStorage": "the pooled SQLite run storage has no base",
        "SqliteScheduleStorage": "the pooled SQLite schedule storage has no base",
        "WorkerStatus": "the Celery launcher cannot report a lost worker",
        "serialize_value": "an event whose connection broke may be stored twice",
        "partition_loading_context": "the Checks tab fails on dynamic partitions",
    },
    "sunriza_assets/platform/dagster_web_internals.py": {
        "CodeLocation": "the dispatcher cannot hand runs to a queue",
        "JobSubsetSelector": "the dispatcher cannot hand runs to a queue",
        "ModuleTarget": "`sunriza dev` cannot load the code location",
        "ProxyServerManager": "`sunriza dev` cannot start a code server",
        "WorkspaceFileTarget": "the UI of `sunriza dev` finds no code server",
        "WorkspaceProcessContext": "the UI of `sunriza dev` cannot be built",
    },
}


def imports(path: Path) -> list[tuple[str, str]]:
    """(module, name) of everything that a file imports from Dagster's private modules."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster._")
        for alias in node.names
        if node.module is not None
    ]


@pytest.mark.parametrize("file", INTERNALS)
def test_every_private_name_is_where_it_was(file: str) -> None:
    found = imports(ROOT / file)
    for module, name in found:
        gone = f"Dagster moved {module}.{name}: {INTERNALS[file][name]}"
        assert hasattr(importlib.import_module(module), name), gone
    assert {name for _, name in found} == set(INTERNALS[file])


def test_private_names_are_imported_nowhere_else() -> None:
    others = {
        str(path.relative_to(ROOT))
        for folder in ("sunriza_assets", "resources")
        for path in (ROOT / folder).rglob("*.py")
        if imports(path)
    }
    assert others == set(INTERNALS)
