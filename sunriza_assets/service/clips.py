"""Clips that a caller names by an address: whose they are, and where they lie."""

import asyncio
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from resources.avatars.ids import is_avatar_id
from resources.serving.media_server import LOCAL_NAMES
from sunriza_assets.errors import AccessError, AvatarError, MediaError, StoreError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread

__all__ = ["MAX_CLIP_BYTES", "fetch_clip"]

MAX_CLIP_BYTES: Final = 50_000_000
"""Largest clip that is read."""
_MAX_URL: Final = 8192
_ABSENT_S: Final = 0.05
"""An absent clip is told after this time at the earliest: finding that an avatar is somebody else's
takes longer than finding none."""
_CLIP_OF: Final = re.compile(r"/avatars/([^/]+)/inputs/clip")
_ABSENT: Final = frozenset({"store.missing", "store.refused", "store.name", "store.link"})


async def fetch_clip(
    service: Service, principal: Principal, url: str, folder: Path, *, host: str
) -> Path:
    """A local file of a clip that the caller may read.

    That is an object in the folder of an avatar of the caller's own, or of a public one, also by
    the path where this service serves it (`/avatars/{id}/inputs/clip`); or what an allowed host
    (SUNRIZA_ALLOWED_HOSTS) serves. An old app build, which sends no token, needs an object's
    download token instead.

    Args:
        folder: for the download; a local store hands out its own file.
        host: the request's Host, whose `/files/…` are the store's objects.

    Raises:
        AccessError: `access.missing` there is no such file, or it is somebody else's: the same
            text, after the same time.
        StoreError: `store.address` the address may not be read.
        MediaError: `media.too_large`.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()
    try:
        return await in_thread(_fetch, service, principal, url, folder, host)
    except AccessError:
        await asyncio.sleep(max(0.0, begin + _ABSENT_S - loop.time()))
        raise


def _fetch(service: Service, principal: Principal, url: str, folder: Path, host: str) -> Path:
    if len(url) > _MAX_URL or not url.isprintable():
        raise _refused(url)
    storage = service.stores.storage
    path = _served_path(url, service.base_path, host)
    if path is not None and (clip := _CLIP_OF.fullmatch(path)):
        url = _clip_of(service, principal, clip[1])
        path = None
    name = _object_behind(path) or storage.name_of(url)
    try:
        if name is None:
            return storage.resolve(url, folder, avatar_id="", max_bytes=MAX_CLIP_BYTES)
        if principal.via == "anonymous":
            return storage.resolve(url, folder, avatar_id="", max_bytes=MAX_CLIP_BYTES)
        avatar_id = _readable_avatar(service, principal, name)
        return storage.resolve(name, folder, avatar_id=avatar_id, max_bytes=MAX_CLIP_BYTES)
    except StoreError as error:
        if error.code == "store.too_large":
            raise MediaError(
                "The clip is too large",
                remedy=f"At most {MAX_CLIP_BYTES // 1_000_000} MB are taken.",
                code="too_large",
            ) from error
        if error.code in _ABSENT:
            raise _absent() from error
        raise


def _readable_avatar(service: Service, principal: Principal, name: str) -> str:
    """The avatar in whose folder an object lies.

    Raises:
        AccessError: it lies in none, or in that of an avatar of somebody else's.
    """
    parts = name.split("/")
    if len(parts) < 3 or parts[0] != "avatars" or not is_avatar_id(parts[1]):
        raise _absent()
    try:
        document = service.stores.avatars.get(parts[1])
    except AvatarError as error:
        raise _absent() from error
    is_public = document.data.get("isPublic") is True
    if document.is_foreign or not (principal.owns(document.user_id) or is_public):
        raise _absent()
    return parts[1]


def _clip_of(service: Service, principal: Principal, avatar_id: str) -> str:
    """Where the clip of an avatar lies.

    Raises:
        AccessError: as `_readable_avatar`, or it has none.
    """
    _readable_avatar(service, principal, f"avatars/{avatar_id}/videos")
    try:
        return service.stores.avatars.get(avatar_id).hero_video_url
    except AvatarError as error:
        raise _absent() from error


def _served_path(url: str, base_path: str, host: str) -> str | None:
    """The path of an address of this service, or of this machine's file server."""
    try:
        parts = urlsplit(url)
        own = not parts.netloc or parts.netloc == host or parts.hostname in LOCAL_NAMES
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https") or not own:
        return None
    if not parts.path.startswith(f"{base_path}/"):
        return None
    return unquote(parts.path.removeprefix(base_path))


def _object_behind(path: str | None) -> str | None:
    """The name of the object that this service or the file server has at a path."""
    if path is None:
        return None
    return path.removeprefix("/files/") if path.startswith("/files/") else None


def _absent() -> AccessError:
    return AccessError(
        "There is no such clip",
        remedy="Name a clip of one of your avatars by its download URL.",
        code="missing",
    )


def _refused(url: str) -> StoreError:
    return StoreError(
        "This address is not read: it is too long, or has characters that no address has",
        where=url[:80],
        code="address",
    )
