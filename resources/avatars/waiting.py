"""Why a run is held back, and until when.

There are two reasons: its owner has reached the limit of runs per day, or the previous run was lost
to a machine failure and is retried after a pause. The wait is part of the avatar's record and shown
in the document; the sensor `held_avatars` requests the run when it is over.
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
    """When the run is requested, UTC."""
    inputs_version: str
    """The inputs that the run is for; a wait for others than the document's is void."""
    attempt: int = 0
    """Number of the retry, from 1; 0 if it is no retry."""
    of: int = 0
    """Maximum number of retries; 0 if it is no retry."""
    run_id: str = ""
    """The run that was lost; empty if it is no retry."""

    def shown(self) -> dict[str, Any]:
        """`dynamics.basic.waiting`, as the document carries it."""
        fields = {"code": self.code, "message": self.message, "until": self.until}
        return fields | ({"attempt": self.attempt, "of": self.of} if self.attempt else {})

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
