"""The provenance of a publication: all upstream steps, read from the event log.

A run uses its own results, and stored files for assets that it did not make. So the upstream steps
of an avatar may belong to several runs; each has its own record.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from resources.accounting.event_log import plain_metadata
from resources.dagster_internals import (
    extract_data_provenance_from_entry,
    extract_data_version_from_entry,
)
from resources.publishing.reuse import SEARCH_LIMITS, producing_run
from sunriza_assets.costs.events import step_facts
from sunriza_assets.costs.manifest import FileFact, ManifestStep

__all__ = ["input_files", "upstream_steps"]


def upstream_steps(
    instance: dg.DagsterInstance, avatar_id: str, made_by: Mapping[str, str]
) -> list[ManifestStep]:
    """The steps that led to some results, back to the uploads, upstream first.

    Args:
        made_by: asset -> the run that made the files that were used.

    A step whose run was deleted is left out, together with steps that are only reached through it.
    """
    history = _History(instance, avatar_id)
    found: dict[str, ManifestStep] = {}

    def follow(record: dg.EventLogRecord | None) -> None:
        made = record.asset_materialization if record else None
        if record is None or made is None or made.asset_key.to_user_string() in found:
            return
        source = producing_run(record)
        if source != record.run_id:  # reused: the run that made it has the upstream steps
            follow(history.of_run(made.asset_key, source))
            if made.asset_key.to_user_string() in found:
                return
        entry = record.event_log_entry
        provenance = extract_data_provenance_from_entry(entry)
        upstream = provenance.input_data_versions if provenance else {}
        for key in upstream:
            # The run's own result, else the newest one when it began.
            newest = provenance.input_storage_ids.get(key) if provenance else None
            follow(history.of_run(key, record.run_id) or history.as_of(key, newest))
        version = extract_data_version_from_entry(entry)
        asset = made.asset_key.to_user_string()
        found[asset] = ManifestStep(
            asset=asset,
            run_id=record.run_id,
            data_version=version.value if version else "",
            upstream=_versions(upstream, found),
            code_version=provenance.code_version if provenance else None,
            facts=step_facts(plain_metadata(made.metadata)),
        )

    for asset, run_id in made_by.items():
        follow(history.of_run(dg.AssetKey(asset), run_id))
    return list(found.values())


def input_files(steps: Sequence[ManifestStep]) -> list[FileFact]:
    """The uploaded files: results of steps without upstream; their data version is the hash."""
    return [
        FileFact(step.asset, step.data_version, int(step.facts.get("bytes_out", 0)))
        for step in steps
        if not step.upstream
    ]


def _versions(
    upstream: Mapping[dg.AssetKey, dg.DataVersion], found: Mapping[str, ManifestStep]
) -> dict[str, str]:
    """Data versions of a step's inputs.

    Dagster records a hash over the versions of the partitions read, here of one; if the upstream
    step was found, its own version is used instead.
    """
    names = {key.to_user_string(): version.value for key, version in upstream.items()}
    return {
        name: found[name].data_version if name in found else noted for name, noted in names.items()
    }


class _History:
    """Materializations of one avatar."""

    def __init__(self, instance: dg.DagsterInstance, avatar_id: str) -> None:
        self._instance = instance
        self._avatar_id = avatar_id
        self._read: dict[tuple[dg.AssetKey, int], Sequence[dg.EventLogRecord]] = {}

    def of_run(self, key: dg.AssetKey, run_id: str) -> dg.EventLogRecord | None:
        """The materialization of an asset by a run, if any."""
        for limit in SEARCH_LIMITS:
            records = self._newest(key, limit)
            for record in records:
                if record.run_id == run_id:
                    return record
            if len(records) < limit:
                break
        return None

    def _newest(self, key: dg.AssetKey, limit: int) -> Sequence[dg.EventLogRecord]:
        """The newest materializations of an asset, read once."""
        if (key, limit) not in self._read:
            wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[self._avatar_id])
            found = self._instance.fetch_materializations(wanted, limit=limit).records
            self._read[key, limit] = found
        return self._read[key, limit]

    def as_of(self, key: dg.AssetKey, newest: int | None) -> dg.EventLogRecord | None:
        """The avatar's newest materialization of an asset up to a storage id."""
        if newest is None:
            return None
        wanted = dg.AssetRecordsFilter(
            asset_key=key, asset_partitions=[self._avatar_id], before_storage_id=newest + 1
        )
        return next(iter(self._instance.fetch_materializations(wanted, limit=1).records), None)
