"""Firestore's values: their order across types, and field paths into documents.

The order is the documented one ("Value type ordering" in Google's Firestore documentation): null,
boolean, number (NaN first, integers and doubles compared by value), timestamp, string (UTF-8
bytes), bytes, reference (by segments), geo point, array, map.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

# Protobuf messages are used bare (`.pb()`), a tenth of the price of proto-plus wrappers.
Value = Any
Document = Any
SortKey = tuple[Any, ...]

_SEGMENT = re.compile(r"`((?:[^`\\]|\\.)*)`|([a-zA-Z_][a-zA-Z_0-9]*)")


def sort_key(value: Value) -> SortKey:
    """A key under which Python's order is Firestore's; equal keys are equal values."""
    kind = value.WhichOneof("value_type")
    if kind not in _KEYS:
        raise ValueError(f"a value of unknown type {kind}")
    return _KEYS[kind](getattr(value, kind))


def _number_key(number: float) -> SortKey:
    return (2, 0, 0) if math.isnan(number) else (2, 1, number)


def _map_key(value: Any) -> SortKey:
    return (
        9,
        tuple((name.encode(), sort_key(value.fields[name])) for name in sorted(value.fields)),
    )


_KEYS: dict[str, Callable[[Any], SortKey]] = {
    "null_value": lambda _: (0,),
    "boolean_value": lambda value: (1, value),
    "integer_value": _number_key,
    "double_value": _number_key,
    "timestamp_value": lambda value: (3, value.seconds, value.nanos),
    "string_value": lambda value: (4, value.encode()),
    "bytes_value": lambda value: (5, value),
    "reference_value": lambda value: (6, name_key(value)),
    "geo_point_value": lambda value: (7, value.latitude, value.longitude),
    "array_value": lambda value: (8, tuple(sort_key(entry) for entry in value.values)),
    "map_value": _map_key,
}


def type_of(key: SortKey) -> int:
    """The group of types that a key belongs to; inequalities hold only within one."""
    return int(key[0])


def name_key(name: str) -> SortKey:
    """Order of document names: segment by segment, by UTF-8 bytes."""
    return tuple(part.encode() for part in name.split("/"))


def parse_path(text: str) -> list[str]:
    """The names in a field path such as ``dynamics.basic.`odd name` ``."""
    names, at = [], 0
    while match := _SEGMENT.match(text, at):
        quoted, plain = match.groups()
        names.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
        if at == len(text):
            return names
        if text[at] != ".":
            break
        at += 1
    raise ValueError(f"{text!r} is not a field path")


def get_field(document: Document, path: Sequence[str]) -> Value | None:
    """The value at a path, or None."""
    fields, value = document.fields, None
    for name in path:
        if name not in fields:
            return None
        value = fields[name]
        fields = value.map_value.fields
    return value


def set_field(document: Document, path: Sequence[str], value: Value) -> None:
    """Put a value at a path; maps are made on the way, and replace what is none."""
    *parents, last = path
    fields = document.fields
    for name in parents:
        child = fields[name]
        if child.WhichOneof("value_type") != "map_value":
            child.map_value.SetInParent()
        fields = child.map_value.fields
    fields[last].CopyFrom(value)


def delete_field(document: Document, path: Sequence[str]) -> None:
    """Remove what is at a path, if anything is."""
    *parents, last = path
    fields = document.fields
    for name in parents:
        if name not in fields:
            return
        fields = fields[name].map_value.fields
    if last in fields:
        del fields[last]
