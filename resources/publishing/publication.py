"""Publishing an avatar: exactly once, all files together, and never a URL that responds 404.

    avatars/<id>/dynamics/basic/v<claim>-<random>/idle.mp4    target of the document's URLs
    avatars/<id>/dynamics/basic/idle.mp4                      a copy under the documented plain name

Every publication uploads into a folder of its own, verifies it, and then switches the document in
one transaction, which fails for a run that no longer owns the avatar. So the URLs of a document are
always those of one version, whole. Replaced versions stay for a day, for readers that hold their
URLs and for clients that save a stale copy of the document, and the newest few stay to be put in
place again (`versions.py`). The reasons for two names are in `docs/decisions/versioned-objects.md`.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from resources.avatars.document import DYNAMICS_ID, AvatarDocument
from resources.avatars.ids import checked_avatar_id
from resources.avatars.record import RunRecord
from resources.avatars.store import AvatarStore
from resources.settings import current_settings
from resources.storage.objects import ABSENT, MediaStorage
from sunriza_assets.costs.manifest import MANIFEST_NAME
from sunriza_assets.errors import ConflictError, StoreError

__all__ = [
    "FILES",
    "PublishedFile",
    "Retention",
    "confirm_publication",
    "delete_all",
    "folder_of",
    "publish_avatar",
    "tidy",
    "tidy_or_warn",
    "upload_version",
]

_log = logging.getLogger(__name__)

# A version's objects never change; the plain copies do.
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_REVALIDATE: Final = "no-cache"
_VERSION: Final = re.compile(r"([vd])(\d{6,})-[0-9a-f]{8}")
"""v: made by a run that owned the avatar; d: a draft."""
_DRAFT_PATIENCE: Final = timedelta(days=1)
"""How long the upload of a draft may take."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which replaced versions keep their files."""

    replaced: timedelta = timedelta(days=1)
    """How long after they were replaced all do."""
    versions: int = 5
    """How many of the newest do for good, the one in place included; 1-30."""

    @classmethod
    def of_settings(cls) -> "Retention":
        """As SUNRIZA_KEEP_VERSIONS says."""
        return cls(versions=current_settings().keep_versions)


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file that a publication may have."""

    key: str
    """Key of its URL in `dynamics.basic`."""
    content_type: str
    """As it is served."""


FILES: Final[Mapping[str, PublishedFile]] = {
    "idle.mp4": PublishedFile("idleVideoUrl", "video/mp4"),
    "atlas.jpg": PublishedFile("atlasUrl", "image/jpeg"),
    "mask.png": PublishedFile("maskUrl", "image/png"),
    "atlas.json": PublishedFile("atlasJsonUrl", "application/json"),
    "roi.json": PublishedFile("roiJsonUrl", "application/json"),
    "idle_chunks/heroImage_chunk.jpg": PublishedFile("heroImageChunkUrl", "image/jpeg"),
    "idle_chunks/idle_chunk1.mp4": PublishedFile("idleChunk1Url", "video/mp4"),
    "idle_chunks/idle_chunk2.mp4": PublishedFile("idleChunk2Url", "video/mp4"),
    "idle_chunks/idle_chunk3.mp4": PublishedFile("idleChunk3Url", "video/mp4"),
    "frames.zip": PublishedFile("framesZipUrl", "application/zip"),
    "poster.jpg": PublishedFile("posterUrl", "image/jpeg"),
    "thumbnail.jpg": PublishedFile("thumbnailUrl", "image/jpeg"),
    "manifest.json": PublishedFile("manifestUrl", "application/json"),
}
"""What can be published, by documented name below `avatars/<id>/dynamics/basic/`."""


def folder_of(avatar_id: str) -> str:
    """The documented folder of an avatar's published objects, without a trailing slash."""
    return f"avatars/{checked_avatar_id(avatar_id)}/dynamics/{DYNAMICS_ID}"


