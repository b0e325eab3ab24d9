"""Costs and forecasts from the ledger; loads pandas and pyarrow, so routes import it lazily."""

import csv
import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from threading import Lock
from typing import Any, Final

from resources.home import Home
from resources.orders.order_json import rfc3339
from sunriza_assets.costs.calls import CALLS_FOLDER
from sunriza_assets.costs.devices import Device, cpu
from sunriza_assets.costs.estimates import PRIORS, estimate, recent_steps
from sunriza_assets.costs.events import table_of
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.reports import COST_COLUMNS, cost_report
from sunriza_assets.costs.speed import host_time_factor
from sunriza_assets.service.schemas.costs import (
    CostGrouping,
    CostRow,
    Costs,
    ForecastAnswer,
    ForecastStep,
)

__all__ = ["CoarseWish", "costs_of", "forecast_of", "to_csv"]

_ONE_AT_A_TIME: Final = Lock()
"""A report over a million rows takes a few hundred megabytes."""
_CLIP_ASSETS: Final = frozenset({"hero_video", "trimmed_video", "motion_template"})
_PORTRAIT_ASSETS: Final = frozenset({"hero_image"})
_AFTERWARDS: Final = frozenset({"preview_page"})
"""Assets that nobody waits for."""
_MAX_RATE: Final = Fraction(30)


def costs_of(
    home: Home,
    *,
    by: CostGrouping,
    since: datetime,
    owner: str | None,
    avatar_ids: Collection[str],
) -> Costs:
    """What was spent since an instant, as the steps booked it.

    Args:
        home: whose ledger.
        owner: whose direct calls; None for everything there is.
        avatar_ids: whose runs, if `owner` is given.

    Raises:
        CostError: the ledger cannot be read.
        StoreError: direct calls since the last time cannot be added to it.
    """
    empty = Costs(by=by, since=rfc3339(since), rows=[], total={}, seconds=0.0, warnings=[])
    folder = home.reports / LEDGER_FOLDER
    ledger = Ledger(folder)
    with _ONE_AT_A_TIME:
        ledger.add_calls(home.reports / CALLS_FOLDER)
        if not folder.is_dir():
            return empty
        table = ledger.table(COST_COLUMNS, since=since)
        if owner is not None:
            table = _own_rows(table, owner, avatar_ids)
        if not table.num_rows:
            return empty
        report = cost_report(table.to_pandas(), None, by=by)
    facts = report.facts
    return Costs(
        by=by,
        since=rfc3339(since),
        rows=[_row(one, by) for one in report.rows.to_dict("records")],
        total={name: _finite(amount) or 0.0 for name, amount in facts["total_cost"].items()},
        seconds=round(float(facts["seconds"]), 3),
        warnings=list(report.warnings),
    )


def to_csv(costs: Costs) -> str:
    """The rows as a table for spreadsheets; text that they would run as a formula is quoted."""
    out = io.StringIO()
    names = list(CostRow.model_fields)
    writer = csv.writer(out)
    writer.writerow(names)
    for row in costs.rows:
        values = [getattr(row, name) for name in names]
        writer.writerow([_plain_cell(value) for value in values])
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class CoarseWish:
    """What a forecast is asked about."""

    engine: str | None
    """Its name; None for the one that was used last."""
    gpu_name: str | None
    """Name of the GPU at work, if there is one."""
    clip_seconds: Fraction
    """Length of the part of the clip that is used."""
    rate: Fraction
    """Frames per second of the clip, or of the idle if that is asked for."""
    same_clip: bool
    """Whether the clip's motion was extracted before, or a performance moves the portrait."""
    same_portrait: bool
    """Whether the portrait was used before."""


def forecast_of(home: Home, wish: CoarseWish) -> ForecastAnswer:
    """What a run will probably take and cost, by the newest similar steps.

    Raises:
        CostError: the ledger or the price book cannot be read.
    """
    folder = home.reports / LEDGER_FOLDER
    recent = recent_steps(Ledger(folder)) if folder.is_dir() else table_of([])
    drawn = [
        row
        for row in recent.select(["asset", "engine", "device", "device_kind"]).to_pylist()
        if row["asset"] == "idle_video" and row["engine"]
    ]
    engine = wish.engine or (drawn[0]["engine"] if drawn else "mesh")
    last = next((row for row in drawn if row["engine"] == engine), None)
    device = cpu() if wish.gpu_name is None else Device(wish.gpu_name, "cuda")
    if last is not None:
        device = Device(last["device"], last["device_kind"])
    frames = max(1, round(wish.clip_seconds * min(wish.rate, _MAX_RATE)))
    known = cpu().name in recent["device"].to_pylist()
    assets = [name for name in PRIORS.get(engine, PRIORS["mesh"]) if name not in _AFTERWARDS]
    expected = estimate(
        recent,
        assets,
        price_book(),
        engine=engine,
        device=device,
        host=cpu(),
        clip_frames=frames,
        cached=(_CLIP_ASSETS if wish.same_clip else frozenset[str]())
        | (_PORTRAIT_ASSETS if wish.same_portrait else frozenset[str]()),
        host_time_factor=1.0 if known else host_time_factor(),
    )
    return ForecastAnswer(
        seconds=round(expected.eta_s, 1),
        cost=_finite(expected.cost),
        currency=expected.currency,
        price_book=expected.price_book,
        basis=expected.basis,
        engine=engine,
        device=device.name,
        clip_frames=frames,
        steps=[
            ForecastStep(asset=name, seconds=round(one.seconds, 3), cost=_finite(one.cost))
            for name, one in expected.steps.items()
        ],
    )


def _own_rows(table: Any, owner: str, avatar_ids: Collection[str]) -> Any:
    """The rows of these avatars' runs, and of this user's direct calls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = pa.array(sorted(avatar_ids), pa.string())
    own = pc.is_in(table["partition"].cast(pa.string()), value_set=ids)
    calls = pc.equal(table["owner"].cast(pa.string()), owner)
    return table.filter(pc.or_(own, pc.fill_null(calls, fill_value=False)))


def _row(found: dict[str, Any], by: str) -> CostRow:
    return CostRow(
        key=str(found[by]),
        seconds=round(float(found["seconds"]), 3),
        gpu_seconds=round(_finite(found["gpu_seconds"]) or 0.0, 3),
        cost=_finite(found["cost"]),
        currency=str(found["currency"]),
        price_book=str(found["price_book"]),
        steps=int(found["steps"]),
        failed=int(found["failed"]),
        cache_hits=int(found["cache_hits"]),
        saved_seconds=round(_finite(found["saved_seconds"]) or 0.0, 3),
        unpriced_steps=int(found["unpriced_steps"]),
    )


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _plain_cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
