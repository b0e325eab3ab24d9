"""Finishing what the service's deletions have begun, without waiting for Dagster's daemon.

The service marks an avatar as deleted (`AvatarStore.retire`). Where a daemon runs, the sensor
`deleted_avatars` purges it within five minutes; the dispatcher does so within a minute, with or
without one. Both may work at once, for every step of a purge may be repeated.
"""

import logging
import threading
import time
from typing import Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from resources.services import Stores, Templates
from sunriza_assets.errors import SunrizaError
from sunriza_assets.operations.purge import purge

__all__ = ["Purging", "purge_retired"]

_log = logging.getLogger(__name__)

EVERY_S: Final = 30.0
"""Seconds between two looks for deleted avatars."""
_AT_ONCE: Final = 100
_BUDGET_S: Final = 20.0


def purge_retired(
    instance: dg.DagsterInstance,
    stores: Stores,
    templates: Templates,
    *,
    budget_s: float = _BUDGET_S,
) -> int:
    """Purge avatars that are marked as deleted and for which nothing runs; how many.

    An avatar that cannot be purged now is logged and tried again later.

    Args:
        budget_s: seconds after which no further purge begins.
    """
    purged, deadline = 0, time.monotonic() + budget_s
    for avatar_id in stores.avatars.retired(_AT_ONCE):
        if time.monotonic() > deadline:
            break
        try:
            result = purge(instance, stores, templates, avatar_id)
            purged += result is not None and result.is_complete
        except (SunrizaError, SQLAlchemyError, OSError) as error:
            _log.warning("%s is not purged yet: %s", avatar_id, error)
    return purged


class Purging:
    """Purges in a thread of its own, so that orders do not wait for a bucket.

    Args:
        instance: Dagster's instance.
        every_s: seconds between two looks.
    """

    def __init__(self, instance: dg.DagsterInstance, *, every_s: float = EVERY_S) -> None:
        self._instance = instance
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="purging", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, within_s: float = 5.0) -> None:
        """End; a purge that takes longer is continued by the next process."""
        self._stopping.set()
        self._thread.join(within_s)

    def _work(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                purge_retired(self._instance, Stores(), Templates())
            except (SunrizaError, SQLAlchemyError, OSError) as error:
                _log.warning("Nothing is purged: %s", error)
