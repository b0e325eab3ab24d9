"""Key of a template in the content-addressed cache: a hash of everything that determines it."""

import hashlib
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sunriza_assets.studio.motion.template import SCHEMA_VERSION

__all__ = ["Value", "template_key"]

Value = str | int | float | bool | None
_NONE: Final[Mapping[str, Value]] = MappingProxyType({})


def template_key(
    clip_sha256: str, identity: Mapping[str, str], parameters: Mapping[str, Value] = _NONE
) -> str:
    """64 hex digits that differ whenever the template would.

    Neither the avatar nor the clip's name nor any render parameter goes in: two avatars with the
    same clip share a template, and a re-render never extracts.

    Args:
        clip_sha256: hash of the trimmed clip's bytes.
        identity: the engine's `extraction_identity()`: extractor, version, model hashes.
        parameters: parameters of the extraction, if it has any. 1 and 1.0 are one value.

    Raises:
        ValueError: a parameter is not a finite number.
    """
    payload = {
        "schema": SCHEMA_VERSION,
        "clip": clip_sha256,
        "identity": dict(identity),
        "parameters": {name: _canonical_number(value) for name, value in parameters.items()},
    }
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical_number(value: Value) -> Value:
    """1.0 as 1, so that a number keeps its key however it was written."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value
