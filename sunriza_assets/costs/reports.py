"""Reports over the ledger: time and cost by avatar, run, asset, day, month or engine.

Everything here is vectorised over a million rows; rendering is in `render`. A cost
is either worked out anew with one price book, or taken as it was booked by the step itself
(`book=None`); what has no price stays out of every sum and is counted beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from sunriza_assets.costs.amounts import amounts, categories, saved_cost
from sunriza_assets.costs.prices import PriceBook
from sunriza_assets.costs.record import stage_name
from sunriza_assets.costs.totals import in_known_totals, in_totals
from sunriza_assets.errors import CostError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BOOKED",
    "COST_COLUMNS",
    "GROUPINGS",
    "RUNTIME_COLUMNS",
    "Report",
    "cost_report",
    "runtime_report",
    "stage_report",
]

BOOKED: Final = "booked"
"""Stands for the costs that the steps themselves wrote down, each by the book it names."""

Grouping = Literal["avatar", "run", "asset", "day", "month", "engine", "kind"]
GROUPINGS: Final[tuple[Grouping, ...]] = (
    "avatar", "run", "asset", "day", "month", "engine", "kind",
)  # fmt: skip
_STEP_GROUPINGS: Final = ("asset", "engine")

COST_COLUMNS: Final = (
    "time",
    "run_id",
    "event_id",
    "asset",
    "partition",
    "engine",
    "device",
    "device_kind",
    "success",
    "wall_s",
    "gpu_s",
    "cpu_s",
    "peak_memory_bytes",
    "egress_bytes",
    "cache",
    "cache_saved_s",
    "cost",
    "cost_currency",
    "price_book",
    "kind",
    "owner",
    "calls",
)
"""What `cost_report` needs of the ledger, and whose direct calls are whose."""
RUNTIME_COLUMNS: Final = (
    "time",
    "run_id",
    "event_id",
    "asset",
    "partition",
    "engine",
    "device",
    "success",
    "measured",
    "wall_s",
    "queue_s",
    "gpu_s",
    "peak_memory_bytes",
    "cache",
    "cold",
    "unbooked_s",
    "stage_*",
)
"""What `runtime_report` and `stage_report` need."""


@dataclass(frozen=True)
class Report:
    """A table with its sums and warnings."""

    title: str
    """Heading."""
    rows: "pd.DataFrame"
    """The table, most interesting row first."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Sums and settings, JSON values: price book, currency, totals."""
    warnings: tuple[str, ...] = ()
    """What is missing from the sums, for the reader."""


def cost_report(
    frame: "pd.DataFrame", book: PriceBook | None, *, by: Grouping = "avatar"
) -> Report:
    """What it cost, per avatar, run, asset, day, month, engine or kind.

    The dearest (or latest) comes first. A kind is what was asked for: `dynamics`, the runs of
    avatars; `render`, `preview`, `inspect`, `trim`, `tts`, direct calls, which alone are counted;
    `reports`, runs that concern no avatar.

    `published_seconds` and `published_cost` are the totals of runs that published, see `totals`;
    `seconds` and `cost` are all that was spent, on failures, previews and reports, too.

    Args:
        frame: ledger rows with `COST_COLUMNS`.
        book: prices to use; None takes the costs as booked, a line for each book and currency.

    Raises:
        CostError: an unknown grouping.
    """
    import pandas as pd

    priced = pd.DataFrame(
        {
            **_grouping(frame, by),
            "currency": categories(frame["cost_currency"]) if book is None else book.currency,
            "price_book": categories(frame["price_book"]) if book is None else book.name,
            "steps": 1,
            "failed": ~frame["success"].astype(bool),
            "seconds": frame["wall_s"],
            "gpu_seconds": frame["gpu_s"],
            "cost": amounts(frame, book),
            # A row of direct calls stands for several.
            "cache_hits": (frame["cache"] == "hit") * frame["calls"].fillna(1).astype(int),
            "saved_seconds": frame["cache_saved_s"],
        }
    )
    priced["unpriced_steps"] = priced["cost"].isna()
    published = in_known_totals(frame, priced["cost"])
    priced["published_cost"] = priced["cost"].where(published)
    priced["published_seconds"] = priced["seconds"].where(in_totals(frame))
    priced["saved_cost"] = saved_cost(frame, priced["cost"])
    keys = [by, "price_book", "currency"]
    if by == "kind":
        priced["calls"] = frame["calls"].fillna(0).astype(int)
    sums = [name for name in priced.columns if name not in keys]
    groups = priced.groupby(keys, observed=True, sort=False)
    table = groups[sums].sum().reset_index()
    for name in ("published_cost", "published_seconds"):
        table[name] = groups[name].sum(min_count=1).to_numpy()  # unknown, not nothing
    # The cost of a group without any price is unknown, not zero.
    table["cost"] = table["cost"].where(table["unpriced_steps"] < table["steps"])
    table = table.sort_values(
        [by] if by in ("day", "month") else ["cost", "seconds"], ascending=False, kind="stable"
    )
    totals = _totals(priced)
    return Report(
        title=f"Costs by {by}",
        rows=table[[*keys, *(["calls"] if by == "kind" else []), *_COST_ORDER]].reset_index(
            drop=True
        ),
        facts={
            "price_book": BOOKED if book is None else book.name,
            "currency": ", ".join(totals) or (book.currency if book else ""),
            "total_cost": totals,
            "published_cost": _totals(priced[published]),
            "published_seconds": float(priced["published_seconds"].sum()),
            "steps": len(priced),
            "seconds": float(priced["seconds"].sum()),
            "cache_hits": int(priced["cache_hits"].sum()),
            "saved_seconds": float(priced["saved_seconds"].sum()),
            "saved_cost": float(priced["saved_cost"].sum()),
            "unpriced_steps": int(priced["unpriced_steps"].sum()),
        },
        warnings=_unpriced_notes(frame, priced, book),
    )


