"""Base class of the avatar stores: the transitions of a run, from `claim` to `publish` or `fail`.

Transitions are computed by `ownership`; a store only applies them in one transaction.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from resources.avatars import asking, ownership, versions
from resources.avatars.document import AvatarDocument
from resources.avatars.instants import now
from resources.avatars.transition import Transition
from resources.avatars.waiting import Waiting
from sunriza_assets.errors import AvatarError, StoreError

__all__ = ["OwnedAvatars", "Throttle"]

_log = logging.getLogger(__name__)

_PROGRESS_PATIENCE_S: Final = 2.0
"""Most seconds to try writing progress."""


class Throttle:
    """Limits progress reports to one per second and avatar."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every_s = every_s
        self._last_reports: dict[str, float] = {}

    def allows(self, avatar_id: str) -> bool:
        """Whether enough time has passed since the last report; if so, this one counts."""
        now = time.monotonic()
        last = self._last_reports.get(avatar_id)
        if last is not None and now - last < self._every_s:
            return False
        self._last_reports[avatar_id] = now
        return True

    def forget(self, avatar_id: str) -> None:
        """Allow the next report at once: a new run has begun."""
        self._last_reports.pop(avatar_id, None)


class OwnedAvatars(ABC):
    """The part of an `AvatarStore` that runs use."""

    def __init__(self) -> None:
        self._throttle = Throttle()

    def bind(self, avatar_id: str) -> AvatarDocument:
        """Bind the record to the document's owner; see `AvatarStore.bind`."""
        try:
            return self._apply(avatar_id, ownership.bind)[0]
        except AvatarError as error:
            if error.code != "avatar.missing":
                self.settle(avatar_id)
            raise

    def ask(self, avatar_id: str, *, parameters: Mapping[str, Any], job_id: str) -> AvatarDocument:
        """Write the wishes of a job, and that a run is wanted; see `AvatarStore.ask`."""
        return self._apply(
            avatar_id, lambda document: asking.ask(document, parameters, job_id, now())
        )[0]

    def claim(self, avatar_id: str, run_id: str, *, eta_s: float | None = None) -> AvatarDocument:
        """Make a run the owner; see `AvatarStore.claim`."""
        self._throttle.forget(avatar_id)
        document, _ = self._apply(
            avatar_id, lambda document: ownership.claim(document, run_id, now(), eta_s=eta_s)
        )
        return document.as_claimed()

    def progress(
        self, avatar_id: str, run_id: str, percent: int, *, eta_s: float | None = None
    ) -> None:
        """Write the progress of the owning run; see `AvatarStore.progress`."""
        if not self._throttle.allows(avatar_id):
            return
        try:
            self._apply(
                avatar_id,
                lambda document: ownership.progress(document, run_id, percent, now(), eta_s=eta_s),
                patience_s=_PROGRESS_PATIENCE_S,
            )
        except StoreError as problem:  # no reason to stop the run
            _log.warning("Progress could not be written: %s", problem)

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
        """Put new results in place; see `AvatarStore.publish`."""
        return self._apply(
            avatar_id,
            lambda document: ownership.publish(
                document,
                run_id,
                now(),
                version=version,
                results=results,
                parameters=parameters,
                overridden=overridden,
            ),
        )[0]

    def confirm(
        self,
        avatar_id: str,
        run_id: str,
        *,
        version: str,
        parameters: Mapping[str, Any],
        overridden: Mapping[str, Any],
    ) -> AvatarDocument:
        """End a run whose results are in place already; see `AvatarStore.confirm`."""
        return self._apply(
            avatar_id,
            lambda document: ownership.confirm(
                document,
                run_id,
                now(),
                version=version,
                parameters=parameters,
                overridden=overridden,
            ),
        )[0]

    def fail(
        self,
        avatar_id: str,
        run_id: str,
        *,
        code: str,
        message: str,
        requested_inputs: str | None = None,
    ) -> bool:
        """Status `error`, if the run still owns the avatar; see `AvatarStore.fail`."""
        document, _ = self._apply(
            avatar_id,
            lambda document: ownership.fail(
                document,
                run_id,
                now(),
                code=code,
                message=message,
                requested_inputs=requested_inputs,
            ),
        )
        if ownership.has_failed(document, run_id, code=code, message=message):
            return True
        self.settle(avatar_id)  # the run may have died between the record and the document
        return False

    def retry(
        self, avatar_id: str, run_id: str, waiting: Waiting, *, requested_inputs: str | None = None
    ) -> bool:
        """Write when a lost run is retried; see `AvatarStore.retry`."""
        return self._apply(
            avatar_id,
            lambda document: ownership.retry(
                document, run_id, waiting, now(), requested_inputs=requested_inputs
            ),
        )[1]

    def hold(self, avatar_id: str, waiting: Waiting) -> bool:
        """Write why no run is started yet; see `AvatarStore.hold`."""
        return self._apply(avatar_id, lambda document: ownership.hold(document, waiting, now()))[1]

    def settle(self, avatar_id: str) -> bool:
        """Correct what a client or a killed run has left inconsistent; see `AvatarStore.settle`."""
        return self._apply(avatar_id, lambda document: ownership.settle(document, now()))[1]

    def republish(
        self,
        avatar_id: str,
        *,
        version: str,
        results: Mapping[str, Any],
        parameters: Mapping[str, Any] | None,
    ) -> AvatarDocument:
        """Put a kept version in place again; see `AvatarStore.republish`."""
        self._apply(
            avatar_id,
            lambda document: versions.republish(
                document, now(), version=version, results=results, parameters=parameters
            ),
        )
        return self._apply(avatar_id, lambda document: ownership.settle(document, now()))[0]

    def begin_draft(self, avatar_id: str, run_id: str, *, version: str) -> AvatarDocument:
        """Note a draft before its upload; see `AvatarStore.begin_draft`."""
        return self._apply(
            avatar_id,
            lambda document: versions.begin_draft(document, run_id, now(), version=version),
        )[0]

    def finish_draft(self, avatar_id: str, *, version: str) -> AvatarDocument:
        """Mark a draft as complete; see `AvatarStore.finish_draft`."""
        return self._apply(
            avatar_id, lambda document: versions.finish_draft(document, version=version)
        )[0]

    def discard(self, avatar_id: str, marked: Collection[str]) -> AvatarDocument:
        """Mark versions as removed; see `AvatarStore.discard`."""
        return self._apply(avatar_id, lambda document: versions.discard(document, marked))[0]

    @abstractmethod
    def _apply(
        self,
        avatar_id: str,
        decide: Callable[[AvatarDocument], Transition | None],
        *,
        patience_s: float | None = None,
    ) -> tuple[AvatarDocument, bool]:
        """Apply a transition in one transaction.

        Args:
            decide: computes the transition for the current document, None for no change; called
                again after a conflicting write.
            patience_s: for how long to try; None for the store's default.

        Returns:
            The document after it, and whether there was a transition.

        Raises:
            AvatarError: there is no such avatar.
            StoreError: the store cannot be read or written.
        """
