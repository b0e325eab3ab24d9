"""Versions and files of an avatar as HTTP answers show them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

__all__ = ["FileList", "Gallery", "ShownFile", "ShownVersion", "VersionList"]


class ShownVersion(BaseModel):
    """One version of an avatar."""

    version: str = Field(description="Its name in paths.", examples=["v000003-1f0c2a9b"])
    number: int = Field(description="Grows with every run; several drafts may share one.")
    state: Literal["current", "kept", "draft", "removed"] = Field(
        description="`current`: in place. `kept`: can be put in place again. `draft`: rendered and"
        " not published. `removed`: its files are gone."
    )
    at: str = Field(description="When it was put in place, or a draft was made. RFC 3339, UTC.")
    run_id: str = Field(description="The run that made it.")
    thumbnail_url: str | None = None
    poster_url: str | None = None
    idle_url: str | None = None
    parameters: dict[str, Any] | None = Field(
        default=None, description="All effective parameters by snake_case name, if known."
    )
    changed: dict[str, list[Any]] = Field(
        default={},
        description="Parameters that differ from the version before it: name -> [before, now].",
    )
    performance: str | None = None
    engine: str | None = None
    seconds: float | None = Field(default=None, description="Of the run's steps.")
    cost: float | None = Field(default=None, description="Price of those seconds.")
    currency: str | None = None


class VersionList(BaseModel):
    """Versions of an avatar."""

    versions: list[ShownVersion] = Field(description="Newest first; drafts among them by time.")


class ShownFile(BaseModel):
    """One file of a version."""

    name: str = Field(examples=["idle.mp4"])
    purpose: str = Field(description="What it is for.")
    key: str = Field(description="Key of its address in the avatar's document.")
    content_type: str
    size: int = Field(description="Bytes.")
    md5: str = Field(description="Of its content, hex.")
    url: str


class FileList(BaseModel):
    """Files of a version."""

    version: str
    files: list[ShownFile]
    size: int = Field(description="Bytes of all files.")
    zip_url: str = Field(description="All files in one archive.")


class Gallery(BaseModel):
    """What a page needs to show an avatar: addresses of one version, whose names never change."""

    version: str
    etag: str = Field(description="Changes with the version.")
    thumbnail_url: str | None = None
    poster_url: str | None = None
    idle_url: str
    chunks: list[str] = Field(default=[], description="Parts of the idle, in order of play.")
    hero_image_chunk: str | None = Field(default=None, description="The still before the chunks.")
    atlas: str | None = Field(default=None, description="The mouth in twelve visemes.")
    atlas_json: str | None = Field(default=None, description="Index of the atlas.")
    mask: str | None = Field(default=None, description="Where a viseme covers the idle.")
    roi: str | None = Field(default=None, description="Where the mouth is, frame by frame.")
    frames_zip: str | None = None
    manifest: str | None = Field(default=None, description="What it was made of, and its cost.")
