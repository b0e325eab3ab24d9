"""Where eSpeak NG lies and what it can speak, read from its data files; loads no library."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sunriza_assets.errors import ModelError

__all__ = [
    "ESPEAK_INSTALL",
    "LICENCE",
    "STANDARD",
    "EspeakPlace",
    "espeak_version",
    "find_espeak",
    "has_espeak",
    "language_file",
    "languages",
    "variants",
]

LICENCE: Final = "GPL-3.0-or-later"
"""Of the program; what it speaks is free."""
STANDARD: Final = "standard"
"""The voice without a variant."""
ESPEAK_INSTALL: Final = "pip install 'sunriza-assets[speech]'"
_PACKAGE: Final = "espeakng_loader"
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "zh": "cmn",
    "zh-cn": "cmn",
    "zh-tw": "cmn",
    "zh-hk": "yue",
    "no": "nb",
    "nn": "nb",
}
"""BCP 47 -> eSpeak NG's name for the language."""
_VARIANTS: Final = (
    *("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"),
    *("klatt", "klatt2", "klatt3", "klatt4", "whisper", "whisperf"),
)
"""Variants of every language's voice, female, male, by another synthesiser, whispering."""
_USUAL_RANK: Final = 5
"""Of a language that a voice file names without one; lower is better."""


@dataclass(frozen=True, slots=True)
class EspeakPlace:
    """The files of eSpeak NG."""

    library: Path
    data: Path
    """The folder `espeak-ng-data`."""


def has_espeak() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


def find_espeak() -> EspeakPlace:
    """The library and its data, in the installed package.

    Raises:
        ModelError: it is not installed; the message names the command.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ModelError(
            "eSpeak NG is not installed", remedy=f"Run: {ESPEAK_INSTALL}", code="missing"
        )
    folder = Path(found.origin).parent
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    return EspeakPlace(folder / f"libespeak-ng{suffix}", folder / "espeak-ng-data")


@cache
def espeak_version() -> str:
    """Version of the package; `` if it is not installed."""
    try:
        return importlib.metadata.version("espeakng-loader")
    except importlib.metadata.PackageNotFoundError:
        return ""


@cache
def _files() -> Mapping[str, str]:
    """Language tag in lower case -> voice file below `lang`, as `gmw/de`."""
    data = find_espeak().data
    root = data / "lang"
    ranked: dict[str, tuple[int, str]] = {}
    for path in sorted(file for file in root.rglob("*") if file.is_file()):
        lines = [line.split() for line in path.read_text("utf-8", "replace").splitlines()]
        tags = [words[1:] for words in lines if len(words) > 1 and words[0] == "language"]
        own = [words[1] for words in lines if len(words) > 1 and words[0] == "dictionary"]
        names = own or [tag.partition("-")[0] for tag, *_ in tags]
        if not any((data / f"{name}_dict").is_file() for name in names):
            continue  # a few come without their dictionary
        for tag, *rank in tags:
            place = int(rank[0]) if rank and rank[0].isdigit() else _USUAL_RANK
            if tag.lower() not in ranked or place < ranked[tag.lower()][0]:
                ranked[tag.lower()] = (place, path.relative_to(root).as_posix())
    return {tag: file for tag, (_, file) in ranked.items()}


def languages() -> tuple[str, ...]:
    """Every language tag that it knows, in order; none if it is not installed."""
    return tuple(sorted(_files())) if has_espeak() else ()


def variants() -> tuple[str, ...]:
    """Names of the variants of every voice."""
    return _VARIANTS


def language_file(language: str) -> str | None:
    """The voice file of a language, of a wider one (`de` for `de-at`), or None."""
    tag = language.lower()
    while tag:
        file = _files().get(tag) or _files().get(_OTHER_NAMES.get(tag, ""))
        if file is not None:
            return file
        tag = tag.rpartition("-")[0]
    return None
