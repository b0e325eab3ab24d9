"""Errors of Google's clients as `StoreError`, and retries of transient ones.

Messages are written here and not copied: a response of Google's may quote a request, and an error
about a credential may quote the credential.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from requests import exceptions as http_exceptions
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from sunriza_assets.errors import StoreError

__all__ = ["PATIENCE_S", "TRANSIENT", "google_errors", "retrying"]

TRANSIENT: Final[tuple[type[Exception], ...]] = (
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.GatewayTimeout,
    exceptions.InternalServerError,
    exceptions.BadGateway,
    exceptions.TooManyRequests,
    exceptions.Cancelled,  # gRPC raises this and the next when a connection breaks during a call
    exceptions.Unknown,
    http_exceptions.ConnectionError,
    http_exceptions.Timeout,
    http_exceptions.ChunkedEncodingError,
    auth_exceptions.TransportError,
)
"""Errors after which the same call may succeed; a write may have been done nevertheless."""

PATIENCE_S: Final = 45.0
"""How long an operation is retried."""

_MESSAGES: Final[tuple[tuple[type[Exception], str, str, str | None], ...]] = (
    (
        exceptions.Unauthenticated,
        "Google does not accept the credentials",
        "credentials",
        "Check FIREBASE_CREDENTIALS or GOOGLE_APPLICATION_CREDENTIALS.",
    ),
    (exceptions.Unauthorized, "Google does not accept the credentials", "credentials", None),
    (
        exceptions.Forbidden,
        "These credentials may not do that",
        "rights",
        "Grant the roles that docs/firebase.md lists; `sunriza doctor` tells which are missing.",
    ),
    (
        auth_exceptions.GoogleAuthError,
        "The credentials cannot be used",
        "credentials",
        "Check FIREBASE_CREDENTIALS or GOOGLE_APPLICATION_CREDENTIALS.",
    ),
    (exceptions.InvalidArgument, "Google refuses this document or object", "refused", None),
    (exceptions.NotFound, "There is no such database, bucket or object", "missing", None),
    (exceptions.FailedPrecondition, "Others keep changing this document", "busy", None),
    (exceptions.AlreadyExists, "Others keep changing this document", "busy", None),
    (exceptions.Aborted, "Others keep changing this document", "busy", None),
)


def retrying(*also: type[Exception], for_s: float | None = None) -> Retrying:
    """A caller that retries after transient errors (and the given ones), with growing pauses."""
    return Retrying(
        retry=retry_if_exception_type((*TRANSIENT, *also)),
        wait=wait_random_exponential(multiplier=0.05, max=5.0),
        stop=stop_after_delay(PATIENCE_S if for_s is None else for_s),
        reraise=True,
    )


@contextmanager
def google_errors(where: object) -> Iterator[None]:
    """Turn what Google's clients raise into a `StoreError`."""
    try:
        yield
    except (
        exceptions.GoogleAPIError,
        auth_exceptions.GoogleAuthError,
        http_exceptions.RequestException,
    ) as problem:
        raise _store_error(problem, where) from problem


def _store_error(problem: Exception, where: Any) -> StoreError:
    if isinstance(problem, (*TRANSIENT, exceptions.RetryError)):
        return StoreError(
            "Google's servers cannot be reached",
            where=where,
            remedy="Try again; `sunriza doctor` tells whether they answer.",
            code="unavailable",
        )
    for kind, what, code, remedy in _MESSAGES:
        if isinstance(problem, kind):
            return StoreError(what, where=where, remedy=remedy, code=code)
    return StoreError(f"Google answers {type(problem).__name__}", where=where, code="google")
