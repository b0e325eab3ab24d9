"""Estimates of the duration and cost of a run, from similar steps in the ledger.

Time of an asset = a fixed part + a part per frame of the clip. With many similar steps of different
lengths both parts are fitted; with few, the asset's prior is scaled to match them; with none, the
prior is multiplied by how much longer than the reference this machine takes, and the estimate's
basis says so. The newest steps of all assets, compared with the fit, give a load factor that scales
the whole. All statistics are medians, so that one stalled step does not distort later estimates.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.costs.devices import Device
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.prices import PriceBook, cost_of
from sunriza_assets.costs.record import StepRecord, billed_seconds

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PRIORS", "Estimate", "Prior", "StepEstimate", "estimate", "recent_steps"]

RECENT_ROWS: Final = 20_000
"""The newest ledger rows that are read."""
RECENT_RUNS: Final = 60
"""The newest similar steps of an asset that are used: code gets faster, machines change."""
MIN_STEPS_TO_FIT: Final = 6
"""Similar steps from which on a line is fitted instead of the prior being scaled…"""
MIN_FRAME_RATIO_TO_FIT: Final = 1.3
"""…if the longest of their clips has at least so many times the frames of the shortest."""
LOAD_STEPS: Final = 5
"""The newest similar steps of each asset, from which the present load is estimated."""
REFERENCE_CORES: Final = 2
"""Cores that a prior of shared work was measured on."""

_MOST_CORES: Final = 16
"""Cores from which more of them are not believed to help: memory then is the limit."""
_COLUMNS: Final = (
    "time",
    "run_id",
    "asset",
    "partition",
    "event_id",
    "success",
    "measured",
    "engine",
    "engine_version",
    "device",
    "device_kind",
    "cache",
    "wall_s",
    "cpu_s",
    "peak_memory_bytes",
    "egress_bytes",
    "clip_frames",
)
_GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Prior:
    """Time of an asset before anything was measured."""

    fixed_s: float
    """Seconds whatever the length."""
    per_frame_s: float
    """Seconds per frame of the clip."""
    accelerated: bool = False
    """Whether it runs on the accelerator where there is one."""
    on_cpu: "Prior | None" = None
    """What holds in its place where an accelerated asset has to make do with the CPU."""
    shared: bool = False
    """Whether it keeps all cores busy, so that more of them make it faster."""

    def seconds(self, frames: float) -> float:
        """Seconds for a clip of so many frames."""
        return self.fixed_s + self.per_frame_s * frames

    def on(self, device: Device) -> "Prior":
        """What holds on this device."""
        if device.kind != "cpu" or self.on_cpu is None:
            return self
        return replace(self.on_cpu, accelerated=self.accelerated)

    def scaled_for(self, cores: int) -> "Prior":
        """The same with so many cores; with one, its seconds are those that a CPU is billed for."""
        if not self.shared:
            return self
        share = REFERENCE_CORES / min(max(cores, 1), _MOST_CORES)
        return replace(self, fixed_s=share * self.fixed_s, per_frame_s=share * self.per_frame_s)


# CPU seconds of cold runs of ten and four seconds of the sample's performance (250 and 100 frames,
# 480x720), on a machine of 0.70 times `speed.REFERENCE_S`, divided by that. A quiet loop is shorter
# than its clip; a restless clip's takes up to twice as long.
_COMMON: Final = {
    "hero_image": Prior(0.75, 0.0),
    "hero_video": Prior(0.35, 0.0),
    "trimmed_video": Prior(0.55, 0.0055),
    "atlas": Prior(0.45, 0.0),
    "mask": Prior(0.04, 0.0),
    "roi": Prior(0.03, 0.0),
    "idle_extras": Prior(0.35, 0.0045),
    "published_avatar": Prior(0.35, 0.0),
    "preview_page": Prior(0.15, 0.0),
}
_POSES: Final = 12
"""Visemes of an atlas."""
_READ_S: Final = 0.25
"""Seconds in which two cores follow and read a face of a clip in float32."""
_PAINT_S: Final = 6.8
"""Seconds in which two cores warp, paint and encode a frame in float32: 1.2 Tflop."""
PRIORS: Final[Mapping[str, Mapping[str, Prior]]] = {
    "mesh": {
        **_COMMON,
        "motion_template": Prior(0.8, 0.017, accelerated=True),
        "idle_video": Prior(1.5, 0.017, accelerated=True),
    },
    # On a GPU: the project's documents, 70 s for ten seconds at 25 frames a second on a T4, of
    # which 80 % is LivePortrait and 10 % post-processing; the motion extractor has 1 % of its
    # arithmetic, and the atlas paints a pose for each viseme. On a CPU: float32, which the engine
    # chooses there, on `REFERENCE_CORES` with AVX-512.
    "liveportrait": {
        **_COMMON,
        "motion_template": Prior(
            3.0, 0.02, accelerated=True, on_cpu=Prior(3.0, _READ_S, shared=True)
        ),
        "idle_video": Prior(5.0, 0.21, accelerated=True, on_cpu=Prior(10.0, _PAINT_S, shared=True)),
        "atlas": Prior(
            2.0 + 0.2 * _POSES,
            0.0,
            accelerated=True,
            on_cpu=Prior(2.0 + _PAINT_S * _POSES, 0.0, shared=True),
        ),
    },
}
"""Engine -> asset -> prior; an asset that is not listed takes a second."""
_DEFAULT_PRIOR: Final = Prior(1.0, 0.0)
_CACHED_STEP_S: Final = 0.2
"""Seconds of a step whose result is cached, before one was measured."""


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """Estimate of one asset of the coming run."""

    seconds: float
    """Expected wall seconds."""
    cost: float | None
    """Expected cost; None without a price for the device."""
    similar_steps: int
    """Number of similar steps that the figure comes from; 0: the prior."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimate of the coming run."""

    steps: Mapping[str, StepEstimate]
    """Asset -> its estimate."""
    price_book: str
    """Name of the book."""
    currency: str
    """ISO 4217 code."""

    @property
    def eta_s(self) -> float:
        """Expected seconds of all steps, one after another."""
        return math.fsum(step.seconds for step in self.steps.values())

    @property
    def cost(self) -> float | None:
        """Expected cost; None when a step has no price."""
        costs = [step.cost for step in self.steps.values()]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def basis(self) -> str:
        """Where the figures come from, in words."""
        similar = [step.similar_steps for step in self.steps.values()]
        if not any(similar):
            return "prior: no like run in the ledger"
        if min(similar) == 0:
            unknown = f"{similar.count(0)} of {len(similar)} steps"
            return f"up to {max(similar)} like runs, prior for {unknown}"
        return (
            f"{min(similar)} like runs"
            if min(similar) == max(similar)
            else (f"{min(similar)} to {max(similar)} like runs")
        )

    def to_dict(self) -> dict[str, Any]:
        """Flat JSON values for metadata and documents."""
        flat = {
            "eta_s": round(self.eta_s, 3),
            "expected_cost": self.cost,
            "cost_currency": self.currency,
            "price_book": self.price_book,
            "estimate_basis": self.basis,
        }
        return {key: value for key, value in flat.items() if value is not None}


