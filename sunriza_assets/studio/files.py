"""JSON documents on disk, whole ones only: `sunriza_assets.atomic` sees to that."""

import json
from pathlib import Path
from typing import Any

from sunriza_assets.atomic import replacing

__all__ = ["write_json"]


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document, one trailing newline, keys in the order given.

    Raises:
        StoreError: as `replacing` does.
        ValueError: it holds what JSON has no word for (NaN, infinity).
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    with replacing(path) as file:
        file.write(text.encode() + b"\n")
