"""XTTS-v2: what it needs and where that lies; loads no model.

    <models>/xtts/venv/             an environment of its own, made by the operator
    <models>/xtts/model.pth …       weights, after their licence was accepted
    <models>/xtts/pulled.json       record: hashes, and the licence that was accepted; written last

Its licence, CPML, allows non-commercial use only, of what it speaks too, and the company that sold
others closed in 2024. So it is never chosen by `auto` and speaks only for who accepts the licence.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.files import write_json
from sunriza_assets.studio.hub import HubFile, fetch

__all__ = [
    "ENVIRONMENT",
    "FAMILY",
    "LANGUAGES",
    "LICENCE",
    "PULL_COMMAND",
    "REFERENCE",
    "TO_ACCEPT",
    "VERSION",
    "VOICES",
    "find_interpreter",
    "find_weights",
    "pull_xtts",
]

FAMILY: Final = "xtts"
VERSION: Final = "1"
"""Raise it when the same request would sound different."""
LICENCE: Final = "MPL-2.0 AND LicenseRef-CPML"
TO_ACCEPT: Final = "cpml"
REFERENCE: Final = "reference"
"""Name of the voice that imitates."""
VOICES: Final = ("Claribel Dervla", "Damien Black")
"""Voices of the model that are offered, the usual one first."""
LANGUAGES: Final = (
    *("ar", "cs", "de", "en", "es", "fr", "hi", "hu", "it", "ja", "ko", "nl", "pl", "pt"),
    *("ru", "tr", "zh-cn"),
)
PULL_COMMAND: Final = f"sunriza models pull {FAMILY} --licence-accepted {TO_ACCEPT}"
_REPOSITORY: Final = "tts-hub/XTTS-v2"
_FILES: Final = ("config.json", "vocab.json", "speakers_xtts.pth", "model.pth")
ENVIRONMENT: Final = (
    "python3.11 -m venv {folder} &&"
    " {folder}/bin/pip install 'coqui-tts>=0.28,<0.29' torch torchaudio"
)
"""Commands that make the environment."""


def find_interpreter(models: Path) -> Path:
    """The interpreter of XTTS's own environment.

    Args:
        models: the models folder.

    Raises:
        ModelError: it is not there; the message names the commands.
    """
    folder = models / FAMILY / "venv"
    found = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not found.exists():
        raise ModelError(
            "The environment of XTTS is missing",
            where=folder,
            remedy=f"Run: {ENVIRONMENT.format(folder=folder)}",
            code="missing",
        )
    return found


def find_weights(models: Path) -> str:
    """SHA-256 of the weights.

    Raises:
        ModelError: they are not there; the message names the command.
    """
    try:
        facts: Mapping[str, Any] = json.loads((models / FAMILY / "pulled.json").read_text("utf-8"))
        return str(facts["files"]["model.pth"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "The weights of XTTS are missing",
            where=models / FAMILY,
            remedy=f"Run: {PULL_COMMAND}",
            code="missing",
        ) from error


def pull_xtts(
    models: Path, licences: frozenset[str], *, endpoint: str | None = None
) -> Iterator[str]:
    """Get the weights, 1.9 GB.

    Args:
        models: the models folder.
        licences: identifiers of licences that were accepted.
        endpoint: the hub's address; None for the official one.

    Yields:
        One line for each file.

    Raises:
        ModelError: the licence was not accepted, or a file cannot be had.
    """
    if TO_ACCEPT not in licences:
        raise ModelError(
            "XTTS may be used for non-commercial purposes only (CPML)",
            remedy=f"Read https://coqui.ai/cpml, and if you accept it run: {PULL_COMMAND}",
            code="licence",
        )
    folder = models / FAMILY
    if (folder / "pulled.json").is_file():
        return
    files: dict[str, Any] = {}
    for name in _FILES:
        fetched = fetch(
            HubFile(_REPOSITORY, name), folder / name, command=PULL_COMMAND, endpoint=endpoint
        )
        files[name] = {"sha256": fetched.sha256, "size": fetched.size, "commit": fetched.commit}
        yield f"xtts {name}: {fetched.size / 1e6:.0f} MB, licence {LICENCE}"
    write_json(folder / "pulled.json", {"licence_accepted": TO_ACCEPT, "files": files})
