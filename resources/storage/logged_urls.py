"""URLs for event logs: without download tokens.

A download URL with its token gives read access to the object, whatever the bucket's rules say.
Event logs are kept for years and have more readers than the avatars, so tokens are never logged.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

__all__ = ["as_path", "logged", "logged_url"]

_FIREBASE: Final = re.compile(
    r"https://firebasestorage\.googleapis\.com/v0/b/([^/?#]+)/o/([^/?#]+)(?:\?.*)?"
)
_TOKEN: Final = re.compile(r"(^|&)token=[^&#]*")


def logged_url(url: str) -> str:
    """A stored object's address without its token.

    Objects of a Firebase bucket are named as `https://storage.cloud.google.com/{bucket}/{name}`,
    which opens for operators who are signed in and may read the bucket.
    """
    match = _FIREBASE.fullmatch(url)
    if match:
        return f"https://storage.cloud.google.com/{match[1]}/{quote(unquote(match[2]))}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if "token=" not in parts.query:
        return url
    return urlunsplit(parts._replace(query=_TOKEN.sub("", parts.query).removeprefix("&")))


def logged(value: Any) -> Any:
    """A JSON value with every URL in it as `logged_url` writes it."""
    if isinstance(value, str):
        return logged_url(value) if "token=" in value else value
    if isinstance(value, Mapping):
        return {key: logged(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [logged(entry) for entry in value]
    return value


def as_path(url: str) -> str:
    """The path of a file URI; other URLs are returned unchanged."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url
