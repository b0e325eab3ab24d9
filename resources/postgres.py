"""What all connections to Postgres have in common: their options, and how a lost one is noticed."""

import re
import select
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["CONNECT_OPTIONS", "is_readable", "is_refusal"]

CONNECT_OPTIONS: Final[Mapping[str, str]] = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""libpq's: a server whose machine is gone is noticed within about 20 s."""

# A failed connection carries no SQLSTATE, only what the server says (in English by default).
_REFUSED: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry"
    r"|not permitted to log in|\b(?:role|database) .* does not exist"
)


def is_refusal(problem: BaseException) -> bool:
    """Whether a server was reached and refuses this user or database: waiting does not help."""
    return bool(_REFUSED.search(str(problem)))


def is_readable(connection: Any) -> bool:
    """Whether the server has sent something on an idle connection, its farewell included.

    Args:
        connection: of psycopg2.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))
