"""Versions beside the one in place: drafts, and older publications put in place again.

    avatars/<id>/dynamics/basic/d<claims>-<random>/idle.mp4    a draft

A draft is uploaded like a publication and leaves the document as it is. Putting a version in place
switches the document to the URLs of that version, all of them, in one transaction.
"""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.avatars.store import AvatarStore
from resources.avatars.versions import no_such_version
from resources.publishing.publication import (
    FILES,
    delete_all,
    folder_of,
    tidy_or_warn,
    upload_version,
)
from resources.storage.objects import MediaStorage
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest
from sunriza_assets.errors import ConflictError, CostError, ParameterError
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["discard_version", "manifest_of", "publish_draft", "republish"]


def publish_draft(
    storage: MediaStorage,
    avatars: AvatarStore,
    avatar_id: str,
    run_id: str,
    *,
    files: Mapping[str, Path | Callable[[], Path]],
) -> str:
    """Store what a run has made as a draft; returns its version.

    Args:
        files: see `publication.publish_avatar`.

    Raises:
        AvatarError: the avatar was deleted.
        ConflictError: the draft was discarded meanwhile; nothing is kept of it.
        StoreError: something could not be written.
    """
    record = avatars.get(avatar_id).record
    former = next((one for one in record.drafts if one.run_id == run_id and one.complete), None)
    if former is not None:
        return former.version
    version = f"d{record.claims:06d}-{secrets.token_hex(4)}"
    avatars.begin_draft(avatar_id, run_id, version=version)
    folder = f"{folder_of(avatar_id)}/{version}"
    try:
        upload_version(storage, folder, files)
        avatars.finish_draft(avatar_id, version=version)
    except ConflictError:
        delete_all(storage, f"{folder}/")
        raise
    tidy_or_warn(storage, avatars, avatar_id)
    return version


def republish(
    storage: MediaStorage, avatars: AvatarStore, avatar_id: str, version: str, scratch: Path
) -> AvatarDocument:
    """Put a kept publication, or a draft, in place.

    Args:
        version: its folder.
        scratch: a folder for its manifest.

    Returns:
        The document, `ready` with the results of the version.

    Raises:
        AvatarError: `avatar.version` there is no such version, or a file of it is gone.
        ConflictError: `conflict.generating` a run is at work.
        StoreError: the store cannot be read or written.
    """
    record = avatars.get(avatar_id).record
    known = {one.version for one in record.published} | {one.version for one in record.drafts}
    if version not in known:
        raise no_such_version(avatar_id)
    folder = f"{folder_of(avatar_id)}/{version}"
    found = {one.name.removeprefix(f"{folder}/"): one for one in storage.list(f"{folder}/")}
    manifest = manifest_of(storage, avatar_id, version, scratch) if MANIFEST_NAME in found else None
    expected = {"idle.mp4"} | {fact.name for fact in (manifest.outputs if manifest else ())}
    if not expected <= found.keys():
        raise no_such_version(avatar_id)
    document = avatars.republish(
        avatar_id,
        version=version,
        results={FILES[name].key: one.url for name, one in found.items() if name in FILES},
        parameters=None if manifest is None else _document_parameters(manifest.parameters),
    )
    tidy_or_warn(storage, avatars, avatar_id)
    return document


def discard_version(
    storage: MediaStorage, avatars: AvatarStore, avatar_id: str, version: str
) -> None:
    """Remove a version that is not in place, and its files.

    Raises:
        AvatarError: `avatar.version` there is no such version.
        ConflictError: `conflict.in_place` it is the one in place.
        StoreError: the store cannot be written.
    """
    record = avatars.get(avatar_id).record
    known = {one.version for one in record.published if not one.removed}
    if version not in known | {one.version for one in record.drafts}:
        raise no_such_version(avatar_id)
    current = avatars.discard(avatar_id, [version]).record.current
    if current is not None and current.version == version:
        raise ConflictError(
            "This version is in place",
            where=avatar_id,
            remedy="Put another one in place first.",
            code="in_place",
        )
    tidy_or_warn(storage, avatars, avatar_id)


def manifest_of(
    storage: MediaStorage, avatar_id: str, version: str, scratch: Path
) -> Manifest | None:
    """The manifest of a version; None if it is damaged.

    Raises:
        StoreError: there is none, or the store cannot be read.
    """
    path = storage.fetch(f"{folder_of(avatar_id)}/{version}/{MANIFEST_NAME}", scratch / version)
    try:
        return Manifest.load(path)
    except CostError:
        return None


def _document_parameters(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """A manifest's parameters as a document carries them; None if they mean nothing any more."""
    try:
        return RenderParameters(**parameters).to_document()
    except (ParameterError, TypeError):
        return None
