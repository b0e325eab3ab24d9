"""The owner of an avatar, and whether the record of its runs belongs to the same owner.

A document names its owner in `userId`, which the rules make immutable. The first run binds the
record to that user. If a document is deleted and another user makes one with the same id, owner and
record differ: no data of the former owner is shown, and no run starts, before all of it is purged
(`sunriza_assets/operations/purge.py`).

Records of former versions name no user. They are bound once a document matches them: it shows their
run, or has the inputs that the run claimed. Any other document counts as another owner's.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from resources.avatars.record import RunRecord
from sunriza_assets.errors import AvatarError

if TYPE_CHECKING:
    from resources.avatars.document import AvatarDocument

__all__ = [
    "check_owner",
    "foreign_fields",
    "id_error",
    "is_foreign",
    "is_unbound",
    "may_use_id",
    "owner_in",
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
    """The `userId` of a document; None if it has none."""
    owner = data.get("userId")
    return owner if isinstance(owner, str) and owner else None


def may_use_id(record: RunRecord, user_id: str | None) -> bool:
    """Whether a new document of this user may use the id of an existing record."""
    return not record.purging and record.user_id in (None, user_id)


def is_foreign(document: "AvatarDocument") -> bool:
    """Whether the record belongs to another owner than the document, or is being purged."""
    record = document.record
    if not may_use_id(record, document.user_id):
        return True
    return record.user_id is None and document.user_id is not None and not _matches_record(document)


def is_unbound(document: "AvatarDocument") -> bool:
    """Whether the record names no user yet although the document does."""
    return document.record.user_id is None and document.user_id is not None


def check_owner(document: "AvatarDocument") -> None:
    """Refuse a document whose record belongs to another owner.

    Raises:
        AvatarError: `avatar.owner`, or `avatar.deleted` while the record is being purged.
    """
    if is_foreign(document):
        raise id_error(document.record, document.avatar_id)


def id_error(record: RunRecord, avatar_id: str) -> AvatarError:
    """The error for an id whose record is another owner's or is being purged."""
    code, what, remedy = _PURGING if record.purging else _TAKEN
    return AvatarError(what, where=avatar_id, remedy=remedy, code=code)


def foreign_fields(document: "AvatarDocument") -> dict[str, Any]:
    """`dynamics.basic` of a foreign document: an error, and no data of the record."""
    error = id_error(document.record, document.avatar_id)
    return {"status": "error", "error": {"code": error.code, "message": error.public}}


def _matches_record(document: "AvatarDocument") -> bool:
    record = document.record
    return (
        (record.claims == 0 and record.inputs_version is None)
        or (record.run_id is not None and document.run_id == record.run_id)
        or document.inputs_version == record.inputs_version
    )
