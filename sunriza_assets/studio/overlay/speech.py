"""The script that reads text as visemes in a browser, and the tables it reads it by.

`speech.json` is the one table of letters, other scripts and number words; `speech.js` works by it.
A page puts what `speech_script` returns into a script element of its own.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

__all__ = ["inside_script", "speech_script", "speech_tables"]

_FOLDER = files("sunriza_assets.studio.overlay")


def speech_tables() -> dict[str, Any]:
    """The tables: letters -> visemes, letters of other scripts -> letters, words of numbers."""
    return dict(json.loads(_FOLDER.joinpath("speech.json").read_text("utf-8")))


def speech_script() -> str:
    """JavaScript that defines `score(text, language)` and `leftOut(score)`, among others."""
    script = _FOLDER.joinpath("speech.js").read_text("utf-8")
    return f"const SPEECH = {inside_script(speech_tables())};\n{script}"


def inside_script(document: Mapping[str, Any]) -> str:
    """JSON that no name or value in it can break out of a script element with."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
