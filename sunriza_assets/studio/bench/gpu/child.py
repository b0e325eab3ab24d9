"""The child of `runner`: does one step, keeps each part of its result in a file at once, ends.

It ends with its parent, however that ends: a GPU must not be held by a measurement nobody waits
for. What it prints is kept by the parent.
"""

import importlib
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sunriza_assets.atomic import replacing
from sunriza_assets.studio.bench.gpu.plan import Settings

__all__ = ["main", "plain"]


def main() -> None:
    """Do the step that one line of JSON on standard input describes."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    result: dict[str, Any] = {}
    path = Path(request["result"])

    def note(key: str, value: Any) -> None:
        result[key] = plain(value)
        with replacing(path) as file:
            file.write(json.dumps(result, allow_nan=False).encode())

    from sunriza_assets.studio.bench.gpu.bench import Bench

    module, _, function = request["target"].partition(":")
    step = getattr(importlib.import_module(module), function)
    argument = request["argument"]
    step(Bench(Settings(**request["settings"])), note, *([] if argument is None else [argument]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the result is kept: a library that crashes when it is unloaded spoils nothing


def plain(value: Any) -> Any:
    """JSON values, floats with four significant digits, those that are not finite as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else str(value)
    return value


def _end_with_parent() -> None:
    """Wait for the end of standard input, which is the parent's end, and leave nothing behind."""
    while os.read(0, 1):  # not through `sys.stdin`, whose lock the interpreter wants when it ends
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
