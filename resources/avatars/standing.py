"""The standing of an avatar: the inputs that its document wants against what is published.

Used by the asset `avatar_status` and by `sunriza backfill --stale`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from resources.avatars.document import AvatarDocument
from resources.avatars.store import AvatarStore, Change

__all__ = ["Standing", "iter_avatars", "standing_of"]

PAGE: Final = 500
"""Documents read at once."""

State = Literal["ready", "stale", "waiting", "incomplete", "generating", "error"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of one avatar: wanted against published."""

    state: State
    """ready: published as wanted. stale: published, but something newer is wanted. waiting: wanted
    and never published. incomplete: an input is missing. generating, error: as its last run."""
    wanted: str
    """Version of the inputs that the document shows."""
    published: str
    """Version of the inputs that the published results were made from, or empty; equals `wanted`
    if the avatar is up to date."""
    version: str
    """Folder of the published objects, or empty."""
    reason: str
    """Why it is not `ready`, or empty."""
    since: datetime
    """Since when, UTC: published, started, or last written."""

    @property
    def needs_run(self) -> bool:
        """Whether a run would make it ready."""
        return self.state in ("stale", "waiting")


def iter_avatars(avatars: AvatarStore) -> Iterator[Change]:
    """All avatars in order of id, read in pages and not one by one."""
    after = ""
    while page := avatars.scan(after, PAGE):
        yield from page
        after = page[-1].avatar_id


def standing_of(document: AvatarDocument) -> Standing:
    """The standing of an avatar, by its document and the server's record of it."""
    record = document.record
    current = record.current
    written = datetime.fromisoformat(document.update_time).astimezone(UTC)

    def standing(state: State, reason: str = "", since: datetime | None = None) -> Standing:
        published, version = (current.inputs_version, current.version) if current else ("", "")
        wanted = document.inputs_version
        if record.results_cover(wanted):  # the same inputs may have two versions
            wanted = published
        return Standing(state, wanted, published, version, reason, since or written)

    if document.status == "error":
        error = document.basic.get("error")
        error_fields = error if isinstance(error, dict) else {}
        return standing(
            "error", f"{error_fields.get('code', 'error')}: {error_fields.get('message', '')}"
        )
    if record.state == "generating" and not document.needs_run:
        return standing("generating", f"run {record.run_id}", record.started_at)
    if not document.has_inputs:
        return standing("incomplete", "its document lacks a portrait, or a clip or performance")
    if document.needs_run:
        return standing("stale" if current else "waiting", _why_wanted(document))
    if document.status != "ready" and not record.results_cover(document.inputs_version):
        return standing("incomplete", "its owner has switched rendering off")
    return standing("ready", since=current.at if current else None)


def _why_wanted(document: AvatarDocument) -> str:
    """Why the document needs a run."""
    record = document.record
    if document.is_held and record.waiting is not None:
        return f"{record.waiting.code}: {record.waiting.message}"
    if document.has_open_request:
        return "a run was asked for"
    if record.inputs_version is None:
        return "it was never rendered"
    wanted, had = document.inputs, record.inputs
    changed = [
        word
        for key, word in (("image", "portrait"), ("video", "clip"), ("performance", "performance"))
        if wanted.get(key) != had.get(key)
    ]
    wishes, granted = wanted["wishes"], had.get("wishes", {})
    changed += sorted(name for name in {*wishes, *granted} if wishes.get(name) != granted.get(name))
    return f"changed: {', '.join(changed)}" if changed else "its results were removed"
