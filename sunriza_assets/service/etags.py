"""JSON answers with an entity tag, which an unchanged answer is not sent again for."""

import hashlib
from collections.abc import Mapping

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

__all__ = ["tagged_json"]


def tagged_json(
    request: Request, answer: BaseModel, *, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer with a weak tag of its content; 304 if the caller has it (`If-None-Match`)."""
    body = answer.model_dump_json().encode()
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
    sent = {"ETag": tag, "Cache-Control": "private, no-cache", **(headers or {})}
    known = request.headers.get("if-none-match", "")
    if known and any(one.strip() in (tag, tag[2:], "*") for one in known.split(",")):
        return Response(status_code=304, headers=sent)
    return Response(body, media_type="application/json", headers=sent)
