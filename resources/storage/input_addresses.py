"""Access rules for objects that an avatar's document names as inputs.

A document is written by a client, and this system may read the whole bucket. So a bare name is
accepted only for objects in the avatar's own folder. Any other object is read only by its download
URL, whose token proves that the author of the document has access to it. Everything else is refused
with the same error, whether the object exists or not.

    avatars/<own id>/…                     read, except `dynamics/`, which holds what runs publish
    avatars/<other id>/…, users/…          read by a download URL with one of the object's tokens
    pipeline/…, cache/…, remote/…          never read: this system's own files
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from resources.storage.objects import checked_object_name
from sunriza_assets.errors import StoreError

__all__ = [
    "ObjectAddress",
    "has_token",
    "input_refused",
    "is_open_by_token",
    "is_own_input",
    "object_address",
    "without_query",
]

_FIREBASE_HOST: Final = "firebasestorage.googleapis.com"
_PATH_STYLE_HOSTS: Final = frozenset(
    {"storage.googleapis.com", "storage.cloud.google.com", "commondatastorage.googleapis.com"}
)
"""Hosts whose paths begin with the bucket's name."""
_API_HOSTS: Final = frozenset(
    {"storage.googleapis.com", "www.googleapis.com", "content-storage.googleapis.com"}
)
_API_PATH: Final = re.compile(r"/(?:(?:upload|download)/)?storage/v1/b/([^/]*)/o/(.*)")
_FIREBASE_PATH: Final = re.compile(r"/v0/b/([^/]*)/o/(.*)")
_SYSTEM_PREFIXES: Final = ("pipeline", "cache", "remote", "backfills")
_MAX_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """An object of the own bucket that a URL names."""

    name: str
    """Its name, percent-decoded once, exactly as it will be requested; not checked."""
    token: str | None
    """The download token in the URL."""


def object_address(url: str, bucket: str, base_url: str) -> ObjectAddress | None:
    """The object of a bucket that an address names, in any of Google's URL forms.

    Args:
        url: a download URL, a `gs://` URL, a URL of Cloud Storage, or a bare object name.
        bucket: the bucket's name.
        base_url: where this store's download URLs begin.

    Returns:
        None for every other address, which is then fetched without credentials.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return None
    if not parts.scheme and not parts.netloc:
        return ObjectAddress(url, None)
    if parts.scheme == "gs":
        return ObjectAddress(parts.path[1:], None) if host == bucket.lower() else None
    if parts.scheme not in ("http", "https"):
        return None
    own_host = urlsplit(base_url).netloc.lower() == parts.netloc.lower()
    for found, name in _bucket_and_name(parts, host, bucket, own_host=own_host):
        if unquote(found) == bucket:
            tokens = parse_qs(parts.query).get("token", [])
            return ObjectAddress(unquote(name), tokens[0] if len(tokens) == 1 else None)
    return None


def is_own_input(name: str, avatar_id: str) -> bool:
    """Whether an object lies in an avatar's own folder and was not published there by a run.

    Names are compared exactly: buckets have no `..`, are case-sensitive and
    decode once, and `checked_object_name` keeps them out of local folders.
    """
    parts = name.split("/")
    return (
        _is_name(name)
        and len(parts) > 2
        and parts[:2] == ["avatars", avatar_id]
        and parts[2] != "dynamics"
    )


def is_open_by_token(name: str) -> bool:
    """Whether a document may name an object of another avatar or user, given its token."""
    return _is_name(name) and name.split("/", maxsplit=1)[0] not in _SYSTEM_PREFIXES


def has_token(token: str | None, tokens: Iterable[str]) -> bool:
    """Whether a token is one of an object's, compared in constant time."""
    if not token:
        return False
    given = token.encode()
    found = [hmac.compare_digest(given, one.encode()) for one in tokens]
    return any(found)


def input_refused(url: str) -> StoreError:
    """The error for every address that a document may not name."""
    return StoreError(
        "This address may not be read for this avatar",
        where=without_query(url),
        remedy="Name a file that was uploaded for this avatar, by its download URL.",
        code="refused",
    )


def without_query(url: str) -> str:
    """A URL for messages: without its query, which may hold a token, and shortened."""
    plain = url.partition("?")[0]
    return plain if len(plain) <= _MAX_SHOWN else f"{plain[: _MAX_SHOWN - 3]}..."


def _bucket_and_name(
    parts: SplitResult, host: str, bucket: str, *, own_host: bool
) -> Iterable[tuple[str, str]]:
    """Candidate (bucket, object name) pairs, both percent-encoded, one for each URL form."""
    path = parts.path
    is_firebase = own_host or host in (_FIREBASE_HOST, bucket.lower())
    if is_firebase and (match := _FIREBASE_PATH.fullmatch(path)):
        yield match[1], match[2]
    if (own_host or host in _API_HOSTS) and (match := _API_PATH.fullmatch(path)):
        yield match[1], match[2]
    if own_host or host in _PATH_STYLE_HOSTS:
        first, _, rest = path[1:].partition("/")
        yield first, rest
    # `<bucket>.storage.googleapis.com`, and the bucket's own name where that is a host.
    if host == bucket.lower() or any(
        host == f"{bucket.lower()}.{one}" for one in _PATH_STYLE_HOSTS
    ):
        yield bucket, path[1:]


def _is_name(name: str) -> bool:
    try:
        checked_object_name(name)
    except StoreError:
        return False
    return True
