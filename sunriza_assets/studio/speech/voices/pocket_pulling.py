"""Getting the weights of Pocket TTS: what its package's configurations name, into our folder.

The configuration is written anew with the paths of what was fetched, so that loading asks no hub.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import ModelError
from sunriza_assets.studio.files import write_json
from sunriza_assets.studio.hub import FetchedFile, HubFile, fetch
from sunriza_assets.studio.speech.voices.pocket_data import (
    FAMILY,
    LANGUAGES,
    LICENCE,
    REFERENCE,
    VOICES,
    language_of,
    package_folder,
    pull_command,
)

__all__ = ["pull_pocket"]

_STATES: Final = HubFile(
    "kyutai/pocket-tts-without-voice-cloning",
    "languages/{language}/embeddings/{name}.safetensors",
    "a7056f505a4a8ca72d8b5fb1440071d6f1a35739",
)


def pull_pocket(
    models: Path, voice: str, *, endpoint: str | None = None, configs: Path | None = None
) -> Iterator[str]:
    """Get what a voice needs and is not there yet.

    Args:
        models: the models folder.
        voice: as `de-juergen`, or `de-reference` for imitation; German if not given.
        endpoint: the hub's address; None for the official one.
        configs: folder of the models' configurations; the package's if not given.

    Yields:
        One line for each thing done.

    Raises:
        ModelError: the package is not installed, a file cannot be had, or there is no such voice.
    """
    voice = voice or f"de-{VOICES['de'][0]}"
    language = language_of(voice)
    folder, command = models / FAMILY, pull_command(voice)
    if (folder / f"{voice}.pulled.json").is_file():
        return
    name = voice.partition("-")[2]
    cloning = name == REFERENCE
    source = (configs or package_folder() / "config") / f"{LANGUAGES[language]}.yaml"
    config: dict[str, Any] = yaml.safe_load(source.read_text("utf-8"))
    address = config["weights_path" if cloning else "weights_path_without_voice_cloning"]
    wanted = {
        f"{language}.cloning.safetensors" if cloning else f"{language}.safetensors": address,
        f"{language}.tokenizer.json": config["flow_lm"]["lookup_table"]["tokenizer_path"],
    }
    fetched = [
        _fetched(_hub_file(path), folder / own, command, endpoint) for own, path in wanted.items()
    ]
    if not cloning:
        state = HubFile(
            _STATES.repository,
            _STATES.path.format(language=LANGUAGES[language], name=name),
            _STATES.revision,
        )
        own = folder / f"{voice}.voice.safetensors"
        fetched.append(_fetched(state, own, command, endpoint))
    weights, tokenizer, *_ = (file.path for file in fetched)
    config["weights_path"] = str(weights.absolute())
    config["weights_path_without_voice_cloning"] = None
    config["flow_lm"]["lookup_table"]["tokenizer_path"] = str(tokenizer.absolute())
    with replacing(folder / f"{voice}.yaml") as file:
        file.write(yaml.safe_dump(config, sort_keys=False).encode())
    hashes = {file.path.name: {"sha256": file.sha256, "size": file.size} for file in fetched}
    together = hashlib.sha256("".join(file.sha256 for file in fetched).encode()).hexdigest()
    write_json(
        folder / f"{voice}.pulled.json",
        {"sha256": together, "licence": LICENCE, "files": hashes},
    )
    yield f"pocket {voice}: {sum(file.size for file in fetched) / 1e6:.0f} MB, licence {LICENCE}"


def _hub_file(address: str) -> HubFile:
    """`hf://owner/name/path@commit` as a file of the hub.

    Raises:
        ModelError: it is another kind of address.
    """
    owner, _, rest = str(address).removeprefix("hf://").partition("/")
    name, _, path = rest.partition("/")
    path, _, revision = path.partition("@")
    if not (str(address).startswith("hf://") and path and revision):
        raise ModelError(
            f"The configuration of Pocket TTS names weights in another way: {address}",
            remedy="Install the version that this system was made for: pip install 'pocket-tts<5'",
            code="foreign",
        )
    return HubFile(f"{owner}/{name}", path, revision)


def _fetched(file: HubFile, destination: Path, command: str, endpoint: str | None) -> FetchedFile:
    """The file, from the hub or as another voice of its language has brought it."""
    if destination.is_file():
        with destination.open("rb") as there:
            sha256 = hashlib.file_digest(there, "sha256").hexdigest()
        return FetchedFile(destination, sha256, destination.stat().st_size, file.revision)
    return fetch(file, destination, command=command, endpoint=endpoint)
