"""The edge of every avatar asset: who owns the avatar, what the step costs, how errors leave.

A run that goes as far as publishing owns its avatar from its first step on: it claims the document,
tells it how far it is and how long it will take, and leaves an error there when it fails. Runs of
single assets leave the document alone, for they would never set it back to `ready`.
"""

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import dagster as dg

from resources.accounting.device_tags import tag_device
from resources.accounting.forecast import Forecast, forecast
from resources.accounting.step_watch import current_price_book, priced, step_watch, stop_step
from resources.avatars.document import AvatarDocument
from resources.home import Home
from resources.publishing.reuse import (
    FINGERPRINT,
    REUSED_FROM,
    fingerprint_of,
    record_of_reuse,
    reusable_result,
)
from resources.services import ProgressBoard, Stores
from resources.storage.pipeline_files import pipeline_folder
from resources.storage.scratch import discard, new_folder
from resources.stores import open_stores
from sunriza_assets.costs.devices import cpu, expected
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.errors import ConflictError, StoreError, SunrizaError
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.metadata import data_version
from sunriza_assets.graph.config import said_in

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import AnimationEngine

__all__ = [
    "PUBLISHING_ASSET",
    "Outlook",
    "Step",
    "avatar_step",
    "counted",
    "is_forced",
    "outlook_of",
    "publishes",
    "said_in",
    "until_published",
]

Item = TypeVar("Item")

PUBLISHING_ASSET: Final = dg.AssetKey("published_avatar")
_TOLD_EVERY_S: Final = 1.0


@dataclass
class Step:
    """One asset being made for one avatar."""

    context: dg.AssetExecutionContext
    """Dagster's own context."""
    avatar_id: str
    """The partition key."""
    document: AvatarDocument
    """The avatar's document as it was when the step began."""
    folder: Path
    """An empty scratch folder; the IO manager discards it once the result is stored."""
    watch: Stopwatch
    """Times the stages of this step."""
    progress: Callable[[int, int], None]
    """Tells (done, total) of this step."""
    owner: bool
    """Whether this run owns the avatar and will publish it."""
    handed_on: bool = False
    """Whether the scratch folder holds a result that the IO manager will store and discard."""
    fingerprint: str | None = None
    """Hash of all that decides the result, once `unchanged` was asked."""

    @property
    def forced(self) -> bool:
        """Whether this run makes everything anew."""
        return is_forced(self.context.run)

    def unchanged(
        self, inputs: Mapping[str, Path | Sequence[Path] | str], **reads: Any
    ) -> dg.MaterializeResult[Path] | None:
        """The stored result, if it was made from the same by the same; None if it is to be made.

        Args:
            inputs: name -> files that the result is made from, or a hash of what is read of them.
            reads: all else that decides it: parameters, versions of engine and models.
        """
        key = self.context.asset_key
        hashes = {name: _content(given) for name, given in inputs.items()}
        version = self.context.assets_def.code_versions_by_key[key]
        self.fingerprint = fingerprint_of(key.to_user_string(), version, hashes, reads)
        if self.forced:
            return None
        with self.watch.stage("compare"):
            stores = open_stores()
            former = reusable_result(
                self.context.instance, stores.storage, Home.from_environment(), key,
                self.avatar_id, self.fingerprint, read=not stores.shared,
            )  # fmt: skip
        if former is None:
            return None
        self.context.log.info(
            "%s is unchanged: run %s has made it", key.to_user_string(), former.run_id
        )
        return dg.MaterializeResult(
            value=Path(pipeline_folder(self.avatar_id, key)) / former.run_id,
            metadata={
                **former.metadata,
                FINGERPRINT: self.fingerprint,
                REUSED_FROM: dg.MetadataValue.dagster_run(former.run_id),
                **priced(record_of_reuse(self.watch.record(), former.seconds)),
            },
            data_version=former.version,
        )

    def set_engine(self, engine: "AnimationEngine") -> None:
        """Name the engine that this step's seconds belong to."""
        self.watch.engine, self.watch.engine_version = engine.name, engine.version
        # A remote engine's seconds are paid where it works.
        self.watch.device = getattr(engine, "billed_device", self.watch.device)
        at_work_on = self.watch.device or expected(engine.name)
        tag_device(self.context.instance, self.context.run.run_id, at_work_on)

    def set_clip(self, *, frames: int, rate: Fraction) -> None:
        """Say how long the trimmed clip is: what a step takes grows with it."""
        self.watch.count(clip_frames=frames, clip_s=round(float(frames / rate), 6))

    def set_upload(self, seconds: Fraction, rate: Fraction) -> None:
        """Say how long the uploaded clip is, for the forecast of this run."""
        outlook = outlook_of(self.context.run.run_id)
        if outlook is not None:
            outlook.now = outlook.now.for_clip(seconds, rate)

    def costs(self) -> dict[str, Any]:
        """What the step took and cost until now, as flat metadata."""
        return priced(self.watch.record())

    def result(
        self,
        path: Path,
        *,
        version: dg.DataVersion,
        metadata: Mapping[str, Any],
        frames: int | None = None,
        preview: Mapping[str, dg.MarkdownMetadataValue] | None = None,
    ) -> dg.MaterializeResult[Path]:
        """The step's result with what is told of it; what it took, the IO manager adds."""
        self.handed_on = True
        self.watch.count(frames=frames)
        told = {**(preview or {}), **metadata}
        if self.fingerprint is not None:
            told[FINGERPRINT] = self.fingerprint
        return dg.MaterializeResult(value=path, metadata=told, data_version=version)


