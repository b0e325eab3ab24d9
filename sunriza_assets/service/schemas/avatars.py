"""Avatars as HTTP answers show them."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sunriza_assets.service.schemas.inspection import ShownFinding
from sunriza_assets.service.schemas.jobs import Job

__all__ = [
    "EXAMPLE_ROW",
    "AvatarChange",
    "AvatarCreated",
    "AvatarDetail",
    "AvatarInputsShown",
    "AvatarList",
    "AvatarRow",
    "AvatarState",
]

AvatarState = Literal[
    "ready", "stale", "waiting", "incomplete", "generating", "error", "unreadable"
]
"""`ready`: published as wanted. `stale`: published, and something newer is wanted. `waiting`:
wanted and never published. `incomplete`: an input is missing. `generating`: a run is at work.
`error`: its last run failed; what was published before stays. `unreadable`: its document is
broken."""

EXAMPLE_ROW: Final[dict[str, Any]] = {
    "id": "av_4h2k9qm0x7tz",
    "name": "Anna",
    "state": "ready",
    "reason": "",
    "since": "2026-11-30T18:52:28.001Z",
    "progress": None,
    "eta_seconds": None,
    "job_id": None,
    "version": "v000003-1f0c2a9b",
    "thumbnail_url": "/avatars/av_4h2k9qm0x7tz/versions/v000003-1f0c2a9b/files/thumbnail.jpg",
    "poster_url": "/avatars/av_4h2k9qm0x7tz/versions/v000003-1f0c2a9b/files/poster.jpg",
    "idle_url": "/avatars/av_4h2k9qm0x7tz/versions/v000003-1f0c2a9b/files/idle.mp4",
    "created_at": "2026-11-29T08:12:05.310Z",
    "updated_at": "2026-11-30T18:52:28.001Z",
}  # fmt: skip
"""A published avatar."""


class AvatarRow(BaseModel):
    """One avatar in a listing."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_ROW]})

    id: str
    name: str | None = Field(description="What people call it.")
    state: AvatarState = Field(
        description="`ready`, `stale` (something newer is wanted), `waiting` (never published yet),"
        " `incomplete` (an input is missing), `generating`, `error`, `unreadable`."
    )
    reason: str = Field(description="Why it is not `ready`, for users; or empty.")
    since: str | None = Field(description="Since when it is in this state. RFC 3339, UTC.")
    progress: int | None = Field(description="0-100 while `generating`.")
    eta_seconds: float | None = Field(description="Seconds to the end of the run, as forecast.")
    job_id: str | None = Field(description="The job that was asked for last, if it is known.")
    version: str | None = Field(description="The published version in place.")
    thumbnail_url: str | None = Field(
        description="Of the version in place, as the other addresses. An address that begins with"
        " `/` is a path of this service and needs the caller's credential."
    )
    poster_url: str | None
    idle_url: str | None
    created_at: str | None = Field(description="RFC 3339, UTC.")
    updated_at: str | None = Field(description="When its document was written last.")


class AvatarList(BaseModel):
    """A page of a caller's avatars."""

    avatars: list[AvatarRow] = Field(description="In the asked order.")
    next_cursor: str | None = Field(
        description="For the next page; null on the last one. With `q` or `state`, a page may be"
        " short, even empty, and have a next one."
    )


class AvatarInputsShown(BaseModel):
    """What an avatar is made of."""

    portrait_url: str | None
    clip_url: str | None = Field(description="Null where a performance moves it.")
    performance: str | None = Field(description="The built-in performance in the clip's place.")


class AvatarDetail(AvatarRow):
    """One avatar with all that may be changed of it."""

    inputs: AvatarInputsShown
    parameters: dict[str, Any] = Field(
        description="What the avatar's document wishes, by camelCase name; published avatars carry"
        " all effective parameters."
    )
    effective_parameters: dict[str, Any] | None = Field(
        description="All parameters that a run would use now, by snake_case name; null if a wish"
        " is none."
    )
    files: dict[str, str] = Field(
        description="Addresses of the version in place by key: `idleVideoUrl`, `atlasUrl`…"
    )
    error: dict[str, str] | None = Field(description="`code` and `message` of the last run.")


class AvatarChange(BaseModel):
    """What may be changed of an avatar without files; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Anna", "parameters": {"lips": "still"}}]},
    )

    name: str | None = Field(default=None, min_length=1, max_length=200)
    performance: str | None = Field(
        default=None, max_length=100, description="Takes the place of the clip."
    )
    parameters: dict[str, Any] = Field(default={}, description="Added to those it has.")
    render: bool | None = Field(
        default=None,
        description="Whether a changed avatar is rendered: true without it; false also keeps it"
        " from being rendered by itself.",
    )


class AvatarCreated(BaseModel):
    """A new or changed avatar, and the job that renders it."""

    avatar: AvatarDetail
    job: Job | None = Field(description="The job that renders it; null if none was asked for.")
    findings: list[ShownFinding] = Field(
        default=[], description="Advice about portrait and clip, worst first."
    )
