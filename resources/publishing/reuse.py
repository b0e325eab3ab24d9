"""What is unchanged by content is not made again: which stored result an asset may hand on.

A materialization carries a fingerprint of all that decides it: the content that it was made from,
the parameters that it read, the versions of its code, engine and models. The next run that comes to
the same fingerprint hands the stored result on, under the same data version, if it is still whole.
Its event says whose result that is (`reused_from`); nothing is stored again, and whoever reads
inputs or follows lineage goes on to the run that really made it.
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
"""Metadata: the run that made the result, where this one found it unchanged."""

_SEARCH_LIMITS: Final = (4, 200)
"""Newest materializations of an asset for one avatar among which a run's is looked for: it is
nearly always one of the very last."""


@dataclass(frozen=True, slots=True)
class ReusableResult:
    """A stored result that may be handed on."""

    run_id: str
    """The run that made it."""
    version: dg.DataVersion
    """Its data version."""
    metadata: Mapping[str, dg.MetadataValue[Any]]
    """What was metadata of it, without what making it took."""
    seconds: float | None
    """What making it took, where that is known."""


def fingerprint_of(
    asset: str, code_version: str | None, inputs: Mapping[str, str], reads: Mapping[str, Any]
) -> str:
    """64 hex digits that differ whenever the result might.

    Args:
        asset: its name.
        code_version: version of the asset's code.
        inputs: what it is made from -> hash of the content.
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
    storing files and telling the event log has left files that no event speaks of.

    Args:
        read: look into the files; else what the storage says of them is taken for true, which a
            bucket that checks what it keeps may be trusted with.
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
    """The run that made what a materialization tells of: its own, or the one it reused."""
    made = record.asset_materialization
    value = made.metadata.get(REUSED_FROM) if made is not None else None
    return record.run_id if value is None else str(value.value)


def source_run(
    instance: dg.DagsterInstance, key: dg.AssetKey, avatar_id: str, run_id: str
) -> str | None:
    """The run whose files a run hands on as its own result of an asset, if it does."""
    for limit in _SEARCH_LIMITS:
        records = _materializations(instance, key, avatar_id, limit)
        for record in records:
            if record.run_id == run_id:
                return producing_run(record)
        if len(records) < limit:
            break
    return None


def record_of_reuse(record: StepRecord, former_seconds: float | None) -> StepRecord:
    """The record of a step that found its result unchanged: nothing was made, so nothing is billed.

    What looking took is metadata as `unbooked_s`.
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
    """Whether all files of a version are there, as long and with the checksums that were listed.

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
