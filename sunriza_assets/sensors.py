"""What starts runs by itself, and what makes sure that no avatar is left waiting.

`avatar_changes` reads a stream of changed documents and costs what changed, never what there is.
Its cursor moves only over changes that were turned into requests or needed none, and every request
has a key, so a tick that is cut short and repeated neither loses nor doubles a run.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Final

import dagster as dg

from resources.avatars import Change, Cursor
from resources.document import AvatarDocument
from resources.instants import now
from resources.publication import tidy
from resources.services import Stores, Templates
from sunriza_assets.errors import SunrizaError
from sunriza_assets.jobs import AVATAR_DYNAMICS
from sunriza_assets.operations import queue
from sunriza_assets.operations.purge import Absences, are_too_many, purge
from sunriza_assets.partitions import AVATAR_TAG, AVATARS

__all__ = ["SENSORS"]

PAGE: Final = 100
"""Documents read per tick."""
KNOWN_PAGE: Final = 500
"""Partitions per tick whose documents are looked for: 100,000 take seventeen hours."""
PURGE_S: Final = 20.0
"""After how long no further purge begins in a tick, which has 60 s."""
GONE_FOR: Final = timedelta(minutes=10)
"""How long a document has to be gone before its avatar is purged."""
INPUTS_TAG: Final = "sunriza/inputs"
"""Run tag: the version of the inputs that the run was asked for."""
_LATEST: Final = 20
"""Runs for the same inputs of an avatar that are looked at."""
_TOLD_WITHIN: Final = timedelta(minutes=2)
"""How long a run that has ended may take until the document says so."""


@dg.sensor(
    job=AVATAR_DYNAMICS,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def avatar_changes(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult:
    """One run per new or changed avatar: portrait, clip, parameters, or status `pending`."""
    after = Cursor(**json.loads(context.cursor)) if context.cursor else None
    room = queue.QUEUE_CAP - queue.waiting_runs(context.instance)
    if room <= 0:
        return dg.SensorResult(skip_reason=f"{queue.QUEUE_CAP} runs wait already")
    page = stores.avatars.changes(after, min(PAGE, room))
    cursor = json.dumps(asdict(page.cursor)) if page.cursor else context.cursor
    return _asking_for_runs(context, stores, page.changes, cursor)


@dg.sensor(
    job=AVATAR_DYNAMICS,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def avatar_patrol(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult:
    """Walks round all avatars, a page at a time, for what the stream of changes cannot show.

    That is: phones that were offline for a day, clocks that stand wrong, documents without a time,
    and replaced versions that nobody reads any more.
    """
    room = queue.QUEUE_CAP - queue.waiting_runs(context.instance)
    if room <= 0:
        return dg.SensorResult(skip_reason=f"{queue.QUEUE_CAP} runs wait already")
    seen = stores.avatars.patrol(context.cursor or "", min(PAGE, room))
    for change in seen:
        if change.document is not None and len(change.document.record.published) > 1:
            with _one_document(context, change.avatar_id):
                tidy(stores.storage, stores.avatars, change.avatar_id)
    return _asking_for_runs(context, stores, seen, seen[-1].avatar_id if seen else "")


def _asking_for_runs(
    context: dg.SensorEvaluationContext,
    stores: Stores,
    changes: Sequence[Change],
    cursor: str | None,
) -> dg.SensorResult:
    requests: list[dg.RunRequest] = []
    for change in changes:
        if change.document is None:
            context.log.warning("%s cannot be read: %s", change.avatar_id, change.problem)
            continue
        if change.document.unsettled:  # a client saved a stale copy over what a run had written
            with _one_document(context, change.avatar_id):
                stores.avatars.settle(change.avatar_id)
        if change.document.needs_run and not _is_asked_for(context.instance, change.document):
            requests.append(_request(change.document))
    keys = [request.partition_key for request in requests if request.partition_key]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[AVATARS.build_add_request(keys)] if keys else [],
        cursor=cursor,
    )


@contextmanager
def _one_document(context: dg.SensorEvaluationContext, avatar_id: str) -> Iterator[None]:
    """Log what goes wrong with one avatar, and let the tick go on with the others."""
    try:
        yield
    except SunrizaError as error:
        context.log.warning("%s: %s", avatar_id, error)


@dg.sensor(minimum_interval_seconds=300, default_status=dg.DefaultSensorStatus.RUNNING)
def deleted_avatars(
    context: dg.SensorEvaluationContext, stores: Stores, templates: Templates
) -> dg.SensorResult:
    """Purges avatars whose document is gone, once nothing runs for them; see `operations/purge.py`.

    Purges that were begun come first. A tick looks at a page of partitions and the next one goes on
    from there: asking for every document in every tick would be the dearest thing that a large
    collection does. What a tick has no time to purge, the next one finds in the same page.
    """
    walk, begun = Absences.from_cursor(context.cursor), stores.avatars.retired(KNOWN_PAGE)
    known = context.instance.event_log_storage.get_paginated_dynamic_partitions(
        AVATARS.name or "", limit=KNOWN_PAGE, ascending=True, cursor=walk.page or None
    )
    present = stores.avatars.present(known.results)
    gone = set(known.results) - present - set(begun)
    if are_too_many(len(gone), len(known.results)):
        context.log.error(
            "%s of %s documents are gone: is this the right store? Nothing is purged; "
            "`sunriza avatar remove --orphans` does it where they were deleted on purpose",
            len(gone), len(known.results),
        )  # fmt: skip
        gone = set()
    walk = walk.seen(present, gone, now())
    deadline, purged, left = time.monotonic() + PURGE_S, set[str](), 0
    for avatar_id in (*begun, *walk.deleted(gone, now(), GONE_FOR)):
        if time.monotonic() > deadline:
            left += 1
            continue
        with _one_document(context, avatar_id):
            result = purge(context.instance, stores, templates, avatar_id)
            if result is not None and result.is_over:
                purged.add(avatar_id)
    page = walk.page if left else known.cursor if known.has_more else ""
    return dg.SensorResult(
        cursor=replace(walk.without(purged), page=page).to_cursor(),
        skip_reason=f"looked at {len(known.results)} avatars, {len(purged)} purged, {left} left",
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
)
def failed_runs(context: dg.RunStatusSensorContext, stores: Stores) -> None:
    """A run that died without a word (killed, out of memory) leaves `error`, not `generating`."""
    _close(context, stores, "run.failed", "The run stopped unexpectedly. Please try again.")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
)
def cancelled_runs(context: dg.RunStatusSensorContext, stores: Stores) -> None:
    """A cancelled run leaves `error`, not `generating`."""
    _close(context, stores, "run.cancelled", "The run was cancelled.")


def _close(context: dg.RunStatusSensorContext, stores: Stores, code: str, message: str) -> None:
    run = context.dagster_run
    avatar_id = run.tags.get(AVATAR_TAG)
    if avatar_id is None:
        return
    try:
        stores.avatars.fail(
            avatar_id,
            run.run_id,
            code=code,
            message=message,
            asked_for=run.tags.get(INPUTS_TAG),
        )
    except SunrizaError as error:
        context.log.warning("%s could not be told that its run ended: %s", avatar_id, error)


def _request(document: AvatarDocument) -> dg.RunRequest:
    version = document.inputs_version
    urgency = queue.CHANGED if document.record.current else queue.NEW
    return dg.RunRequest(
        partition_key=document.avatar_id,
        # The time belongs to the key: keys are remembered for ever, and A -> B -> A is a change.
        run_key=f"{document.avatar_id}:{version}:{document.update_time}",
        tags={**urgency, INPUTS_TAG: version},
    )


def _is_asked_for(instance: dg.DagsterInstance, document: AvatarDocument) -> bool:
    """Whether a run for these very inputs is on its way to claim the avatar.

    The keys of requests keep a sensor from asking twice, not two sensors from asking once each. A
    run claims seconds after it has started; and of one that was cancelled or killed before that,
    the document is told by `cancelled_runs` or `failed_runs`, which come round a little later.
    """
    tags = {AVATAR_TAG: document.avatar_id, INPUTS_TAG: document.inputs_version}
    latest = instance.get_run_records(dg.RunsFilter(tags=tags), limit=_LATEST)
    claimed = {document.record.run_id, *document.record.earlier}
    lately = now() - _TOLD_WITHIN
    return any(
        one.dagster_run.run_id not in claimed
        and (not one.dagster_run.is_finished or one.update_timestamp > lately)
        for one in latest
    )


SENSORS: Final = [avatar_changes, avatar_patrol, deleted_avatars, failed_runs, cancelled_runs]