def recent_steps(ledger: Ledger) -> "pa.Table":
    """The newest steps of a ledger, as `estimate` takes them."""
    return ledger.recent(RECENT_ROWS, _COLUMNS)


def estimate(
    recent: "pa.Table",
    assets: Sequence[str],
    book: PriceBook,
    *,
    engine: str,
    device: Device,
    host: Device,
    clip_frames: int,
    cached: Collection[str] = (),
    host_time_factor: float = 1.0,
    cores: int = REFERENCE_CORES,
) -> Estimate:
    """Estimate the duration and cost of a run.

    Similar steps are successful ones of the same asset and engine on the same device; for an asset
    in `cached`, those that hit the cache. Where an accelerated asset has none on `device`, those on
    `host` are used: its engine may not use the accelerator.

    Args:
        recent: see `recent_steps`.
        assets: assets of the run, in order.
        engine: name of the engine.
        device: device of the accelerated assets; `host` where there is no accelerator.
        host: device of the other assets, usually `devices.cpu()`.
        clip_frames: frames of the trimmed clip.
        cached: assets whose result is known to be cached.
        host_time_factor: seconds that one second of a prior takes on `host`, see `speed`.
        cores: of `host`, for priors of work that keeps all of them busy.
    """
    rows = _comparable_steps(recent, engine, {device.name, host.name})
    priors = PRIORS.get(engine, {})
    similar_by_asset: dict[str, list[dict[str, Any]]] = {}
    wall_models: dict[str, Prior] = {}
    billed_models: dict[str, Prior] = {}
    for asset in assets:
        prior = priors.get(asset, _DEFAULT_PRIOR)
        hit = asset in cached
        where = device if prior.accelerated and not hit else host
        similar = [row for row in rows.get(asset, []) if (row["cache"] == "hit") == hit]
        similar = [row for row in similar if row["device"] == where.name] or similar
        similar_by_asset[asset] = similar[-RECENT_RUNS:]
        expected = Prior(_CACHED_STEP_S, 0.0, prior.accelerated) if hit else prior.on(where)
        wall_models[asset] = _fit(similar_by_asset[asset], expected.scaled_for(cores), "wall_s")
        billed_models[asset] = _fit(similar_by_asset[asset], expected.scaled_for(1), "billed_s")
    load_factor = _load_factor(similar_by_asset, wall_models)
    steps = {}
    for asset, model in wall_models.items():
        similar = similar_by_asset[asset]
        where = device if model.accelerated and asset not in cached else host
        prior_factor = host_time_factor if where.kind == "cpu" else 1.0
        seconds = model.seconds(clip_frames) * (load_factor if similar else prior_factor)
        # A busy machine takes longer, and no more CPU seconds.
        shared = similar[0]["device_kind"] == "cpu" if similar else where.kind == "cpu"
        billed_s = billed_models[asset].seconds(clip_frames) if shared else seconds
        steps[asset] = StepEstimate(seconds, _cost(similar, billed_s, where, book), len(similar))
    return Estimate(steps, book.name, book.currency)


