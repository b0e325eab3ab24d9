"""Conversion of instants: epoch ms in apps' fields, RFC 3339 text in JSON, datetimes."""

from datetime import UTC, datetime

__all__ = ["as_instant", "epoch_ms", "instant_text", "nanoseconds", "now", "rfc3339"]


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def epoch_ms(instant: datetime) -> int:
    """Epoch ms, as in the top-level fields of documents and in the security rules."""
    return round(instant.timestamp() * 1000)


def rfc3339(epoch_ns: int) -> str:
    """RFC 3339 in UTC with nine fractional digits, so that text order is time order."""
    seconds, nanos = divmod(epoch_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{nanos:09d}Z"


def instant_text(instant: datetime) -> str:
    """RFC 3339 text of a datetime for JSON documents."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def nanoseconds(text: str) -> int:
    """Epoch ns of a text from `rfc3339`."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 1_000_000_000 + int(fraction)


def as_instant(value: object) -> datetime | None:
    """The datetime of a datetime or RFC 3339 text; None for anything else."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return None
