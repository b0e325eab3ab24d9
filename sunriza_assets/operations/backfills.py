"""Backfills: one wish for many avatars, kept until the last of them is done.

    backfills/<id>.json         what was asked for; written once and never changed
    backfills/<id>.cancelled    somebody has changed their mind

A backfill outlives the terminal that asked for it. The sensor `backfills` feeds it to the run queue
a few runs at a time, behind everything more urgent; `sunriza backfill` without a fleet works on it
in its own process, and the sensor leaves it alone. Every run of a backfill carries its id as a tag,
and that tag is the only record of what is done. A backfill is resumed by another one, for what has
no successful run yet, whose runs carry both ids.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import dagster as dg

from resources.avatars.document import checked_avatar_id
from resources.services import Stores
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import AvatarError, StoreError
from sunriza_assets.graph.config import launchpad_config
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS
from sunriza_assets.graph.partitions import AVATAR_TAG, AVATARS
from sunriza_assets.graph.tags import FORCE_TAG
from sunriza_assets.platform import queue

__all__ = [
    "BACKFILL_TAG",
    "OVER",
    "Backfill",
    "Watch",
    "backfills",
    "cancel",
    "forget",
    "is_cancelled",
    "keep",
    "kept",
    "kept_ids",
    "rest",
    "run_settings",
]

BACKFILL_TAG: Final = "sunriza/backfill"
"""Run tag: the id of the backfill that the run belongs to."""
RESUMES_TAG: Final = "sunriza/resumes-backfill"
"""Run tag: the id of the backfill whose rest that one is."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]

OVER: Final[frozenset[State]] = frozenset({"done", "failed", "cancelled"})
"""States that an avatar of a backfill does not leave by itself."""

_FOLDER: Final = "backfills"
_FINAL: Final[Mapping[dg.DagsterRunStatus, State]] = {
    dg.DagsterRunStatus.SUCCESS: "done",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Backfill:
    """What was asked for."""

    avatars: tuple[str, ...]
    """Avatar ids, in the order in which they are rendered."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Canonical parameters of the launchpad layer."""
    force: bool = False
    """Make everything anew, whatever is unchanged."""
    queued: bool = True
    """Whether the sensor feeds it to the run queue; else the process that asked works on it."""
    backfill_id: str = field(
        default_factory=lambda: f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    )
    """Sorts by the time of asking."""
    resumes: str = ""
    """The backfill of which this one is the rest, if any."""


def keep(storage: MediaStorage, backfill: Backfill) -> None:
    """Write a backfill down, so that it outlives this process.

    Raises:
        StoreError: it cannot be written.
    """
    _put(storage, f"{_FOLDER}/{backfill.backfill_id}.json", asdict(backfill))


def kept(storage: MediaStorage, backfill_id: str) -> Backfill:
    """A backfill by its id.

    Raises:
        AvatarError: there is no such backfill.
        StoreError: it cannot be read.
    """
    checked_avatar_id(backfill_id)  # the same letters; it becomes part of a path
    name = f"{_FOLDER}/{backfill_id}.json"
    if storage.stat(name) is None:
        raise AvatarError(
            f"There is no backfill {backfill_id!r}",
            remedy="sunriza backfill --list names those there are.",
            code="no_backfill",
        )
    with TemporaryDirectory(prefix="sunriza-") as folder:
        try:
            said = json.loads(storage.fetch(name, Path(folder)).read_text())
            return Backfill(
                avatars=tuple(said["avatars"]),
                parameters=said["parameters"],
                force=said["force"],
                queued=said.get("queued", True),
                backfill_id=backfill_id,
                resumes=said.get("resumes", ""),
            )
        except (ValueError, KeyError, TypeError) as damage:
            raise StoreError("A backfill's record is damaged", where=name) from damage


def rest(storage: MediaStorage, instance: dg.DagsterInstance, backfill_id: str) -> Backfill:
    """A new backfill of what another one and its resumptions have left undone; it is not kept yet.

    Raises:
        AvatarError: there is no such backfill.
        StoreError: it cannot be read.
    """
    former = kept(storage, backfill_id)
    first = kept(storage, former.resumes) if former.resumes else former
    missing = Watch(instance, first).missing()
    return Backfill(
        tuple(missing), first.parameters, first.force, first.queued, resumes=first.backfill_id
    )


def kept_ids(storage: MediaStorage) -> list[str]:
    """Ids of all backfills, oldest first."""
    names = [stored.name for stored in storage.list(f"{_FOLDER}/")]
    return [Path(name).stem for name in names if name.endswith(".json")]


def forget(storage: MediaStorage, *, before: datetime) -> int:
    """Delete the records of backfills that were asked for before a time; returns how many."""
    old = [one for one in kept_ids(storage) if one < f"{before.astimezone(UTC):%Y%m%d-%H%M%S}"]
    for backfill_id in old:
        for suffix in ("json", "cancelled"):
            storage.delete(f"{_FOLDER}/{backfill_id}.{suffix}")
    return len(old)


def cancel(storage: MediaStorage, instance: dg.DagsterInstance, backfill_id: str) -> int:
    """Ask for no more runs and take those that wait out of the queue; runs that work may finish.

    Returns:
        How many waiting runs were cancelled.
    """
    backfill = kept(storage, backfill_id)
    _put(storage, f"{_FOLDER}/{backfill.backfill_id}.cancelled", {"at": _now()})
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED], tags={BACKFILL_TAG: backfill_id})
    waiting = instance.get_runs(filters)
    return sum(instance.run_coordinator.cancel_run(run.run_id) for run in waiting)


