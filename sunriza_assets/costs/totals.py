"""The total of a run: the one sum of seconds and of money that manifest, page and reports show.

    total of a run = sum over the steps that the run made itself, up to and with the publishing one

A manifest cannot hold what happens after it is written, so the total ends where the avatar is
published. Neither steps of earlier runs that are used again nor the preview page, which is made
afterwards, are in it. The seconds are those of the steps' records (`wall_s`), not of a clock on the
wall: starting a process and blocking checks have no record. A run that publishes nothing has the
total of all its steps. docs/costs.md says the same to users.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["PUBLISHING", "RunTotal", "in_known_totals", "in_totals", "run_total", "steps_in_total"]

PUBLISHING: Final = "published_avatar"
"""The asset that closes a run's books with a manifest."""


@dataclass(frozen=True, slots=True)
class RunTotal:
    """Seconds and cost of a run."""

    seconds: float
    """Sum of the steps' wall seconds."""
    cost: float | None
    """Sum of the steps' costs; None when one of them has no price."""
    currency: str
    """Of the cost; several, with commas, when the price book was changed during the run."""
    price_book: str
    """By which book; several likewise."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "seconds": round(self.seconds, 6),
            "cost": self.cost,
            "currency": self.currency,
            "price_book": self.price_book,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunTotal":
        """Read `to_dict` back."""
        return cls(values["seconds"], values["cost"], values["currency"], values["price_book"])

    @property
    def amount(self) -> str:
        """The cost with its currency."""
        return "unknown" if self.cost is None else f"{self.cost:.6f} {self.currency}".rstrip()

    def __str__(self) -> str:
        book = f" by {self.price_book}" if self.price_book and self.cost is not None else ""
        return f"{self.seconds:.2f} s, cost {self.amount}{book}"


def run_total(steps: Iterable[Mapping[str, Any]]) -> RunTotal:
    """The total of a run.

    Args:
        steps: flat facts of each step, as its metadata and the manifest have them.
    """
    facts = list(steps)
    costs = [float(step["cost"]) for step in facts if isinstance(step.get("cost"), int | float)]
    return RunTotal(
        seconds=math.fsum(float(step.get("wall_s", 0.0)) for step in facts),
        cost=math.fsum(costs) if costs and len(costs) == len(facts) else None,
        currency=_join_distinct(facts, "cost_currency"),
        price_book=_join_distinct(facts, "price_book"),
    )


def steps_in_total(made: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The steps of one run that its total sums up.

    Args:
        made: asset -> facts, in the order in which the run made them.
    """
    names = list(made)
    end = names.index(PUBLISHING) + 1 if PUBLISHING in made else len(names)
    return {name: made[name] for name in names[:end]}


def in_totals(frame: "pd.DataFrame", *, unpublished: bool = False) -> "NDArray[np.bool_]":
    """Mask of the ledger rows that belong to the total of their run: vectorised `steps_in_total`.

    Args:
        frame: ledger rows with run_id, event_id, asset and success.
        unpublished: whether runs that published nothing count, too, with all their steps.
    """
    import numpy as np

    run = frame["run_id"].astype("category").cat.codes.to_numpy(np.int64)
    made = frame["success"].to_numpy(bool)
    event = frame["event_id"].to_numpy(np.int64)
    publishing = made & frame["asset"].astype(object).eq(PUBLISHING).to_numpy(bool)
    published = np.full(run.max(initial=-1) + 2, -1, np.int64)  # the last is for rows without a run
    np.maximum.at(published, run[publishing], event[publishing])
    inside = made & (event <= published[run])
    return inside | (published[run] < 0) if unpublished else inside


def in_known_totals(frame: "pd.DataFrame", cost: "pd.Series") -> "NDArray[np.bool_]":
    """Mask of the ledger rows that belong to a total all parts of which have a price.

    Args:
        frame: as for `in_totals`.
        cost: of each row, NaN where it has no price.
    """
    inside = in_totals(frame)
    run = frame["run_id"].astype(object)
    unknown = set(run[inside & cost.isna().to_numpy()])
    return inside & ~run.isin(unknown).to_numpy() if unknown else inside


def _join_distinct(facts: Iterable[Mapping[str, Any]], name: str) -> str:
    return ", ".join(dict.fromkeys(str(step[name]) for step in facts if step.get(name)))
