"""What a publication was made from: each step that took part, by the event log.

A run uses what it has made itself, and of what it has not made, the files that lie ready. So the
steps behind an avatar may be those of several runs; each is told with its own record.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from resources.accounting.event_log import plain_metadata
from resources.dagster_internals import (
    extract_data_provenance_from_entry,
    extract_data_version_from_entry,
)
from resources.publishing.reuse import producing_run
from sunriza_assets.costs.events import step_facts
from sunriza_assets.costs.manifest import FileFact, ManifestStep

__all__ = ["input_files", "upstream_steps"]

_SEARCH_LIMITS: Final = (4, 200)
"""Newest materializations of an asset for one avatar among which a run's is looked for: it is
nearly always one of the very last."""


def upstream_steps(
    instance: dg.DagsterInstance, avatar_id: str, made_by: Mapping[str, str]
) -> list[ManifestStep]:
    """The steps behind some results, back to what was uploaded, upstream first.

    Args:
        made_by: asset -> the run that made the files that were used.

    A step whose run was deleted is left out, together with what is only known through it.
    """
    history = _History(instance, avatar_id)
    found: dict[str, ManifestStep] = {}

    def follow(record: dg.EventLogRecord | None) -> None:
        made = record.asset_materialization if record else None
        if record is None or made is None or made.asset_key.to_user_string() in found:
            return
        source = producing_run(record)
        if source != record.run_id:  # found unchanged: what was made, and from what, says its maker
            follow(history.of_run(made.asset_key, source))
            if made.asset_key.to_user_string() in found:
                return
        entry = record.event_log_entry
        provenance = extract_data_provenance_from_entry(entry)
        upstream = provenance.input_data_versions if provenance else {}
        for key in upstream:
            # What the run made itself is what it used; else what was there when it began.
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
    """The uploaded files: what the first steps took in and keep; their data version is the hash."""
    return [
        FileFact(step.asset, step.data_version, int(step.facts.get("bytes_out", 0)))
        for step in steps
        if not step.upstream
    ]


def _versions(
    upstream: Mapping[dg.AssetKey, dg.DataVersion], found: Mapping[str, ManifestStep]
) -> dict[str, str]:
    """Data versions of what a step was made from.

    Dagster notes a hash over the versions of all partitions that were read, here of the one; where
    the step behind it is known, its own version says more.
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

    def of_run(self, key: dg.AssetKey, run_id: str) -> dg.EventLogRecord | None:
        """What a run made of an asset, if it did."""
        for limit in _SEARCH_LIMITS:
            wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[self._avatar_id])
            records = self._instance.fetch_materializations(wanted, limit=limit).records
            for record in records:
                if record.run_id == run_id:
                    return record
            if len(records) < limit:
                break
        return None

    def as_of(self, key: dg.AssetKey, newest: int | None) -> dg.EventLogRecord | None:
        """What there was of an asset when some event, of whichever avatar, was its newest."""
        if newest is None:
            return None
        wanted = dg.AssetRecordsFilter(
            asset_key=key, asset_partitions=[self._avatar_id], before_storage_id=newest + 1
        )
        return next(iter(self._instance.fetch_materializations(wanted, limit=1).records), None)
