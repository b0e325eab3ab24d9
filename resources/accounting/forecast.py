"""Forecasts of the seconds and cost of a run, before it starts and while it works.

Estimated from the newest similar steps in the ledger, which is updated first. The length of the
clip, and whether its motion is cached, come from the avatar's former run if the clip is the same. A
forecast is best effort: missing information is logged and replaced by defaults.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from resources.accounting.event_log import StepLog, plain_metadata, update_ledger
from resources.accounting.step_watch import current_price_book
from resources.avatars.document import AvatarDocument
from resources.engines.choice import device_of, select_engine_name
from resources.home import Home
from resources.settings import current_settings
from resources.stores import open_stores
from sunriza_assets.cores import core_count
from sunriza_assets.costs.devices import Device, cpu
from sunriza_assets.costs.estimates import Estimate, estimate, recent_steps
from sunriza_assets.costs.events import table_of
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.costs.prices import PriceBook, price_book
from sunriza_assets.costs.speed import host_time_factor
from sunriza_assets.errors import SunrizaError
from sunriza_assets.studio.parameters import RenderParameters, resolve

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Forecast", "forecast"]

_log = logging.getLogger(__name__)

MAX_LAG: Final = 2_000
"""Most events that a run adds to the ledger for its forecast; more are left to the reports."""
_NEWEST_STEPS: Final = 60
"""Newest steps of each asset that are used instead of a ledger that lags."""
_CLIP_ASSETS: Final = frozenset({"hero_video", "trimmed_video", "motion_template"})
"""Assets that are reused if the clip is the same."""
_PORTRAIT_ASSETS: Final = frozenset({"hero_image"})
_DEFAULT_REMOTE: Final = ("liveportrait", Device("Tesla T4", "cuda"))
"""Engine and device of a Modal app before its first step is in the ledger."""
_MAX_CLIP_BYTES: Final = 50_000_000


@dataclass(frozen=True)
class Forecast:
    """The estimate of a run, and what remains of it."""

    expected: Estimate
    """Seconds and cost of every step, in order."""
    clip_frames: int
    """Frames of the trimmed clip, as far as is known."""
    max_seconds: Fraction
    """Most seconds of a clip that are used."""
    estimate_inputs: "_EstimateInputs"
    """Inputs of the estimate, to repeat it when the clip is known."""

    def seconds_left(self, asset: str, share: float) -> float:
        """Seconds to the end of the run when so much (0-1) of an asset is done."""
        steps = self.expected.steps
        if asset not in steps:
            return 0.0
        names = list(steps)
        to_come = [steps[name].seconds for name in names[names.index(asset) + 1 :]]
        # Rounded once: the end of one step and the start of the next give the very same number,
        # so that what is left never rises and the percentage never falls.
        return math.fsum([(1 - share) * steps[asset].seconds, *to_come])

    def percent(self, asset: str, share: float) -> int:
        """Share of the run's time that has passed, 0-100."""
        whole = self.expected.eta_s
        return int(100 * (1 - self.seconds_left(asset, share) / whole)) if whole > 0 else 0

    def for_clip(self, seconds: Fraction, rate: Fraction) -> "Forecast":
        """The forecast for the actual length and frame rate of the clip."""
        frames = _frames(seconds, rate, self.max_seconds)
        if frames == self.clip_frames:
            return self
        return replace(self, expected=self.estimate_inputs.estimate(frames), clip_frames=frames)

    def to_dict(self) -> dict[str, Any]:
        """Flat JSON values, for metadata and for the command line."""
        return {**self.expected.to_dict(), "estimate_clip_frames": self.clip_frames}


@dataclass(frozen=True)
class _EstimateInputs:
    """Everything that an estimate depends on except the clip's length."""

    assets: Sequence[str]
    recent: "pa.Table"
    book: PriceBook
    engine: str
    device: Device
    cached: frozenset[str]
    host_time_factor: float

    def estimate(self, clip_frames: int) -> Estimate:
        return estimate(
            self.recent,
            self.assets,
            self.book,
            engine=self.engine,
            device=self.device,
            host=cpu(),
            clip_frames=clip_frames,
            cached=self.cached,
            host_time_factor=self.host_time_factor,
            cores=core_count(),
        )


