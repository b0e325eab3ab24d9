"""Versions of an avatar as state changes: drafts, putting an older publication in place again.

Transitions as in `ownership.py`, which both stores apply in a transaction. Whether the files of a
version are still there is decided by the record alone: a version is marked as removed before the
first of its files is deleted, and a marked one is never put in place.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.avatars.owners import check_owner
from resources.avatars.ownership import restored, settle
from resources.avatars.record import MAX_DRAFTS, MAX_PUBLICATIONS, Draft, Published, RunRecord
from resources.avatars.transition import Transition, document_after
from sunriza_assets.errors import AvatarError, ConflictError

__all__ = ["begin_draft", "discard", "finish_draft", "no_such_version", "republish"]


def no_such_version(avatar_id: str) -> AvatarError:
    """The error for a version that is unknown, removed or not complete."""
    return AvatarError(
        "There is no such version of this avatar",
        where=avatar_id,
        remedy="The newest versions and drafts are kept; list them.",
        code="version",
    )


def republish(
    document: AvatarDocument,
    now: datetime,
    *,
    version: str,
    results: Mapping[str, Any],
    parameters: Mapping[str, Any] | None,
) -> Transition | None:
    """Put a kept publication, or a draft, in place; None when it is.

    The document's wishes become the parameters of the version, so that it still shows how its idle
    was made. Its portrait and clip stay: where the version was made from others, the document
    counts as rendered all the same, until its owner changes or asks for something.

    Args:
        results: URLs of the version by key of the document.
        parameters: its effective parameters, camelCase; None if they are not known.

    Raises:
        AvatarError: `avatar.version`; or the record belongs to another owner.
        ConflictError: `conflict.generating` a run is at work, which would replace it.
    """
    check_owner(document)
    record = document.record
    found = _kept(record, version)
    if found is None:
        raise no_such_version(document.avatar_id)
    if record.state == "generating":
        raise ConflictError(
            "A run is at work for this avatar and would replace the version",
            where=document.avatar_id,
            remedy="Cancel it, or wait for its end.",
            code="generating",
        )
    if record.current is not None and record.current.version == version:
        return settle(document, now)
    entry = (
        replace(found, at=now)
        if isinstance(found, Published)
        else Published(version, found.run_id, now, inputs_version=version)
    )
    new = replace(
        record,
        claims=max(1, record.claims),
        run_id=record.run_id or found.run_id,
        state="ready",
        error=None,
        waiting=None,
        results=dict(results),
        published=(*record.published, entry)[-MAX_PUBLICATIONS:],
        drafts=tuple(one for one in record.drafts if one.version != version),
        created_at=record.created_at or now,
        user_id=document.user_id,
        restoring=dict(document.wishes if parameters is None else parameters),
    )
    step = restored(replace(document, record=new), now)
    after = document_after(document, step, document.update_time)
    if isinstance(found, Draft) and _media(found.inputs) == _media(after.inputs):
        answered = replace(entry, inputs_version=after.inputs_version)
        new = replace(new, published=(*new.published[:-1], answered))
    new = replace(new, inputs_version=after.inputs_version, inputs=after.inputs)
    return restored(replace(document, record=new), now)


def begin_draft(
    document: AvatarDocument, run_id: str, now: datetime, *, version: str
) -> Transition | None:
    """Note a draft before its files are uploaded; None when it is noted.

    At most five are kept: the oldest goes. Another draft of the same run is replaced.

    Raises:
        AvatarError: the record belongs to another owner, or is being purged.
    """
    check_owner(document)
    record = document.record
    if any(one.version == version for one in record.drafts):
        return None
    others = [one for one in record.drafts if one.run_id != run_id]
    draft = Draft(version, run_id, now, inputs=document.inputs)
    new = replace(record, drafts=(*others, draft)[-MAX_DRAFTS:], user_id=document.user_id)
    return Transition(new, {}, frozenset(), None)


def finish_draft(document: AvatarDocument, *, version: str) -> Transition | None:
    """Mark a draft as complete; None when it is.

    Raises:
        ConflictError: it was discarded, or replaced by newer ones.
    """
    record = document.record
    draft = next((one for one in record.drafts if one.version == version), None)
    if document.is_foreign or draft is None:
        raise ConflictError(
            "This draft was discarded meanwhile", where=document.avatar_id, code="superseded"
        )
    if draft.complete:
        return None
    drafts = tuple(
        replace(one, complete=True) if one.version == version else one for one in record.drafts
    )
    return Transition(replace(record, drafts=drafts), {}, frozenset(), None)


def discard(document: AvatarDocument, versions: Collection[str]) -> Transition | None:
    """Mark versions as removed, before their files are deleted; None when there is nothing to mark.

    The publication in place stays, whatever is asked.
    """
    record = document.record
    in_place = record.current.version if record.current else None
    marked = tuple(
        replace(one, removed=True) if one.version in versions and one.version != in_place else one
        for one in record.published
    )
    drafts = tuple(one for one in record.drafts if one.version not in versions)
    if marked == record.published and drafts == record.drafts:
        return None
    return Transition(replace(record, published=marked, drafts=drafts), {}, frozenset(), None)


def _kept(record: RunRecord, version: str) -> Published | Draft | None:
    """A version that may be put in place."""
    for entry in reversed(record.published):
        if entry.version == version:
            return None if entry.removed else entry
    return next((one for one in record.drafts if one.version == version and one.complete), None)


def _media(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Portrait, clip and performance of `AvatarDocument.inputs`."""
    return inputs.get("image"), inputs.get("video"), inputs.get("performance")
