"""Conversion between avatar documents and what Firestore stores of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from resources.avatars.document import AvatarDocument, merged, new_document
from resources.avatars.firestore_retirement import read_record
from resources.avatars.firestore_stream import update_time_text
from resources.avatars.instants import epoch_ms, now

if TYPE_CHECKING:
    from google.cloud.firestore import DocumentSnapshot

__all__ = ["document_of", "field_paths", "new_fields"]


def document_of(snapshot: "DocumentSnapshot", record: "DocumentSnapshot") -> AvatarDocument:
    """The document in a snapshot, with the record in another.

    Raises:
        StoreError: the record is damaged.
    """
    return AvatarDocument(
        avatar_id=snapshot.id,
        data=snapshot.to_dict() or {},
        update_time=update_time_text(snapshot.update_time),
        record=read_record(record),
    )


def new_fields(avatar_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The whole of a new document."""
    now_ms = epoch_ms(now())
    return merged(new_document(avatar_id, now_ms), fields) | {"updatedAt": now_ms}


def field_paths(fields: Mapping[str, Any], *parents: str) -> dict[str, Any]:
    """Nested fields by Firestore's field paths, so that maps are merged and not replaced."""
    from google.cloud.firestore_v1.field_path import FieldPath

    paths: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, Mapping) and value:
            paths |= field_paths(value, *parents, key)
        else:
            paths[FieldPath(*parents, key).to_api_repr()] = value
    return paths
