"""What a Modal container does with one call: the deployed app's own class, in a process of its own.

python -m sunriza_assets_tests.fleet.modal_container '{"do": "identity", "engine": "mesh"}'
"""

import importlib.util
import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from sunriza_assets_tests.processes import ask_module

__all__ = ["APP", "FOLDER", "SERVICE", "call", "loaded_app", "main"]

FOLDER = Path(__file__).parents[2] / "deploy" / "modal"
APP = FOLDER / "app.py"
SERVICE = FOLDER / "service.py"


def loaded_app(file: Path = APP) -> ModuleType:
    """An app as `modal deploy` loads it; no account is needed to describe it."""
    spec = importlib.util.spec_from_file_location(f"sunriza_modal_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    app = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))  # as Modal does
    try:
        spec.loader.exec_module(app)
    finally:
        sys.path.remove(str(file.parent))
    return app


def call(request: dict[str, Any]) -> Mapping[str, Any]:
    """Take Modal's place: hand the request to a container and wait for its answer."""
    return ask_module("sunriza_assets_tests.fleet.modal_container", request)


def main() -> None:
    """Answer the request in the first argument."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Modal says that a local call has no volume
        answer = loaded_app().Steps().serve.local(json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
