"""Avatar documents: what a store of them promises, and which one is in use.

`LocalAvatars` (one JSON file per avatar) is the embedded default, `FirestoreAvatars` the real
thing; both pass the contract suite in `sunriza_assets_tests/resources`. A document belongs to its
app: whatever a store writes goes into `dynamics.basic`, and everything else stays as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from resources.document import AvatarDocument
from sunriza_assets.errors import AvatarError

__all__ = ["AvatarStore", "Change", "Cursor", "Page", "no_such_avatar"]


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
        """Create the document or merge nested fields into it (what `sunriza avatar add` does)."""
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

    def claim(self, avatar_id: str, run_id: str, *, eta_s: float | None = None) -> AvatarDocument:
        """Make a run the owner: status `generating`, startedAt, runId, progress 0; last error gone.

        Claiming again for the same run changes nothing, after it has ended, too. The former
        results stay in place. Claims are ordered as they arrive: the last one counts.

        Returns:
            The document with the inputs as they were at the run's first claim, whatever a user
            has changed since: all steps of a run work with the same.

        Raises:
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
