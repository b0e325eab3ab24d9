"""Cost projection: requests per day, on other devices, at other prices.

There are two views. *Equal seconds*, as in the project's documents: every device takes as long as
the first. *Own seconds*: each device has its own time, given by the operator, measured in the
ledger, or estimated, and the basis is reported; this is the realistic comparison.

A service that scales to zero bills more than the work: for Poisson arrivals at rate r per second
and containers that stay up for w seconds after a request,

    idle seconds billed per request   E[min(T, w)] = (1 - exp(-r w)) / r,  T the gap to the next one
    share of cold starts              P(T > w)     = exp(-r w)

(T is exponential). With w = 0 and no cold start this is plain seconds times price, as documented.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Final

from sunriza_assets.costs.prices import CPU, PriceBook
from sunriza_assets.costs.record import billed_seconds
from sunriza_assets.costs.reports import Report
from sunriza_assets.errors import CostError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DAYS_PER_MONTH",
    "WHAT_IF_COLUMNS",
    "DeviceSeconds",
    "Measured",
    "Service",
    "measure",
    "own_seconds",
    "what_if",
]

WHAT_IF_COLUMNS: Final = (
    "run_id",
    "partition",
    "device",
    "device_kind",
    "success",
    "cache",
    "wall_s",
    "cpu_s",
    "clip_s",
)
"""What `measure` needs of the ledger."""

DAYS_PER_MONTH: Final = 30
"""The documents' month."""
SECONDS_PER_DAY: Final = 86_400
STATED_CLIP_S: Final = 10.0
"""Clip length that stated seconds are for."""
STATED_SECONDS: Final = 70.0
"""The documents' time of one request on a T4, for a clip of ten seconds."""
FIXED_SHARE: Final = 0.1
"""Share of the time that does not grow with the clip (downloads, loading the portrait, upload:
7 % + 3 % in the documents' breakdown)."""
EXTRACTION_SHARE: Final = 11.6 / 1245
"""Share of the time that a cached motion template saves, unless the ledger has measured it: the
motion extractor's part of LivePortrait's 1245 GFLOP a frame. The rest is warping and decoding."""

BANDWIDTH_GB_S: Final[Mapping[str, float]] = {
    "T4": 320,
    "L4": 300,
    "A10G": 600,
    "L40S": 864,
    "A100": 1555,
    "A100-40GB": 1555,
    "A100-80GB": 2039,
    "H100": 3350,
    "H200": 4800,
    "B200": 8000,
}
"""Memory bandwidth by the makers' data sheets, an estimate for devices without measurements: its
ratio lies between those of arithmetic in float32 and in float16 (A10G to T4: 3.9, 1.9, 1.1)."""


@dataclass(frozen=True, slots=True)
class DeviceSeconds:
    """Duration of one request on a device, and the source of the figure."""

    seconds: float
    """For a clip of ten seconds, nothing cached, warm."""
    basis: str
    """measured (n runs), stated, or estimated from memory bandwidth."""


