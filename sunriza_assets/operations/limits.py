"""The limit of runs per owner and day.

An app's user requests a run by writing to a document, so without a limit one account could occupy a
whole fleet. Runs are counted in Dagster's run storage: every run that a sensor requests carries its
owner as a tag, so a restart loses nothing. Runs that an operator starts, and retries of lost runs,
carry no owner and do not count.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from resources.avatars.document import AvatarDocument
from resources.avatars.waiting import Waiting
from resources.settings import current_settings

__all__ = ["OWNER_TAG", "OwnerLimit", "owner_tags", "runs_per_day"]

OWNER_TAG: Final = "sunriza/owner"
"""Run tag: the owner whose limit the run counts against, as a hash of the document's `userId`."""
WINDOW: Final = timedelta(days=1)
CODE: Final = "limit.owner_runs"


def runs_per_day() -> int | None:
    """SUNRIZA_OWNER_RUNS_PER_DAY, or its default; None when it says `unlimited`.

    Raises:
        ParameterError: a setting is wrong.
    """
    limit = current_settings().owner_runs_per_day
    return None if limit == "unlimited" else limit


def owner_tags(document: AvatarDocument) -> Mapping[str, str]:
    """The tag with an avatar's owner; empty where the document has none.

    A hash, for user ids may contain any characters and are not shown to readers of the UI: the
    first 32 digits of `printf %s USERID | sha256sum`.
    """
    user_id = document.data.get("userId")
    if user_id is None or user_id == "":
        return {}  # an operator's own: rules let no client write such a document
    text = user_id if isinstance(user_id, str) else json.dumps(user_id, default=str)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return {OWNER_TAG: digest[:32]}


class OwnerLimit:
    """The limit during one tick of a sensor, whose own requests count as well.

    Two sensors that tick at the same moment do not see each other's requests, so an owner may get a
    few runs more, once.
    """

    def __init__(self, instance: dg.DagsterInstance, now: datetime) -> None:
        self._instance = instance
        self._now = now
        self._limit = runs_per_day()
        self._used: dict[str, int] = {}
        self._requested: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, int] = defaultdict(int)
        self._starts: dict[str, list[datetime]] = {}

    def wait_for(self, document: AvatarDocument) -> Waiting | None:
        """Until when an avatar's run has to wait; None if it may begin, which is then counted.

        Each waiting avatar gets its own start time: the second one waits until the owner's second
        run of the day before is a day old.
        """
        owner = owner_tags(document).get(OWNER_TAG)
        if owner is None or self._limit is None:
            return None
        if owner not in self._used:
            self._used[owner] = self._instance.get_runs_count(self._last_day(owner))
        excess = self._used[owner] + self._requested[owner] - self._limit
        if excess < 0:
            self._requested[owner] += 1
            return None
        start = self._start_time(owner, excess + self._waiting[owner])
        self._waiting[owner] += 1
        return Waiting(CODE, _message(self._limit, start), start, document.inputs_version)

    def _start_time(self, owner: str, place: int) -> datetime:
        """When the owner's run number `place` (from 0) of the last day is a day old."""
        if owner not in self._starts:
            records = self._instance.get_run_records(self._last_day(owner), ascending=True)
            self._starts[owner] = [record.create_timestamp for record in records]
        starts = [*self._starts[owner], *[self._now] * self._requested[owner]] or [self._now]
        days, index = divmod(place, len(starts))
        return starts[index] + WINDOW * (1 + days)

    def _last_day(self, owner: str) -> dg.RunsFilter:
        return dg.RunsFilter(tags={OWNER_TAG: owner}, created_after=self._now - WINDOW)


def _message(limit: int, start: datetime) -> str:
    avatars = "an avatar was" if limit == 1 else f"{limit} avatars were"
    return (
        f"Within a day {avatars} made for you, which is the limit. This one is made by itself from "
        f"{start:%Y-%m-%d %H:%M} UTC on."
    )
