"""State transitions of an avatar as pure functions: claiming, publishing, failing and the like.

Both stores apply these transitions inside their own kind of transaction (a file lock, a Firestore
transaction), so that they behave alike. Each transition also corrects what a client's stale copy
has changed in `dynamics.basic`; the record is described in `record.py`, a transition and its effect
on a document in `transition.py`. No input or output here.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from resources.avatars.document import AvatarDocument, shown_fields
from resources.avatars.instants import as_instant
from resources.avatars.owners import check_owner, foreign_fields, is_unbound
from resources.avatars.record import MAX_EARLIER_RUNS, MAX_PUBLICATIONS, Published, RunRecord
from resources.avatars.transition import RESULT_KEYS, Transition, document_after, stale_keys
from resources.avatars.waiting import Waiting
from sunriza_assets.errors import ConflictError

__all__ = [
    "bind",
    "claim",
    "confirm",
    "fail",
    "has_failed",
    "hold",
    "progress",
    "publish",
    "restored",
    "retry",
    "settle",
]


def claim(
    document: AvatarDocument, run_id: str, now: datetime, *, eta_s: float | None = None
) -> Transition | None:
    """Make a run the owner; None when it is, or was, already and the document shows it.

    Raises:
        AvatarError: the record belongs to another owner, or is being purged.
        ConflictError: a newer run has taken the avatar over from this one.
    """
    check_owner(document)
    record = document.record
    if run_id in record.earlier:
        raise _superseded(document, run_id)
    if run_id == record.run_id:
        return settle(document, now)
    new = replace(
        record,
        claims=record.claims + 1,
        run_id=run_id,
        state="generating",
        earlier=(*record.earlier, *([record.run_id] if record.run_id else []))[-MAX_EARLIER_RUNS:],
        inputs_version=document.inputs_version,
        inputs=document.inputs,
        started_at=now,
        error=None,
        results=_remaining_results(document),
        user_id=document.user_id,
        waiting=None,
        restoring=None,
    )
    estimate = {} if eta_s is None else {"etaSeconds": _seconds(eta_s)}
    shown = shown_fields(new)
    return Transition(
        record=new,
        put=shown | {"progress": 0} | estimate,
        drop=stale_keys(document, new, shown) | ({"etaSeconds"} - estimate.keys()),
        updated_at=now,
    )


def progress(
    document: AvatarDocument, run_id: str, percent: int, now: datetime, *, eta_s: float | None
) -> Transition | None:
    """Set the progress of the owning run; None when it does not own the avatar."""
    record = document.record
    if document.is_foreign or record.run_id != run_id or record.state != "generating":
        return None
    settled = settle(document, now) or Transition(record, {}, frozenset(), None)
    put = dict(settled.put)
    put["progress"] = min(100, max(0, int(percent)))
    if eta_s is not None:
        put["etaSeconds"] = _seconds(eta_s)
    return Transition(settled.record, put, settled.drop, None)


def publish(
    document: AvatarDocument,
    run_id: str,
    now: datetime,
    *,
    version: str,
    results: Mapping[str, Any],
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
) -> Transition | None:
    """Set new results; None when this publication is in place already.

    A user who changes an input while the run works keeps it: the results are published, and the
    document still needs a run. A request (`pending`) for the inputs of the run is answered by it.

    Raises:
        ConflictError: the run does not own the avatar, or has published something else before.
    """
    record = document.record
    if document.is_foreign:  # deleted, and made again by another user
        raise _superseded(document, run_id)
    if any((earlier.run_id, earlier.version) == (run_id, version) for earlier in record.published):
        return settle(document, now)  # repeated, because its answer was lost
    if record.run_id != run_id or record.state != "generating":
        raise _superseded(document, run_id)
    answered = record.inputs_version or ""
    made = Published(version, run_id, now, inputs_version=answered, asked_version=answered)
    new = replace(
        record,
        state="ready",
        results=dict(results),
        published=(*record.published, made)[-MAX_PUBLICATIONS:],
        created_at=record.created_at or as_instant(document.basic.get("createdAt")) or now,
    )
    return _publish_or_confirm(document, new, now, parameters, overridden)


def confirm(
    document: AvatarDocument,
    run_id: str,
    now: datetime,
    *,
    version: str,
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
) -> Transition | None:
    """End a run whose results equal the published ones; None when it has ended so already.

    The publication keeps the run that made it, and covers this run's inputs as well.

    Raises:
        ConflictError: the run does not own the avatar, or something else is in place.
    """
    record, current = document.record, document.record.current
    if document.is_foreign:
        raise _superseded(document, run_id)
    in_place = current is not None and current.version == version
    if in_place and (record.run_id, record.state) == (run_id, "ready"):
        return settle(document, now)  # repeated, because its answer was lost
    if current is None or not in_place or (record.run_id, record.state) != (run_id, "generating"):
        raise _superseded(document, run_id)
    answers = replace(current, inputs_version=record.inputs_version or "")
    new = replace(record, state="ready", published=(*record.published[:-1], answers))
    return _publish_or_confirm(document, new, now, parameters, overridden)


def _publish_or_confirm(
    document: AvatarDocument,
    new: RunRecord,
    now: datetime,
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
) -> Transition:
    """The transition to status `ready` with the publication of the new record."""
    record = document.record
    shown = shown_fields(new)
    if replace(document, record=new).has_open_request:
        shown.pop("status", None)
    drop = stale_keys(document, new, shown)
    if document.wishes == record.inputs.get("wishes", {}):
        shown["parameters"] = dict(parameters)
        if overridden:
            shown["overridden"] = dict(overridden)
        else:
            drop |= {"overridden"}
    after = document_after(document, Transition(new, shown, drop, now), document.update_time)
    if document.inputs_version == record.inputs_version:
        # The effective parameters are wishes now, which changes the version of the same inputs.
        renamed = replace(new.published[-1], inputs_version=after.inputs_version)
        new = replace(
            new,
            inputs_version=after.inputs_version,
            inputs=after.inputs,
            published=(*new.published[:-1], renamed),
        )
        shown["inputsVersion"] = new.inputs_version
    return Transition(new, shown, drop, now)


def fail(
    document: AvatarDocument,
    run_id: str,
    now: datetime,
    *,
    code: str,
    message: str,
    requested_inputs: str | None,
) -> Transition | None:
    """Show an error; None when the run does not own this avatar any more.

    A run that died before its claim fails the inputs that it was requested for, if they still
    wait for a run.
    """
    if document.is_foreign:
        return None
    record = _record_of_dead_run(document, run_id, now, requested_inputs)
    if record.run_id != run_id or record.state != "generating":
        return None
    new = replace(record, state="error", error={"code": code, "message": message})
    return _transition_to(document, new, now, answered=True)


def retry(
    document: AvatarDocument,
    run_id: str,
    waiting: Waiting,
    now: datetime,
    *,
    requested_inputs: str | None,
) -> Transition | None:
    """End a lost run, and show when it is retried; None when it does not own the avatar.

    As `fail`, but the document shows `pending` and the reason, and needs a run at that time.
    """
    if document.is_foreign:
        return None
    record = _record_of_dead_run(document, run_id, now, requested_inputs)
    if record.run_id != run_id or record.state != "generating":
        return None
    new = replace(record, state="error", error={"code": waiting.code, "message": waiting.message})
    # Other inputs are due for a run anyway.
    if record.last_run_covers(document.inputs_version):
        new = replace(new, waiting=replace(waiting, inputs_version=document.inputs_version))
    return _transition_to(document, new, now, answered=True)


def hold(document: AvatarDocument, waiting: Waiting, now: datetime) -> Transition | None:
    """Show why no run is started for the current inputs; None when it is shown already.

    A running run for earlier inputs continues.
    """
    if not document.needs_run or waiting.inputs_version != document.inputs_version:
        return None  # it has changed since it was read
    new = replace(
        document.record,
        waiting=waiting,
        results=_remaining_results(document),
        user_id=document.user_id,
    )
    if new == document.record and not document.needs_settling and not document.is_blank:
        return None
    return _transition_to(document, new, now, answered=True)


def has_failed(document: AvatarDocument, run_id: str, *, code: str, message: str) -> bool:
    """Whether the record shows this failure of this run."""
    record = document.record
    error = {"code": code, "message": message}
    return (record.run_id, record.state, record.error) == (run_id, "error", error)


def settle(document: AvatarDocument, now: datetime) -> Transition | None:
    """Make document and record consistent; None when they are.

    Results of the former system are adopted as they are: its `ready` avatars have no record,
    and need no run before their inputs change.
    """
    if not document.needs_settling:
        return None
    record = document.record
    if document.is_foreign:
        expected = foreign_fields(document)
        shown_by_runs = RESULT_KEYS | {
            *("runId", "inputsVersion", "startedAt", "progress", "etaSeconds"),
            *("createdAt", "generatedAt", "waiting"),
        }
        return Transition(record, expected, frozenset(shown_by_runs & document.basic.keys()), now)
    if record.restoring is not None:
        return restored(document, now)
    if is_unbound(document):
        record = replace(record, user_id=document.user_id)
    if record.waiting is None and record.inputs_version is None:
        seen = replace(record, inputs_version=document.inputs_version, inputs=document.inputs)
        return Transition(seen, {}, frozenset(), None)
    if not replace(document, record=record).needs_settling:
        return Transition(record, {}, frozenset(), None)
    if not document.is_held:  # the wait was for other inputs
        record = replace(record, waiting=None)
    if document.status == "pending" and record.results_cover(document.inputs_version):
        record = _without_failed_run(record)
    return _transition_to(document, record, None)


def restored(document: AvatarDocument, now: datetime) -> Transition:
    """The next step of putting a publication in place again.

    The document gets the publication's parameters and results while the record still names them,
    and then the record forgets them. So a process that is killed in between is corrected by the
    next `settle`.
    """
    record = document.record
    put = shown_fields(record) | {"parameters": dict(record.restoring or {})}
    drop = stale_keys(document, record, put) | ({"overridden"} & document.basic.keys())
    if drop or any(not _same_value(document.basic.get(key), put[key]) for key in put):
        return Transition(record, put, drop, now)
    return Transition(replace(record, restoring=None), {}, frozenset(), None)


def _same_value(found: object, meant: object) -> bool:
    """Equality that also accepts an instant written as RFC 3339 text."""
    return (as_instant(found) if isinstance(meant, datetime) else found) == meant


def _without_failed_run(record: RunRecord) -> RunRecord:
    """The record of an avatar whose results cover its inputs, without a later failed run."""
    current = record.current
    if record.state != "error" or current is None:
        return record
    others = [one for one in (*record.earlier, record.run_id) if one and one != current.run_id]
    earlier = tuple(others[-MAX_EARLIER_RUNS:])
    return replace(record, state="ready", error=None, run_id=current.run_id, earlier=earlier)


def _record_of_dead_run(
    document: AvatarDocument, run_id: str, now: datetime, requested_inputs: str | None
) -> RunRecord:
    """The record, claimed for a run that died before its claim, if the avatar still needs it."""
    record = document.record
    known = run_id == record.run_id or run_id in record.earlier
    waits = document.needs_run and document.inputs_version == requested_inputs
    if waits and not known and record.state != "generating":
        claimed = claim(document, run_id, now)
        if claimed is not None:
            return claimed.record
    return record


def _remaining_results(document: AvatarDocument) -> Mapping[str, Any]:
    """The published results; none if the owner has removed them from the document."""
    removed = document.is_blank and document.record.state != "generating"
    return {} if removed else document.record.results


def _transition_to(
    document: AvatarDocument, record: RunRecord, now: datetime | None, *, answered: bool = False
) -> Transition:
    """The transition to this record, with the matching fields of the document.

    Args:
        now: when the status changes; None if it is only corrected.
        answered: whether this answers a request for the inputs of the last run.
    """
    shown = shown_fields(record)
    if replace(document, record=record).has_open_request and not (
        answered and record.last_run_covers(document.inputs_version)
    ):
        shown.pop("status", None)
    return Transition(record, shown, stale_keys(document, record, shown), now)


def bind(document: AvatarDocument) -> Transition | None:
    """Bind the record to the document's owner; None if it is bound, or there is no owner.

    Raises:
        AvatarError: the record belongs to another owner, or is being purged.
    """
    check_owner(document)
    if not is_unbound(document):
        return None
    record = replace(document.record, user_id=document.user_id)
    return Transition(record, {}, frozenset(), None)


def _seconds(eta_s: float) -> int:
    return max(0, round(eta_s))


def _superseded(document: AvatarDocument, run_id: str) -> ConflictError:
    return ConflictError(
        f"Run {run_id} does not own this avatar any more",
        where=document.avatar_id,
        remedy="A newer run has taken over; its results are the ones that count.",
        code="superseded",
    )
