"""A cache for what Dagster's event log asks its database repeatedly.

A run of one avatar asks a hundred and sixty times whether the avatar is a partition, and nearly two
hundred times whether a table or a column is there. Only positive answers are cached: tables are not
dropped under a running process, and a partition is deleted only when nothing runs for it.
"""

import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from dagster import DynamicPartitionsDefinition

from sunriza_assets.platform.dagster_internals import SqlEventLogStorage
from sunriza_assets.platform.storage.check_states import state_of_check

__all__ = ["CachedEventLog"]

PARTITION_TTL_S: Final = 10.0
"""How long an existing partition is cached."""
_MAX_PARTITIONS: Final = 1000
"""Partitions cached at most."""


class CachedEventLog(SqlEventLogStorage):
    """Mixin before an event log's class; caches what exists, never what does not."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        self._partitions: dict[tuple[str, str], float] = {}
        super().__init__(*given, **named)

    def has_table(self, table_name: str) -> bool:
        """Whether a table exists; a table that exists is cached for good."""
        if table_name not in self._tables and self._has_table_now(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @abstractmethod
    def _has_table_now(self, table_name: str) -> bool:
        """Ask the database."""

    def _has_asset_key_col_on_connection(self, conn: Any, column_name: str) -> bool:
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(
            conn, column_name
        ):
            self._columns.add(column_name)
        return column_name in self._columns

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Whether a partition exists; one that exists is cached for a moment."""
        key = (partitions_def_name, partition_key)
        now = time.monotonic()
        if now - self._partitions.get(key, -PARTITION_TTL_S) < PARTITION_TTL_S:
            return True
        found = super().has_dynamic_partition(partitions_def_name, partition_key)
        if found:
            if len(self._partitions) >= _MAX_PARTITIONS:
                self._partitions.clear()
            self._partitions[key] = now
        return found

    def get_asset_check_state(self, keys: Any) -> Mapping[Any, Any]:
        """State of checks for each of their partitions; see `check_states`."""
        dynamic = [
            (key, partitions)
            for key, partitions in keys
            if isinstance(partitions, DynamicPartitionsDefinition)
        ]
        others = [pair for pair in keys if pair not in dynamic]
        states = dict(super().get_asset_check_state(others)) if others else {}
        for key, partitions in dynamic:
            states[key] = state_of_check(self._instance, key, partitions)
        return states

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Delete a partition, from the cache too."""
        super().delete_dynamic_partition(partitions_def_name, partition_key)
        self._partitions.pop((partitions_def_name, partition_key), None)
