"""The published weight files: which there are, where they lie, and how they get there.

They lie below the models folder as they do in the hub's repository, so that a copy of it, or the
`pretrained_weights` folder of an existing installation, can be used as it is:

    liveportrait/base_models/appearance_feature_extractor.pth     and three more
    liveportrait/retargeting_models/stitching_retargeting_module.pth
    liveportrait/landmark.onnx          optional: 203 landmarks, LivePortrait's own
    liveportrait/weights.json           record of the pull: revision, size and hash of every file

A file may have the suffix `.safetensors` instead. Nothing here loads torch before a file's content
has to be looked at: listing models and choosing an engine stay quick.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.model_store import ModelEntry
from sunriza_assets.studio.files import write_json

__all__ = [
    "PULL_COMMAND",
    "REPOSITORY",
    "WEIGHT_FILES",
    "WeightFile",
    "landmarker_path",
    "pull_weights",
    "recorded_hashes",
    "sha256_of",
    "weight_entries",
    "weight_path",
    "weights_present",
]

REPOSITORY: Final = "KwaiVGI/LivePortrait"
"""On the Hugging Face hub."""
PULL_COMMAND: Final = "sunriza models pull liveportrait"
FAMILY: Final = "liveportrait"
LICENCE: Final = "MIT"
_LANDMARKER: Final = Path(FAMILY, "landmark.onnx")
_RECORD: Final = Path(FAMILY, "weights.json")
_OTHER_SUFFIX: Final = ".safetensors"


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of the hub's repository."""

    name: str
    """Name of the model."""
    path: Path
    """Below the models folder, and in the repository."""
    nets: tuple[str, ...]
    """Networks in it, by their names in the manifest."""
    size: int
    """Bytes, about."""
    purpose: str
    """What it does, one clause."""


def _base(net: str, size: int, purpose: str) -> WeightFile:
    return WeightFile(net, Path(FAMILY, "base_models", f"{net}.pth"), (net,), size, purpose)


WEIGHT_FILES: Final = (
    _base("appearance_feature_extractor", 3_400_000, "reads a portrait's features"),
    _base("motion_extractor", 112_500_000, "reads pose and expression of a face"),
    _base("warping_module", 182_200_000, "moves features to where keypoints are"),
    _base("spade_generator", 221_800_000, "paints the picture"),
    WeightFile(
        "stitching_retargeting_module",
        Path(FAMILY, "retargeting_models", "stitching_retargeting_module.pth"),
        ("stitching", "eye", "lip"),
        2_400_000,
        "keeps shoulders still; opens and closes eyes and lips",
    ),
)


def weights_present(root: Path) -> bool:
    """Whether all weight files are there; their content is not looked at."""
    return all(_found(root, file) is not None for file in WEIGHT_FILES)


def weight_path(root: Path, net: str) -> Path:
    """The file that holds a network.

    Args:
        root: the models folder.
        net: a key of the manifest.

    Raises:
        ModelError: it is not there; the message names the command that gets it.
    """
    for file in WEIGHT_FILES:
        if net in file.nets:
            found = _found(root, file)
            if found is None:
                raise ModelError(
                    f"LivePortrait's weights are missing: {file.path.name}",
                    where=root / file.path,
                    remedy=f"Run: {PULL_COMMAND}",
                    code="missing",
                )
            return found
    raise KeyError(net)


def landmarker_path(root: Path) -> Path | None:
    """LivePortrait's own landmark model, where somebody has put it."""
    path = root / _LANDMARKER
    return path if path.is_file() else None


def weight_entries(root: Path) -> list[ModelEntry]:
    """All weight files for `sunriza models list`, there or not."""
    hashes = recorded_hashes(root)
    entries = []
    for file in WEIGHT_FILES:
        found = _found(root, file)
        path = found or root / file.path
        entries.append(
            ModelEntry(
                family=FAMILY,
                name=file.name,
                present=found is not None,
                sha256=hashes.get(path.relative_to(root).as_posix(), ""),
                size=found.stat().st_size if found else file.size,
                licence=LICENCE,
                path=path,
                purpose=file.purpose,
            )
        )
    return entries


