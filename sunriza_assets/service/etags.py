"""Entity tags: answers that an unchanged caller is not sent again (RFC 9110, 8.8.3 and 13.1.2)."""

import hashlib
import re
from typing import Final

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

__all__ = ["is_known", "known_tags", "tagged_json"]

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')


def known_tags(request: Request) -> frozenset[str] | None:
    """The tags in If-None-Match without quotes, weak or strong; None without the header."""
    header = request.headers.get("if-none-match")
    if header is None:
        return None
    return frozenset({"*"}) if header.strip() == "*" else frozenset(_TAG.findall(header))


def is_known(request: Request, tag: str) -> bool:
    """Whether the caller has what this tag names, as a header has it.

    Weak tags compare as strong ones, as If-None-Match demands.
    """
    known = known_tags(request) or ()
    return "*" in known or tag.removeprefix("W/").strip('"') in known


def tagged_json(request: Request, answer: BaseModel) -> Response:
    """The answer with a weak tag of its content; 304 if the caller has it."""
    body = answer.model_dump_json().encode()
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
    sent = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_known(request, tag):
        return Response(status_code=304, headers=sent)
    return Response(body, media_type="application/json", headers=sent)
