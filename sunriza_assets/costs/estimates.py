"""Before a run: how long it will take and what it will cost, from runs like it.

Each asset's time is taken as a fixed part and a part that grows with the clip's frames. With many
like runs of different lengths both parts are fitted; with few, the asset's prior is scaled to fit
them; with none, the prior stands, stretched by how slow this machine is now, and the estimate says
so. How the newest runs did against that, over all assets together, tells how busy the machine is
now, and scales the whole. Medians throughout, so that one step that stalled does not spoil the next
thousand estimates.
"""

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
"""The newest rows that are looked at."""
RECENT_RUNS: Final = 60
"""The newest like steps of an asset that are counted: code gets faster, machines change."""
FIT_FROM: Final = 6
"""Like steps from which the line is fitted instead of the prior being scaled…"""
FIT_SPREAD: Final = 1.3
"""…if the longest clip among them has so many times the frames of the shortest."""
REFERENCE_CORES: Final = 2
"""Cores that a prior of shared work was measured on."""
LATEST: Final = 5
"""The newest like steps of each asset that tell how busy the machine is now."""

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
    """What an asset takes before anything was measured."""

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


# CPU seconds of a cold run of the sample clip (150 frames), portrait of 512 pixels, on the machine
# that `speed.REFERENCE_S` is from: on a quiet one two cores do it in a little less.
_COMMON: Final = {
    "hero_image": Prior(0.7, 0.0),
    "hero_video": Prior(0.35, 0.0),
    "trimmed_video": Prior(0.5, 0.008),
    "atlas": Prior(0.8, 0.0),
    "mask": Prior(0.08, 0.0),
    "roi": Prior(0.08, 0.0),
    "idle_extras": Prior(0.6, 0.018),
    "published_avatar": Prior(0.3, 0.0),
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
        "motion_template": Prior(0.9, 0.018, accelerated=True),
        "idle_video": Prior(1.5, 0.043, accelerated=True),
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
_UNLISTED: Final = Prior(1.0, 0.0)
_HIT_S: Final = 0.2
"""A step whose result is cached, before one was measured."""


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """One asset of the coming run."""

    seconds: float
    """Expected wall seconds."""
    cost: float | None
    """Expected cost; None without a price for the device."""
    like: int
    """Like steps that the figure comes from; 0: the prior."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The coming run."""

    steps: Mapping[str, StepEstimate]
    """Asset -> its part."""
    price_book: str
    """Name of the book."""
    currency: str
    """ISO 4217 code."""

    @property
    def eta_s(self) -> float:
        """Expected seconds of all steps, one after another."""
        return sum(step.seconds for step in self.steps.values())

    @property
    def cost(self) -> float | None:
        """Expected cost; None when a step has no price."""
        costs = [step.cost for step in self.steps.values()]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def basis(self) -> str:
        """Where the figures come from, in words."""
        like = [step.like for step in self.steps.values()]
        if not any(like):
            return "prior: no like run in the ledger"
        if min(like) == 0:
            return f"up to {max(like)} like runs, prior for {like.count(0)} of {len(like)} steps"
        return (
            f"{min(like)} like runs"
            if min(like) == max(like)
            else (f"{min(like)} to {max(like)} like runs")
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
    """What an estimate learns from: the newest steps of a ledger."""
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
    slowness: float = 1.0,
    cores: int = REFERENCE_CORES,
) -> Estimate:
    """Expect what a run will take.

    Like steps are those of the same asset and engine on the same device that succeeded, or, for an
    asset in `cached`, that hit the cache. Where an accelerated asset has none on `device`, those on
    `host` count: its engine may not use the accelerator.

    Args:
        recent: see `recent_steps`.
        assets: what the run will make, in order.
        engine: the engine that will work.
        device: what its accelerated assets will run on; `host` where there is no accelerator.
        host: what the others will run on, usually `devices.cpu()`.
        clip_frames: frames of the trimmed clip.
        cached: assets whose result is known to be cached.
        slowness: seconds that one second of a prior takes on `host`; see `speed.slowness`.
        cores: of `host`, for priors of work that keeps all of them busy.
    """
    rows = _rows(recent, engine, {device.name, host.name})
    priors = PRIORS.get(engine, {})
    likes: dict[str, list[dict[str, Any]]] = {}
    shapes: dict[str, Prior] = {}
    billed: dict[str, Prior] = {}
    for asset in assets:
        prior = priors.get(asset, _UNLISTED)
        hit = asset in cached
        where = device if prior.accelerated and not hit else host
        like = [row for row in rows.get(asset, []) if (row["cache"] == "hit") == hit]
        like = [row for row in like if row["device"] == where.name] or like
        likes[asset] = like[-RECENT_RUNS:]
        expected = Prior(_HIT_S, 0.0, prior.accelerated) if hit else prior.on(where)
        shapes[asset] = _shape(likes[asset], expected.scaled_for(cores), "wall_s")
        billed[asset] = _shape(likes[asset], expected.scaled_for(1), "billed_s")
    pace = _pace(likes, shapes)
    steps = {}
    for asset, shape in shapes.items():
        like = likes[asset]
        where = device if shape.accelerated and asset not in cached else host
        guessed = slowness if where.kind == "cpu" else 1.0
        seconds = shape.seconds(clip_frames) * (pace if like else guessed)
        # A busy machine takes longer, and no more CPU seconds.
        shared = like[0]["device_kind"] == "cpu" if like else where.kind == "cpu"
        billed_s = billed[asset].seconds(clip_frames) if shared else seconds
        steps[asset] = StepEstimate(seconds, _cost(like, billed_s, where, book), len(like))
    return Estimate(steps, book.name, book.currency)


def _rows(table: "pa.Table", engine: str, devices: set[str]) -> dict[str, list[dict[str, Any]]]:
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


def _shape(like: list[dict[str, Any]], prior: Prior, key: str) -> Prior:
    """Fixed part and part per frame of `wall_s` or `billed_s`, as far as the like steps tell."""
    if not like:
        return prior
    taken = np.array([row[key] for row in like], np.float64)
    length = np.array([row["frames"] for row in like], np.float64)
    known = length > 0
    if not known.any():
        return replace(prior, fixed_s=float(np.median(taken)), per_frame_s=0.0)
    taken, length = taken[known], length[known]
    if len(taken) >= FIT_FROM and length.max() >= FIT_SPREAD * length.min():
        fixed, per_frame = _line(length, taken)
    else:
        scale = float(np.median(taken / (prior.fixed_s + prior.per_frame_s * length)))
        fixed, per_frame = scale * prior.fixed_s, scale * prior.per_frame_s
    return replace(prior, fixed_s=fixed, per_frame_s=per_frame)


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Theil-Sen line through (x, y): the slope is the median of all slopes.

    Work neither shrinks with the clip nor takes less than nothing, so intercept and slope are kept
    at zero or above.
    """
    i, j = np.triu_indices(len(x), 1)
    apart = x[i] != x[j]
    slopes = (y[j] - y[i])[apart] / (x[j] - x[i])[apart]
    slope = max(0.0, float(np.median(slopes)))
    intercept = float(np.median(y - slope * x))
    return (intercept, slope) if intercept > 0 else (0.0, float(np.median(y / x)))


def _pace(likes: Mapping[str, list[dict[str, Any]]], shapes: Mapping[str, Prior]) -> float:
    """How the newest steps did against their shapes: 1 is as ever, 2 is half as fast.

    The median of all ratios, each weighted by its seconds.
    """
    ratios, weights = [], []
    for asset, like in likes.items():
        for row in like[-LATEST:]:
            usual = shapes[asset].seconds(row["frames"])
            if usual > 0:
                ratios.append(row["wall_s"] / usual)
                weights.append(usual)
    if not ratios:
        return 1.0
    order = np.argsort(ratios)
    reached = np.cumsum(np.array(weights)[order])
    return float(np.array(ratios)[order][np.searchsorted(reached, reached[-1] / 2)])


def _cost(
    like: list[dict[str, Any]], billed_s: float, where: Device, book: PriceBook
) -> float | None:
    """Cost of so many billed seconds: at the median rate of the like steps, else on `where`.

    Where nothing was measured, one busy core and one GiB of memory stand for what a book may bill
    apart.
    """
    rates = []
    for row in like:
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
