"""Whom an avatar belongs to, and what that means for the record of its runs.

A document says whose it is by `userId`, which the rules let nobody change. The record is bound to
that user by the first run. So when a document is deleted and somebody else makes one with the same
id, the record tells: nothing of the former owner's is shown, and no run starts, before all of it is
purged (`sunriza_assets/operations/purge.py`).

Records of former versions name no user. They are bound as soon as they are seen beside a document
that agrees with them: it shows their run, or has the very inputs that the run answered to. A
document that does neither counts as somebody else's.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from resources.avatars.record import RunRecord
from sunriza_assets.errors import AvatarError

if TYPE_CHECKING:
    from resources.avatars.document import AvatarDocument

__all__ = [
    "check_owner",
    "is_foreign",
    "may_take",
    "owner_in",
    "refusal",
    "told_to_others",
    "unbound",
]

_TAKEN: Final = (
    "owner",
    "This id belongs to an avatar of another owner",
    "Make the avatar again under another id.",
)
_PURGING: Final = (
    "deleted",
    "The former avatar of this id is being deleted",
    "Try again in some minutes; `sunriza avatar remove` finishes it at once.",
)


def owner_in(data: Mapping[str, Any]) -> str | None:
    """The `userId` of a document; None where it has none."""
    owner = data.get("userId")
    return owner if isinstance(owner, str) and owner else None


def may_take(record: RunRecord, user_id: str | None) -> bool:
    """Whether a new document of this user may stand beside a record."""
    return not record.purging and record.user_id in (None, user_id)


def is_foreign(document: "AvatarDocument") -> bool:
    """Whether the record belongs to another owner than the document, or is being purged."""
    record = document.record
    if not may_take(record, document.user_id):
        return True
    return record.user_id is None and document.user_id is not None and not _agrees(document)


def unbound(document: "AvatarDocument") -> bool:
    """Whether the record names no user yet and the document says whose it is."""
    return document.record.user_id is None and document.user_id is not None


def check_owner(document: "AvatarDocument") -> None:
    """Refuse a document beside somebody else's record.

    Raises:
        AvatarError: `avatar.owner`, or `avatar.deleted` while the record is being purged.
    """
    if is_foreign(document):
        raise refusal(document.record, document.avatar_id)


def refusal(record: RunRecord, avatar_id: str) -> AvatarError:
    """Why a record stands in the way of an avatar."""
    code, what, remedy = _PURGING if record.purging else _TAKEN
    return AvatarError(what, where=avatar_id, remedy=remedy, code=code)


def told_to_others(document: "AvatarDocument") -> dict[str, Any]:
    """What `dynamics.basic` of a foreign document shows: an error, and nothing of the record."""
    error = refusal(document.record, document.avatar_id)
    return {"status": "error", "error": {"code": error.code, "message": error.public}}


def _agrees(document: "AvatarDocument") -> bool:
    record = document.record
    return (
        (record.claims == 0 and record.inputs_version is None)
        or (record.run_id is not None and document.run_id == record.run_id)
        or document.inputs_version == record.inputs_version
    )
