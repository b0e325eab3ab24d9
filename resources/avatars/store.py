"""The protocol of the stores of avatar documents.

`LocalAvatars` (one JSON file per avatar) is the embedded default, `FirestoreAvatars` is for
production; both pass the contract suite in `sunriza_assets_tests/resources`. A document belongs to
its app: a store writes only `dynamics.basic`, and leaves everything else unchanged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from resources.avatars.document import AvatarDocument
from resources.avatars.store_parts import AvatarsForPeople, AvatarVersions
from resources.avatars.waiting import Waiting
from sunriza_assets.errors import AvatarError, ConflictError

__all__ = [
    "AvatarStore",
    "Change",
    "Cursor",
    "Page",
    "id_in_use",
    "no_such_avatar",
    "not_retired",
]


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A position in the stream of changes; opaque to callers (JSON by `asdict`)."""

    update_time: str
    """RFC 3339 UTC with nanoseconds, so that text order is time order."""
    avatar_id: str
    """Breaks ties between documents written at the same instant."""
    seen: Sequence[tuple[str, str]] = field(default=(), compare=False)
    """(avatar id, update time) of versions after this position that were returned already: where
    clients set time stamps by their own clocks, the position lags until no earlier one can
    appear."""


@dataclass(frozen=True, slots=True)
class Change:
    """One avatar that is new or was written since a cursor."""

    avatar_id: str
    """Its id as stored, not checked."""
    document: AvatarDocument | None
    """The document, or None when it cannot be read (the error is in `problem`)."""
    problem: str | None = None
    """Why the document cannot be used; the stream continues after it."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the stream of changes."""

    changes: Sequence[Change]
    """What has changed; may be empty."""
    cursor: Cursor | None
    """Where the stream continues, also after an empty page; None at its beginning."""


class AvatarStore(AvatarsForPeople, AvatarVersions, Protocol):
    """Operations on the database of avatars.

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
        """Which of these avatars exist; callers pass a few hundred at most."""
        ...

    def merge(self, avatar_id: str, fields: Mapping[str, Any]) -> AvatarDocument:
        """Create the document or merge nested fields into it (what `sunriza avatar add` does).

        Raises:
            AvatarError: it would be new, and another owner's record or an avatar that is being
                deleted has this id.
        """
        ...

    def changes(self, after: Cursor | None, limit: int) -> Page:
        """At most `limit` documents written after a cursor; the cost depends on the changes only.

        Each version is returned once. Changes that a stream ordered by clients' clocks misses (a
        phone that was offline for a day) are found by `scan`.
        """
        ...

    def scan(self, after_id: str, limit: int) -> Sequence[Change]:
        """At most `limit` documents whose id comes after this one, in order of id.

        Calling it with the last id of the page before, and with "" after an empty page, scans the
        whole collection again and again, in small parts.
        """
        ...

    def bind(self, avatar_id: str) -> AvatarDocument:
        """The document, with the server's record of it bound to its owner.

        Raises:
            AvatarError: there is no such avatar; or the record belongs to another owner, or to an
                avatar that is being deleted (the document shows that error then).
        """
        ...

    def check_free(self, avatar_id: str, user_id: str | None = None) -> None:
        """Make sure that a new document of a user may have this id; `merge` does it as well.

        Raises:
            AvatarError: another owner's record is there, or an avatar that is being deleted.
        """
        ...

    def retire(self, avatar_id: str, *, remove: bool = False) -> bool:
        """Mark a deleted avatar's record, so that its id cannot be used before `forget`.

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

    def ask(self, avatar_id: str, *, parameters: Mapping[str, Any], job_id: str) -> AvatarDocument:
        """Write the wishes of a job of the service and its id, and ask for a run, all at once.

        The status is `pending` then; or stays `generating` while a run works with these inputs.
        Asking again for the same job changes nothing. `jobId` is no input: it starts no run.

        Args:
            parameters: checked values by camelCase name, laid over the document's own wishes.
            job_id: `jobId` in `dynamics.basic`, for clients.

        Raises:
            AvatarError: there is no such avatar; or the record belongs to another owner, or to an
                avatar that is being deleted.
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
        """Write the progress of the owning run, 0-100, at most once a second per avatar.

        Best effort: an error of the store is logged and not raised.
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

        Idempotent: it may be repeated when it is unknown whether it was written. Objects are
        uploaded by `publication.publish_avatar`, which calls this.

        Args:
            version: the folder of the results' objects, see `publication.py`.
            results: `idleVideoUrl`, `atlasUrl`… as the document carries them.
            parameters: all effective parameters, camelCase.
            overridden: launchpad parameters that override the document's wishes, see
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
        """End a run whose results equal the published ones: status `ready`, nothing else changes.

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
        requested_inputs: str | None = None,
    ) -> bool:
        """Status `error` with a message a user may read, if the run still owns the avatar.

        Args:
            requested_inputs: the `inputs_version` that the run was requested for. With it, a run
                that died before its claim fails an avatar whose inputs still wait for one.

        Returns:
            Whether the document now shows it. The former results stay in place.
        """
        ...

    def retry(
        self, avatar_id: str, run_id: str, waiting: Waiting, *, requested_inputs: str | None = None
    ) -> bool:
        """End a lost run, and write when it is retried: status `pending`.

        Args:
            waiting: until when, and why; for the inputs that the run has claimed.
            requested_inputs: as for `fail`.

        Returns:
            Whether anything was written; not if the run does not own the avatar any more.
        """
        ...

    def hold(self, avatar_id: str, waiting: Waiting) -> bool:
        """Write why no run is started yet for the current inputs: status `pending`.

        Returns:
            Whether anything was written; not if the inputs have changed since.
        """
        ...

    def due(self, after: Cursor | None, limit: int) -> Page:
        """At most `limit` avatars whose wait (`waiting.until`) is over, the longest over first.

        The cost depends on the number of due avatars only. The page's cursor is None at the end of
        the list.

        Args:
            after: cursor of the page before, None for the beginning.
        """
        ...

    def settle(self, avatar_id: str) -> bool:
        """Correct what a client's stale copy has changed, see `AvatarDocument.needs_settling`.

        Returns:
            Whether anything was written.
        """
        ...


def no_such_avatar(avatar_id: str) -> AvatarError:
    """The error of every store for a missing avatar."""
    return AvatarError(
        "There is no such avatar",
        where=avatar_id,
        remedy="Add it first.",
        code="missing",
    )


def id_in_use(avatar_id: str) -> ConflictError:
    """The error of every store for creating an avatar whose id is in use, whoever owns it."""
    return ConflictError(
        "This id is in use",
        where=avatar_id,
        remedy="Choose another id, or leave it out.",
        code="exists",
    )


def not_retired(avatar_id: str) -> ConflictError:
    """The error of every store for `forget` of an avatar that is not retired."""
    return ConflictError(
        "This avatar was not deleted, so nothing of it is forgotten",
        where=avatar_id,
        code="not_retired",
    )
