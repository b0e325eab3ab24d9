"""Firebase ID tokens (RS256 JWTs), verified against Google's published certificates.

Firebase's own library cannot be pointed at other certificates and wants credentials; what it checks
is checked here, after https://firebase.google.com/docs/auth/admin/verify-id-tokens: algorithm, key
id, signature, exp, iat, auth_time, aud, iss, sub. Revocation is not looked up: a token lives for an
hour at most.
"""

import base64
import binascii
import hashlib
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from resources.settings import Settings
from sunriza_assets.errors import StoreError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.auth.refusals import refused
from sunriza_assets.service.request_errors import RequestError

__all__ = ["Certificates", "TokenVerifier"]

SKEW_S: Final = 10
"""Seconds that clocks may differ."""
CACHE_S: Final = 300
"""Longest time for which a verified token is not verified again."""

_ISSUER: Final = "https://securetoken.google.com/"
_CACHED_TOKENS: Final = 10_000
_UID_CHARACTERS: Final = 128
_FETCH_S: Final = 5.0
_DEFAULT_AGE_S: Final = 3600.0
_SHORTEST_AGE_S: Final = 60.0
_LONGEST_AGE_S: Final = 86_400.0
_RETRY_S: Final = 10.0
_PATIENCE_S: Final = 1.0
_BODY_BYTES: Final = 1 << 20
_MAX_AGE: Final = re.compile(r"max-age=(\d{1,9})")
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


@dataclass
class _Response:
    """What google-auth reads of an HTTP answer."""

    status: int
    data: bytes
    headers: Mapping[str, str]


class Certificates:
    """Fetches the certificates when they have aged (Cache-Control) or a key id is new.

    Called as google-auth's transport: every verification asks, few fetch.

    Args:
        url: where they are published, `{key id: PEM certificate}` as JSON.
        clock: seconds, monotonic.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._body: bytes = b""
        self._key_ids: frozenset[str] = frozenset()
        self._until = -1.0
        self._asked_at = float("-inf")

    def __call__(self, url: str, method: str = "GET", **_: Any) -> _Response:
        """The published certificates, as google-auth's transport answers."""
        return _Response(200, self._body, {})

    def load(self, key_id: str) -> bool:
        """Have current certificates; whether this key is among them.

        One thread fetches. Others go on with what there is, and wait for a new key only a moment:
        they are threads that the stores need.

        Raises:
            StoreError: `store.certificates` there are none, and none can be fetched.
        """
        known = key_id in self._key_ids
        if known and self._clock() < self._until:
            return True
        patience = -1.0 if not self._body else 0.0 if known else _PATIENCE_S
        if self._lock.acquire(timeout=patience):
            try:
                self._refresh(key_id)
            finally:
                self._lock.release()
        return key_id in self._key_ids

    def _refresh(self, key_id: str) -> None:
        """Fetch certificates if they have aged, or if a key id may be a new one."""
        now = self._clock()
        if now < self._until and key_id in self._key_ids:
            return
        usable = bool(self._body) and now < self._until + _LONGEST_AGE_S
        if now - self._asked_at < _RETRY_S:  # anybody can invent key ids
            if not usable:
                raise self._unavailable("asked a moment ago")
            return
        self._asked_at = now
        try:
            self._fetch(now)
        except (OSError, ValueError) as error:
            # Certificates are published long before they sign, and long after.
            if not usable:
                raise self._unavailable(error) from error

    def _unavailable(self, reason: object) -> StoreError:
        return StoreError(
            "Tokens cannot be verified now: their certificates cannot be fetched",
            where=f"{self.url}: {reason}",
            remedy="Try again, or use an API key.",
            code="certificates",
        )

    def _fetch(self, now: float) -> None:
        """Fetch the certificates.

        Raises:
            OSError: the server does not answer.
            ValueError: it answers something else.
        """
        import urllib3

        try:
            with urllib3.PoolManager(retries=False) as pool:
                answer = pool.request(
                    "GET", self.url, timeout=_FETCH_S, redirect=False, preload_content=False
                )
                body = answer.read(_BODY_BYTES)
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise OSError(str(error)) from error
        found = _published(answer.status, body)
        age = _MAX_AGE.search(answer.headers.get("Cache-Control", ""))
        seconds = float(age.group(1)) if age else _DEFAULT_AGE_S
        self._body, self._key_ids = body, frozenset(found)
        self._until = now + min(max(seconds, _SHORTEST_AGE_S), _LONGEST_AGE_S)