def is_forced(run: dg.DagsterRun) -> bool:
    """Whether a run makes everything anew: by its tag, or by `force` in any asset's config."""
    forced = said_in(run.run_config).get("force")
    return bool(forced) or run.tags.get(tags.FORCE_TAG) == "true"


def _content(given: Path | Sequence[Path] | str) -> str:
    """Hash of the files' content; a hash stays what it is."""
    if isinstance(given, str):
        return given
    files = [given] if isinstance(given, Path) else given
    return data_version(*files).value


@contextmanager
def avatar_step(
    context: dg.AssetExecutionContext,
    stores: Stores,
    board: ProgressBoard | None = None,
) -> Iterator[Step]:
    """Enter an asset's edge.

    The stopwatch has run since the step's first input was fetched, and goes on until its result is
    stored; a step that hands nothing on is over with the block.

    Raises:
        Failure: for every error but an interruption, never retried, with what the step took until
            then; the document says `error` if this run owns the avatar.
    """
    avatar_id = context.partition_key
    owner = publishes(context)
    home = Home.from_environment()
    asset = context.asset_key.to_user_string()
    step_key = context.get_step_execution_context().step.key
    watch = step_watch(context.instance, context.run.run_id, step_key)
    tag_device(context.instance, context.run.run_id, watch.device or cpu())
    folder: Path | None = None
    handed_on = False
    try:
        with _errors_leave_as_failures(stores, avatar_id, context.run.run_id, watch, owner=owner):
            current_price_book()  # a setting that is wrong is told before anything is made
            with watch.stage("claim"):
                document = stores.avatars.bind(avatar_id)
                if owner:
                    document = _claimed(context, stores, document, watch)
            folder = new_folder(home)
            progress = _progress_reporter(
                stores, board, avatar_id, asset, context.run.run_id, owner=owner
            )
            progress(0, 1)
            step = Step(context, avatar_id, document, folder, watch, progress, owner)
            yield step
            progress(1, 1)
            handed_on = step.handed_on
    finally:
        if not handed_on:
            stop_step(watch)
            if folder is not None:
                discard(home, folder)


def counted(
    items: Iterable[Item], total: int, progress: Callable[[int, int], None]
) -> Iterator[Item]:
    """Pass items on, telling how many have gone by."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, total)


def publishes(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> bool:
    """Whether this run goes as far as publishing the avatar.

    The retry of a run that died after publishing does not: it would claim the avatar and leave it
    claimed for ever.
    """
    steps = context.run.step_keys_to_execute
    if steps is not None:
        return PUBLISHING_ASSET.to_user_string() in steps
    selected = context.run.asset_selection
    if selected:  # empty or None when the whole job runs
        return PUBLISHING_ASSET in selected
    return PUBLISHING_ASSET in context.job_def.asset_layer.selected_asset_keys


@dataclass
class Outlook:
    """What the run at work is expected to take."""

    first: Forecast
    """As it was foreseen when the run began."""
    now: Forecast
    """As it is foreseen now that more is known of the clip."""
    told: int = 0
    """Percent that were told; never taken back."""


_outlooks: dict[str, Outlook] = {}
"""By run; only of the run at work, or a long-lived worker would grow."""


def outlook_of(run_id: str) -> Outlook | None:
    """What a run is expected to take, if it owns its avatar and works in this process."""
    return _outlooks.get(run_id)


def _claimed(
    context: dg.AssetExecutionContext, stores: Stores, document: AvatarDocument, watch: Stopwatch
) -> AvatarDocument:
    """Make this run the owner, and tell how long it will take."""
    outlook = outlook_of(context.run.run_id)
    if outlook is None:
        with watch.stage("forecast"):
            said = launchpad_parameters(context.run)
            assets = until_published(_assets_of(context))
            first = forecast(
                context.instance, document, assets, launchpad=said, force=is_forced(context.run)
            )
        _outlooks.clear()
        outlook = _outlooks[context.run.run_id] = Outlook(first, first)
    eta_s = outlook.now.seconds_left(context.asset_key.to_user_string(), 0.0)
    return stores.avatars.claim(document.avatar_id, context.run.run_id, eta_s=eta_s)


def until_published(assets: Sequence[str]) -> list[str]:
    """What is made, upstream first, until the avatar is ready: what an app's user waits for."""
    last = PUBLISHING_ASSET.to_user_string()
    names = list(assets)
    return names[: names.index(last) + 1] if last in names else names


