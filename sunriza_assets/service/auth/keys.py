"""API keys: `snz_<id>_<secret>`.

The id (12 characters) finds the key in the store, the secret (43 characters, 256 random bits)
proves it. Only the sha256 of the whole key is stored: a random secret needs no slow hash.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from resources.orders.store import ApiKey
from sunriza_assets.errors import ParameterError
from sunriza_assets.service.auth.principals import Scope

__all__ = ["SCOPES", "is_key", "key_id_of", "make_key", "matches"]

SCOPES: Final[tuple[Scope, ...]] = ("render", "jobs", "metrics", "admin")
"""All scopes that a key may have."""

_KEY: Final = re.compile(r"snz_([a-z2-7]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_NAME_CHARACTERS: Final = 100


def make_key(owner: str, scopes: Iterable[str], name: str) -> tuple[str, ApiKey]:
    """A new key: the text that is shown once, and what the store keeps.

    Args:
        owner: user id that requests with it act for.
        scopes: of `SCOPES`, at least one.
        name: what the owner calls it, 1-100 characters.

    Raises:
        ParameterError: a scope is unknown or missing, the owner or the name is none.
    """
    asked = frozenset(scopes)
    unknown = asked - set(SCOPES)
    if unknown or not asked:
        raise ParameterError(
            f"{sorted(unknown)[0]!r} is no scope" if unknown else "A key needs a scope",
            remedy=f"Scopes are {', '.join(SCOPES)}.",
            code="scope",
        )
    if not 1 <= len(name) <= _NAME_CHARACTERS or not name.isprintable():
        raise ParameterError(f"A key's name has 1-{_NAME_CHARACTERS} characters", code="name")
    if not owner or len(owner) > 128:
        raise ParameterError("A key belongs to a user id of 1-128 characters", code="owner")
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
    text = f"snz_{key_id}_{secrets.token_urlsafe(32)}"
    now = datetime.now(UTC)
    created = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return text, ApiKey(key_id, _hash(text), owner, asked, name, created)


def is_key(text: str) -> bool:
    """Whether a credential is meant to be an API key."""
    return text.startswith("snz_")


def key_id_of(text: str) -> str | None:
    """The public part of a well-formed key; None for anything else."""
    found = _KEY.fullmatch(text)
    return found.group(1) if found else None


def matches(text: str, key: ApiKey | None) -> bool:
    """Whether a text is this key and the key is not revoked; the same work in every case."""
    stored = key.secret_sha256 if key else "0" * 64
    same = hmac.compare_digest(_hash(text), stored)
    return same and key is not None and key.revoked_at is None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