def recorded_hashes(root: Path) -> Mapping[str, str]:
    """Path below the models folder -> SHA-256 at the time of the pull; empty without a record."""
    files: Mapping[str, Mapping[str, Any]] = _record(root).get("files", {})
    return {path: str(said["sha256"]) for path, said in files.items()}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pull_weights(
    root: Path, *, source: Path | None = None, endpoint: str | None = None
) -> Iterator[str]:
    """Get the weight files that are not there yet, check every tensor, record every hash.

    A download that was cut off goes on where it stopped; its progress is shown on standard error.
    The hub's revision of the first pull is recorded and kept to by later ones.

    Args:
        root: the models folder; made when it is not there.
        source: a folder that has the files already, laid out as the repository or flat.
        endpoint: the hub's address; None for the official one.

    Yields:
        One line for each thing done, none when all was there.

    Raises:
        ModelError: a file cannot be had, or is not what it should be.
    """
    from sunriza_assets.studio.engines.liveportrait.checkpoints import read_states

    folder = root / FAMILY
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        record = _record(root)
        files: dict[str, Any] = dict(record.get("files", {}))
        revision = record.get("revision")
        for file in WEIGHT_FILES:
            found = _found(root, file)
            came = "found"
            if found is None and source is not None:
                found, came = _copied(source, root, file), "copied"
            elif found is None:
                revision = revision or _newest_revision(endpoint)
                found, came = _downloaded(root, file, revision, endpoint), "downloaded"
            key = found.relative_to(root).as_posix()
            if key in files:
                continue
            read_states(found, file.nets)
            files[key] = {"sha256": sha256_of(found), "size": found.stat().st_size}
            write_json(root / _RECORD, {"revision": revision, "files": files})
            yield f"{file.name}: {came}, {files[key]['size'] / 1e6:.0f} MB, every tensor checked"
        if source is not None and landmarker_path(root) is None:
            yield from _copied_landmarker(source, root)


def _found(root: Path, file: WeightFile) -> Path | None:
    for path in (root / file.path, (root / file.path).with_suffix(_OTHER_SUFFIX)):
        if path.is_file():
            return path
    return None


def _record(root: Path) -> dict[str, Any]:
    path = root / _RECORD
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The record of the pulled weights cannot be read: {error}",
            where=path,
            remedy=f"Delete it and run: {PULL_COMMAND}",
            code="damaged",
        ) from error
    return document if isinstance(document, dict) else {}


def _copied(source: Path, root: Path, file: WeightFile) -> Path:
    """Copy a file out of a folder; looked at first, so that nothing foreign is put in place."""
    from sunriza_assets.studio.engines.liveportrait.checkpoints import read_states

    below_family = Path(*file.path.parts[1:])
    for place in (file.path, below_family, Path(file.path.name)):
        for path in (source / place, (source / place).with_suffix(_OTHER_SUFFIX)):
            if path.is_file():
                read_states(path, file.nets)
                destination = (root / file.path).with_suffix(path.suffix)
                _copy(path, destination)
                return destination
    raise ModelError(
        f"{file.path.name} is not in the folder",
        where=source,
        remedy=f"It should be at {file.path.as_posix()} there; without --from it is downloaded.",
        code="missing",
    )


def _copied_landmarker(source: Path, root: Path) -> Iterator[str]:
    for place in (_LANDMARKER, Path(_LANDMARKER.name)):
        if (source / place).is_file():
            _copy(source / place, root / _LANDMARKER)
            yield f"{_LANDMARKER.name}: copied"
            return


def _copy(path: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as come, replacing(destination) as go:
        shutil.copyfileobj(come, go, 1 << 20)


def _newest_revision(endpoint: str | None) -> str:
    """The commit that `main` points at, so that all files come from one."""
    from huggingface_hub import HfApi

    with _hub_errors("revision"):
        return str(HfApi(endpoint=endpoint).model_info(REPOSITORY).sha)


def _downloaded(root: Path, file: WeightFile, revision: str, endpoint: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    with _hub_errors(file.path.as_posix()):
        return Path(
            hf_hub_download(
                REPOSITORY,
                file.path.as_posix(),
                revision=revision,
                local_dir=root,
                endpoint=endpoint,
            )
        )


@contextmanager
def _hub_errors(asked: str) -> Iterator[None]:
    """The hub's many errors as one that says what to do."""
    from huggingface_hub import errors

    # The base of its client's errors; which client that is differs between the hub's versions.
    network_error = errors.HTTPError  # type: ignore[attr-defined]
    try:
        yield
    except (network_error, errors.LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"LivePortrait's weights cannot be downloaded: {error}",
            where=f"{REPOSITORY}: {asked}",
            remedy=f"Run it again, it goes on where it stopped; or, with a copy of the files at "
            f"hand: {PULL_COMMAND} --from DIR",
            code="unreachable",
        ) from error