_COST_ORDER: Final = (
    "published_seconds",
    "published_cost",
    "cost",
    "steps",
    "failed",
    "seconds",
    "gpu_seconds",
    "cache_hits",
    "saved_seconds",
    "saved_cost",
    "unpriced_steps",
)


def runtime_report(frame: "pd.DataFrame", *, by: Grouping = "asset") -> Report:
    """How long it took: median and 95th percentile, cold against warm, queue and memory.

    By asset or engine the unit is a step; by avatar, run, day or month it is the total of one run
    for one avatar, see `totals`. Cache hits are counted, and stand in the sums, but not in the
    percentiles of steps: they would hide what the work takes.

    Args:
        frame: ledger rows with `RUNTIME_COLUMNS`.

    Raises:
        CostError: an unknown grouping.
    """
    import pandas as pd

    keys = _grouping(frame, by)
    if by in _STEP_GROUPINGS:
        if by == "asset":
            keys["engine"] = categories(frame["engine"])
        keys["device"] = categories(frame["device"])
    hit = frame["cache"] == "hit"
    done = frame["success"].astype(bool) & ~hit
    cold = frame["cold"].eq(True)
    warm = frame["cold"].eq(False)
    values = pd.DataFrame(
        {
            **keys,
            "steps": 1,
            "failed": ~frame["success"].astype(bool),
            "cache_hits": hit,
            "seconds": frame["wall_s"],
            "done_s": frame["wall_s"].where(done),
            "cold_s": frame["wall_s"].where(done & cold),
            "warm_s": frame["wall_s"].where(done & warm),
            "queue_s": frame["queue_s"],
            "peak_memory_bytes": frame["peak_memory_bytes"],
        }
    )
    names = list(keys)
    groups = values.groupby(names, observed=True, sort=False)
    table = groups[["steps", "failed", "cache_hits", "seconds"]].sum()
    if by in _STEP_GROUPINGS:
        unit = "step"
        table["p50_s"] = groups["done_s"].median()
        table["p95_s"] = groups["done_s"].quantile(0.95)
        table["cold_p50_s"] = groups["cold_s"].median()
        table["warm_p50_s"] = groups["warm_s"].median()
    else:
        unit = "run of an avatar"
        runs = pd.DataFrame(
            {**keys, "run_id": frame["run_id"], "partition": categories(frame["partition"])}
        )
        runs["seconds"] = frame["wall_s"]
        runs = runs[in_totals(frame, unpublished=True)]
        per_run = runs.groupby(
            [*names, "run_id", *([] if by == "avatar" else ["partition"])],
            observed=True,
            sort=False,
        )["seconds"].sum()
        per_group = per_run.groupby(level=names, observed=True, sort=False)
        table["runs"] = per_group.size()
        table["p50_s"] = per_group.median()
        table["p95_s"] = per_group.quantile(0.95)
    table["queue_p50_s"] = groups["queue_s"].median()
    table["peak_memory_bytes"] = groups["peak_memory_bytes"].max()
    whole = float(values["seconds"].sum())
    table["share"] = table["seconds"] / whole if whole else 0.0
    table = table.reset_index().sort_values(
        [by] if by in ("day", "month") else ["seconds"], ascending=False, kind="stable"
    )
    unmeasured = ~frame["measured"].astype(bool)
    return Report(
        title=f"Runtime by {by}",
        rows=table.reset_index(drop=True),
        facts={
            "unit": unit,
            "steps": len(values),
            "failed": int(values["failed"].sum()),
            "cache_hits": int(hit.sum()),
            "seconds": whole,
        },
        warnings=_unmeasured_note(int(unmeasured.sum()), float(frame["wall_s"][unmeasured].sum())),
    )