def _assets_of(context: dg.AssetExecutionContext) -> list[str]:
    """What this run makes, upstream first."""
    layer = context.job_def.asset_layer
    return [
        key.to_user_string()
        for level in layer.asset_graph.toposorted_asset_keys_by_level
        for key in level
        if key in layer.selected_asset_keys
    ]


def launchpad_parameters(run: dg.DagsterRun) -> dict[str, Any]:
    """What the launchpad says to a run's assets, as one set of parameters."""
    return {name: value for name, value in said_in(run.run_config).items() if name != "force"}


@contextmanager
def _errors_leave_as_failures(
    stores: Stores, avatar_id: str, run_id: str, watch: Stopwatch, *, owner: bool
) -> Iterator[None]:
    def leave(code: str, message: str) -> None:
        if owner:
            _leave_error(stores, avatar_id, run_id, code, message)

    def failure(message: str, told: Mapping[str, Any]) -> dg.Failure:
        metadata = {**told, **_costs(watch)}
        return dg.Failure(message, metadata=metadata, allow_retries=False)

    try:
        yield
    except ConflictError as error:  # a newer run owns the avatar, so its document is not ours
        raise failure(error.message, _told(error)) from error
    except SunrizaError as error:
        leave(error.code, error.public)
        raise failure(error.message, _told(error)) from error
    except OSError as error:
        named = StoreError(
            "The disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error),
            where=error.filename,
            remedy="Make room and render again." if error.errno == errno.ENOSPC else None,
            code="disk_full" if error.errno == errno.ENOSPC else "io",
        )
        leave(named.code, named.public)
        raise failure(named.message, _told(named)) from error
    except dg.Failure as said:
        leave("failure", said.description or "The run failed")
        raise failure(said.description or "The run failed", said.metadata) from said
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        leave("cancelled", "The run was cancelled")
        raise
    except Exception as error:
        # A bug: the app's user gets a plain sentence, the operator the traceback in the run.
        leave("internal", "Something went wrong on our side; the operators can see what")
        raise failure(f"{type(error).__name__}: {error}", {"code": "internal"}) from error


def _leave_error(stores: Stores, avatar_id: str, run_id: str, code: str, message: str) -> None:
    try:
        stores.avatars.fail(avatar_id, run_id, code=code, message=message)
    except SunrizaError as error:  # the first error is the one to report
        dg.get_dagster_logger().error("The document could not be told of an error: %s", error)


def _costs(watch: Stopwatch) -> dict[str, Any]:
    """What a step that failed took; a price book that is none must not hide why it failed."""
    try:
        return priced(watch.record())
    except SunrizaError as error:
        return {**watch.record().to_dict(), "cost_warning": error.message}


def _told(error: SunrizaError) -> dict[str, Any]:
    return {"code": error.code, "where": error.where or "", "remedy": error.remedy or ""}


def _progress_reporter(
    stores: Stores,
    board: ProgressBoard | None,
    avatar_id: str,
    asset: str,
    run_id: str,
    *,
    owner: bool,
) -> Callable[[int, int], None]:
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        share = min(1.0, done / total) if total > 0 else 0.0
        if now - last < _TOLD_EVERY_S and 0.0 < share < 1.0:
            return
        last = now
        if board is not None:
            board.report(avatar_id, asset, share)
        outlook = outlook_of(run_id)
        # Once the avatar is published there is nobody left to tell.
        if owner and outlook is not None and outlook.now.seconds_left(asset, share) > 0:
            outlook.told = max(outlook.told, outlook.now.percent(asset, share))
            eta_s = outlook.now.seconds_left(asset, share)
            stores.avatars.progress(avatar_id, run_id, outlook.told, eta_s=eta_s)

    return tell
