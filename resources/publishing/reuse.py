"""Reuse of stored results: an asset whose inputs are unchanged by content is not made again.

A materialization carries a fingerprint of all that decides it: the content of its inputs, the
parameters that it read, the versions of its code, engine and models. The next run with the same
fingerprint reuses the stored result, under the same data version, if it is complete. Its event
names the run that made it (`reused_from`); nothing is stored again, and readers of inputs and of
lineage follow it to that run.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import dagster as dg

from resources.accounting.event_log import plain_metadata
from resources.dagster_internals import extract_data_version_from_entry
from resources.home import Home
from resources.storage.objects import MediaStorage
from resources.storage.pipeline_files import current_run, listing_of, pipeline_folder
from sunriza_assets.costs.events import step_facts
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.errors import StoreError

__all__ = [
    "FINGERPRINT",
    "REUSED_FROM",
    "SEARCH_LIMITS",
    "ReusableResult",
    "fingerprint_of",
    "producing_run",
    "record_of_reuse",
    "reusable_result",
    "source_run",
]

_log = logging.getLogger(__name__)

FINGERPRINT: Final = "fingerprint"
"""Metadata: hash of all that decides a result."""
REUSED_FROM: Final = "reused_from"
"""Metadata: the run that made the result, if this one reused it."""

SEARCH_LIMITS: Final = (1, 4, 200)
"""Newest materializations of an asset for one avatar to search for a run's own: it is nearly
always the newest, and each one that is read costs a millisecond."""


@dataclass(frozen=True, slots=True)
class ReusableResult:
    """A stored result that may be reused."""

    run_id: str
    """The run that made it."""
    version: dg.DataVersion
    """Its data version."""
    metadata: Mapping[str, dg.MetadataValue[Any]]
    """Its metadata, without the facts of the step (seconds, device, price)."""
    seconds: float | None
    """Seconds that making it took, if known."""


def fingerprint_of(
    asset: str, code_version: str | None, inputs: Mapping[str, str], reads: Mapping[str, Any]
) -> str:
    """64 hex digits that differ whenever the result might.

    Args:
        asset: its name.
        code_version: version of the asset's code.
        inputs: name of each input -> hash of its content.
        reads: parameters and versions that it reads, as JSON values; 1 and 1.0 are one value.
    """
    content = {"asset": asset, "code": code_version, "inputs": dict(inputs), "reads": _plain(reads)}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def reusable_result(
    instance: dg.DagsterInstance,
    storage: MediaStorage,
    home: Home,
    key: dg.AssetKey,
    avatar_id: str,
    fingerprint: str,
    *,
    read: bool,
) -> ReusableResult | None:
    """The last good result of an asset, if it has this fingerprint and is stored whole.

    It must also be the one that is current in the storage: a process that was killed between
    storing files and writing the event has left files without an event.

    Args:
        read: read the files and verify them; else the checksums that the storage reports are
            trusted, which is safe for a bucket that verifies its content.
    """
    record = next(iter(_materializations(instance, key, avatar_id, 1)), None)
    made = record.asset_materialization if record else None
    if record is None or made is None:
        return None
    metadata = plain_metadata(made.metadata)
    version = extract_data_version_from_entry(record.event_log_entry)
    if metadata.get(FINGERPRINT) != fingerprint or version is None:
        return None
    run_id = producing_run(record)
    folder = pipeline_folder(avatar_id, key)
    try:
        if current_run(storage, folder, home) != run_id:
            return None
        whole = _is_whole(storage, home, f"{folder}/{run_id}", read=read)
    except StoreError as error:  # it can be made again
        _log.warning("%s of %s is made again: %s", key.to_user_string(), avatar_id, error)
        return None
    if not whole:
        _log.warning("%s of %s is made again: a file is gone", key.to_user_string(), avatar_id)
        return None
    facts = step_facts(metadata)
    kept = {
        name: value
        for name, value in made.metadata.items()
        if name not in facts and name not in (FINGERPRINT, REUSED_FROM)
    }
    took = facts.get("cache_saved_s") if facts.get("cache") == "hit" else facts.get("wall_s")
    return ReusableResult(run_id, version, kept, took)


def producing_run(record: dg.EventLogRecord) -> str:
    """The run that made the result of a materialization: its own, or the reused one."""
    made = record.asset_materialization
    value = made.metadata.get(REUSED_FROM) if made is not None else None
    return record.run_id if value is None else str(value.value)


def source_run(
    instance: dg.DagsterInstance, key: dg.AssetKey, avatar_id: str, run_id: str
) -> str | None:
    """The run whose files are a run's result of an asset: itself or a reused one; None if none."""
    for limit in SEARCH_LIMITS:
        records = _materializations(instance, key, avatar_id, limit)
        for record in records:
            if record.run_id == run_id:
                return producing_run(record)
        if len(records) < limit:
            break
    return None


def record_of_reuse(record: StepRecord, former_seconds: float | None) -> StepRecord:
    """The record of a step that reused a result: nothing was made, so nothing is billed.

    The seconds of the comparison are kept as `unbooked_s`.
    """
    return replace(
        record,
        wall_s=0.0,
        stages={},
        cpu_s=0.0,
        gpu_s=0.0,
        cache="hit",
        cache_saved_s=former_seconds,
        unbooked_s=record.wall_s,
    )


def _is_whole(storage: MediaStorage, home: Home, version: str, *, read: bool) -> bool:
    """Whether all files of a version exist with the listed sizes and checksums.

    Raises:
        StoreError: one is damaged, or the storage cannot be read.
    """
    listing = listing_of(storage, version, home)
    if not listing:
        return False
    for file in listing["files"]:
        name = f"{version}/{file['name']}"
        stored = storage.stat(name)
        if stored is None or (stored.size, stored.md5) != (file["size"], file["md5"]):
            return False
        if read:
            storage.fetch(name, home.cache / "downloads" / version)
    return True


def _materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey, avatar_id: str, limit: int
) -> list[dg.EventLogRecord]:
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[avatar_id])
    return list(instance.fetch_materializations(wanted, limit=limit).records)


def _plain(value: Any) -> Any:
    """1.0 as 1, so that a number keeps its hash however it was written."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
