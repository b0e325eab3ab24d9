"""The server's own record of an avatar: the run that owns it, and what is published.

The avatar document belongs to its app, whose clients save whole, possibly stale copies of it. So no
decision depends on `dynamics.basic`; it only mirrors this record, which clients cannot write. It is
stored next to the document (`server/basic` below it in Firestore, `.server/<id>.json` on disk).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal

from resources.avatars.instants import as_instant
from resources.avatars.waiting import Waiting
from sunriza_assets.errors import StoreError

__all__ = ["Draft", "Published", "RunRecord", "State"]

State = Literal["generating", "ready", "error"]

MAX_EARLIER_RUNS: Final = 64
MAX_PUBLICATIONS: Final = 32
MAX_DRAFTS: Final = 5


@dataclass(frozen=True, slots=True)
class Published:
    """One publication."""

    version: str
    """Folder of its objects below `avatars/<id>/dynamics/basic/`."""
    run_id: str
    """The run that made it."""
    at: datetime
    """When the document switched to it, UTC."""
    inputs_version: str = ""
    """`AvatarDocument.inputs_version` that it was made from; empty if not recorded."""
    asked_version: str = ""
    """The same before the effective parameters were written into the document, as in older copies
    that clients hold. Empty if not recorded."""
    removed: bool = False
    """Whether its files may be deleted; it can never be put in place again then."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A version that was rendered without being published."""

    version: str
    """Folder of its objects below `avatars/<id>/dynamics/basic/`."""
    run_id: str
    """The run that made it."""
    at: datetime
    """When its upload began, UTC."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """`AvatarDocument.inputs` that it was made from, without the run's own parameters."""
    complete: bool = False
    """Whether all its files are uploaded."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The server's own record of one avatar; the default is an avatar that was never claimed."""

    claims: int = 0
    """How many runs have claimed the avatar; grows with every claim and never falls."""
    run_id: str | None = None
    """The run that claimed last."""
    state: State | None = None
    """generating while that run owns the avatar; ready or error once it has ended."""
    earlier: tuple[str, ...] = ()
    """Runs that claimed before, oldest first; none of them may ever own it again."""
    inputs_version: str | None = None
    """`AvatarDocument.inputs_version` that the last run claimed."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """`AvatarDocument.inputs` at the last claim: what the whole run works with."""
    started_at: datetime | None = None
    """When the last run claimed, UTC."""
    error: Mapping[str, str] | None = None
    """code and message of the last run, if it failed."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """Fields that the last publication put into the document: idleVideoUrl and the like."""
    published: tuple[Published, ...] = ()
    """Publications, oldest first; the last one is in place unless `results` is empty, which it is
    after the owner has removed `dynamics` and a new run has begun."""
    created_at: datetime | None = None
    """First publication, UTC."""
    user_id: str | None = None
    """`userId` of the document that it belongs to; None until the first run, see `owners.py`."""
    purging: bool = False
    """Whether the avatar was deleted and all that is kept of it is being removed."""
    waiting: Waiting | None = None
    """Why and until when the next run is held back, if it is."""
    drafts: tuple[Draft, ...] = ()
    """Versions that wait to be published or discarded, oldest first."""
    restoring: Mapping[str, Any] | None = None
    """Parameters of a publication that was put in place again, until the document shows them."""

    @property
    def current(self) -> Published | None:
        """The publication that is in place."""
        return self.published[-1] if self.published and self.results else None

    def last_run_covers(self, inputs_version: str) -> bool:
        """Whether the last run, in whatever state, was for these inputs.

        Publishing writes effective parameters into the document, which changes the version of the
        same inputs; both versions count.
        """
        if self.inputs_version is None:
            return False
        current = self.current
        names = {current.inputs_version, current.asked_version} if current else set()
        own = self.inputs_version
        return inputs_version == own or {inputs_version, own} <= names

    def results_cover(self, inputs_version: str) -> bool:
        """Whether the results were made from these inputs, and no others were claimed since."""
        current = self.current
        if current is None or not self.last_run_covers(inputs_version):
            return False
        if not current.inputs_version:  # published by an earlier version of this system
            return self.state == "ready"
        return inputs_version in (current.inputs_version, current.asked_version)

    def to_dict(self) -> dict[str, Any]:
        """As it is stored; instants stay datetimes."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RunRecord":
        """Read a stored record; instants may be datetimes or RFC 3339 text.

        Raises:
            StoreError: it is damaged.
        """
        values = {name: value for name, value in data.items() if name in _FIELDS}
        try:
            for name in ("started_at", "created_at"):
                if values.get(name) is not None:
                    values[name] = _read_instant(values[name])
            values["earlier"] = tuple(values.get("earlier", ()))
            values["published"] = tuple(
                Published(
                    entry["version"],
                    entry["run_id"],
                    _read_instant(entry["at"]),
                    entry.get("inputs_version", ""),
                    entry.get("asked_version", ""),
                    entry.get("removed", False),
                )
                for entry in values.get("published", ())
            )
            values["drafts"] = tuple(
                Draft(
                    entry["version"],
                    entry["run_id"],
                    _read_instant(entry["at"]),
                    entry.get("inputs", {}),
                    entry.get("complete", False),
                )
                for entry in values.get("drafts", ())
            )
            if values.get("waiting") is not None:
                values["waiting"] = Waiting.from_dict(values["waiting"])
            return cls(**values)
        except (TypeError, ValueError, KeyError, AttributeError) as damage:
            raise StoreError(
                "The record of this avatar's runs is damaged", code="record"
            ) from damage


_FIELDS: Final = frozenset(entry.name for entry in fields(RunRecord))


def _read_instant(value: object) -> datetime:
    instant = as_instant(value)
    if instant is None:
        raise TypeError(f"{value!r} is no instant")
    return instant
