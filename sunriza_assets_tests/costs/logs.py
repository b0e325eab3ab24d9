"""Hand-made event logs whose sums are known."""

from collections.abc import Iterator
from typing import Any

from sunriza_assets.costs.events import StepEvent
from sunriza_assets.costs.prices import cost_of, price_book
from sunriza_assets.costs.record import StepRecord

__all__ = ["CPU", "MONDAY", "T4", "clip_run", "step"]

MONDAY = 1_760_918_400.0
"""2025-10-20 00:00 UTC."""
CPU = ("AMD EPYC", "cpu")
T4 = ("Tesla T4", "cuda")


def step(
    event_id: int,
    wall_s: float = 10.0,
    *,
    run: str = "run-1",
    asset: str = "idle_video",
    avatar: str | None = "ada",
    at: float = MONDAY,
    device: tuple[str, str] = CPU,
    success: bool = True,
    book: str | None = None,
    stages: dict[str, float] | None = None,
    **facts: Any,
) -> StepEvent:
    """One measured step, priced as the graph does it."""
    record = StepRecord(
        wall_s=wall_s,
        device=device[0],
        device_kind=device[1],
        stages=stages or {"other": wall_s},
        **facts,
    )
    metadata = record.to_dict() | cost_of(record, price_book(book)).to_dict()
    return StepEvent(run, asset, avatar, event_id, at, success, metadata)


def clip_run(
    index: int, seconds: dict[str, float], *, first_event: int, **facts: Any
) -> Iterator[StepEvent]:
    """One run of an avatar, asset -> seconds, a day after the run before."""
    for offset, (asset, wall_s) in enumerate(seconds.items()):
        yield step(
            first_event + offset,
            wall_s,
            run=f"run-{index}",
            asset=asset,
            avatar=f"avatar-{index}",
            at=MONDAY + 86_400 * index,
            **facts,
        )
