"""JSON as the service takes it: RFC 8259 in UTF-8, and nothing that parsers read differently.

Refused: a byte order mark, other encodings, NaN and infinities, numbers too large for a double,
duplicate names, lone surrogates, NUL characters, more than 32 levels.
"""

import json
import math
from typing import Any, Final, NoReturn

from sunriza_assets.service.request_errors import RequestError

__all__ = ["DEPTH", "read_json"]

DEPTH: Final = 32
"""Levels of nesting."""


def read_json(text: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        RequestError: `request.json`.
    """
    if _depth(text) > DEPTH:
        _refuse(f"it is nested more than {DEPTH} levels deep")
    try:
        plain = text.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("it is not UTF-8")
    if plain.startswith("\ufeff"):
        _refuse("it begins with a byte order mark")
    try:
        value = json.loads(
            plain, parse_constant=_constant, parse_float=_float, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        _refuse(f"{error.msg} at character {error.pos}")
    except (ValueError, RecursionError):  # an integer of thousands of digits
        _refuse("a number has too many digits")
    if "\\u" in plain:
        _check_escapes(value)
    return value


def _depth(text: bytes) -> int:
    """Levels of nesting; an upper bound if that is small enough to be sure."""
    openings = text.count(b"[") + text.count(b"{")
    if openings <= DEPTH:
        return openings
    deepest = depth = 0
    in_string = escaped = False
    for byte in text:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > DEPTH:
                return depth
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _check_escapes(value: Any) -> None:
    r"""Refuse what only `\u` can write: lone surrogates, NUL."""
    plain = json.dumps(value, ensure_ascii=False)
    try:
        plain.encode("utf-8")
    except UnicodeEncodeError:
        _refuse("a text contains half of a surrogate pair")
    if "\\u0000" in plain.replace("\\\\", ""):
        _refuse("a text contains a NUL character")


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is no JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse("a number is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("an object has the same name twice")
    return found


def _refuse(reason: str) -> NoReturn:
    raise RequestError(f"The body cannot be read as JSON: {reason}", code="json")
