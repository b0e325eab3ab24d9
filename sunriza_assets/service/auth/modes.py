"""Who may call at all: `SUNRIZA_AUTH`, and what is refused because it would open the service."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from resources.settings import Settings
from sunriza_assets.errors import ParameterError

__all__ = ["AuthMode", "auth_mode", "is_loopback"]

_ANONYMOUS: Final = "anonymous-until="


@dataclass(frozen=True, slots=True)
class AuthMode:
    """How callers are known."""

    open_mode: bool
    """Whether everybody may call, as user `local`."""
    anonymous_until: datetime | None = None
    """Until when old app builds may make and trim without a token, UTC."""

    def anonymous_at(self, now: datetime) -> bool:
        """Whether callers without a credential are served at this time."""
        return self.anonymous_until is not None and now < self.anonymous_until


def auth_mode(settings: Settings, host: str) -> AuthMode:
    """How callers are known to a service bound to this host.

    Args:
        settings: of the process.
        host: name or address that it listens on; a path for a Unix socket.

    Raises:
        ParameterError: open mode would be reachable from outside, or tokens without a signature
            would be taken.
    """
    loopback = is_loopback(host)
    asked = settings.auth or ("off" if loopback else "required")
    if asked == "off" and not loopback:
        raise ParameterError(
            f"SUNRIZA_AUTH=off would let everybody in who reaches {host}",
            remedy="Bind to 127.0.0.1, or set SUNRIZA_AUTH=required.",
            code="setting",
        )
    if asked != "off" and settings.auth_emulator:
        raise ParameterError(
            "FIREBASE_AUTH_EMULATOR_HOST is set: an emulator's tokens carry no signature",
            remedy="Unset it, or set SUNRIZA_AUTH=off on loopback.",
            code="setting",
        )
    return AuthMode(open_mode=asked == "off", anonymous_until=_until(asked))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on this host."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _until(asked: str) -> datetime | None:
    if not asked.startswith(_ANONYMOUS):
        return None
    text = asked.removeprefix(_ANONYMOUS)
    try:
        return datetime.combine(date.fromisoformat(text), time.min, tzinfo=UTC)
    except ValueError as error:
        raise ParameterError(
            f"{text!r} is no date",
            remedy="Write SUNRIZA_AUTH=anonymous-until=2027-03-31.",
            code="setting",
        ) from error
