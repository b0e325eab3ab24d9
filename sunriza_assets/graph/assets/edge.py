"""What every avatar asset has in common: ownership, timing, reuse of results, progress, errors.

A run that goes as far as publishing owns its avatar from its first step on: it claims the document,
reports progress and remaining time there, and leaves an error there when it fails. Runs of single
assets leave the document alone, for they would never set it back to `ready`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.accounting.device_tags import tag_device
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
from resources.services import ProgressReporter, Stores
from resources.storage.pipeline_files import pipeline_folder
from resources.storage.scratch import discard, new_folder
from resources.stores import open_stores
from sunriza_assets.costs.devices import cpu, expected_device
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.graph.assets.duplicates import needless_run
from sunriza_assets.graph.assets.failures import errors_as_failures
from sunriza_assets.graph.assets.metadata import data_version
from sunriza_assets.graph.assets.progress import forecast_run, progress_reporter, run_forecast
from sunriza_assets.graph.assets.run_scope import is_forced, publishes

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import AnimationEngine

__all__ = ["Step", "avatar_step"]


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
    """Reports (done, total) of this step."""
    owner: bool
    """Whether this run owns the avatar and will publish it."""
    has_result: bool = False
    """Whether the scratch folder holds a result that the IO manager will store and discard."""
    fingerprint: str | None = None
    """Hash of everything that decides the result; set by `reusable_result`."""

    @property
    def forced(self) -> bool:
        """Whether this run makes everything anew."""
        return is_forced(self.context.run)

    def reusable_result(
        self, inputs: Mapping[str, Path | Sequence[Path] | str], **facts: Any
    ) -> dg.MaterializeResult[Path] | None:
        """The stored result with the same fingerprint; None if the asset has to be made.

        Args:
            inputs: name -> files that the result is made from, or a hash of what is read of them.
            facts: all else that decides it: parameters, versions of engine and models.
        """
        key = self.context.asset_key
        hashes = {name: _content_hash(files) for name, files in inputs.items()}
        version = self.context.assets_def.code_versions_by_key[key]
        self.fingerprint = fingerprint_of(key.to_user_string(), version, hashes, facts)
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
        # The seconds of a remote engine are billed for the remote device.
        self.watch.device = getattr(engine, "billed_device", self.watch.device)
        device = self.watch.device or expected_device(engine.name)
        tag_device(self.context.instance, self.context.run.run_id, device)

    def set_clip(self, *, frames: int, rate: Fraction) -> None:
        """Record the length of the trimmed clip: what a step takes grows with it."""
        self.watch.count(clip_frames=frames, clip_s=round(float(frames / rate), 6))

    def set_upload(self, seconds: Fraction, rate: Fraction) -> None:
        """Update the run's forecast with the length of the uploaded clip."""
        expected_run = run_forecast(self.context.run.run_id)
        if expected_run is not None:
            expected_run.current = expected_run.current.for_clip(seconds, rate)

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
        """The step's result with its metadata; the IO manager adds time and cost."""
        self.has_result = True
        self.watch.count(frames=frames)
        complete = {**(preview or {}), **metadata}
        if self.fingerprint is not None:
            complete[FINGERPRINT] = self.fingerprint
        return dg.MaterializeResult(value=path, metadata=complete, data_version=version)


def _content_hash(files: Path | Sequence[Path] | str) -> str:
    """Hash of the files' content; a hash is returned as it is."""
    if isinstance(files, str):
        return files
    return data_version(*([files] if isinstance(files, Path) else files)).value


@contextmanager
def avatar_step(
    context: dg.AssetExecutionContext,
    stores: Stores,
    board: ProgressReporter | None = None,
) -> Iterator[Step]:
    """Claim the avatar if the run publishes it, and give the block a `Step` to make its asset with.

    The stopwatch has run since the step's first input was fetched, and goes on until its result is
    stored; a step without a result to store ends with the block.

    Raises:
        Failure: for every error but an interruption, never retried, with what the step took until
            then; the document says `error` if this run owns the avatar.
    """
    avatar_id, run_id = context.partition_key, context.run.run_id
    owner = publishes(context)
    home = Home.from_environment()
    step_key = context.get_step_execution_context().step.key
    watch = step_watch(context.instance, run_id, step_key)
    tag_device(context.instance, run_id, watch.device or cpu())
    folder: Path | None = None
    has_result = False
    try:
        with errors_as_failures(stores, avatar_id, run_id, watch, owner=owner):
            current_price_book()  # an invalid setting fails the step before anything is made
            with watch.stage("claim"):
                document = stores.avatars.bind(avatar_id)
                if owner:
                    document = _claim(context, stores, document, watch)
            folder = new_folder(home)
            asset = context.asset_key.to_user_string()
            progress = progress_reporter(stores, board, avatar_id, asset, run_id, owner=owner)
            progress(0, 1)
            step = Step(context, avatar_id, document, folder, watch, progress, owner)
            yield step
            progress(1, 1)
            has_result = step.has_result
    finally:
        if not has_result:
            stop_step(watch)
            if folder is not None:
                discard(home, folder)


def _claim(
    context: dg.AssetExecutionContext, stores: Stores, document: AvatarDocument, watch: Stopwatch
) -> AvatarDocument:
    """Make this run the avatar's owner and report how long it will take.

    Raises:
        ConflictError: the run is not needed (`needless_run`); it ends as cancelled.
    """
    needless = needless_run(context.instance, context.run, document)
    if needless is not None:
        context.instance.report_run_canceling(context.run, message=needless.message)
        raise needless
    expected_run = run_forecast(context.run.run_id)
    if expected_run is None:
        with watch.stage("forecast"):
            expected_run = forecast_run(context, document)
    eta_s = expected_run.current.seconds_left(context.asset_key.to_user_string(), 0.0)
    return stores.avatars.claim(document.avatar_id, context.run.run_id, eta_s=eta_s)
