"""Avatar documents: what a store of them promises, and which one is in use.

`LocalAvatars` (one JSON file per avatar) is the embedded default, `FirestoreAvatars` the real
thing; both pass the contract suite in `sunriza_assets_tests/resources`. A document belongs to its
app: whatever a store writes goes into `dynamics.basic`, and everything else stays as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from resources.avatars.document import AvatarDocument
from resources.avatars.waiting import Waiting
from sunriza_assets.errors import AvatarError, ConflictError

__all__ = ["AvatarStore", "Change", "Cursor", "Page", "no_such_avatar", "not_retired"]


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the stream of changes; opaque to those who keep it (JSON by `asdict`)."""

    update_time: str
    """RFC 3339 UTC with nanoseconds, so that text order is time order."""
    avatar_id: str
    """Breaks ties between documents written at the same instant."""
    seen: Sequence[tuple[str, str]] = field(default=(), compare=False)
    """(avatar id, update time) of what was handed out from behind this place already: where
    clients stamp documents by clocks of their own, a place may only be left behind once nothing
    earlier can turn up any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """One avatar that is new or was written since a cursor."""

    avatar_id: str
    """Its id as the store has it, not checked."""
    document: AvatarDocument | None
    """The document, or None when it cannot be read (the error is in `problem`)."""
    problem: str | None = None
    """Why the document cannot be used; the stream goes on behind it."""


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of the stream of changes."""

    changes: Sequence[Change]
    """What has changed; may be empty."""
    cursor: Cursor | None
    """Where the stream goes on, also after an empty page; None at its very beginning."""


