"""A caller's own things: quota, keys, signing secrets."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Account",
    "KeyList",
    "KeyRequest",
    "Limit",
    "MadeKey",
    "RotatedSecret",
    "ShownKey",
    "SigningSecrets",
]

ScopeName = Literal["render", "jobs", "metrics", "admin"]


class Limit(BaseModel):
    """A limit and what was used of it."""

    limit: int | None = Field(description="Null: no limit.")
    used: int


class Account(BaseModel):
    """Who the caller is and what it may use."""

    uid: str
    via: Literal["open", "token", "key", "anonymous"] = Field(
        description="How the caller is known; `open`: everybody may call."
    )
    scopes: list[ScopeName]
    expires_at: str | None = Field(description="When its credential ends. RFC 3339, UTC.")
    credits: int | None = Field(description="Credits left; null where none are counted.")
    unfinished_jobs: Limit
    jobs_per_day: Limit = Field(description="In the last 24 hours.")
    reads_per_minute: int | None
    renders_per_minute: int | None
    jobs_per_minute: int | None
    upload_bytes_per_day: int | None


class KeyRequest(BaseModel):
    """An API key to make."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "website", "scopes": ["render"]}]}
    )

    name: str = Field(min_length=1, max_length=100, description="What you call it.")
    scopes: list[ScopeName] = Field(
        default=["render", "jobs"],
        min_length=1,
        max_length=4,
        description="What it may do; at most what the caller may.",
    )


class ShownKey(BaseModel):
    """An API key without its secret."""

    id: str
    name: str
    scopes: list[ScopeName]
    created_at: str
    revoked_at: str | None
    last_used_at: str | None = Field(description="Exact to the minute.")


class MadeKey(ShownKey):
    """A new API key."""

    key: str = Field(description="The key itself. It is shown this once.")


class KeyList(BaseModel):
    """A caller's API keys."""

    keys: list[ShownKey] = Field(description="Newest first, revoked ones too.")


class SigningSecrets(BaseModel):
    """What webhook messages are signed with."""

    secrets: list[str] = Field(
        description="`whsec_…`, the newest first; a former one is valid for 24 hours longer."
    )


class RotatedSecret(BaseModel):
    """A new signing secret."""

    secret: str = Field(description="The new one; the former stays valid for 24 hours.")