def publish_avatar(
    storage: MediaStorage,
    avatars: AvatarStore,
    avatar_id: str,
    run_id: str,
    *,
    files: Mapping[str, Path | Callable[[], Path]],
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
    retention: Retention | None = None,
) -> AvatarDocument:
    """Publish what a run has made; a run that has published already changes nothing.

    Args:
        files: local files by documented name, see `FILES`; `idle.mp4` must be among them. They are
            uploaded in order; a file that describes the others may be given as a function, which is
            called after they are uploaded.
        parameters: all effective parameters, camelCase.
        overridden: launchpad parameters that override the document's wishes.
        retention: which replaced versions keep their files; as the settings say when None.

    Returns:
        The document with the results in place.

    Raises:
        ConflictError: the run does not own the avatar (any more); nothing is published.
        StoreError: something could not be written; the former results are still in place.
    """
    document = avatars.get(avatar_id)
    if document.record.current is None or document.record.current.run_id != run_id:
        version = _new_version(document, run_id)
        try:
            results = upload_version(storage, f"{folder_of(avatar_id)}/{version}", files)
            document = avatars.publish(
                avatar_id,
                run_id,
                version=version,
                results=results,
                parameters=parameters,
                overridden=overridden,
            )
        except ConflictError:
            delete_all(storage, f"{folder_of(avatar_id)}/{version}/")
            raise
    # From here on the avatar is published; tidying may be repeated later.
    tidy_or_warn(storage, avatars, avatar_id, retention)
    return document


def confirm_publication(
    storage: MediaStorage,
    avatars: AvatarStore,
    avatar_id: str,
    run_id: str,
    *,
    expected_md5: Callable[[Path], Mapping[str, str] | None],
    parameters: Mapping[str, Any],
    overridden: Mapping[str, Any],
    scratch: Path,
) -> AvatarDocument | None:
    """Keep the current publication if a run would publish the same again.

    Args:
        expected_md5: given the published manifest, the MD5 by documented name that the other files
            must have to be what the run would publish; None if it describes something else.
        parameters: all effective parameters, camelCase.
        overridden: launchpad parameters that override the document's wishes.
        scratch: a folder for the published manifest.

    Returns:
        The document, which is `ready`; None if something else has to be published.

    Raises:
        ConflictError: the run does not own the avatar (any more).
        StoreError: the store cannot be read or written.
    """
    current = avatars.get(avatar_id).record.current
    if current is None:
        return None
    folder = f"{folder_of(avatar_id)}/{current.version}"
    found = {one.name.removeprefix(f"{folder}/"): one for one in storage.list(f"{folder}/")}
    if MANIFEST_NAME not in found:
        return None
    try:
        expected = expected_md5(storage.fetch(f"{folder}/{MANIFEST_NAME}", scratch))
    except StoreError as problem:
        _log.warning("%s is published anew: %s", avatar_id, problem)
        return None
    if {name: one.md5 for name, one in found.items() if name != MANIFEST_NAME} != expected:
        return None
    document = avatars.confirm(
        avatar_id, run_id, version=current.version, parameters=parameters, overridden=overridden
    )
    tidy_or_warn(storage, avatars, avatar_id)
    return document


def tidy_or_warn(
    storage: MediaStorage,
    avatars: AvatarStore,
    avatar_id: str,
    retention: Retention | None = None,
) -> None:
    """Tidy, and log errors: the avatar is published either way, and tidying may be repeated."""
    try:
        tidy(storage, avatars, avatar_id, retention=retention)
    except StoreError as problem:
        _log.warning("%s is published, but not tidied: %s", avatar_id, problem)


def tidy(
    storage: MediaStorage,
    avatars: AvatarStore,
    avatar_id: str,
    *,
    retention: Retention | None = None,
    now: datetime | None = None,
) -> list[str]:
    """Copy the current version to the plain names, and delete unused versions.

    Unused are replaced versions that `retention` does not keep, drafts that were discarded or never
    completed, and versions of runs that died or were superseded before they published. A version
    that the record knows is marked there before its first file is deleted, so that it cannot be put
    in place meanwhile. It may be repeated at any time, also during a publication.

    Returns:
        The names of the objects that were deleted.
    """
    _copy_to_plain_names(storage, avatars, avatar_id)
    folder, at = folder_of(avatar_id), now or datetime.now(UTC)
    # The objects are listed first: a version that is published in between is then not on the list.
    names = [stored.name for kind in "dv" for stored in storage.list(f"{folder}/{kind}")]
    record = avatars.get(avatar_id).record
    unused = _unused_versions(record, retention or Retention.of_settings(), at)
    if unused:
        record = avatars.discard(avatar_id, unused).record
    kept = {one.version for one in record.published if not one.removed}
    kept |= {one.version for one in record.drafts}
    deleted = []
    for name in names:
        version = name.removeprefix(f"{folder}/").partition("/")[0]
        match = _VERSION.fullmatch(version)
        is_dead = match and version not in kept
        if match and match[1] == "v":
            is_dead = is_dead and _cannot_publish(record, int(match[2]))
        if is_dead and storage.delete(name):
            deleted.append(name)
    return deleted