@dataclass
class TokenVerifier:
    """Verifies ID tokens of one Firebase project."""

    project: str | None
    """Firebase project id; without it no token is taken."""
    certificates: Certificates
    """Where the certificates come from."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    _cache: OrderedDict[bytes, tuple[float, Principal]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, settings: Settings) -> "TokenVerifier":
        """The verifier that the settings describe."""
        project = settings.firebase_project or settings.google_cloud_project
        return cls(project, Certificates(settings.certs_url))

    def known(self, token: str) -> Principal | None:
        """Whose token it is, if it was verified a short time ago and has not ended."""
        key = _cache_key(token)
        with self._lock:
            found = self._cache.get(key)
            if found is None:
                return None
            until, principal = found
            if self.clock() >= until:
                del self._cache[key]
                return None
            return principal

    def verify(self, token: str) -> Principal:
        """Whose token it is; may fetch certificates, so call it in a thread.

        Raises:
            AccessError: `access.token`.
            StoreError: certificates cannot be fetched.
        """
        if self.project is None:
            raise refused("malformed", "This is no API key", "This service takes nothing else.")
        header = _header(token)
        if header.get("alg") != "RS256":
            raise refused("signature", "The token is not signed as it must be")
        key_id = header.get("kid")
        if not isinstance(key_id, str) or not self.certificates.load(key_id):
            raise refused("signature", "The token's signing key is unknown")
        claims = self._signed(token)
        principal = self._checked(claims)
        now = self.clock()
        with self._lock:
            self._cache[_cache_key(token)] = (min(now + CACHE_S, float(claims["exp"])), principal)
            self._cache.move_to_end(_cache_key(token))
            while len(self._cache) > _CACHED_TOKENS:
                self._cache.popitem(last=False)
        return principal

    def _signed(self, token: str) -> Mapping[str, Any]:
        """The claims, once signature, times and audience are found right."""
        from google.auth import exceptions
        from google.oauth2 import id_token

        try:
            claims: Mapping[str, Any] = id_token.verify_token(
                token,
                cast(Any, self.certificates),
                audience=self.project,
                certs_url=self.certificates.url,
                clock_skew_in_seconds=SKEW_S,
            )
        except (exceptions.GoogleAuthError, ValueError, TypeError, RecursionError) as error:
            expired = "expired" in str(error).lower()
            raise refused(
                "expired" if expired else "signature",
                "The token has expired" if expired else "The token is not valid",
            ) from error
        return claims

    def _checked(self, claims: Mapping[str, Any]) -> Principal:
        now = self.clock()
        uid = claims.get("sub")
        auth_time = claims.get("auth_time")
        times = [claims.get("iat"), claims.get("exp"), auth_time]
        sound = (
            claims.get("iss") == f"{_ISSUER}{self.project}"
            and claims.get("aud") == self.project
            and isinstance(uid, str)
            and 0 < len(uid) <= _UID_CHARACTERS
            and all(isinstance(one, int | float) and not isinstance(one, bool) for one in times)
        )
        if not sound or not isinstance(uid, str):
            raise refused("claims", "The token is not one of this service's project")
        if float(claims["auth_time"]) > now + SKEW_S:
            raise refused("claims", "The token's sign-in lies in the future")
        if float(claims["exp"]) + SKEW_S < now:
            raise refused("expired", "The token has expired")
        return Principal(
            uid=uid,
            via="token",
            scopes=frozenset(("render", "jobs")),
            credential=f"user:{uid}",
            expires_at=datetime.fromtimestamp(float(claims["exp"]), UTC),
        )


def _published(status: int, body: bytes) -> Mapping[str, str]:
    """Certificates by key id, out of an answer.

    Raises:
        ValueError: it holds none.
    """
    if status != 200:
        raise ValueError(f"status {status}")
    found = json.loads(body)
    if not isinstance(found, dict) or not found or "keys" in found:
        raise ValueError("no certificates by key id")
    return found


def _header(token: str) -> Mapping[str, Any]:
    """The unverified header of a JWT."""
    from sunriza_assets.service.middleware.strict_json import read_json

    if not _JWT.fullmatch(token):
        raise refused("malformed", "The token is none")
    encoded = token.partition(".")[0]
    try:
        header = read_json(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, RequestError) as error:
        raise refused("malformed", "The token is none") from error
    if not isinstance(header, dict):
        raise refused("malformed", "The token is none")
    return header


def _cache_key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
