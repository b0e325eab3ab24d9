"""The versions of an avatar for answers: what the record knows, its files, its manifests."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Final

from resources.avatars.document import AvatarDocument
from resources.avatars.versions import no_such_version
from resources.orders.order_json import rfc3339
from resources.publishing.publication import FILES, folder_of
from resources.publishing.versions import manifest_of
from resources.storage.objects import StoredObject
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest
from sunriza_assets.service.avatar_files import file_url
from sunriza_assets.service.context import Service
from sunriza_assets.service.schemas.versions import ShownVersion, VersionList

__all__ = [
    "files_of_version",
    "known_version",
    "list_versions",
    "manifest_of_version",
    "version_in_place",
]

_KEPT_MANIFESTS: Final = 256


def list_versions(service: Service, document: AvatarDocument) -> VersionList:
    """All versions that the record knows, newest first; blocking.

    Costs one listing of the bucket, and reads each manifest once in a process.
    """
    record = document.record
    current = record.current.version if record.current else None
    entries: dict[str, ShownVersion] = {}
    for one in record.published:
        state = "removed" if one.removed else "current" if one.version == current else "kept"
        entries.pop(one.version, None)  # a version that came back is as new as that
        entries[one.version] = _shown(one.version, state, one.at, one.run_id)
    for draft in record.drafts:
        if draft.complete:
            entries[draft.version] = _shown(draft.version, "draft", draft.at, draft.run_id)
    files = _files_by_version(service, document.avatar_id)
    before: Mapping[str, Any] | None = None
    rows = []
    for row in sorted(entries.values(), key=lambda one: one.at):
        found = files.get(row.version, {}) if row.state != "removed" else {}
        _add_urls(service, document.avatar_id, row, found)
        if MANIFEST_NAME in found:
            _add_facts(row, _manifest(service, document.avatar_id, found[MANIFEST_NAME]))
        if row.parameters is not None:
            row.changed = _changed(before, row.parameters)
            before = row.parameters
        rows.append(row)
    return VersionList(versions=rows[::-1])


def known_version(document: AvatarDocument, version: str) -> str:
    """The name of a version whose files are there, by its name or its number.

    Raises:
        AvatarError: `avatar.version` there is none.
    """
    record = document.record
    kept = [one.version for one in reversed(record.published) if not one.removed]
    names = [*kept, *(one.version for one in record.drafts if one.complete)]
    if version in names:
        return version
    if version.isascii() and version.isdecimal() and len(version) < 10:
        for name in kept:
            if name.startswith("v") and number_of(name) == int(version):
                return name
    raise no_such_version(document.avatar_id)


def version_in_place(document: AvatarDocument) -> str:
    """The published version.

    Raises:
        AvatarError: `avatar.version` nothing is published.
    """
    current = document.record.current
    if current is None:
        raise no_such_version(document.avatar_id)
    return current.version


def files_of_version(service: Service, avatar_id: str, version: str) -> dict[str, StoredObject]:
    """The files of a version by documented name; blocking."""
    folder = f"{folder_of(avatar_id)}/{version}"
    found = {
        one.name.removeprefix(f"{folder}/"): one
        for one in service.stores.storage.list(f"{folder}/")
    }
    return {name: found[name] for name in FILES if name in found}


def manifest_of_version(service: Service, document: AvatarDocument, version: str) -> Manifest:
    """The manifest of a version; blocking.

    Raises:
        AvatarError: `avatar.version` it has none.
    """
    stored = files_of_version(service, document.avatar_id, version).get(MANIFEST_NAME)
    manifest = None if stored is None else _manifest(service, document.avatar_id, stored)
    if manifest is None:
        raise no_such_version(document.avatar_id)
    return manifest


def number_of(version: str) -> int:
    """The number in a version's name."""
    digits = version[1:].partition("-")[0]
    return int(digits) if digits.isdecimal() else 0


class _Manifests:
    """Manifests that were read, by object: those of versions never change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Manifest | None] = OrderedDict()
        self._lock = Lock()

    def get(self, service: Service, avatar_id: str, stored: StoredObject) -> Manifest | None:
        key = (stored.name, stored.md5)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        version = stored.name.split("/")[-2]
        with TemporaryDirectory(prefix="sunriza-") as folder:
            manifest = manifest_of(service.stores.storage, avatar_id, version, Path(folder))
        with self._lock:
            self._kept[key] = manifest
            while len(self._kept) > _KEPT_MANIFESTS:
                self._kept.popitem(last=False)
        return manifest


def _manifest(service: Service, avatar_id: str, stored: StoredObject) -> Manifest | None:
    return service.one(_Manifests, _Manifests).get(service, avatar_id, stored)


def _files_by_version(service: Service, avatar_id: str) -> dict[str, dict[str, StoredObject]]:
    folder = folder_of(avatar_id)
    found: dict[str, dict[str, StoredObject]] = {}
    for stored in service.stores.storage.list(f"{folder}/"):
        version, _, name = stored.name.removeprefix(f"{folder}/").partition("/")
        if name:
            found.setdefault(version, {})[name] = stored
    return found


def _shown(version: str, state: Any, at: datetime, run_id: str) -> ShownVersion:
    return ShownVersion(
        version=version, number=number_of(version), state=state, at=rfc3339(at), run_id=run_id
    )


def _add_urls(
    service: Service, avatar_id: str, row: ShownVersion, found: Mapping[str, StoredObject]
) -> None:
    for name, field in (
        ("thumbnail.jpg", "thumbnail_url"),
        ("poster.jpg", "poster_url"),
        ("idle.mp4", "idle_url"),
    ):
        if name in found:
            url = file_url(service, avatar_id, row.version, name, found[name].url)
            setattr(row, field, url)


def _add_facts(row: ShownVersion, manifest: Manifest | None) -> None:
    if manifest is None:
        return
    total = manifest.total
    row.parameters = dict(manifest.parameters)
    row.performance = manifest.performance
    row.engine = manifest.engine
    row.seconds = round(total.seconds, 3)
    row.cost = total.cost
    row.currency = total.currency or None


def _changed(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, list[Any]]:
    if before is None:
        return {}
    names = sorted(before.keys() | now.keys())
    return {
        name: [before.get(name), now.get(name)]
        for name in names
        if before.get(name) != now.get(name)
    }
