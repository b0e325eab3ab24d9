"""Backfills: one request for many avatars, stored until the last of them is done.

    backfills/<id>.json         the request; written once and never changed
    backfills/<id>.cancelled    present once the backfill is cancelled

A backfill outlives the process that requested it. The sensor `backfills` feeds it to the run queue
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

from resources.avatars.ids import checked_avatar_id
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
    "FINAL_STATES",
    "Backfill",
    "BackfillProgress",
    "backfills",
    "cancel",
    "delete_before",
    "is_cancelled",
    "list_ids",
    "load",
    "remaining",
    "run_options",
    "save",
]

BACKFILL_TAG: Final = "sunriza/backfill"
"""Run tag: the id of the backfill that the run belongs to."""
RESUMES_TAG: Final = "sunriza/resumes-backfill"
"""Run tag: the id of the backfill that the run's own one resumes."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]

FINAL_STATES: Final[frozenset[State]] = frozenset({"done", "failed", "cancelled"})
"""States that an avatar of a backfill does not leave by itself."""

_FOLDER: Final = "backfills"
_STATE_OF_STATUS: Final[Mapping[dg.DagsterRunStatus, State]] = {
    dg.DagsterRunStatus.SUCCESS: "done",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Backfill:
    """A request to render some avatars with the same parameters."""

    avatars: tuple[str, ...]
    """Avatar ids, in the order in which they are rendered."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Canonical parameters of the launchpad layer."""
    force: bool = False
    """Make everything anew, whatever is unchanged."""
    queued: bool = True
    """Whether the sensor feeds it to the run queue; else the requesting process renders it."""
    backfill_id: str = field(
        default_factory=lambda: f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    )
    """Sorts by the time of the request."""
    resumes: str = ""
    """The backfill that this one resumes, if any."""


def save(storage: MediaStorage, backfill: Backfill) -> None:
    """Store a backfill.

    Raises:
        StoreError: it cannot be written.
    """
    _put(storage, f"{_FOLDER}/{backfill.backfill_id}.json", asdict(backfill))


def load(storage: MediaStorage, backfill_id: str) -> Backfill:
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
            stored = json.loads(storage.fetch(name, Path(folder)).read_text())
            return Backfill(
                avatars=tuple(stored["avatars"]),
                parameters=stored["parameters"],
                force=stored["force"],
                queued=stored.get("queued", True),
                backfill_id=backfill_id,
                resumes=stored.get("resumes", ""),
            )
        except (ValueError, KeyError, TypeError) as damage:
            raise StoreError("A backfill's record is damaged", where=name) from damage


def remaining(storage: MediaStorage, instance: dg.DagsterInstance, backfill_id: str) -> Backfill:
    """A new backfill of what another one and its resumptions left undone; not stored yet.

    Raises:
        AvatarError: there is no such backfill.
        StoreError: it cannot be read.
    """
    former = load(storage, backfill_id)
    first = load(storage, former.resumes) if former.resumes else former
    missing = BackfillProgress(instance, first).missing()
    return Backfill(
        tuple(missing), first.parameters, first.force, first.queued, resumes=first.backfill_id
    )


def list_ids(storage: MediaStorage) -> list[str]:
    """Ids of all backfills, oldest first."""
    names = [stored.name for stored in storage.list(f"{_FOLDER}/")]
    return [Path(name).stem for name in names if name.endswith(".json")]


def delete_before(storage: MediaStorage, *, before: datetime) -> int:
    """Delete the records of backfills requested before a time; returns their number."""
    old = [one for one in list_ids(storage) if one < f"{before.astimezone(UTC):%Y%m%d-%H%M%S}"]
    for backfill_id in old:
        for suffix in ("json", "cancelled"):
            storage.delete(f"{_FOLDER}/{backfill_id}.{suffix}")
    return len(old)


def cancel(storage: MediaStorage, instance: dg.DagsterInstance, backfill_id: str) -> int:
    """Stop requesting runs and cancel the queued ones; started runs may finish.

    Returns:
        How many waiting runs were cancelled.
    """
    backfill = load(storage, backfill_id)
    _put(storage, f"{_FOLDER}/{backfill.backfill_id}.cancelled", {"at": _now()})
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED], tags={BACKFILL_TAG: backfill_id})
    waiting = instance.get_runs(filters)
    return sum(instance.run_coordinator.cancel_run(run.run_id) for run in waiting)


