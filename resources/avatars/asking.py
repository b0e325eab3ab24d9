"""The state transition of a request: wishes and `pending` written for a job of the service.

Pure, like the transitions of runs in `ownership`; a store applies it in one transaction.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.avatars.owners import check_owner
from resources.avatars.transition import Transition, document_after
from sunriza_assets.errors import ParameterError
from sunriza_assets.studio.parameters import canonical_name

__all__ = ["ask", "with_wishes"]


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


def _changes(
    document: AvatarDocument, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], frozenset[str]]:
    """What laying wishes over a document writes into and removes from `dynamics.basic`.

    A wish replaces the same parameter under whatever name the document has it, and is no longer
    one that a launchpad has overridden.
    """
    if not parameters:
        return {}, frozenset()
    names = {_canonical(name) for name in parameters}

    def others(field: str) -> dict[str, Any]:
        given = document.basic.get(field)
        entries = given if isinstance(given, Mapping) else {}
        return {name: value for name, value in entries.items() if _canonical(name) not in names}

    put: dict[str, Any] = {"parameters": {**others("parameters"), **parameters}}
    if overridden := others("overridden"):
        put["overridden"] = overridden
        return put, frozenset()
    return put, frozenset({"overridden"} & document.basic.keys())


def _canonical(name: str) -> str:
    try:
        return canonical_name(name)
    except ParameterError:  # the document's own mistake; the run reports it
        return name