@dataclass(frozen=True, slots=True)
class Service:
    """Operating conditions of the service.

    Raises:
        CostError: a value out of its range.
    """

    clip_s: float = STATED_CLIP_S
    """Length of the clips."""
    cache_hit_rate: float = 0.0
    """Share of requests whose motion template is cached, 0-1."""
    saved_share: float = EXTRACTION_SHARE
    """Share of a request's time that a hit saves, 0-1."""
    cold_start_s: float = 0.0
    """Seconds billed for starting a container and loading the models."""
    idle_window_s: float = 0.0
    """Seconds that a container stays up, and is billed, after a request."""

    def __post_init__(self) -> None:
        for name in ("cache_hit_rate", "saved_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise CostError(f"{name} is {getattr(self, name)!r}", remedy="Allowed: 0 to 1.")
        for name in ("clip_s", "cold_start_s", "idle_window_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise CostError(f"{name} is {getattr(self, name)!r}", remedy="Allowed: from 0.")

    def for_clip(self, seconds: float) -> float:
        """Seconds for this service's clips, from those for a clip of ten seconds."""
        return seconds * (FIXED_SHARE + (1 - FIXED_SHARE) * self.clip_s / STATED_CLIP_S)

    def work_s(self, seconds: float) -> float:
        """Seconds of work per request: scaled to the clips, the cache's savings taken off."""
        return self.for_clip(seconds) * (1 - self.cache_hit_rate * self.saved_share)

    def billed_s(self, seconds: float, requests_per_day: float) -> float:
        """Seconds billed per request: work, cold starts and idle windows."""
        rate = requests_per_day / SECONDS_PER_DAY
        cold = math.exp(-rate * self.idle_window_s)
        idle = -math.expm1(-rate * self.idle_window_s) / rate if rate else self.idle_window_s
        return self.work_s(seconds) + cold * self.cold_start_s + idle

    def always_on_from(self, seconds: float) -> float | None:
        """Requests a day from which a machine rented round the clock is the cheaper one.

        The price cancels out: it is where as many seconds are billed as a day has. None when the
        work itself costs nothing.
        """
        if self.work_s(seconds) <= 0:
            return None
        low, high = 0.0, SECONDS_PER_DAY / self.work_s(seconds)
        for _ in range(60):  # n * billed(n) grows with n, so halving finds it
            middle = (low + high) / 2
            if middle * self.billed_s(seconds, middle) < SECONDS_PER_DAY:
                low = middle
            else:
                high = middle
        return high


def what_if(
    requests_per_day: Sequence[float],
    devices: Sequence[str],
    book: PriceBook,
    *,
    seconds: float,
    own: Mapping[str, DeviceSeconds],
    service: Service = Service(),
    clip_seconds: Sequence[float] = (),
) -> Report:
    """Cost per request and per month of 30 days, at equal and at each device's own seconds.

    Args:
        requests_per_day: volumes, each a line per device and length of clip.
        devices: names of the book's entries, such as `T4`; the first is what others are held to.
        seconds: time of one request with a ten-second clip on every device, in the equal view.
        own: device -> its own seconds for such a request; missing ones stay empty.
        service: how it is run.
        clip_seconds: lengths of clips to compare; none: the service's own.

    Raises:
        CostError: no volume, no device, or a negative number.
    """
    import pandas as pd

    if not requests_per_day or not devices:
        raise CostError("A what-if needs at least one volume and one device")
    if seconds <= 0 or any(volume <= 0 for volume in requests_per_day):
        raise CostError("Seconds and requests per day must be above zero")
    priced = {device: book.find(device, "cuda") for device in devices}
    rates = {device: found[1].rate for device, found in priced.items() if found is not None}
    reference = rates.get(devices[0])
    rows = [
        {
            "device": device,
            "price_book": book.name,
            "currency": book.currency,
            **_row(variant, volume, seconds, own.get(device), rates.get(device), reference),
        }
        for variant in [replace(service, clip_s=length) for length in clip_seconds] or [service]
        for device in devices
        for volume in requests_per_day
    ]
    numbers = [name for name in rows[0] if name not in ("device", "price_book", "currency")]
    table = pd.DataFrame(rows)
    table = table.astype({name: float for name in numbers if name != "own_basis"})
    return Report(
        title="What it would cost",
        rows=table,
        facts={
            "price_book": book.name,
            "currency": book.currency,
            "days_per_month": DAYS_PER_MONTH,
            "cache_hit_rate": service.cache_hit_rate,
            "saved_share": service.saved_share,
            "cold_start_s": service.cold_start_s,
            "idle_window_s": service.idle_window_s,
        },
        warnings=tuple(
            f"Price book {book.name} has no price for {device}; its cost is empty, not zero."
            for device in devices
            if device not in rates
        ),
    )


def own_seconds(
    devices: Sequence[str],
    *,
    measured: Mapping[str, DeviceSeconds] | None = None,
    stated: Mapping[str, float] | None = None,
) -> dict[str, DeviceSeconds]:
    """Each device's own seconds: given by the operator, else measured, else estimated.

    Args:
        measured: from `measure`.
        stated: device -> seconds for a ten-second clip, as the operator says.
    """
    found: dict[str, DeviceSeconds] = {}
    for device in devices:
        if stated and device in stated:
            found[device] = DeviceSeconds(stated[device], "stated")
        elif measured and device in measured:
            found[device] = measured[device]
        elif device == "T4":
            found[device] = DeviceSeconds(STATED_SECONDS, "stated")
        elif device in BANDWIDTH_GB_S:
            ratio = BANDWIDTH_GB_S["T4"] / BANDWIDTH_GB_S[device]
            found[device] = DeviceSeconds(STATED_SECONDS * ratio, "estimated from memory bandwidth")
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """Durations of whole runs, from the ledger."""

    devices: Mapping[str, DeviceSeconds]
    """Device -> median billed seconds of its runs, scaled to a clip of ten seconds."""
    saved_share: float | None
    """Share of an uncached run's time that a cache hit saves; None when there was no such run."""


def measure(table: "pa.Table", book: PriceBook) -> Measured:
    """Measure the ledger's runs that neither failed nor hit a cache.

    A run is named by its accelerator where it used one; what a device is called, the book decides.

    Args:
        table: ledger rows with `WHAT_IF_COLUMNS`.
    """
    runs: dict[tuple[str, str], _Run] = {}
    for row in table.to_pylist():
        run = runs.setdefault((row["run_id"], row["partition"] or ""), _Run())
        run.usable = run.usable and row["success"] and row["cache"] != "hit"
        billed_s = billed_seconds(row["device_kind"], row["wall_s"], row["cpu_s"])
        run.wall_s += row["wall_s"]
        run.billed_s += billed_s
        run.cached_s += row["wall_s"] if row["cache"] == "miss" else 0.0
        run.clip_s = max(run.clip_s, row["clip_s"] or 0.0)
        run.accelerated = run.accelerated or row["device_kind"] != "cpu"
        if run.device in (None, CPU):
            entry = book.find(row["device"], row["device_kind"])
            run.device = entry[0] if entry else row["device"]
    seconds: dict[str, list[float]] = {}
    shares = []
    for run in runs.values():
        # A machine with an accelerator is held for the whole run; of a CPU a run pays what it used.
        spent_s = run.wall_s if run.accelerated else run.billed_s
        if run.usable and run.device and run.clip_s > 0 and spent_s > 0:
            scale = FIXED_SHARE + (1 - FIXED_SHARE) * run.clip_s / STATED_CLIP_S
            seconds.setdefault(run.device, []).append(spent_s / scale)
            if run.cached_s:
                shares.append(run.cached_s / run.wall_s)
    return Measured(
        devices={
            device: DeviceSeconds(median(values), f"measured ({len(values)} runs)")
            for device, values in seconds.items()
        },
        saved_share=median(shares) if shares else None,
    )


@dataclass(slots=True)
class _Run:
    device: str | None = None
    accelerated: bool = False
    wall_s: float = 0.0
    billed_s: float = 0.0
    cached_s: float = 0.0
    clip_s: float = 0.0
    usable: bool = True


def _row(
    service: Service,
    volume: float,
    seconds: float,
    own: DeviceSeconds | None,
    rate: float | None,
    reference: float | None,
) -> dict[str, float | str | None]:
    """One device at one volume; `rate` and the first device's, `reference`, are per second."""
    equal_cost = _per_request(service, seconds, volume, rate)
    own_cost = None if own is None else _per_request(service, own.seconds, volume, rate)
    break_even = service.for_clip(seconds) * reference / rate if reference and rate else None
    return {
        "clip_s": service.clip_s,
        "requests_per_day": volume,
        "seconds": service.for_clip(seconds),
        "cost_per_request": equal_cost,
        "cost_per_month": _per_month(equal_cost, volume),
        "own_seconds": None if own is None else service.for_clip(own.seconds),
        "own_basis": "not known" if own is None else own.basis,
        "own_cost_per_request": own_cost,
        "own_cost_per_month": _per_month(own_cost, volume),
        "break_even_s": break_even,
        "always_on_from": service.always_on_from(own.seconds if own else seconds),
    }


def _per_request(
    service: Service, seconds: float, volume: float, rate: float | None
) -> float | None:
    return None if rate is None else service.billed_s(seconds, volume) * rate


def _per_month(per_request: float | None, volume: float) -> float | None:
    return None if per_request is None else per_request * volume * DAYS_PER_MONTH