def forecast(
    instance: dg.DagsterInstance,
    document: AvatarDocument,
    assets: Sequence[str],
    *,
    launchpad: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Forecast:
    """Estimate a run of these assets.

    A document or a ledger that cannot be used is logged, and defaults are used; the run itself
    reports the error.

    Args:
        assets: names of the assets to make, upstream first.
        launchpad: parameters of the launchpad.
        force: whether the motion is extracted even if it is cached.
    """
    home = Home.from_environment()
    parameters, engine, device, clip = RenderParameters(), "mesh", cpu(), _DEFAULT_CLIP
    recent, book = table_of([]), price_book()
    try:
        book = current_price_book()
        recent = _recent(instance, Ledger(home.reports / LEDGER_FOLDER))
        parameters = resolve(document.wishes, dict(launchpad or {}))
        engine, device = _engine_and_device(parameters.engine, recent, home.models)
        clip = _known_clip(instance, document, Fraction(parameters.max_seconds))
    except SunrizaError as error:
        _log.warning("%s: a forecast lacks something: %s", document.avatar_id, error)
    is_cached = clip.is_performed or (clip.extracted_by == engine and not force)
    former = document.record.inputs.get("image") if document.record.current else None
    same_portrait = former is not None and former == document.inputs["image"] and not force
    max_seconds = Fraction(parameters.max_seconds)
    if clip.is_performed:
        max_seconds = clip.seconds  # it is used whole
    frames = _frames(clip.seconds, clip.rate, max_seconds)
    cached = (_CLIP_ASSETS if is_cached else frozenset[str]()) | (
        _PORTRAIT_ASSETS if same_portrait else frozenset[str]()
    )
    estimate_inputs = _EstimateInputs(
        assets, recent, book, engine, device, cached, _slowness(recent)
    )
    return Forecast(estimate_inputs.estimate(frames), frames, max_seconds, estimate_inputs)


def _recent(instance: dg.DagsterInstance, ledger: Ledger) -> "pa.Table":
    """The newest steps, from the ledger if it does not lag too far."""
    log = StepLog(instance)
    if log.lag(ledger.cursor) <= MAX_LAG:
        update_ledger(instance, ledger)
        return recent_steps(ledger)
    with TemporaryDirectory(prefix="sunriza-") as folder:
        beside = Ledger(Path(folder))
        beside.update(log.latest(_NEWEST_STEPS))
        return recent_steps(beside)


def _slowness(recent: "pa.Table") -> float:
    """How slow this machine is against the priors; 1 if the ledger has steps of its own."""
    if cpu().name in recent["device"].to_pylist():
        return 1.0
    return host_time_factor()


def _engine_and_device(wanted: str, recent: "pa.Table", models: Path) -> tuple[str, Device]:
    """The engine and device of the run; for a Modal app those of its last step."""
    if current_settings().modal_app:
        for row in recent.select(["asset", "engine", "device", "device_kind"]).to_pylist():
            if row["asset"] == "idle_video" and row["engine"]:
                return row["engine"], Device(row["device"], row["device_kind"])
        return _DEFAULT_REMOTE
    engine, _ = select_engine_name(wanted, models)
    return engine, device_of(engine)


@dataclass(frozen=True, slots=True)
class _Clip:
    """Properties of the clip before it is trimmed."""

    seconds: Fraction
    """Its length as it was uploaded."""
    rate: Fraction
    """Frames per second."""
    extracted_by: str | None = None
    """The engine whose motion template of it is cached, if known."""
    is_performed: bool = False
    """Whether it is a performance, which needs no extraction."""


_DEFAULT_CLIP: Final = _Clip(Fraction(10), Fraction(25))
"""Stands for a clip that was not inspected yet."""


def _frames(seconds: Fraction, rate: Fraction, max_seconds: Fraction) -> int:
    """Frames of a clip after trimming."""
    from sunriza_assets.studio.media.timeline import usable_rate

    return max(1, round(min(seconds, max_seconds) * usable_rate(rate)))


def _known_clip(
    instance: dg.DagsterInstance, document: AvatarDocument, max_seconds: Fraction
) -> _Clip:
    """The clip as the avatar's last run found it, if it is the same; else as inspected now."""
    if document.performance is not None:
        return _performance_clip(document.performance)
    if document.record.inputs.get("video") != document.hero_video_url:
        return _local_clip(document)
    hero, trimmed, template = (
        _latest(instance, document.avatar_id, asset)
        for asset in ("hero_video", "trimmed_video", "motion_template")
    )
    if not hero:
        return _local_clip(document)
    seconds, rate = Fraction(str(hero["duration_s"])), Fraction(hero["frame_rate"])
    # A clip that was trimmed to another length has another template.
    is_same = abs(trimmed.get("frame_count", 0) - _frames(seconds, rate, max_seconds)) <= 1
    return _Clip(seconds, rate, template.get("engine") if is_same else None)


def _performance_clip(name: str) -> _Clip:
    """A built-in performance; making its template takes almost no time.

    Raises:
        AvatarError: there is none of this name.
    """
    from sunriza_assets.studio.performances.builtin import motion_script

    script = motion_script(name)
    return _Clip(script.seconds, script.rate, is_performed=True)


def _latest(instance: dg.DagsterInstance, avatar_id: str, asset: str) -> dict[str, Any]:
    """Metadata of an asset's last materialization for an avatar; empty if there is none."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[avatar_id])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        if record.asset_materialization is not None:
            return plain_metadata(record.asset_materialization.metadata)
    return {}


def _local_clip(document: AvatarDocument) -> _Clip:
    """A clip in the local store, probed; clips elsewhere are not downloaded for a forecast."""
    stores, url = open_stores(), document.hero_video_url
    if stores.shared or url.startswith("https:"):
        return _DEFAULT_CLIP
    with TemporaryDirectory(prefix="sunriza-") as folder:
        clip = stores.storage.resolve(
            url, Path(folder), avatar_id=document.avatar_id, max_bytes=_MAX_CLIP_BYTES
        )
        return _probed_clip(clip, clip.stat().st_mtime_ns)


@lru_cache(maxsize=64)  # the command line has probed it before the run begins
def _probed_clip(clip: Path, mtime_ns: int) -> _Clip:
    from sunriza_assets.studio.media.info import VideoInfo
    from sunriza_assets.studio.media.probe import probe

    info = probe(clip)
    return _Clip(info.duration, info.rate) if isinstance(info, VideoInfo) else _DEFAULT_CLIP
