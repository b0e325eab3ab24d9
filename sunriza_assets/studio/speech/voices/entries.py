"""The weights of voices for `sunriza models list`: there or not, hash, size, licence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sunriza_assets.studio.face.model_store import ModelEntry
from sunriza_assets.studio.speech.voices import kokoro_data, piper_data, pocket_data

__all__ = ["voice_entries"]

_PIPER_BYTES: Final = 63_201_294
_KOKORO_BYTES: Final = 92_361_271
_POCKET_BYTES: Final = 240_000_000
"""About; it differs from language to language."""
_STYLE_BYTES: Final = 522_368


def voice_entries(models: Path) -> list[ModelEntry]:
    """All weights of voices, there or not.

    Args:
        models: the models folder.
    """
    return [*_piper(models), *_kokoro(models), *_pocket(models)]


def _piper(models: Path) -> Iterator[ModelEntry]:
    here = {voice.name: voice for voice in piper_data.installed_voices(models)}
    for voice in here.values():
        yield ModelEntry(
            family=piper_data.FAMILY,
            name=voice.name,
            present=True,
            sha256=voice.sha256,
            size=voice.model.stat().st_size,
            licence=voice.licence,
            path=voice.model,
            purpose=f"speaks {voice.language}",
        )
    for known in piper_data.KNOWN:
        if known.name not in here:
            yield ModelEntry(
                family=piper_data.FAMILY,
                name=known.name,
                present=False,
                sha256="",
                size=_PIPER_BYTES,
                licence=piper_data.CARD_LICENCE,
                path=models / piper_data.FAMILY / f"{known.name}.onnx",
                purpose=f"speaks {known.language}",
            )


def _kokoro(models: Path) -> Iterator[ModelEntry]:
    record = models / kokoro_data.FAMILY / "pulled.json"
    sha256 = str(json.loads(record.read_text("utf-8"))["sha256"]) if record.is_file() else ""
    model = models / kokoro_data.FAMILY / "model.onnx"
    yield ModelEntry(
        family=kokoro_data.FAMILY,
        name="model",
        present=bool(sha256),
        sha256=sha256,
        size=model.stat().st_size if sha256 else _KOKORO_BYTES,
        licence=kokoro_data.LICENCE,
        path=model,
        purpose="speaks from IPA with any of its voices",
    )
    for name, language in kokoro_data.HUB_VOICES.items():
        path = kokoro_data.voice_path(models, name)
        yield ModelEntry(
            family=kokoro_data.FAMILY,
            name=name,
            present=path.is_file(),
            sha256="",
            size=_STYLE_BYTES,
            licence=kokoro_data.LICENCE,
            path=path,
            purpose=f"a voice that speaks {language}",
        )


def _pocket(models: Path) -> Iterator[ModelEntry]:
    for name in pocket_data.voice_names():
        record = models / pocket_data.FAMILY / f"{name}.pulled.json"
        there = record.is_file()
        facts = json.loads(record.read_text("utf-8")) if there else {}
        yield ModelEntry(
            family=pocket_data.FAMILY,
            name=name,
            present=there,
            sha256=str(facts.get("sha256", "")),
            size=sum(int(file["size"]) for file in facts["files"].values())
            if there
            else _POCKET_BYTES,
            licence=pocket_data.LICENCE,
            path=record.with_name(f"{name}.yaml"),
            purpose="imitates a reference voice"
            if name.endswith(f"-{pocket_data.REFERENCE}")
            else f"speaks {pocket_data.language_of(name)}",
        )