def stage_report(frame: "pd.DataFrame", *, per_asset: bool = False) -> Report:
    """Share of each stage in all time spent; the shares add up to one.

    Args:
        frame: ledger rows with `RUNTIME_COLUMNS`.
        per_asset: shares within each asset instead of over everything.
    """
    import pandas as pd

    columns = {name: stage for name in frame.columns if (stage := stage_name(name)) is not None}
    spent = frame[list(columns)].rename(columns=columns).fillna(0.0)
    if "unbooked_s" in frame.columns:
        spent["unbooked"] = frame["unbooked_s"].fillna(0.0)
    spent["unmeasured"] = frame["wall_s"].where(~frame["measured"].astype(bool), 0.0)
    if per_asset:
        sums = spent.groupby(categories(frame["asset"]), observed=True).sum().stack()
        sums.index.names = ["asset", "stage"]
        table = sums.rename("seconds").reset_index()
        table["share"] = table["seconds"] / table.groupby("asset", observed=True)[
            "seconds"
        ].transform("sum")
    else:
        table = spent.sum().rename_axis("stage").rename("seconds").reset_index()
        table["share"] = table["seconds"] / (table["seconds"].sum() or np.nan)
    table = table[table["seconds"] > 0]
    order = ["asset", "seconds"] if per_asset else ["seconds"]
    table = table.sort_values(order, ascending=[True, False][-len(order) :], kind="stable")
    return Report(
        title="Share of each stage" + (", by asset" if per_asset else ""),
        rows=pd.DataFrame(table).reset_index(drop=True),
        facts={"seconds": float(table["seconds"].sum())},
    )


def _totals(priced: "pd.DataFrame") -> dict[str, float]:
    """Currency -> sum of what has a price."""
    known = priced[priced["cost"].notna()]
    sums = known.groupby(known["currency"].astype(str), observed=True)["cost"].sum()
    return {str(currency): float(part) for currency, part in sums.items()}


def _unpriced_notes(
    frame: "pd.DataFrame", priced: "pd.DataFrame", book: PriceBook | None
) -> tuple[str, ...]:
    """One line per device without a price."""
    missing = priced["unpriced_steps"]
    lines = []
    for device, seconds in frame["wall_s"][missing].groupby(
        categories(frame["device"])[missing], observed=True
    ):
        reason = "Their steps booked none" if book is None else f"Price book {book.name} has none"
        lines.append(
            f"{len(seconds)} steps ({seconds.sum():.1f} s) on {device} have no cost: {reason}."
        )
    return tuple(lines)


def _unmeasured_note(steps: int, seconds: float) -> tuple[str, ...]:
    if not steps:
        return ()
    return (
        f"{steps} failed or killed steps left no record; their {seconds:.1f} s are the log's own.",
    )


def _grouping(frame: "pd.DataFrame", by: str) -> dict[str, "pd.Series"]:
    columns = {"avatar": "partition", "run": "run_id", "asset": "asset", "engine": "engine"}
    if by in columns:
        return {by: categories(frame[columns[by]])}
    if by == "kind":
        runs = np.where(frame["partition"].isna(), "reports", "dynamics")
        kinds = frame["kind"].astype(object)
        return {by: kinds.where(kinds.notna(), runs).astype("category")}
    if by in ("day", "month"):
        # Text only once per day: a million instants fall into few days.
        days = frame["time"].dt.floor("D").astype("category")
        text = days.cat.categories.strftime("%Y-%m-%d" if by == "day" else "%Y-%m")
        return {by: days.cat.codes.map(dict(enumerate(text))).astype("category")}
    raise CostError(
        f"Reports cannot be grouped by {by!r}", remedy=f"Known are: {', '.join(GROUPINGS)}."
    )
