"""What claiming, publishing and failing do to an avatar, as pure steps from one state to the next.

Both stores apply these steps inside their own kind of transaction (a file lock, a Firestore
transaction), so that they cannot differ in meaning. Each step also puts right whatever a client's
stale copy has changed in `dynamics.basic`; the record it follows is explained in `record.py`.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from resources.avatars.document import DYNAMICS_ID, AvatarDocument, shows
from resources.avatars.instants import as_instant, epoch_ms
from resources.avatars.owners import check_owner, told_to_others, unbound
from resources.avatars.record import REMEMBERED_RUNS, REMEMBERED_VERSIONS, Published, RunRecord
from resources.avatars.waiting import Waiting
from sunriza_assets.errors import ConflictError

__all__ = [
    "Step",
    "applied",
    "bind",
    "claim",
    "confirm",
    "fail",
    "has_failed",
    "hold",
    "progress",
    "publish",
    "retry",
    "settle",
]

# Everything a publication may bring. What the next one does not bring must go, or a document would
# show the chunks of one version beside the idle of another.
RESULT_KEYS: Final = frozenset(
    {
        "idleVideoUrl",
        "atlasUrl",
        "maskUrl",
        "atlasJsonUrl",
        "roiJsonUrl",
        "heroImageChunkUrl",
        "idleChunk1Url",
        "idleChunk2Url",
        "idleChunk3Url",
        "framesZipUrl",
        "posterUrl",
        "thumbnailUrl",
        "latentsUrl",
        "manifestUrl",
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """One change of an avatar: the new record, and what the document shows of it."""

    record: RunRecord
    """The record after the step."""
    put: Mapping[str, Any]
    """Keys of `dynamics.basic` to write."""
    drop: frozenset[str]
    """Keys of `dynamics.basic` to remove."""
    updated_at: datetime | None
    """New `updatedAt` of the document (epoch ms) and of `dynamics.basic`; None leaves both."""

    @property
    def fields(self) -> dict[str, Any]:
        """All that is written into `dynamics.basic`."""
        if self.updated_at is None:
            return dict(self.put)
        return {**self.put, "updatedAt": self.updated_at}


def applied(document: AvatarDocument, step: Step, update_time: str) -> AvatarDocument:
    """The document as it stands after a step."""
    data = copy.deepcopy(dict(document.data))
    dynamics = data.get("dynamics")
    data["dynamics"] = dynamics = dict(dynamics) if isinstance(dynamics, Mapping) else {}
    kept = {key: value for key, value in document.basic.items() if key not in step.drop}
    dynamics[DYNAMICS_ID] = kept | step.fields
    if step.updated_at is not None:
        data["updatedAt"] = epoch_ms(step.updated_at)
    return replace(document, data=data, record=step.record, update_time=update_time)


def claim(
    document: AvatarDocument, run_id: str, now: datetime, *, eta_s: float | None = None
) -> Step | None:
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
        earlier=(*record.earlier, *([record.run_id] if record.run_id else []))[-REMEMBERED_RUNS:],
        inputs_version=document.inputs_version,
        inputs=document.inputs,
        started_at=now,
        error=None,
        results=_results_left(document),
        user_id=document.user_id,
        waiting=None,
    )
    estimate = {} if eta_s is None else {"etaSeconds": _seconds(eta_s)}
    shown = shows(new)
    return Step(
        record=new,
        put=shown | {"progress": 0} | estimate,
        drop=_leftover(document, new, shown) | ({"etaSeconds"} - estimate.keys()),
        updated_at=now,
    )


def progress(
    document: AvatarDocument, run_id: str, percent: int, now: datetime, *, eta_s: float | None
) -> Step | None:
    """Tell how far the owning run is; None when it does not own the avatar."""
    record = document.record
    if document.is_foreign or record.run_id != run_id or record.state != "generating":
        return None
    healing = settle(document, now) or Step(record, {}, frozenset(), None)
    put = dict(healing.put)
    put["progress"] = min(100, max(0, int(percent)))
    if eta_s is not None:
        put["etaSeconds"] = _seconds(eta_s)
    return Step(healing.record, put, healing.drop, None)


def publish(
    document: AvatarDocument,
    run_id: str,
    now: datetime,
    *,
    version: str,
    results: Mapping[str, Any],
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
) -> Step | None:
    """Put new results in place; None when this very publication is in place already.

    A user who changes an input while the run works keeps it: the results are published, and the
    document still needs a run. Asking (`pending`) for what the run works with is asking for these.

    Raises:
        ConflictError: the run does not own the avatar, or has published something else before.
    """
    record = document.record
    if document.is_foreign:  # it was deleted, and somebody else has made one of this id
        raise _superseded(document, run_id)
    if any((said.run_id, said.version) == (run_id, version) for said in record.published):
        return settle(document, now)  # this is said again, because its answer was lost
    if record.run_id != run_id or record.state != "generating":
        raise _superseded(document, run_id)
    answered = record.inputs_version or ""
    made = Published(version, run_id, now, inputs_version=answered, asked_version=answered)
    new = replace(
        record,
        state="ready",
        results=dict(results),
        published=(*record.published, made)[-REMEMBERED_VERSIONS:],
        created_at=record.created_at or as_instant(document.basic.get("createdAt")) or now,
    )
    return _ready(document, new, now, parameters, overridden)


def confirm(
    document: AvatarDocument,
    run_id: str,
    now: datetime,
    *,
    version: str,
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
) -> Step | None:
    """End a run whose results are those that are in place already; None when it has ended so.

    The publication stays that of the run which made it, and answers to this run's inputs, too.

    Raises:
        ConflictError: the run does not own the avatar, or something else is in place.
    """
    record, current = document.record, document.record.current
    if document.is_foreign:
        raise _superseded(document, run_id)
    in_place = current is not None and current.version == version
    if in_place and (record.run_id, record.state) == (run_id, "ready"):
        return settle(document, now)  # this is said again, because its answer was lost
    if current is None or not in_place or (record.run_id, record.state) != (run_id, "generating"):
        raise _superseded(document, run_id)
    answers = replace(current, inputs_version=record.inputs_version or "")
    new = replace(record, state="ready", published=(*record.published[:-1], answers))
    return _ready(document, new, now, parameters, overridden)


def _ready(
    document: AvatarDocument,
    new: RunRecord,
    now: datetime,
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
) -> Step:
    """Show a publication that is in place."""
    record = document.record
    shown = shows(new)
    if replace(document, record=new).asks:
        shown.pop("status", None)
    drop = _leftover(document, new, shown)
    if document.wishes == record.inputs.get("wishes", {}):
        shown["parameters"] = dict(parameters)
        if overridden:
            shown["overridden"] = dict(overridden)
        else:
            drop |= {"overridden"}
    after = applied(document, Step(new, shown, drop, now), document.update_time)
    if document.inputs_version == record.inputs_version:
        # What the run was made from has another name now: its effective parameters are wishes.
        renamed = replace(new.published[-1], inputs_version=after.inputs_version)
        new = replace(
            new,
            inputs_version=after.inputs_version,
            inputs=after.inputs,
            published=(*new.published[:-1], renamed),
        )
        shown["inputsVersion"] = new.inputs_version
    return Step(new, shown, drop, now)


def fail(
    document: AvatarDocument,
    run_id: str,
    now: datetime,
    *,
    code: str,
    message: str,
    asked_for: str | None,
) -> Step | None:
    """Show an error; None when the run has no say in this avatar any more.

    A run that died before it could claim speaks for the inputs that it was asked to answer, if
    they still wait for a run.
    """
    if document.is_foreign:
        return None
    record = _spoken_for(document, run_id, now, asked_for)
    if record.run_id != run_id or record.state != "generating":
        return None
    new = replace(record, state="error", error={"code": code, "message": message})
    return _showing(document, new, now, answered=True)


def retry(
    document: AvatarDocument, run_id: str, waiting: Waiting, now: datetime, *, asked_for: str | None
) -> Step | None:
    """End a run that was lost, and show when it is tried again; None when it has no say.

    As `fail`, but the document says `pending` and why, and needs a run when the time has come.
    """
    if document.is_foreign:
        return None
    record = _spoken_for(document, run_id, now, asked_for)
    if record.run_id != run_id or record.state != "generating":
        return None
    new = replace(record, state="error", error={"code": waiting.code, "message": waiting.message})
    if record.answers(document.inputs_version):  # else a run for what is wanted now is due anyway
        new = replace(new, waiting=replace(waiting, inputs_version=document.inputs_version))
    return _showing(document, new, now, answered=True)


def hold(document: AvatarDocument, waiting: Waiting, now: datetime) -> Step | None:
    """Show why no run is started for what the document wants; None when it says so already.

    A run at work for earlier inputs goes on.
    """
    if not document.needs_run or waiting.inputs_version != document.inputs_version:
        return None  # it has changed since it was read
    new = replace(
        document.record,
        waiting=waiting,
        results=_results_left(document),
        user_id=document.user_id,
    )
    if new == document.record and not document.unsettled and not document.is_blank:
        return None
    return _showing(document, new, now, answered=True)


def has_failed(document: AvatarDocument, run_id: str, *, code: str, message: str) -> bool:
    """Whether this very failure is what the record says."""
    record = document.record
    error = {"code": code, "message": message}
    return (record.run_id, record.state, record.error) == (run_id, "error", error)


def settle(document: AvatarDocument, now: datetime) -> Step | None:
    """Make document and record agree; None when they do.

    Results of the former system are taken over as they are: its `ready` avatars have no record,
    and need no run before their inputs change.
    """
    if not document.unsettled:
        return None
    record = document.record
    if document.is_foreign:
        told = told_to_others(document)
        shown_by_runs = RESULT_KEYS | {
            *("runId", "inputsVersion", "startedAt", "progress", "etaSeconds"),
            *("createdAt", "generatedAt", "waiting"),
        }
        return Step(record, told, frozenset(shown_by_runs & document.basic.keys()), now)
    if unbound(document):
        record = replace(record, user_id=document.user_id)
    if record.waiting is None and record.inputs_version is None:
        seen = replace(record, inputs_version=document.inputs_version, inputs=document.inputs)
        return Step(seen, {}, frozenset(), None)
    if not replace(document, record=record).unsettled:
        return Step(record, {}, frozenset(), None)
    if not document.waits:  # what waited was for inputs that the document has no more
        record = replace(record, waiting=None)
    if document.status == "pending" and record.serves(document.inputs_version):
        record = _served(record)
    return _showing(document, record, None)


def _served(record: RunRecord) -> RunRecord:
    """The record of an avatar that has what it asks for; a failed run since does not matter."""
    current = record.current
    if record.state != "error" or current is None:
        return record
    others = [one for one in (*record.earlier, record.run_id) if one and one != current.run_id]
    earlier = tuple(others[-REMEMBERED_RUNS:])
    return replace(record, state="ready", error=None, run_id=current.run_id, earlier=earlier)


def _spoken_for(
    document: AvatarDocument, run_id: str, now: datetime, asked_for: str | None
) -> RunRecord:
    """The record, claimed by a run that died before it could claim, if it still waits for one."""
    record = document.record
    known = run_id == record.run_id or run_id in record.earlier
    waits = document.needs_run and document.inputs_version == asked_for
    if waits and not known and record.state != "generating":
        claimed = claim(document, run_id, now)
        if claimed is not None:
            return claimed.record
    return record


def _results_left(document: AvatarDocument) -> Mapping[str, Any]:
    """The results in place; none where the owner has removed them from the document."""
    removed = document.is_blank and document.record.state != "generating"
    return {} if removed else document.record.results


def _showing(
    document: AvatarDocument, record: RunRecord, now: datetime | None, *, answered: bool = False
) -> Step:
    """The step to this record, and what the document shows of it.

    Args:
        now: when the status changes; None where it is only put right.
        answered: whether a request for the inputs of the last run has its answer now.
    """
    shown = shows(record)
    if replace(document, record=record).asks and not (
        answered and record.answers(document.inputs_version)
    ):
        shown.pop("status", None)
    return Step(record, shown, _leftover(document, record, shown), now)


def bind(document: AvatarDocument) -> Step | None:
    """Bind the record to the document's owner; None where it is, or where nobody owns it.

    Raises:
        AvatarError: the record belongs to another owner, or is being purged.
    """
    check_owner(document)
    if not unbound(document):
        return None
    record = replace(document.record, user_id=document.user_id)
    return Step(record, {}, frozenset(), None)


def _leftover(
    document: AvatarDocument, record: RunRecord, shown: Mapping[str, Any]
) -> frozenset[str]:
    """Keys in the document that belong to another state or another version than the record's."""
    owned = {"error", "waiting"}
    if record.state != "generating":
        owned |= {"progress", "etaSeconds", "startedAt"}
    if record.published:
        owned |= RESULT_KEYS
    return frozenset(owned & document.basic.keys()) - shown.keys()


def _seconds(eta_s: float) -> int:
    return max(0, round(eta_s))


def _superseded(document: AvatarDocument, run_id: str) -> ConflictError:
    return ConflictError(
        f"Run {run_id} does not own this avatar any more",
        where=document.avatar_id,
        remedy="A newer run has taken over; its results are the ones that count.",
        code="superseded",
    )
