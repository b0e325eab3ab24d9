"""The principal: who a request acts for, and what it may do."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

__all__ = ["LOCAL_USER", "Principal", "Scope"]

Scope = Literal["render", "jobs", "metrics", "admin"]
"""What an API key may be allowed; a user's token may `render` and `jobs`."""

LOCAL_USER: Final = "local"
"""User id of everybody in open mode."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of one request."""

    uid: str
    """User id; owns the orders and outputs that the request makes."""
    via: Literal["open", "token", "key", "anonymous"]
    """How the caller is known."""
    scopes: frozenset[Scope]
    """What it may do."""
    credential: str = ""
    """Stable name of the credential, for rate limits and logs; never the credential itself."""
    expires_at: datetime | None = None
    """When the credential ends, UTC; a stream is closed then."""

    @property
    def sees_all(self) -> bool:
        """Whether it may see what belongs to others: open mode, and keys with scope `admin`."""
        return self.via == "open" or "admin" in self.scopes

    @property
    def user_id(self) -> str | None:
        """The user whom documents and listings of jobs name; None in open mode: everybody."""
        return None if self.via == "open" else self.uid

    @property
    def is_limited(self) -> bool:
        """Whether rates and quotas hold; not in open mode."""
        return self.via != "open"

    @property
    def uid_hash(self) -> str:
        """Twelve hexadecimal digits that stand for the user id in logs."""
        return hashlib.sha256(self.uid.encode("utf-8", "replace")).hexdigest()[:12]

    def owns(self, user_id: str | None) -> bool:
        """Whether something of this user is the principal's own."""
        return self.sees_all or (user_id is not None and user_id == self.uid)
