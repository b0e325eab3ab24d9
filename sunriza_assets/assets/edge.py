"""The edge of every avatar asset: who owns the avatar, what the step costs, how errors leave.

A run that goes as far as publishing owns its avatar from its first step on: it claims the document,
tells it how far it is, and leaves an error there when it fails. Runs of single assets leave the
document alone, for they would never set it back to `ready`.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import dagster as dg

from resources.document import AvatarDocument
from resources.home import Home
from resources.scratch import discard, new_folder
from resources.services import ProgressBoard, Stores
from sunriza_assets.costs.prices import cost_of, price_book
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.errors import ConflictError, StoreError, SunrizaError

if TYPE_CHECKING:
    from sunriza_assets.studio.engines.base import Engine

__all__ = ["PUBLISHING_ASSET", "SPANS", "Step", "avatar_step", "counted", "publishes"]

Item = TypeVar("Item")

PUBLISHING_ASSET: Final = dg.AssetKey("published_avatar")

# Share of a whole run after which each asset begins and ends, from runs of ten-second clips.
SPANS: Final[dict[str, tuple[float, float]]] = {
    "hero_image": (0.00, 0.02),
    "hero_video": (0.02, 0.04),
    "trimmed_video": (0.04, 0.14),
    "motion_template": (0.14, 0.30),
    "idle_video": (0.30, 0.92),
    "atlas": (0.92, 0.95),
    "mask": (0.95, 0.96),
    "roi": (0.96, 0.97),
    "published_avatar": (0.97, 1.00),
}
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

    def works_with(self, engine: "Engine") -> None:
        """Name the engine that this step's seconds belong to."""
        self.watch.engine, self.watch.engine_version = engine.name, engine.version

    def result(
        self,
        path: Path,
        *,
        version: dg.DataVersion,
        metadata: Mapping[str, Any],
        frames: int | None = None,
        preview: dg.MarkdownMetadataValue | None = None,
    ) -> dg.MaterializeResult[Path]:
        """The step's result with all that is told of it: its own facts and what it took."""
        self.handed_on = True
        told = {"preview": preview} if preview is not None else {}
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        self.watch.count(frames=frames, bytes_out=sum(file.stat().st_size for file in files))
        return dg.MaterializeResult(
            value=path, metadata={**told, **metadata, **self.costs()}, data_version=version
        )

    def costs(self) -> dict[str, Any]:
        """The stopwatch's record and its price, as flat metadata."""
        record = self.watch.record()
        cost = cost_of(record, price_book(os.environ.get("SUNRIZA_PRICE_BOOK")))
        for warning in cost.warnings:
            self.context.log.warning(warning)
        return {**record.to_dict(), **cost.to_dict()}


@contextmanager
def avatar_step(
    context: dg.AssetExecutionContext,
    stores: Stores,
    board: ProgressBoard | None = None,
) -> Iterator[Step]:
    """Enter an asset's edge.

    Raises:
        Failure: for every named error, never retried; the document says `error` if this run owns
            the avatar.
    """
    avatar_id = context.partition_key
    owner = publishes(context)
    home = Home.from_environment()
    with _errors_leave_as_failures(stores, avatar_id, context.run_id, owner=owner):
        avatars = stores.avatars
        document = avatars.get(avatar_id)
        if owner:
            document = avatars.claim(avatar_id, context.run_id)
        folder = new_folder(home)
        asset = context.asset_key.to_user_string()
        try:
            with Stopwatch() as watch:
                progress = _teller(stores, board, avatar_id, asset, context.run_id, owner=owner)
                progress(0, 1)
                step = Step(context, avatar_id, document, folder, watch, progress, owner)
                yield step
                progress(1, 1)
        except BaseException:
            discard(home, folder)
            raise
        if not step.handed_on:
            discard(home, folder)


def counted(
    items: Iterable[Item], total: int, progress: Callable[[int, int], None]
) -> Iterator[Item]:
    """Pass items on, telling how many have gone by."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, total)


def publishes(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> bool:
    """Whether this run goes as far as publishing the avatar."""
    selected = context.run.asset_selection
    if selected:  # empty or None when the whole job runs
        return PUBLISHING_ASSET in selected
    return PUBLISHING_ASSET in context.job_def.asset_layer.selected_asset_keys


@contextmanager
def _errors_leave_as_failures(
    stores: Stores, avatar_id: str, run_id: str, *, owner: bool
) -> Iterator[None]:
    try:
        yield
    except ConflictError as error:  # a newer run owns the avatar, so its document is not ours
        raise dg.Failure(error.message, metadata=_told(error), allow_retries=False) from error
    except SunrizaError as error:
        _leave_error(stores, avatar_id, run_id, error.code, error.public, owner=owner)
        raise dg.Failure(error.message, metadata=_told(error), allow_retries=False) from error
    except OSError as error:
        named = StoreError(
            "The disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error),
            where=error.filename,
            remedy="Make room and render again." if error.errno == errno.ENOSPC else None,
            code="disk_full" if error.errno == errno.ENOSPC else "io",
        )
        _leave_error(stores, avatar_id, run_id, named.code, named.public, owner=owner)
        raise dg.Failure(named.message, metadata=_told(named), allow_retries=False) from error
    except dg.Failure as failure:
        message = failure.description or "The run failed"
        _leave_error(stores, avatar_id, run_id, "failure", message, owner=owner)
        raise
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        _leave_error(stores, avatar_id, run_id, "cancelled", "The run was cancelled", owner=owner)
        raise
    except BaseException:
        # A bug: the app's user gets a plain sentence, the operator the traceback in the run.
        message = "Something went wrong on our side; the operators can see what"
        _leave_error(stores, avatar_id, run_id, "internal", message, owner=owner)
        raise


def _leave_error(
    stores: Stores, avatar_id: str, run_id: str, code: str, message: str, *, owner: bool
) -> None:
    if not owner:
        return
    try:
        stores.avatars.fail(avatar_id, run_id, code=code, message=message)
    except SunrizaError as error:  # the first error is the one to report
        dg.get_dagster_logger().error("The document could not be told of an error: %s", error)


def _told(error: SunrizaError) -> dict[str, Any]:
    return {"code": error.code, "where": error.where or "", "remedy": error.remedy or ""}


def _teller(
    stores: Stores,
    board: ProgressBoard | None,
    avatar_id: str,
    asset: str,
    run_id: str,
    *,
    owner: bool,
) -> Callable[[int, int], None]:
    begin, end = SPANS.get(asset, (0.0, 1.0))
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        share = min(1.0, done / total) if total > 0 else 0.0
        if now - last < _TOLD_EVERY_S and 0.0 < share < 1.0:
            return
        last = now
        if board is not None:
            board.tell(avatar_id, asset, share)
        if owner:
            percent = int(100 * (begin + (end - begin) * share))
            stores.avatars.progress(avatar_id, run_id, percent)

    return tell