def is_cancelled(storage: MediaStorage, backfill_id: str) -> bool:
    """Whether a backfill was cancelled."""
    return storage.stat(f"{_FOLDER}/{backfill_id}.cancelled") is not None


def run_options(backfill: Backfill) -> dict[str, Any]:
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


class BackfillProgress:
    """State of a backfill's avatars, by the runs that carry its id as their own or as resumed.

    Only runs that changed since the last call are read again.
    """

    def __init__(self, instance: dg.DagsterInstance, backfill: Backfill) -> None:
        self._instance = instance
        self._backfill = backfill
        self._latest: dict[str, tuple[datetime, State]] = {}
        self._read_until: datetime | None = None

    def states(self) -> dict[str, State]:
        """The state of every avatar of the backfill; `done` stays, whatever ran afterwards."""
        for record in self._changed_runs():
            # Times are the database's; a second of overlap reads a run twice and misses none.
            seen = record.update_timestamp - timedelta(seconds=1)
            self._read_until = max(self._read_until or seen, seen)
            avatar_id = record.dagster_run.tags.get(AVATAR_TAG, "")
            former = self._latest.get(avatar_id)
            state = _state(record.dagster_run)
            if former is None or state == "done" or _is_later(record, former):
                self._latest[avatar_id] = (record.create_timestamp, state)
        return {
            avatar_id: self._latest[avatar_id][1] if avatar_id in self._latest else "waiting"
            for avatar_id in self._backfill.avatars
        }

    def _changed_runs(self) -> list[dg.RunRecord]:
        since = self._read_until
        return [
            record
            for tag in (BACKFILL_TAG, RESUMES_TAG)
            for record in self._instance.get_run_records(
                dg.RunsFilter(tags={tag: self._backfill.backfill_id}, updated_after=since)
            )
        ]

    def missing(self) -> list[str]:
        """Avatars without a successful run, in order."""
        return [avatar_id for avatar_id, state in self.states().items() if state != "done"]


def _is_later(record: dg.RunRecord, former: tuple[datetime, State]) -> bool:
    return former[1] != "done" and record.create_timestamp >= former[0]


def _state(run: dg.DagsterRun) -> State:
    if run.status == dg.DagsterRunStatus.FAILURE and run.tags.get("dagster/will_retry") == "true":
        return "waiting"
    if run.status in _STATE_OF_STATUS:
        return _STATE_OF_STATUS[run.status]
    return "running" if run.status == dg.DagsterRunStatus.STARTED else "waiting"


@dg.sensor(
    job=AVATAR_DYNAMICS,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def backfills(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult:
    """Feeds backfills to the run queue, oldest first, up to its cap.

    The cursor is the number of runs requested for each backfill. Every request has a key, so a
    tick that is cut short and repeated doubles nothing.
    """
    storage = stores.storage
    former: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
    requested = {backfill_id: former.get(backfill_id, 0) for backfill_id in list_ids(storage)}
    capacity = queue.BACKFILL_CAP - queue.waiting_runs(context.instance)
    requests: list[dg.RunRequest] = []
    for backfill in _open_backfills(storage, requested):
        if capacity <= len(requests):
            break
        if not backfill.queued:
            requested[backfill.backfill_id] = _EXHAUSTED
            continue
        begin = requested[backfill.backfill_id]
        page = backfill.avatars[begin : begin + capacity - len(requests)]
        requests += _requests(backfill, page)
        requested[backfill.backfill_id] = begin + len(page)
        if begin + len(page) == len(backfill.avatars):
            requested[backfill.backfill_id] = _EXHAUSTED
    keys = [request.partition_key for request in requests if request.partition_key]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[AVATARS.build_add_request(keys)] if keys else [],
        cursor=json.dumps(requested),
        skip_reason=None if requests else f"nothing to ask for, or no room ({capacity})",
    )


_EXHAUSTED: Final = -1
"""In the cursor: there is nothing left to ask for, and the record need not be read again."""


def _open_backfills(storage: MediaStorage, requested: Mapping[str, int]) -> Iterator[Backfill]:
    for backfill_id, count in requested.items():
        if count != _EXHAUSTED and not is_cancelled(storage, backfill_id):
            yield load(storage, backfill_id)


def _requests(backfill: Backfill, avatars: Sequence[str]) -> list[dg.RunRequest]:
    settings = run_options(backfill)
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
