"""`/docs`: the OpenAPI document as one page, for people on this machine."""

import json
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from sunriza_assets.service.auth.addresses import Caller
from sunriza_assets.service.pages.layout import page
from sunriza_assets.service.request_errors import RequestError

__all__ = ["router"]

_CURL_METHODS: Final[Mapping[str, tuple[str, ...]]] = {"GET": (), "HEAD": ("-I",)}
_METHODS: Final = ("get", "head", "post", "put", "patch", "delete")


router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> Response:
    """The page; it exists for callers on this machine alone."""
    caller: Caller = request.state.client
    if not caller.loopback:
        raise RequestError("There is no such path", code="path")
    document = request.app.openapi()
    title = f"{document['info']['title']} {document['info']['version']}"
    return page(title, _body(document, str(request.base_url).rstrip("/")))


def _body(document: Mapping[str, Any], address: str) -> Iterator[str]:
    yield f"<p>{escape(document['info'].get('summary', ''))}"
    yield " <a href=openapi.json>OpenAPI document</a></p>"
    schemas = document.get("components", {}).get("schemas", {})
    for tag, operations in _by_tag(document).items():
        yield f"<h2>{escape(tag)}</h2>"
        for method, path, operation in operations:
            yield from _operation(method, path, operation, schemas, address)
    yield "<h2>Schemas</h2>"
    for name, schema in sorted(schemas.items()):
        yield f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
        yield f"<p>{escape(schema.get('description', ''))}</p>"
        required = set(schema.get("required", ()))
        rows = [
            (field, _kind(one) + (" (required)" if field in required else ""), one)
            for field, one in schema.get("properties", {}).items()
        ]
        yield from _table(rows)
        yield "</details>"


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
    found: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            if method in _METHODS:
                tag = (operation.get("tags") or ["other"])[0]
                found.setdefault(tag, []).append((method.upper(), path, operation))
    return found


def _operation(
    method: str,
    path: str,
    operation: Mapping[str, Any],
    schemas: Mapping[str, Any],
    address: str,
) -> Iterator[str]:
    yield f"<details><summary><span class=method>{method}</span> <code>{escape(path)}</code> "
    yield f"{escape(operation.get('summary', ''))}</summary>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    parameters = operation.get("parameters", ())
    if parameters:
        yield "<h4>Parameters</h4>"
        yield from _table(
            [
                (one["name"], f"{one['in']}, {_kind(one.get('schema', {}))}", one)
                for one in parameters
            ]
        )
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, body in content.items():
        yield f"<h4>Body: {escape(media_type)}</h4>"
        schema = body.get("schema", {})
        properties = schema.get("properties")
        if properties:
            yield from _table([(name, _kind(one), one) for name, one in properties.items()])
        else:
            yield f"<p>{_kind(schema)}</p>"
    yield "<h4>Answers</h4><table>"
    for status, named in operation.get("responses", {}).items():
        answer: Mapping[str, Any] = {"description": "A problem."} if "$ref" in named else named
        kinds = ", ".join(
            f"{escape(media_type)} {_kind(one.get('schema', {}))}"
            for media_type, one in answer.get("content", {}).items()
        )
        yield f"<tr><th>{escape(status)}<td>{escape(answer.get('description', ''))}<td>{kinds}"
    yield f"</table><pre>{escape(_curl(method, path, content, schemas, address))}</pre></details>"


def _table(rows: list[tuple[str, str, Mapping[str, Any]]]) -> Iterator[str]:
    """Rows of a name, a kind in HTML, and what has a description."""
    yield "<table>"
    for name, kind, described in rows:
        text = described.get("description", "")
        yield f"<tr><th><code>{escape(name)}</code><td>{kind}<td>{escape(text)}"
    yield "</table>"


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, as HTML."""
    reference = schema.get("$ref")
    if reference:
        name = escape(reference.rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(_kind(one) for one in choices)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in values)
    kind = escape(str(schema.get("type", "any")))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "from"),
            ("maximum", "to"),
            ("minLength", "at least"),
            ("maxLength", "at most"),
        )
        if key in schema
    ]
    return " ".join((kind, *bounds))


def _curl(
    method: str, path: str, content: Mapping[str, Any], schemas: Mapping[str, Any], address: str
) -> str:
    """A command that makes the call; names in braces and `@file` are to be replaced."""
    words = ["curl", *_CURL_METHODS.get(method, ("-X", method)), f"'{address}{path}'"]
    if "application/json" in content:
        body = json.dumps(_example(content["application/json"].get("schema", {}), schemas))
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(body)]
    elif "multipart/form-data" in content:
        form = content["multipart/form-data"].get("schema", {})
        fields = form.get("properties", {})
        shown = form.get("required") or [name for name in fields if _is_file(fields[name])]
        words += [
            f"-F {name}={'@file' if _is_file(fields[name]) else _example(fields[name], schemas)}"
            for name in shown
        ]
    return " ".join(words)


def _is_file(schema: Mapping[str, Any]) -> bool:
    return "contentMediaType" in schema


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that a schema gives as an example, or one with what it requires."""
    if "$ref" in schema:
        return _example(schemas.get(schema["$ref"].rpartition("/")[2], {}), schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][-1]
    for choice in schema.get("anyOf") or schema.get("oneOf") or ():
        return _example(choice, schemas)
    if schema.get("type", "object") != "object":
        return "..."
    fields = schema.get("properties", {})
    return {name: _example(fields[name], schemas) for name in schema.get("required", ())}
