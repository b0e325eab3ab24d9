"""Why a run that is wanted has not been started yet, and when it will be.

Two things hold a run back: its owner has had as many as one owner may have in a day, or the run
before it was lost to a failure of machines and is tried again after a while. Either is part of the
avatar's record; the document shows it, and the sensor `held_avatars` asks when the time has come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resources.avatars.instants import as_instant

__all__ = ["Waiting"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One wait."""

    code: str
    """Dotted machine-readable code: `limit.owner_runs`, `run.retry`."""
    message: str
    """Why, and until when, in words for the avatar's owner."""
    until: datetime
    """When the run is asked for, UTC."""
    inputs_version: str
    """The inputs that the run is for; a wait for others than the document's is void."""
    attempt: int = 0
    """Which retry it will be, from 1; 0 when it is none."""
    of: int = 0
    """How many retries there are at most; 0 when it is none."""
    run_id: str = ""
    """The run that was lost; empty when it is no retry."""

    def shown(self) -> dict[str, Any]:
        """`dynamics.basic.waiting`, as the document carries it."""
        told = {"code": self.code, "message": self.message, "until": self.until}
        return told | ({"attempt": self.attempt, "of": self.of} if self.attempt else {})

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Waiting":
        """Read a stored wait; `until` may be a datetime or RFC 3339 text.

        Raises:
            TypeError, ValueError, KeyError, AttributeError: it is damaged.
        """
        until = as_instant(stored["until"])
        if until is None:
            raise TypeError(f"{stored['until']!r} is no instant")
        return cls(
            code=str(stored["code"]),
            message=str(stored["message"]),
            until=until,
            inputs_version=str(stored["inputs_version"]),
            attempt=int(stored.get("attempt", 0)),
            of=int(stored.get("of", 0)),
            run_id=str(stored.get("run_id", "")),
        )
