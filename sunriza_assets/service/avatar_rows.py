"""Avatar documents as rows of answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.avatars.instants import as_instant
from resources.avatars.owners import id_error
from resources.avatars.standing import standing_of
from resources.avatars.store import Change
from resources.orders.order_json import rfc3339
from sunriza_assets.errors import SunrizaError
from sunriza_assets.service.avatar_files import published_urls
from sunriza_assets.service.context import Service
from sunriza_assets.service.schemas.avatars import AvatarDetail, AvatarInputsShown, AvatarRow
from sunriza_assets.studio.parameters import resolve
from sunriza_assets.studio.performances.named import with_performance_defaults

__all__ = ["detail_of", "row_of", "state_of"]


def state_of(change: Change) -> str:
    """The state of an avatar as `AvatarRow.state` says it."""
    if change.document is None:
        return "unreadable"
    return "error" if change.document.is_foreign else standing_of(change.document).state


def row_of(service: Service, change: Change) -> AvatarRow:
    """The row of an avatar."""
    if change.document is None:
        return AvatarRow(
            id=change.avatar_id,
            name=None,
            state="unreadable",
            reason="Its document cannot be read.",
            since=None,
            progress=None,
            eta_seconds=None,
            job_id=None,
            version=None,
            thumbnail_url=None,
            poster_url=None,
            idle_url=None,
            created_at=None,
            updated_at=None,
        )
    return AvatarRow(**_row(service, change.document))


def detail_of(service: Service, document: AvatarDocument) -> AvatarDetail:
    """The whole answer about an avatar."""
    inputs = document.inputs
    try:
        effective: dict[str, Any] | None = resolve(
            with_performance_defaults(document.performance, document.wishes)
        ).to_dict()
    except SunrizaError:  # a client wrote a wish that is none; the run says so
        effective = None
    error = document.basic.get("error") if document.status == "error" else None
    return AvatarDetail(
        **_row(service, document),
        inputs=AvatarInputsShown(
            portrait_url=_input_url(service, document, "portrait", inputs["image"]),
            clip_url=_input_url(service, document, "clip", inputs["video"]),
            performance=document.performance,
        ),
        parameters=_plain(document.wishes),
        effective_parameters=effective,
        files=published_urls(service, document),
        error={key: str(error.get(key, "")) for key in ("code", "message")}
        if isinstance(error, Mapping)
        else None,
    )


def _instant(value: object) -> str | None:
    """RFC 3339 of what a document has: an instant, or epoch milliseconds; None otherwise."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return rfc3339(as_instant(value))


def _row(service: Service, document: AvatarDocument) -> dict[str, Any]:
    standing = standing_of(document)
    state, reason, version = standing.state, standing.reason, standing.version or None
    since = standing.since
    if document.is_foreign:  # nothing of the former owner's record is shown
        state, version = "error", None
        reason = id_error(document.record, document.avatar_id).public
        since = datetime.fromisoformat(document.update_time)
    urls = published_urls(service, document)
    basic, generating = document.basic, state == "generating"
    name, job_id = document.data.get("name"), basic.get("jobId")
    return {
        "id": document.avatar_id,
        "name": name if isinstance(name, str) else None,
        "state": state,
        "reason": reason,
        "since": _instant(since),
        "progress": _whole(basic.get("progress")) if generating else None,
        "eta_seconds": _number(basic.get("etaSeconds")) if generating else None,
        "job_id": job_id if isinstance(job_id, str) else None,
        "version": version,
        "thumbnail_url": urls.get("thumbnailUrl"),
        "poster_url": urls.get("posterUrl"),
        "idle_url": urls.get("idleVideoUrl"),
        "created_at": _instant(document.data.get("createdAt")),
        "updated_at": _instant(document.update_time),
    }


def _input_url(
    service: Service, document: AvatarDocument, kind: str, url: str | None
) -> str | None:
    """An input's address; of the local store, a path of this service."""
    if url is None or url.startswith(("https:", "http:", "gs:")):
        return url
    return f"{service.base_path}/avatars/{document.avatar_id}/inputs/{kind}"


def _whole(value: object) -> int:
    return min(100, max(0, int(value))) if isinstance(value, int | float) else 0


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _plain(value: Any) -> Any:
    """JSON values alone: clients may write other types into a document."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
