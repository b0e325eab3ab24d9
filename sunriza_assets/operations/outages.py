"""Logging what fails again and again without filling the log, while a database is away."""

import logging
import time
from typing import Final

__all__ = ["Outage"]

_AGAIN_S: Final = 60.0


class Outage:
    """Logs the first failure of a row, then one a minute or another one, and the end of the row.

    Args:
        logger: gets the lines.
        what: what fails, as a sentence without its stop: "Notices cannot be read".
    """

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger = logger
        self._what = what
        self._logged_at: float | None = None
        self._last = ""

    def failed(self, problem: object) -> None:
        """It has failed."""
        now, reason = time.monotonic(), str(problem)
        is_due = self._logged_at is None or now - self._logged_at >= _AGAIN_S
        if is_due or reason != self._last:
            self._logger.warning("%s: %s", self._what, reason)
            self._logged_at, self._last = now, reason

    def over(self) -> None:
        """It has succeeded."""
        if self._logged_at is not None:
            self._logger.warning("%s: no longer", self._what)
            self._logged_at = None
