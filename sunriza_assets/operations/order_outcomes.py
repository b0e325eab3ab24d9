"""What an order says when its run has ended: result, cost, error, and lines for users."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from resources.avatars.document import AvatarDocument
from resources.orders.order import OrderCost, OrderError
from resources.publishing.addresses import public_file_url
from resources.publishing.publication import FILES, folder_of
from resources.settings import current_settings
from resources.storage.objects import MediaStorage
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest
from sunriza_assets.costs.totals import RunTotal
from sunriza_assets.errors import SunrizaError
from sunriza_assets.operations.order_runs import Outcome

__all__ = [
    "CANCELLED",
    "DELETED",
    "EXPIRED",
    "LOST",
    "cost_of",
    "draft_result",
    "has_published",
    "order_error",
    "result_of",
    "with_line",
]

CANCELLED: Final = OrderError("run.cancelled", "The run was cancelled.", retryable=True)
DELETED: Final = OrderError("avatar.missing", "The avatar was deleted.", retryable=False)
LOST: Final = OrderError(
    "run.lost", "Making your avatar was cut short several times. Please try again.", retryable=True
)
EXPIRED: Final = OrderError(
    "run.expired", "It was not begun within a day. Please try again.", retryable=True
)

_INTERNAL: Final = "Something went wrong on our side; the operators can see what."
_NOT_FOR_NOW: Final = frozenset({"run", "internal", "conflict", "store", "engine", "model"})
"""Families of errors that are not the input's."""
_FOR_GOOD: Final = frozenset({"store.address", "store.too_large", "engine.unknown"})

_LINES: Final = 20
_BYTES: Final = 4096


def has_published(document: AvatarDocument, run_id: str) -> bool:
    """Whether this run has published, or has found what is published to be what it makes."""
    record = document.record
    if any(one.run_id == run_id for one in record.published):
        return True
    return (record.run_id, record.state) == (run_id, "ready")


def result_of(document: AvatarDocument) -> dict[str, Any]:
    """The result of a finished order: the published addresses, and the version."""
    record = document.record
    version = record.current.version if record.current is not None else ""
    cdn = current_settings().cdn
    urls = {
        _snake(file.key): public_file_url(
            document.avatar_id, version, name, record.results[file.key], cdn=cdn
        )
        for name, file in FILES.items()
        if isinstance(record.results.get(file.key), str)
    }
    result: dict[str, Any] = {"avatar_id": document.avatar_id, **urls}
    if "idle_video_url" in urls:
        result["video_url"] = urls["idle_video_url"]
    if record.current is not None:
        result["version"] = record.current.version
    return result


def draft_result(
    document: AvatarDocument, run_id: str, storage: MediaStorage
) -> dict[str, Any] | None:
    """The result of a finished order for a draft: its version and addresses; None if there is none.

    A draft that was published already counts, too.
    """
    version = _version_by(document, run_id)
    if version is None:
        return None
    folder = f"{folder_of(document.avatar_id)}/{version}"
    urls = {
        _snake(FILES[name].key): public_file_url(
            document.avatar_id, version, name, stored.url, cdn=current_settings().cdn
        )
        for stored in storage.list(f"{folder}/")
        if (name := stored.name.removeprefix(f"{folder}/")) in FILES
    }
    result: dict[str, Any] = {"avatar_id": document.avatar_id, "version": version, "draft": True}
    return {**result, **urls, "video_url": urls.get("idle_video_url")}


def cost_of(document: AvatarDocument, outcome: Outcome, storage: MediaStorage) -> OrderCost | None:
    """What an order cost: its run's total, as in the manifest of what it published.

    None if it is not known, or a step has no price.
    """
    total = outcome.total or _total_in_manifest(document, outcome.run_id, storage)
    if total is None or total.cost is None:
        return None
    return OrderCost(round(total.seconds, 6), total.cost, total.currency)


def order_error(document: AvatarDocument | None, outcome: Outcome) -> OrderError:
    """Why an order did not succeed: what the document says of this run, else what the run says."""
    code, message = outcome.code, outcome.message or _INTERNAL
    record = document.record if document is not None else None
    if record is not None and record.run_id == outcome.run_id and record.error:
        code, message = record.error["code"], record.error["message"]
    family = code.partition(".")[0]
    retryable = family in _NOT_FOR_NOW and code not in _FOR_GOOD
    return OrderError(code, " ".join(message.split()), retryable)


def with_line(lines: Sequence[str], text: str) -> tuple[str, ...]:
    """A log with one more line, the oldest gone where it would be too long.

    The line begins with the time of day, UTC.
    """
    new = f"{datetime.now(UTC):%H:%M:%S} {' '.join(text.split())[:200]}"
    kept = [*lines, new][-_LINES:]
    while sum(len(line.encode()) + 1 for line in kept) > _BYTES:
        kept.pop(0)
    return tuple(kept)


def _total_in_manifest(
    document: AvatarDocument, run_id: str, storage: MediaStorage
) -> RunTotal | None:
    version = _version_by(document, run_id)
    if version is None:
        return None
    name = f"{folder_of(document.avatar_id)}/{version}/{MANIFEST_NAME}"
    try:
        with TemporaryDirectory(prefix="sunriza-") as folder:
            return Manifest.load(storage.fetch(name, Path(folder))).total
    except SunrizaError:  # a result without its cost is still a result
        return None


def _version_by(document: AvatarDocument, run_id: str) -> str | None:
    """The publication or complete draft of a run; None if it has made neither."""
    record = document.record
    made = {one.run_id: one.version for one in record.drafts if one.complete}
    made |= {one.run_id: one.version for one in record.published}
    return made.get(run_id)


def _snake(name: str) -> str:
    """idleVideoUrl -> idle_video_url."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
