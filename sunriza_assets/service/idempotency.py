"""Idempotency-Key: the same request is answered once, however often it is sent.

A key belongs to a caller and a route. A route that makes a job hands its key to
`OrderStore.accept`, which stores it in the transaction that stores the job. A route that spends
without making a job works inside `answered_once`.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Final

from fastapi import Header, Request
from starlette.responses import JSONResponse, Response

from resources.orders.store import IdempotencyKey, StoredAnswer
from sunriza_assets.errors import ParameterError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread

__all__ = [
    "REPLAYED",
    "IdempotencyHeader",
    "answered_once",
    "form_fingerprint",
    "json_fingerprint",
    "key_of",
]

REPLAYED: Final = {"Idempotency-Replayed": "true"}
"""Headers of an answer that was given before."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")

IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1-255 visible ASCII characters that name this request. Sent again within"
        " seven days, the same request gets the first answer, and does nothing else.",
        json_schema_extra={"pattern": "^[!-~]{1,255}$"},
    ),
]
"""The header of a route that takes one."""


def key_of(
    request: Request, principal: Principal, route: str, fingerprint: str
) -> IdempotencyKey | None:
    """The idempotency key of a request, or None if it has none.

    Args:
        route: method and path template, `POST /generate-dynamics`.
        fingerprint: see `json_fingerprint`, `form_fingerprint`.

    Raises:
        ParameterError: the header is no key, or is sent twice.
    """
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise ParameterError(
            "Idempotency-Key is not a key",
            remedy="Send 1 to 255 visible ASCII characters, once.",
            code="idempotency_key",
        )
    return IdempotencyKey(_scope(request, principal), route, given[0], fingerprint)


def json_fingerprint(body: object) -> str:
    """sha256 of a JSON value, whatever the order of its names."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def form_fingerprint(
    fields: Mapping[str, Sequence[str]], files: Mapping[str, Sequence[str]]
) -> str:
    """sha256 of a form: its fields, and the sha256 (hex) of its files, by name."""
    plain = [
        {name: list(values) for name, values in sorted(part.items())} for part in (fields, files)
    ]
    return json_fingerprint(plain)


async def answered_once(
    service: Service,
    key: IdempotencyKey | None,
    work: Callable[[], Awaitable[StoredAnswer]],
    *,
    charge: Callable[[], None] | None = None,
    seconds: float = 180.0,
) -> Response:
    """The answer of a request that spends but makes no job: from `work`, or the one stored before.

    An error is not stored: the same request may be tried again.

    Args:
        key: from `key_of`; without one `work` is done.
        work: does what is asked for.
        charge: called before `work`, in a thread; see `charge_of`.
        seconds: after which a request that has vanished may be tried again.

    Raises:
        ConflictError: `conflict.idempotency`, `conflict.in_progress`.
        LimitError: by `charge`.
    """
    if key is None:
        answer = await work()
        return JSONResponse(dict(answer.body), answer.status)
    known = await in_thread(service.orders.begin_answer, key, seconds=seconds)
    if known is not None:
        return JSONResponse(dict(known.body), known.status, headers=REPLAYED)
    try:
        if charge is not None:
            await in_thread(charge)
        answer = await work()
    except BaseException:  # a caller who leaves cancels the work
        await in_thread(service.orders.abandon_answer, key)
        raise
    await in_thread(service.orders.finish_answer, key, answer)
    return JSONResponse(dict(answer.body), answer.status)


def _scope(request: Request, principal: Principal) -> str:
    """Whose key it is: the user's; an anonymous caller's key belongs to its address."""
    if principal.via != "anonymous":
        return principal.uid
    return principal.credential or (request.client.host if request.client else principal.uid)
