"""Listings of avatars: their order, their pages, their cursors.

A listing is for people who look at their avatars; `AvatarStore.changes` and `scan` are for
sensors, which must not miss any.
"""

import base64
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from resources.avatars.instants import as_instant
from resources.avatars.store import Change
from sunriza_assets.errors import ParameterError

__all__ = ["MAX_TEXT", "SORTS", "AvatarPage", "PageKey", "Sort", "is_found", "read_cursor"]

Sort = Literal["updated", "created", "name"]
"""updated: newest change first; created: newest first; name: by code points, A before a."""
SORTS: Final[tuple[Sort, ...]] = ("updated", "created", "name")
"""All of them."""
MAX_TEXT: Final = 100
"""Most characters of a search text."""
_MAX_CURSOR: Final = 4_000
_DOCUMENT_ID: Final = re.compile(r"(?!\.{1,2}$)(?!__.*__$)[^/\ud800-\udfff]{1,1500}")
_MAX_WHOLE: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class AvatarPage:
    """A page of a listing."""

    changes: Sequence[Change]
    """Avatars in the asked order; unreadable documents are among them, unless an owner is given."""
    cursor: str | None
    """Where the next page begins; None on the last one. A page may be short, even empty, and have
    a next one: a search examines a bounded number of documents per page."""


@dataclass(frozen=True, slots=True)
class PageKey:
    """The last examined document of a page."""

    sort: Sort
    """The order of the listing."""
    value: Any
    """The document's value of the sorted field: a number, text, or whatever the store encodes."""
    avatar_id: str
    """Breaks ties."""

    def to_cursor(self) -> str:
        """As clients get it: opaque, safe in URLs."""
        text = json.dumps([self.sort, self.value, self.avatar_id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, sort: Sort) -> PageKey:
    """The key in a cursor.

    Raises:
        ParameterError: it is no cursor of a listing in this order.
    """
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        if len(cursor) > _MAX_CURSOR:
            raise _no_cursor()
        found, value, avatar_id = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, TypeError, RecursionError):
        raise _no_cursor() from None
    is_id = isinstance(avatar_id, str) and _DOCUMENT_ID.fullmatch(avatar_id)
    if found != sort or not is_id or not _is_value(value):
        raise _no_cursor()
    return PageKey(sort, value, avatar_id)


def _is_value(value: object) -> bool:
    """Whether a cursor of this system may have this value: cursors come from clients."""
    if isinstance(value, dict):
        return value.keys() == {"instant"} and as_instant(value["instant"]) is not None
    if isinstance(value, str):
        return not re.search(r"[\ud800-\udfff]", value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return math.isfinite(value) and abs(value) < _MAX_WHOLE
    return value is None


def is_found(text: str, avatar_id: str, name: object) -> bool:
    """Whether a search text is part of an avatar's name or id, in upper or lower case."""
    wanted = text.casefold()
    return wanted in avatar_id.casefold() or (isinstance(name, str) and wanted in name.casefold())


def _no_cursor() -> ParameterError:
    return ParameterError(
        "This is no cursor of this listing",
        remedy="Use `next_cursor` of the page before, with the same order.",
        code="cursor",
    )
