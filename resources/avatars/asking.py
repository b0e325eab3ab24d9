"""The state transitions of a request: the wishes of a job of the service, written and taken back.

Pure, like the transitions of runs in `ownership`; a store applies it in one transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.avatars.owners import check_owner
from resources.avatars.ownership import transition_to
from resources.avatars.transition import Transition, document_after
from sunriza_assets.errors import ParameterError
from sunriza_assets.studio.parameters import canonical_name

__all__ = ["Wishes", "ask", "take_back", "with_wishes"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a document wishes of its next run, and which job has asked last."""

    job_id: str | None = None
    """`jobId`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """`parameters`, as written."""
    overridden: Mapping[str, Any] = field(default_factory=dict)
    """`overridden`: those that a launchpad has replaced."""

    @classmethod
    def of(cls, document: AvatarDocument) -> "Wishes":
        """The wishes of a document."""
        return cls.from_dict(
            {
                "jobId": document.basic.get("jobId"),
                "parameters": document.basic.get("parameters"),
                "overridden": document.basic.get("overridden"),
            }
        )

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Wishes":
        """Wishes as `to_dict` gives them, or as a document has them; what is no map is empty."""
        job_id = stored.get("jobId")
        parameters, overridden = (
            found if isinstance(found := stored.get(name), Mapping) else {}
            for name in ("parameters", "overridden")
        )
        return cls(job_id if isinstance(job_id, str) else None, parameters, overridden)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "jobId": self.job_id,
            "parameters": dict(self.parameters),
            "overridden": dict(self.overridden),
        }

    def with_asked(self, parameters: Mapping[str, Any], job_id: str | None) -> "Wishes":
        """These wishes with those of a job laid over them.

        A wish replaces the same parameter under whatever name the document has it, and is no longer
        one that a launchpad has overridden.
        """
        names = {_canonical(name) for name in parameters}

        def others(entries: Mapping[str, Any]) -> dict[str, Any]:
            return {name: wish for name, wish in entries.items() if _canonical(name) not in names}

        return Wishes(job_id, {**others(self.parameters), **parameters}, others(self.overridden))


def ask(
    document: AvatarDocument, parameters: Mapping[str, Any], job_id: str, now: datetime
) -> Transition | None:
    """Write wishes, `jobId` and status `pending`; None if this job has asked before.

    While a run works with exactly these inputs the status stays: that run answers the request.
    The job is stored, and whoever works on it asks again; so this need not outlast a power cut.

    Args:
        parameters: checked values by camelCase name; laid over the document's own wishes.

    Raises:
        AvatarError: the record belongs to another owner, or is being purged.
    """
    check_owner(document)
    if document.basic.get("jobId") == job_id:
        return None
    record = document.record
    wishing = Transition(record, *_changes(document, parameters), now)
    wanted = document_after(document, wishing, document.update_time).inputs_version
    put = {**wishing.put, "jobId": job_id, "status": "pending"}
    if record.state == "generating" and record.last_run_covers(wanted):
        put.pop("status")
    return Transition(record, put, wishing.drop, now, lasting=False)


def with_wishes(document: AvatarDocument, parameters: Mapping[str, Any]) -> AvatarDocument:
    """The document as it is with these wishes laid over its own; nothing is written."""
    step = Transition(document.record, *_changes(document, parameters), None)
    return document_after(document, step, document.update_time)


def take_back(
    document: AvatarDocument,
    now: datetime,
    *,
    job_id: str,
    parameters: Mapping[str, Any],
    before: Wishes,
    back_to: Wishes,
) -> Transition | None:
    """Put former wishes in the place of those of a cancelled job; None if they are not there.

    Nothing changes once somebody has asked or changed a wish since, or while a run makes them. The
    record counts the job's failed run as one for the former inputs: so that none starts for them.

    Args:
        job_id: the cancelled job.
        parameters: what it asked for, as `ask` got them.
        before: the wishes that they were laid over.
        back_to: the wishes that the document shall show.
    """
    record = document.record
    asked = before.with_asked(parameters, job_id)
    if document.is_foreign or Wishes.of(document) != asked:
        return None
    if record.state == "generating" and record.last_run_covers(document.inputs_version):
        return None
    if (back_to.parameters, back_to.overridden) == (asked.parameters, asked.overridden):
        return None
    given = {"parameters": dict(back_to.parameters), "overridden": dict(back_to.overridden)}
    put = {name: wishes for name, wishes in given.items() if wishes}
    drop = frozenset((given.keys() - put.keys()) & document.basic.keys())
    after = document_after(document, Transition(record, put, drop, None), document.update_time)
    if record.state == "error" and record.inputs_version == document.inputs_version:
        record = replace(record, inputs_version=after.inputs_version, inputs=after.inputs)
        after = replace(after, record=record)
    shown = transition_to(after, record, now, answered=True)
    return Transition(record, {**put, **shown.put}, drop | shown.drop, now)


def _changes(
    document: AvatarDocument, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], frozenset[str]]:
    """What laying wishes over a document writes into and removes from `dynamics.basic`."""
    if not parameters:
        return {}, frozenset()
    asked = Wishes.of(document).with_asked(parameters, None)
    put: dict[str, Any] = {"parameters": dict(asked.parameters)}
    if asked.overridden:
        put["overridden"] = dict(asked.overridden)
        return put, frozenset()
    return put, frozenset({"overridden"} & document.basic.keys())


def _canonical(name: str) -> str:
    try:
        return canonical_name(name)
    except ParameterError:  # the document's own mistake; the run reports it
        return name
