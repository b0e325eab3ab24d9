"""One line of what `bench_service` prints."""

from dataclasses import dataclass

__all__ = ["Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    bar: str = ""
    kept: bool | None = None
    """Whether the bar is kept; None where there is none."""
