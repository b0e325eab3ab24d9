"""Addresses of an avatar's published files, for answers.

Objects of a bucket have addresses of their own, or those of a CDN in front of it. The local store
has none that a browser follows, so its files are served below `/avatars/{id}/versions/…`.
"""

from collections.abc import Mapping
from urllib.parse import quote

from resources.avatars.document import AvatarDocument
from resources.publishing.addresses import public_file_url
from resources.publishing.publication import FILES
from sunriza_assets.service.context import Service

__all__ = ["PURPOSES", "file_url", "names_by_key", "own_path", "published_urls"]

PURPOSES: Mapping[str, str] = {
    "idle.mp4": "The looping video of the portrait.",
    "atlas.jpg": "The mouth in twelve visemes.",
    "mask.png": "Where a viseme covers the idle, feathered.",
    "atlas.json": "Index of the atlas.",
    "roi.json": "Where the mouth is in the idle, frame by frame.",
    "idle_chunks/heroImage_chunk.jpg": "The still before the chunks.",
    "idle_chunks/idle_chunk1.mp4": "First part of the idle.",
    "idle_chunks/idle_chunk2.mp4": "Second part of the idle.",
    "idle_chunks/idle_chunk3.mp4": "Third part of the idle.",
    "frames.zip": "The idle as pictures.",
    "poster.jpg": "The first frame of the idle.",
    "thumbnail.jpg": "The same, small.",
    "manifest.json": "What this version was made of, by what, and at what cost.",
}
"""Documented file name -> what it is for."""
names_by_key: Mapping[str, str] = {file.key: name for name, file in FILES.items()}
"""Key in the document -> documented file name."""


def file_url(service: Service, avatar_id: str, version: str, name: str, stored_url: str) -> str:
    """The address of one file of a version, as callers get it.

    Args:
        stored_url: as the store has it.
    """
    return public_file_url(
        avatar_id,
        version,
        name,
        stored_url,
        cdn=service.settings.cdn,
        base_path=service.base_path,
    )


def own_path(service: Service, avatar_id: str, version: str, name: str) -> str:
    """The path of this service that serves a file of a version."""
    return f"{service.base_path}/avatars/{avatar_id}/versions/{version}/files/{quote(name)}"


def published_urls(service: Service, document: AvatarDocument) -> dict[str, str]:
    """Addresses of the version in place by key; empty if nothing of the owner's is published.

    Results of the former system, which have no record, keep the addresses of the document.
    """
    if document.is_foreign:
        return {}
    record = document.record
    if record.current is None:
        basic = document.basic if document.status == "ready" else {}
        return {key: url for key in names_by_key if isinstance(url := basic.get(key), str)}
    return {
        key: file_url(service, document.avatar_id, record.current.version, names_by_key[key], url)
        for key, url in record.results.items()
        if key in names_by_key and isinstance(url, str)
    }
