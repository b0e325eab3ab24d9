"""Instants as the stores write them: epoch ms for apps, RFC 3339 text for people, datetimes."""

from datetime import UTC, datetime

__all__ = ["as_instant", "epoch_ms", "instant_text", "nanoseconds", "now", "rfc3339"]


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def epoch_ms(instant: datetime) -> int:
    """As the app's documents and the security rules want their top-level times."""
    return round(instant.timestamp() * 1000)


def rfc3339(epoch_ns: int) -> str:
    """UTC with all nine digits, so that text order is time order."""
    seconds, nanos = divmod(epoch_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def instant_text(instant: datetime) -> str:
    """A datetime as JSON documents carry it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def nanoseconds(text: str) -> int:
    """Epoch ns of what `rfc3339` has written."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 1_000_000_000 + int(fraction)


def as_instant(value: object) -> datetime | None:
    """A datetime as it is, RFC 3339 text read; None for anything else."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return None