class AvatarStore(Protocol):
    """All that this system asks of a database of avatars.

    A run owns an avatar from `claim` to `publish`, `fail` or the next run's `claim`. `progress`,
    `publish` and `fail` of a run that no longer owns it change nothing. Ownership is decided by a
    record that clients cannot write (`AvatarDocument.record`), never by what the document shows.
    """

    def get(self, avatar_id: str) -> AvatarDocument:
        """One document.

        Raises:
            AvatarError: the id is not one, or there is no such avatar.
            StoreError: the document is there and cannot be read.
        """
        ...

    def ids(self) -> Iterator[str]:
        """All avatar ids, in order."""
        ...

    def present(self, avatar_ids: Sequence[str]) -> set[str]:
        """Which of these avatars exist; at most a few hundred are asked for at once."""
        ...

    def merge(self, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create the document or merge nested fields into it (what `sunriza avatar add` does).

        Raises:
            AvatarError: it would be new, and another owner's record or an avatar that is being
                deleted has this id.
        """
        ...

    def changes(self, after: Cursor | None, limit: int) -> Page:
        """At most `limit` documents written after a cursor, at a cost of what has changed.

        Each version comes once. What a stream ordered by clients' clocks may overlook (a phone
        that was offline for a day) is for `patrol` to find.
        """
        ...

    def patrol(self, after_id: str, limit: int) -> Sequence[Change]:
        """At most `limit` documents whose id comes after this one, in order of id.

        Calling it with the last id of the page before, and with "" after an empty page, walks
        round the whole collection for ever, a little at a time.
        """
        ...

    def bind(self, avatar_id: str) -> AvatarDocument:
        """The document, with the server's record of it bound to its owner.

        Raises:
            AvatarError: there is no such avatar; or the record belongs to another owner, or to an
                avatar that is being deleted (the document tells so then).
        """
        ...

    def check_free(self, avatar_id: str, user_id: str | None = None) -> None:
        """Make sure that a new document of a user may have this id; `merge` does it as well.

        Raises:
            AvatarError: another owner's record is there, or an avatar that is being deleted.
        """
        ...

    def retire(self, avatar_id: str, *, remove: bool = False) -> bool:
        """Mark a deleted avatar's record, so that nobody makes or claims it before `forget`.

        Args:
            remove: delete the document as well; else one that exists keeps its avatar.

        Returns:
            Whether the avatar is to be purged; False where its document is there.
        """
        ...

    def retired(self, limit: int) -> Sequence[str]:
        """At most `limit` avatars that are marked by `retire` and not forgotten yet."""
        ...

    def forget(self, avatar_id: str) -> None:
        """Remove all that the database keeps of a retired avatar: the record last, with the mark.

        Raises:
            ConflictError: the avatar is not retired.
        """
        ...

    def claim(self, avatar_id: str, run_id: str, *, eta_s: float | None = None) -> AvatarDocument:
        """Make a run the owner: status `generating`, startedAt, runId, progress 0; last error gone.

        Claiming again for the same run changes nothing, after it has ended, too. The former
        results stay in place. Claims are ordered as they arrive: the last one counts.

        Returns:
            The document with the inputs as they were at the run's first claim, whatever a user
            has changed since: all steps of a run work with the same.

        Raises:
            AvatarError: the record belongs to another owner, or to an avatar that is being deleted.
            ConflictError: another run has taken the avatar over from this one before.
        """
        ...

    def progress(
        self, avatar_id: str, run_id: str, percent: int, *, eta_s: float | None = None
    ) -> None:
        """Tell how far the owning run is, 0-100; written at most once a second per avatar.

        A courtesy: a store that cannot be written is logged and stops nobody.
        """
        ...

    def publish(
        self,
        avatar_id: str,
        run_id: str,
        *,
        version: str,
        results: Mapping[str, Any],
        parameters: Mapping[str, Any],
        overridden: Mapping[str, Any],
    ) -> AvatarDocument:
        """Put new results in place in one transaction: status `ready`.

        The same publication said again changes nothing, so it may be repeated when nobody knows
        whether it arrived. Objects are uploaded by `publication.publish_avatar`, which calls this.

        Args:
            version: the folder of the results' objects, see `publication.py`.
            results: `idleVideoUrl`, `atlasUrl`… as the document carries them.
            parameters: all effective parameters, camelCase.
            overridden: what the launchpad said over the document's own wishes, see
                `AvatarDocument.wishes`.

        Raises:
            ConflictError: the run no longer owns the avatar; nothing was written.
        """
        ...

    def confirm(
        self,
        avatar_id: str,
        run_id: str,
        *,
        version: str,
        parameters: Mapping[str, Any],
        overridden: Mapping[str, Any],
    ) -> AvatarDocument:
        """End a run that has made just what is published already: status `ready`, nothing new.

        Args:
            version: the publication that is in place.
            parameters: see `publish`.
            overridden: see `publish`.

        Raises:
            ConflictError: the run no longer owns the avatar, or another publication is in place;
                nothing was written.
        """
        ...

    def fail(
        self,
        avatar_id: str,
        run_id: str,
        *,
        code: str,
        message: str,
        asked_for: str | None = None,
    ) -> bool:
        """Status `error` with a message a user may read, if the run still owns the avatar.

        Args:
            asked_for: the `inputs_version` that the run was requested for. With it, a run that
                died before it could claim fails an avatar whose very inputs still wait for one.

        Returns:
            Whether the document now says so. The former results stay in place.
        """
        ...

    def retry(
        self, avatar_id: str, run_id: str, waiting: Waiting, *, asked_for: str | None = None
    ) -> bool:
        """End a run that was lost, and say when it is tried again: status `pending`.

        Args:
            waiting: until when, and why; for the inputs that the run has claimed.
            asked_for: as for `fail`.

        Returns:
            Whether anything had to be written; not if the run has no say in the avatar any more.
        """
        ...

    def hold(self, avatar_id: str, waiting: Waiting) -> bool:
        """Say why no run is started yet for what the document wants: status `pending`.

        Returns:
            Whether anything had to be written; not if the document wants something else by now.
        """
        ...

    def due(self, after: Cursor | None, limit: int) -> Page:
        """At most `limit` avatars whose wait (`waiting.until`) is over, the longest over first.

        Costs what is due, not what there is. The page's cursor is None at the end of the list,
        which begins anew then.

        Args:
            after: cursor of the page before, None for the beginning.
        """
        ...

    def settle(self, avatar_id: str) -> bool:
        """Put right what a client's stale copy has changed, see `AvatarDocument.unsettled`.

        Returns:
            Whether anything had to be written.
        """
        ...


def no_such_avatar(avatar_id: str) -> AvatarError:
    """What every store says of an avatar that it does not have."""
    return AvatarError(
        "There is no such avatar",
        where=avatar_id,
        remedy="Add it with `sunriza avatar add`.",
        code="missing",
    )


def not_retired(avatar_id: str) -> ConflictError:
    """What every store says when it shall forget an avatar that nobody has deleted."""
    return ConflictError(
        "This avatar was not deleted, so nothing of it is forgotten",
        where=avatar_id,
        code="not_retired",
    )
