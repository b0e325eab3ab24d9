"""Where an avatar stands: what its document asks for against what is published.

Plain objects, told the same way by the asset `avatar_status` and by `sunriza backfill --stale`.
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
    """One avatar, wanted against published."""

    state: State
    """ready: published as wanted. stale: published, but something newer is wanted. waiting: wanted
    and never published. incomplete: an input is missing. generating, error: as its last run."""
    wanted: str
    """Version of the inputs that the document shows."""
    published: str
    """Version of the inputs that what is in place was made from, or empty; the same as `wanted`
    when all is well."""
    version: str
    """Folder of what is in place, or empty."""
    reason: str
    """Why it is not `ready`, or empty."""
    since: datetime
    """When it came to stand so, UTC: published, started, or last written."""

    @property
    def needs_run(self) -> bool:
        """Whether a run would bring it nearer to what is wanted."""
        return self.state in ("stale", "waiting")


def iter_avatars(avatars: AvatarStore) -> Iterator[Change]:
    """All avatars in order of id, read in pages and not one by one."""
    after = ""
    while page := avatars.patrol(after, PAGE):
        yield from page
        after = page[-1].avatar_id


def standing_of(document: AvatarDocument) -> Standing:
    """Where an avatar stands, by its document and the server's record of it."""
    record = document.record
    current = record.current
    written = datetime.fromisoformat(document.update_time).astimezone(UTC)

    def stands(state: State, reason: str = "", since: datetime | None = None) -> Standing:
        published, version = (current.inputs_version, current.version) if current else ("", "")
        wanted = document.inputs_version
        if record.serves(wanted):  # by whichever of its two names
            wanted = published
        return Standing(state, wanted, published, version, reason, since or written)

    if document.status == "error":
        error = document.basic.get("error")
        said = error if isinstance(error, dict) else {}
        return stands("error", f"{said.get('code', 'error')}: {said.get('message', '')}")
    if record.state == "generating" and not document.needs_run:
        return stands("generating", f"run {record.run_id}", record.started_at)
    if not document.has_inputs:
        return stands("incomplete", "its document lacks a portrait, or a clip or performance")
    if document.needs_run:
        return stands("stale" if current else "waiting", _why_wanted(document))
    if document.status != "ready" and not record.serves(document.inputs_version):
        return stands("incomplete", "its owner has switched rendering off")
    return stands("ready", since=current.at if current else None)


def _why_wanted(document: AvatarDocument) -> str:
    """What asks for a run."""
    record = document.record
    if document.waits and record.waiting is not None:
        return f"{record.waiting.code}: {record.waiting.message}"
    if document.asks:
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
