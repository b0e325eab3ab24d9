"""What a row of the corpus is: a file that is built by program, and the outcome it must have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from sunriza_assets_tests.studio.media.films import SIZE, Film, ffmpeg, write

__all__ = ["Case", "Refused", "Shown", "all_of", "copied", "cut", "film", "raw"]


@dataclass(frozen=True)
class Shown:
    """The clip can be trimmed."""

    rate: Fraction
    """Exact frames per second of the trimmed clip."""
    numbers: Sequence[int]
    """The frames it shows, in order."""
    size: tuple[int, int] = SIZE
    """(width, height)."""
    colour: float = 14.0
    """Largest deviation of a corner's colour, 0-255."""
    clicks: Sequence[float] | None = None
    """When clicks are heard."""


@dataclass(frozen=True)
class Refused:
    """A named error."""

    code: str
    """Its code, without the family."""


@dataclass(frozen=True)
class Case:
    """One file."""

    name: str
    """File name; the suffix chooses the container PyAV writes."""
    build: Callable[[Path], object]
    """Writes it."""
    outcome: Shown | Refused
    """What must come of it."""
    seconds: float = field(default=10.0)
    """Longest trim asked for."""
    start: float = field(default=0.0)
    """Where the trim starts."""


def all_of(count: int) -> list[int]:
    """Every frame once."""
    return list(range(count))


def film(name: str, plan: Film, outcome: Shown | Refused | None = None, **more: object) -> Case:
    """A clip that is just written; by default every frame comes out once at its rate."""
    outcome = outcome or Shown(plan.rate, all_of(plan.count), plan.size)
    return Case(name, lambda path: write(path, plan), outcome, **more)  # type: ignore[arg-type]


def cut(
    name: str, plan: Film, operation: Callable[[Path], object], outcome: Shown | Refused
) -> Case:
    """A clip that is written, then operated on."""
    return Case(name, lambda path: operation(write(path, plan)), outcome)


def copied(
    name: str,
    plan: Film,
    outcome: Shown | Refused,
    *after: object,
    before: Sequence[object] = (),
    **more: object,
) -> Case:
    """A clip that is written, then put through ffmpeg."""

    def build(path: Path) -> None:
        first = write(path.with_name(f"source_{path.stem}.mp4"), plan)
        ffmpeg(*before, "-i", first, *after, path)
        first.unlink()

    return Case(name, build, outcome, **more)  # type: ignore[arg-type]


def raw(name: str, content: bytes, code: str) -> Case:
    """A file of given bytes."""
    return Case(name, lambda path: path.write_bytes(content), Refused(code))