def _unused_versions(record: RunRecord, retention: Retention, now: datetime) -> set[str]:
    """Versions that the record keeps and that need no files any more."""
    # Results that their owner has removed have no successor: their own age counts.
    successors = (*record.published[1:], *record.published[-1:])
    replaced_before = now - retention.replaced
    used = {
        old.version
        for old, new in zip(record.published, successors, strict=True)
        if new.at > replaced_before
    }
    if record.current is not None:  # else their owner has removed the results
        kept = (one.version for one in reversed(record.published) if not one.removed)
        used |= {record.current.version, *list(dict.fromkeys(kept))[: retention.versions]}
    known = {one.version for one in record.published if not one.removed}
    stuck = {
        one.version for one in record.drafts if not one.complete and one.at < now - _DRAFT_PATIENCE
    }
    return (known - used) | stuck


def _cannot_publish(record: RunRecord, claim: int) -> bool:
    """Whether the run with this claim can publish no more."""
    return claim < record.claims or (claim == record.claims and record.state != "generating")


def upload_version(
    storage: MediaStorage, folder: str, files: Mapping[str, Path | Callable[[], Path]]
) -> dict[str, str]:
    """Upload the files of a version and verify them.

    Args:
        folder: of the version, without a trailing slash.
        files: see `publish_avatar`.

    Returns:
        The URLs by key of the document.

    Raises:
        StoreError: something could not be written, or was damaged on its way.
    """
    if "idle.mp4" not in files or files.keys() - FILES.keys():
        raise ValueError(f"cannot publish {sorted(files)}: known are {sorted(FILES)}")
    results = {}
    for name, given in files.items():
        path = given if isinstance(given, Path) else given()
        stored = storage.put(
            path,
            f"{folder}/{name}",
            content_type=FILES[name].content_type,
            cache_control=_IMMUTABLE,
            if_generation=ABSENT,
        )
        with path.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != stored.md5:
                raise StoreError("The file was damaged on its way", where=stored.name, code="torn")
        results[FILES[name].key] = stored.url
    return results


def _copy_to_plain_names(storage: MediaStorage, avatars: AvatarStore, avatar_id: str) -> None:
    """Copy the current version to the plain names, and drop plain files that it does not have.

    Two runs may do this at once. Each checks again after its last copy and repeats if another
    version is current by then, so the last one to finish leaves the current version.
    """
    folder = folder_of(avatar_id)
    record, done = avatars.get(avatar_id).record, False
    while record.published and not done:
        version = record.current.version if record.current else None
        found = {one.name: one for one in storage.list(f"{folder}/")}
        for name in FILES:
            plain = found.get(f"{folder}/{name}")
            source = found.get(f"{folder}/{version}/{name}") if version else None
            if source is None:
                if plain is not None:
                    storage.delete(plain.name)
            elif plain is None or plain.md5 != source.md5:
                storage.copy(source.name, f"{folder}/{name}", cache_control=_REVALIDATE)
        now = avatars.get(avatar_id).record
        record, done = now, now.current == record.current


def delete_all(storage: MediaStorage, prefix: str) -> None:
    """Delete all objects below a prefix."""
    for stored in list(storage.list(prefix)):
        storage.delete(stored.name)


def _new_version(document: AvatarDocument, run_id: str) -> str:
    """A unique folder name that contains the number of the claim."""
    record = document.record
    if record.run_id != run_id or record.state != "generating":
        raise ConflictError(
            f"Run {run_id} does not own this avatar, so it publishes nothing",
            where=document.avatar_id,
            remedy="A run owns an avatar from its claim until it ends or a newer run claims it.",
            code="superseded",
        )
    return f"v{record.claims:06d}-{secrets.token_hex(4)}"
