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

from resources.document import DYNAMICS_ID, AvatarDocument, shows
from resources.instants import as_instant, epoch_ms
from resources.record import REMEMBERED_RUNS, REMEMBERED_VERSIONS, Published, RunRecord
from sunriza_assets.errors import ConflictError

__all__ = [
    "Step",
    "applied",
    "claim",
    "confirm",
    "fail",
    "has_failed",
    "progress",
    "publish",
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
        ConflictError: a newer run has taken the avatar over from this one.
    """
    record = document.record
    if run_id in record.earlier:
        raise _superseded(document, run_id)
    if run_id == record.run_id:
        return settle(document, now)
    forgotten = document.is_blank and record.state != "generating"  # its owner removed the results
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
        results={} if forgotten else record.results,
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
    if record.run_id != run_id or record.state != "generating":
        return None
    healing = settle(document, now)
    put = dict(healing.put) if healing else {}
    put["progress"] = min(100, max(0, int(percent)))
    if eta_s is not None:
        put["etaSeconds"] = _seconds(eta_s)
    return Step(record, put, healing.drop if healing else frozenset(), None)


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

    A user who changes a wish or asks for a new run (`pending`) while the run works keeps both:
    the results are published, and the document still needs a run.

    Raises:
        ConflictError: the run does not own the avatar, or has published something else before.
    """
    record = document.record
    if any((said.run_id, said.version) == (run_id, version) for said in record.published):
        return settle(document, now)  # this is said again, because its answer was lost
    if record.run_id != run_id or record.state != "generating":
        raise _superseded(document, run_id)
    made = Published(version, run_id, now, record.inputs_version or "")
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
    if document.status == "pending":
        del shown["status"]
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
    record = document.record
    known = run_id == record.run_id or run_id in record.earlier
    waits = document.needs_run and document.inputs_version == asked_for
    if waits and not known and record.state != "generating":
        claimed = claim(document, run_id, now)
        if claimed is not None:
            document = applied(document, claimed, document.update_time)
            record = document.record
    if record.run_id != run_id or record.state != "generating":
        return None
    new = replace(record, state="error", error={"code": code, "message": message})
    shown = shows(new)
    if document.status == "pending":
        del shown["status"]
    return Step(new, shown, _leftover(document, new, shown), now)


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
    if record.inputs_version is None:
        seen = replace(record, inputs_version=document.inputs_version, inputs=document.inputs)
        return Step(seen, {}, frozenset(), None)
    shown = shows(record)
    if document.status == "pending":
        del shown["status"]
    return Step(record, shown, _leftover(document, record, shown), now)


def _leftover(
    document: AvatarDocument, record: RunRecord, shown: Mapping[str, Any]
) -> frozenset[str]:
    """Keys in the document that belong to another state or another version than the record's."""
    owned = {"error"}
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