def _comparable_steps(
    table: "pa.Table", engine: str, devices: set[str]
) -> dict[str, list[dict[str, Any]]]:
    """Asset -> its successful steps on these devices, oldest first, each with its clip's frames."""
    import pyarrow as pa

    place = table.schema.get_field_index("time")
    # Whole microseconds, to sort by: a moment with a time zone would load pandas to be told.
    rows = table.set_column(place, "time", table["time"].cast(pa.int64())).to_pylist()
    frames: dict[tuple[str, str | None], int] = {}
    for row in rows:
        run = (row["run_id"], row["partition"])
        frames[run] = max(frames.get(run, 0), row["clip_frames"] or 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["time"], row["event_id"])):
        if (
            row["success"]
            and row["measured"]
            and row["device"] in devices
            and row["engine"] in (None, engine)
        ):
            row["frames"] = frames[row["run_id"], row["partition"]]
            row["billed_s"] = billed_seconds(row["device_kind"], row["wall_s"], row["cpu_s"])
            found.setdefault(row["asset"], []).append(row)
    return found


def _fit(similar: list[dict[str, Any]], prior: Prior, key: str) -> Prior:
    """Fixed part and part per frame of `wall_s` or `billed_s`, fitted to similar steps."""
    if not similar:
        return prior
    seconds = np.array([row[key] for row in similar], np.float64)
    length = np.array([row["frames"] for row in similar], np.float64)
    known = length > 0
    if not known.any():
        return replace(prior, fixed_s=float(np.median(seconds)), per_frame_s=0.0)
    seconds, length = seconds[known], length[known]
    if len(seconds) >= MIN_STEPS_TO_FIT and length.max() >= MIN_FRAME_RATIO_TO_FIT * length.min():
        fixed, per_frame = _theil_sen(length, seconds)
    else:
        scale = float(np.median(seconds / (prior.fixed_s + prior.per_frame_s * length)))
        fixed, per_frame = scale * prior.fixed_s, scale * prior.per_frame_s
    return replace(prior, fixed_s=fixed, per_frame_s=per_frame)


def _theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Theil-Sen line through (x, y): the slope is the median of all slopes.

    Work neither shrinks with the clip nor takes less than nothing, so intercept and slope are kept
    at zero or above.
    """
    i, j = np.triu_indices(len(x), 1)
    distinct = x[i] != x[j]
    slopes = (y[j] - y[i])[distinct] / (x[j] - x[i])[distinct]
    slope = max(0.0, float(np.median(slopes)))
    intercept = float(np.median(y - slope * x))
    return (intercept, slope) if intercept > 0 else (0.0, float(np.median(y / x)))


def _load_factor(
    similar_by_asset: Mapping[str, list[dict[str, Any]]], wall_models: Mapping[str, Prior]
) -> float:
    """Measured over modelled time of the newest steps: 1 is as usual, 2 is half as fast.

    The median of all ratios, weighted by modelled seconds.
    """
    ratios, weights = [], []
    for asset, similar in similar_by_asset.items():
        for row in similar[-LOAD_STEPS:]:
            expected = wall_models[asset].seconds(row["frames"])
            if expected > 0:
                ratios.append(row["wall_s"] / expected)
                weights.append(expected)
    if not ratios:
        return 1.0
    order = np.argsort(ratios)
    cumulative = np.cumsum(np.array(weights)[order])
    return float(np.array(ratios)[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def _cost(
    similar: list[dict[str, Any]], billed_s: float, where: Device, book: PriceBook
) -> float | None:
    """Cost of so many billed seconds: at the median rate of similar steps, else by the price book.

    Without measurements, one busy core and one GiB of memory are assumed for books that bill them
    separately.
    """
    rates = []
    for row in similar:
        record = StepRecord(
            wall_s=row["wall_s"],
            device=row["device"],
            device_kind=row["device_kind"],
            cpu_s=row["cpu_s"],
            peak_memory_bytes=row["peak_memory_bytes"],
            egress_bytes=row["egress_bytes"],
        )
        amount = cost_of(record, book).amount
        if amount is not None and record.billed_s > 0:
            rates.append(amount / record.billed_s)
    if rates:
        return float(np.median(rates)) * billed_s
    expected = StepRecord(
        wall_s=billed_s,
        device=where.name,
        device_kind=where.kind,
        cpu_s=billed_s,
        peak_memory_bytes=_GIB,
    )
    return cost_of(expected, book).amount
