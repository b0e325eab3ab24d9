"""`Prefer` (RFC 7240): how long a caller wants to wait for a finished job, or rather has one."""

import re
from typing import Annotated, Final

from fastapi import Header

__all__ = [
    "LONGEST_WAIT_S",
    "PreferAsyncHeader",
    "PreferHeader",
    "preferred_wait_s",
    "prefers_async",
]

LONGEST_WAIT_S: Final = 60
"""Seconds that an answer is held back at most."""
_ASYNC: Final = re.compile(r"(?:^|[,;])\s*respond-async\s*(?=$|[,;])", re.IGNORECASE)
_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=$|[,;])', re.IGNORECASE)

PreferHeader = Annotated[
    str | None,
    Header(
        description="`wait=n`: the answer comes when the job has ended, or after n seconds"
        f" ({LONGEST_WAIT_S} at most)."
    ),
]
"""The header of a route that makes a job."""
PreferAsyncHeader = Annotated[
    str | None,
    Header(
        description="`respond-async`: a job makes it. With `wait=n` besides, the answer comes when"
        f" that has ended, or after n seconds ({LONGEST_WAIT_S} at most)."
    ),
]
"""The header of a route that answers at once or makes a job."""


def preferred_wait_s(header: str | None) -> int:
    """Seconds to wait, 0-60; what cannot be read is ignored, as RFC 7240 demands."""
    found = _WAIT.search(header or "")
    return min(int(found[1]), LONGEST_WAIT_S) if found else 0


def prefers_async(header: str | None) -> bool:
    """Whether a caller would rather have a job than wait for the result (`respond-async`)."""
    return _ASYNC.search(header or "") is not None
