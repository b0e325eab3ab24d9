"""Sensors: request runs for changed avatars, retries and failures, and purge deleted avatars.

`avatar_changes` reads a stream of changed documents: its cost grows with changes, not with avatars.
Its cursor moves only over changes that were turned into requests or needed none, and every request
has a key, so a tick that is cut short and repeated neither loses nor doubles a run. A run that
has to wait (`operations.limits`, `operations.retries`) is written into the avatar's record;
`held_avatars` reads those that are due.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Final

import dagster as dg

from resources.avatars.document import AvatarDocument
from resources.avatars.instants import now
from resources.avatars.store import Change, Cursor
from resources.publishing.publication import tidy
from resources.services import Stores, Templates
from sunriza_assets.errors import SunrizaError
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS
from sunriza_assets.graph.partitions import AVATAR_TAG, AVATARS
from sunriza_assets.graph.tags import INPUTS_TAG
from sunriza_assets.operations import retries
from sunriza_assets.operations.limits import OwnerLimit, owner_tags
from sunriza_assets.operations.orders_under_way import OrdersUnderWay
from sunriza_assets.operations.purge import MissingDocuments, is_mass_deletion, purge
from sunriza_assets.platform import queue

__all__ = ["SENSORS"]

PAGE: Final = 100
"""Documents read per tick."""
PARTITION_PAGE: Final = 500
"""Partitions per tick whose documents are looked up: 100,000 take seventeen hours."""
PURGE_BUDGET_S: Final = 20.0
"""After how long no further purge begins in a tick, which has 60 s."""
DELETION_GRACE: Final = timedelta(minutes=10)
"""How long a document has to be gone before its avatar is purged."""
_RECENT_RUNS: Final = 20
"""Newest runs for the same inputs of an avatar that are read."""
_STATUS_DELAY: Final = timedelta(minutes=2)
"""How long a run that has ended may take until the document says so."""


@dg.sensor(
    job=AVATAR_DYNAMICS,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def avatar_changes(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult:
    """One run per new or changed avatar: portrait, clip, parameters, or status `pending`."""
    after = Cursor(**json.loads(context.cursor)) if context.cursor else None
    capacity = queue.QUEUE_CAP - queue.waiting_runs(context.instance)
    if capacity <= 0:
        return dg.SensorResult(skip_reason=f"{queue.QUEUE_CAP} runs wait already")
    page = stores.avatars.changes(after, min(PAGE, capacity))
    cursor = json.dumps(asdict(page.cursor)) if page.cursor else context.cursor
    return _request_runs(context, stores, page.changes, cursor)


@dg.sensor(
    job=AVATAR_DYNAMICS,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def avatar_scan(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult:
    """Scans all avatars, a page at a time, for what the stream of changes cannot show.

    That is: phones that were offline for a day, wrong clocks, documents without a time, and
    replaced versions that are no longer read.
    """
    capacity = queue.QUEUE_CAP - queue.waiting_runs(context.instance)
    if capacity <= 0:
        return dg.SensorResult(skip_reason=f"{queue.QUEUE_CAP} runs wait already")
    seen = stores.avatars.scan(context.cursor or "", min(PAGE, capacity))
    for change in seen:
        if change.document is not None and len(change.document.record.published) > 1:
            with _log_avatar_errors(context, change.avatar_id):
                tidy(stores.storage, stores.avatars, change.avatar_id)
    return _request_runs(context, stores, seen, seen[-1].avatar_id if seen else "")


@dg.sensor(
    job=AVATAR_DYNAMICS,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def held_avatars(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult:
    """Requests the runs whose wait is over: a lost run's retry, a run held by the owner's limit."""
    after = Cursor(**json.loads(context.cursor)) if context.cursor else None
    capacity = queue.QUEUE_CAP - queue.waiting_runs(context.instance)
    if capacity <= 0:
        return dg.SensorResult(skip_reason=f"{queue.QUEUE_CAP} runs wait already")
    page = stores.avatars.due(after, min(PAGE, capacity))
    cursor = json.dumps(asdict(page.cursor)) if page.cursor else ""
    return _request_runs(context, stores, page.changes, cursor)


def _request_runs(
    context: dg.SensorEvaluationContext,
    stores: Stores,
    changes: Sequence[Change],
    cursor: str | None,
) -> dg.SensorResult:
    requests: list[dg.RunRequest] = []
    limit, orders = OwnerLimit(context.instance, now()), OrdersUnderWay()
    for change in changes:
        if change.document is None:
            context.log.warning("%s cannot be read: %s", change.avatar_id, change.problem)
            continue
        if change.document.needs_settling:  # a client saved a stale copy over a run's results
            with _log_avatar_errors(context, change.avatar_id):
                stores.avatars.settle(change.avatar_id)
        if change.document.needs_run and not orders.will_run(change.document):
            with _log_avatar_errors(context, change.avatar_id):
                request = _run_request(context.instance, stores, change.document, limit)
                requests += [request] if request else []
    keys = [request.partition_key for request in requests if request.partition_key]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[AVATARS.build_add_request(keys)] if keys else [],
        cursor=cursor,
    )


@contextmanager
def _log_avatar_errors(
    context: dg.SensorEvaluationContext | dg.RunStatusSensorContext, avatar_id: str
) -> Iterator[None]:
    """Log an error of one avatar, so that the tick goes on with the others."""
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
    scan, begun = (
        MissingDocuments.from_cursor(context.cursor),
        stores.avatars.retired(PARTITION_PAGE),
    )
    known = context.instance.event_log_storage.get_paginated_dynamic_partitions(
        AVATARS.name or "", limit=PARTITION_PAGE, ascending=True, cursor=scan.page or None
    )
    present = stores.avatars.present(known.results)
    gone = set(known.results) - present - set(begun)
    if is_mass_deletion(len(gone), len(known.results)):
        context.log.error(
            "%s of %s documents are gone: is this the right store? Nothing is purged; "
            "`sunriza avatar remove --orphans` does it where they were deleted on purpose",
            len(gone), len(known.results),
        )  # fmt: skip
        gone = set()
    scan = scan.seen(present, gone, now())
    deadline, purged, left = time.monotonic() + PURGE_BUDGET_S, set[str](), 0
    for avatar_id in (*begun, *scan.deleted(gone, now(), DELETION_GRACE)):
        if time.monotonic() > deadline:
            left += 1
            continue
        with _log_avatar_errors(context, avatar_id):
            result = purge(context.instance, stores, templates, avatar_id)
            if result is not None and result.is_complete:
                purged.add(avatar_id)
    page = scan.page if left else known.cursor if known.has_more else ""
    return dg.SensorResult(
        cursor=replace(scan.without(purged), page=page).to_cursor(),
        skip_reason=f"looked at {len(known.results)} avatars, {len(purged)} purged, {left} left",
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
)
def failed_runs(context: dg.RunStatusSensorContext, stores: Stores) -> None:
    """A run that died without an error of its own leaves `error`, not `generating`, or is retried.

    A run lost by the infrastructure is `pending` until its retry is requested, see
    `operations.retries`.
    """
    run = context.dagster_run
    if AVATAR_TAG in run.tags:
        with _log_avatar_errors(context, run.tags[AVATAR_TAG]):
            _report_failure(context.instance, stores, run)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
)
def cancelled_runs(context: dg.RunStatusSensorContext, stores: Stores) -> None:
    """A cancelled run leaves `error`, not `generating`."""
    run = context.dagster_run
    if AVATAR_TAG in run.tags:
        with _log_avatar_errors(context, run.tags[AVATAR_TAG]):
            _report_error(stores, run, "run.cancelled", "The run was cancelled.")


def _run_request(
    instance: dg.DagsterInstance, stores: Stores, document: AvatarDocument, limit: OwnerLimit
) -> dg.RunRequest | None:
    """The request for a run that an avatar needs; None while it has to wait, or is on its way."""
    retry = retries.pending_retry(document)
    if retry is not None and retry.until > now():
        return None
    latest = _unclaimed_runs(instance, document)
    recently = now() - _STATUS_DELAY
    if any(not one.dagster_run.is_finished or one.update_timestamp > recently for one in latest):
        return None
    if latest and latest[0].dagster_run.status == dg.DagsterRunStatus.FAILURE:
        _report_failure(
            instance, stores, latest[0].dagster_run
        )  # it was not recorded when it failed
        return None
    if retry is not None:
        return _request(document, retries.retry_tags(retry), f"after:{retry.run_id}")
    wait = limit.wait_for(document)
    if wait is not None:
        stores.avatars.hold(document.avatar_id, wait)
        return None
    # The time belongs to the key: keys are remembered for ever, and A -> B -> A is a change.
    return _request(document, owner_tags(document), document.update_time)


def _request(document: AvatarDocument, tags: Mapping[str, str], key: str) -> dg.RunRequest:
    version = document.inputs_version
    urgency = queue.CHANGED if document.record.current else queue.NEW
    own = {INPUTS_TAG: version, **retries.NOT_RETRIED_BY_DAGSTER}
    return dg.RunRequest(
        partition_key=document.avatar_id,
        run_key=f"{document.avatar_id}:{version}:{key}",
        tags={**urgency, **own, **tags},
    )


def _unclaimed_runs(instance: dg.DagsterInstance, document: AvatarDocument) -> list[dg.RunRecord]:
    """Runs for these very inputs that have not claimed the avatar, the latest first.

    The keys of requests keep a sensor from asking twice, not two sensors from asking once each. A
    run claims seconds after it has started; and of one that was cancelled or lost before that, the
    document is updated by `cancelled_runs` or `failed_runs` a little later.
    """
    tags = {AVATAR_TAG: document.avatar_id, INPUTS_TAG: document.inputs_version}
    latest = instance.get_run_records(dg.RunsFilter(tags=tags), limit=_RECENT_RUNS)
    claimed = {document.record.run_id, *document.record.earlier}
    return [one for one in latest if one.dagster_run.run_id not in claimed]


def _report_failure(instance: dg.DagsterInstance, stores: Stores, run: dg.DagsterRun) -> None:
    """Write to the document that a failed run is retried, or its error."""
    waiting = retries.retry_of(instance, run)
    if waiting is None:
        _report_error(stores, run, *retries.failure_message(instance, run))
        return
    requested_inputs = run.tags.get(INPUTS_TAG)
    stores.avatars.retry(
        run.tags[AVATAR_TAG], run.run_id, waiting, requested_inputs=requested_inputs
    )


def _report_error(stores: Stores, run: dg.DagsterRun, code: str, message: str) -> None:
    stores.avatars.fail(
        run.tags[AVATAR_TAG],
        run.run_id,
        code=code,
        message=message,
        requested_inputs=run.tags.get(INPUTS_TAG),
    )


SENSORS: Final = [
    avatar_changes,
    avatar_scan,
    held_avatars,
    deleted_avatars,
    failed_runs,
    cancelled_runs,
]