def is_cancelled(storage: MediaStorage, backfill_id: str) -> bool:
    """Whether somebody has cancelled it."""
    return storage.stat(f"{_FOLDER}/{backfill_id}.cancelled") is not None


def run_settings(backfill: Backfill) -> dict[str, Any]:
    """Tags and run config of every run of a backfill."""
    selected = {"trimmed_video", "motion_template", "idle_video"}
    config = launchpad_config(dict(backfill.parameters), force=backfill.force, selected=selected)
    return {
        "tags": {
            **queue.BACKFILL,
            BACKFILL_TAG: backfill.backfill_id,
            **({RESUMES_TAG: backfill.resumes} if backfill.resumes else {}),
            **({FORCE_TAG: "true"} if backfill.force else {}),
        },
        "run_config": config,
    }


class Watch:
    """How far a backfill is, by the runs that carry its id, its own and those that resume it.

    Only runs that have changed since the last look are read again.
    """

    def __init__(self, instance: dg.DagsterInstance, backfill: Backfill) -> None:
        self._instance = instance
        self._backfill = backfill
        self._latest: dict[str, tuple[datetime, State]] = {}
        self._seen: datetime | None = None

    def look(self) -> dict[str, State]:
        """The state of every avatar of the backfill; `done` stays, whatever ran afterwards."""
        for record in self._changed():
            # Times are the database's; a second of overlap reads a run twice and misses none.
            seen = record.update_timestamp - timedelta(seconds=1)
            self._seen = max(self._seen or seen, seen)
            avatar_id = record.dagster_run.tags.get(AVATAR_TAG, "")
            former = self._latest.get(avatar_id)
            state = _state(record.dagster_run)
            if former is None or state == "done" or _is_later(record, former):
                self._latest[avatar_id] = (record.create_timestamp, state)
        return {
            avatar_id: self._latest[avatar_id][1] if avatar_id in self._latest else "waiting"
            for avatar_id in self._backfill.avatars
        }

    def _changed(self) -> list[dg.RunRecord]:
        since = self._seen
        return [
            record
            for tag in (BACKFILL_TAG, RESUMES_TAG)
            for record in self._instance.get_run_records(
                dg.RunsFilter(tags={tag: self._backfill.backfill_id}, updated_after=since)
            )
        ]

    def missing(self) -> list[str]:
        """Avatars without a successful run, in order."""
        return [avatar_id for avatar_id, state in self.look().items() if state != "done"]


def _is_later(record: dg.RunRecord, former: tuple[datetime, State]) -> bool:
    return former[1] != "done" and record.create_timestamp >= former[0]


def _state(run: dg.DagsterRun) -> State:
    if run.status == dg.DagsterRunStatus.FAILURE and run.tags.get("dagster/will_retry") == "true":
        return "waiting"
    if run.status in _FINAL:
        return _FINAL[run.status]
    return "running" if run.status == dg.DagsterRunStatus.STARTED else "waiting"


@dg.sensor(
    job=AVATAR_DYNAMICS,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def backfills(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult:
    """Feeds backfills to the run queue, oldest first, and never more than fits.

    The cursor is how many avatars of each backfill were asked for. Every request has a key, so a
    tick that is cut short and repeated doubles nothing.
    """
    storage = stores.storage
    former: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
    asked = {backfill_id: former.get(backfill_id, 0) for backfill_id in kept_ids(storage)}
    room = queue.BACKFILL_CAP - queue.waiting_runs(context.instance)
    requests: list[dg.RunRequest] = []
    for backfill in _open(storage, asked):
        if room <= len(requests):
            break
        if not backfill.queued:
            asked[backfill.backfill_id] = _ALL
            continue
        begin = asked[backfill.backfill_id]
        page = backfill.avatars[begin : begin + room - len(requests)]
        requests += _requests(backfill, page)
        asked[backfill.backfill_id] = begin + len(page)
        if begin + len(page) == len(backfill.avatars):
            asked[backfill.backfill_id] = _ALL
    keys = [request.partition_key for request in requests if request.partition_key]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[AVATARS.build_add_request(keys)] if keys else [],
        cursor=json.dumps(asked),
        skip_reason=None if requests else f"nothing to ask for, or no room ({room})",
    )


_ALL: Final = -1
"""In the cursor: there is nothing left to ask for, and the record need not be read again."""


def _open(storage: MediaStorage, asked: Mapping[str, int]) -> Iterator[Backfill]:
    for backfill_id, count in asked.items():
        if count != _ALL and not is_cancelled(storage, backfill_id):
            yield kept(storage, backfill_id)


def _requests(backfill: Backfill, avatars: Sequence[str]) -> list[dg.RunRequest]:
    settings = run_settings(backfill)
    return [
        dg.RunRequest(
            partition_key=avatar_id, run_key=f"{backfill.backfill_id}:{avatar_id}", **settings
        )
        for avatar_id in avatars
    ]


def _put(storage: MediaStorage, name: str, content: Mapping[str, Any]) -> None:
    with TemporaryDirectory(prefix="sunriza-") as folder:
        file = Path(folder) / Path(name).name
        file.write_text(json.dumps(content, indent=1))
        storage.put(file, name, content_type="application/json", private=True)


def _now() -> str:
    return datetime.now(UTC).isoformat()
