"""What was spent, and what something would take, as HTTP answers show it."""

from typing import Literal

from pydantic import BaseModel, Field

__all__ = ["CostGrouping", "CostRow", "Costs", "ForecastAnswer", "ForecastStep"]

CostGrouping = Literal["day", "month", "kind", "avatar", "engine"]


class CostRow(BaseModel):
    """One line of a cost table."""

    key: str = Field(description="The day, month, kind, avatar id or engine.")
    seconds: float = Field(description="Of all steps, failed ones too.")
    gpu_seconds: float
    cost: float | None = Field(description="Null where nothing of it has a price.")
    currency: str
    price_book: str
    steps: int
    failed: int
    cache_hits: int
    saved_seconds: float = Field(description="Seconds that caches have saved.")
    unpriced_steps: int = Field(description="Steps that are in no sum of money.")


class Costs(BaseModel):
    """What a caller's avatars and calls have cost."""

    by: CostGrouping
    since: str
    rows: list[CostRow] = Field(
        description="By day and month the latest first, else the dearest first."
    )
    total: dict[str, float] = Field(description="Currency -> amount.")
    seconds: float
    warnings: list[str] = Field(description="What is missing from the sums.")


class ForecastStep(BaseModel):
    """One step of a coming run."""

    asset: str
    seconds: float
    cost: float | None


class ForecastAnswer(BaseModel):
    """What a run will probably take and cost."""

    seconds: float
    cost: float | None
    currency: str
    price_book: str
    basis: str = Field(description="Where the figures come from.", examples=["20 like runs"])
    engine: str
    device: str
    clip_frames: int
    steps: list[ForecastStep]
