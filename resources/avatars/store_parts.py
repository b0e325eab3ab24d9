"""Parts of the protocol of the avatar stores (`store.AvatarStore`) that the service uses."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from resources.avatars.document import AvatarDocument

if TYPE_CHECKING:
    from resources.avatars.listing import AvatarPage, Sort

__all__ = ["AvatarVersions", "AvatarsForPeople"]


class AvatarsForPeople(Protocol):
    """Listing, creating and changing avatars on behalf of their owners."""

    def create(self, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create a document; of two callers at once, one does.

        Raises:
            ConflictError: `conflict.exists` there is one of this id.
            AvatarError: another owner's record, or an avatar that is being deleted, has this id.
        """
        ...

    def update(
        self, avatar_id: str, fields: Mapping[str, Any], *, owner: str | None = None
    ) -> AvatarDocument:
        """Merge nested fields into a document that exists.

        Args:
            owner: whose it must be, in the same transaction; None for anybody's.

        Raises:
            AvatarError: there is no such avatar of this owner.
        """
        ...

    def page(
        self,
        owner: str | None,
        *,
        sort: "Sort" = "updated",
        text: str = "",
        limit: int = 50,
        cursor: str | None = None,
    ) -> "AvatarPage":
        """A page of the avatars of one owner, or of everybody's (None), for people.

        A page of Firestore reads `limit` documents and as many records, and a search at most 500
        documents. A page of the local store reads `limit` documents; see `local_listing` for what
        it knows of the others.

        Args:
            owner: `userId` of the documents.
            sort: the order, see `listing.Sort`.
            text: part of the name or id; empty for all.
            limit: most avatars of the page.
            cursor: of the page before; None for the first.

        Raises:
            ParameterError: the cursor is none of this listing.
        """
        ...


class AvatarVersions(Protocol):
    """Versions that are not made in place: drafts, and older publications."""

    def republish(
        self,
        avatar_id: str,
        *,
        version: str,
        results: Mapping[str, Any],
        parameters: Mapping[str, Any] | None,
    ) -> AvatarDocument:
        """Put a kept publication, or a complete draft, in place in one transaction.

        Idempotent, and safe against kills: a document that does not show it yet is corrected by
        `settle`. Files are looked for by `publishing.versions.republish`, which calls this.

        Args:
            version: its folder.
            results: URLs of the version by key of the document.
            parameters: its effective parameters, camelCase, which become the document's wishes;
                None if they are not known.

        Raises:
            AvatarError: `avatar.version` it is unknown, removed or not complete; or there is no
                such avatar.
            ConflictError: `conflict.generating` a run is at work.
        """
        ...

    def begin_draft(self, avatar_id: str, run_id: str, *, version: str) -> AvatarDocument:
        """Note a version that will not be published, before its files are uploaded.

        At most five drafts are kept; the oldest is forgotten.
        """
        ...

    def finish_draft(self, avatar_id: str, *, version: str) -> AvatarDocument:
        """Mark a draft as complete.

        Raises:
            ConflictError: it was discarded meanwhile.
        """
        ...

    def discard(self, avatar_id: str, marked: Collection[str]) -> AvatarDocument:
        """Mark versions as removed, never the one in place; their files may be deleted then.

        Returns:
            The document after it: versions that its record still keeps have to keep their files.
        """
        ...
