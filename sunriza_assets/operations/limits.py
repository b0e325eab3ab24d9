"""How many runs one owner may cause in a day.

An app's user asks for a run by writing into a document, so nothing but this stands between one
account and a fleet's whole time. Runs are counted where they are kept: every run that a sensor asks
for carries its owner as a tag, so a daemon that is restarted has forgotten nothing. Runs that an
operator starts, and retries of runs that our machines have lost, carry no owner and do not count.
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
"""Run tag: whose day the run counts to, as a hash of the document's `userId`."""
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
    """The tag that names an avatar's owner; none where the document names nobody.

    A hash, for ids of users are anything at all and no business of everybody who sees the UI: the
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
        self._asked: defaultdict[str, int] = defaultdict(int)
        self._held: defaultdict[str, int] = defaultdict(int)
        self._begun: dict[str, list[datetime]] = {}

    def wait_for(self, document: AvatarDocument) -> Waiting | None:
        """Until when an avatar's run has to wait; None when it may begin, and counts from here on.

        Whoever waits gets a turn of its own: the second in line waits for the second run of the day
        before to be a day old.
        """
        owner = owner_tags(document).get(OWNER_TAG)
        if owner is None or self._limit is None:
            return None
        if owner not in self._used:
            self._used[owner] = self._instance.get_runs_count(self._today(owner))
        excess = self._used[owner] + self._asked[owner] - self._limit
        if excess < 0:
            self._asked[owner] += 1
            return None
        turn = self._turn(owner, excess + self._held[owner])
        self._held[owner] += 1
        return Waiting(CODE, _message(self._limit, turn), turn, document.inputs_version)

    def _turn(self, owner: str, place: int) -> datetime:
        """When the owner's run number `place` (from 0) of the last day is a day old."""
        if owner not in self._begun:
            records = self._instance.get_run_records(self._today(owner), ascending=True)
            self._begun[owner] = [record.create_timestamp for record in records]
        begun = [*self._begun[owner], *[self._now] * self._asked[owner]] or [self._now]
        days, index = divmod(place, len(begun))
        return begun[index] + WINDOW * (1 + days)

    def _today(self, owner: str) -> dg.RunsFilter:
        return dg.RunsFilter(tags={OWNER_TAG: owner}, created_after=self._now - WINDOW)


def _message(limit: int, turn: datetime) -> str:
    avatars = "an avatar was" if limit == 1 else f"{limit} avatars were"
    return (
        f"Within a day {avatars} made for you, which is the limit. This one is made by itself from "
        f"{turn:%Y-%m-%d %H:%M} UTC on."
    )
