"""Write docs/api.md from the service's OpenAPI document: `make docs`; a test compares.

What a schema cannot say (how to watch a job, how a webhook is checked) is in api_introduction.txt,
so that the page itself is never edited by hand.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from resources.home import Home
from resources.orders.sqlite import SqliteOrders
from resources.settings import Settings
from resources.stores import open_stores
from sunriza_assets.service.app import create_app
from sunriza_assets.service.context import Service
from sunriza_assets.service.engine_socket import EngineSocket

PAGE: Final = Path(__file__).with_name("api.md")
_INTRODUCTION: Final = Path(__file__).with_name("api_introduction.txt")
"""Markdown that the page is opened with; no page of its own."""
_SUBJECTS: Final[Mapping[str, str]] = {
    "dynamics": "Making an avatar's idle and overlay",
    "avatars": "Avatars",
    "versions": "Versions",
    "files": "Files",
    "inspect": "Advice before anything is stored",
    "performances": "Built-in performances",
    "jobs": "Jobs",
    "streams": "Streams",
    "speech": "Speech",
    "emotions": "Which emotions there are",
    "render": "Emotion pictures",
    "output": "Outputs",
    "trim": "Trimming a clip",
    "gallery": "Gallery",
    "costs": "Costs",
    "keys": "Keys",
    "me": "The caller",
    "health": "Health and readiness",
    "metrics": "Metrics",
}
_METHODS: Final = ("get", "head", "post", "put", "patch", "delete")


def page() -> str:
    """The whole page, as Markdown."""
    document = openapi()
    introduction = _INTRODUCTION.read_text("utf-8").strip()
    return "\n\n".join([introduction, *_operations(document), *_schemas(document)]) + "\n"


def openapi() -> dict[str, Any]:
    """The document of a service that knows its callers."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        service = Service(
            settings=Settings.from_environment({"SUNRIZA_HOME": folder}),
            home=home,
            orders=SqliteOrders(home.root / "service.db"),
            stores=open_stores(),
            engine=EngineSocket(home.root / "engine.sock"),
            open_mode=False,
        )
        document: dict[str, Any] = create_app(service).openapi()
        service.orders.close()
        return document


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    """A section for each subject, an entry for each method and path."""
    by_subject: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                (subject, *_) = operation.get("tags", ["other"])
                by_subject.setdefault(subject, []).append(_operation(method, path, operation))
    named = {**_SUBJECTS, **{tag: tag.capitalize() for tag in by_subject if tag not in _SUBJECTS}}
    for subject, title in named.items():
        if subject in by_subject:
            yield "\n\n".join([f"## {title}", *by_subject[subject]])


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    lines = [f"### {method.upper()} {path}", operation.get("summary", "").rstrip(".") + "."]
    if description := operation.get("description", "").strip():
        lines.append(description)
    parameters = [
        f"| `{one['name']}` | {one['in']} | {_kind(one['schema'])} |"
        f" {'yes' if one.get('required') else _default(one['schema'])} |"
        f" {_text(one.get('description') or one['schema'].get('description'))} |"
        for one in operation.get("parameters", [])
    ]
    if parameters:
        lines.append(_table("| parameter | in | kind | needed | meaning |", parameters))
    if body := operation.get("requestBody"):
        kinds = [
            f"`{kind}`: {_kind(content.get('schema', {}))}"
            for kind, content in body["content"].items()
        ]
        lines.append("Body: " + "; ".join(kinds) + ".")
        for content in body["content"].values():
            schema = content.get("schema", {})
            if "properties" in schema:
                lines.append(_fields(schema))
                break
    answers = [
        f"| {status} | {_content(answer)} | {_text(_summary(answer))} |"
        for status, answer in sorted(operation["responses"].items())
        if "$ref" not in answer
    ]
    lines.append(_table("| answer | body | when |", answers))
    return "\n\n".join(lines)


def _content(answer: Mapping[str, Any]) -> str:
    found = [
        _kind(content["schema"]) if content.get("schema") else f"`{kind}`"
        for kind, content in answer.get("content", {}).items()
    ]
    return ", ".join(found) or "none"


def _summary(answer: Mapping[str, Any]) -> str:
    text = str(answer.get("description", ""))
    return "" if text == "Successful Response" else text


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    """A section with the fields of each schema."""
    entries = [
        "\n\n".join(
            part
            for part in (f"### {name}", _text(schema.get("description")), _fields(schema))
            if part
        )
        for name, schema in sorted(document.get("components", {}).get("schemas", {}).items())
    ]
    if entries:
        yield "\n\n".join(["## Schemas", *entries])


def _fields(schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        return _kind(schema)
    needed = set(schema.get("required", ()))
    rows = [
        f"| `{name}` | {_kind(field)} | {'yes' if name in needed else _default(field)} |"
        f" {_text(field.get('description'))} |"
        for name, field in schema["properties"].items()
    ]
    return _table("| field | kind | needed | meaning |", rows)


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{value}`" for value in values)
    if choices := [one for word in ("anyOf", "oneOf", "allOf") for one in schema.get(word, ())]:
        return " or ".join(dict.fromkeys(map(_kind, choices)))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {_kind(schema['additionalProperties'])}"
    return f"{schema.get('format', kind)}{_range(schema)}"


def _range(schema: Mapping[str, Any]) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum", schema.get("minLength")))
    high = schema.get("maximum", schema.get("exclusiveMaximum", schema.get("maxLength")))
    unit = " characters" if "maxLength" in schema or "minLength" in schema else ""
    if low is None and high is None:
        return ""
    if low is None:
        return f", at most {high:g}{unit}"
    if high is None:
        return f", at least {low:g}{unit}"
    return f", {low:g} to {high:g}{unit}"


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "no" if default is None else f"no; `{default}`"


def _text(text: object) -> str:
    """One line that breaks no table."""
    return " ".join(str(text or "").split()).replace("|", "\\|")


def _table(head: str, rows: list[str]) -> str:
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *rows])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
