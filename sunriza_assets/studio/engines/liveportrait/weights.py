"""The published weight files: names, paths and hashes. `pulling` downloads them.

They lie below the models folder as they do in the hub's repository, so that a copy of it, or the
`pretrained_weights` folder of an existing installation, can be used as it is:

    liveportrait/base_models/appearance_feature_extractor.pth     and three more
    liveportrait/retargeting_models/stitching_retargeting_module.pth
    liveportrait/landmark.onnx          optional: 203 landmarks, LivePortrait's own
    liveportrait/weights.json           record of the pull: revision, size and hash of every file

A file may have the suffix `.safetensors` instead. Nothing here loads torch, so that listing models
and choosing an engine stay quick.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.model_store import ModelEntry

__all__ = [
    "FAMILY",
    "LANDMARKER",
    "OTHER_SUFFIX",
    "PULL_COMMAND",
    "RECORD",
    "WEIGHT_FILES",
    "WeightFile",
    "found_file",
    "landmarker_path",
    "pull_record",
    "recorded_hashes",
    "sha256_of",
    "weight_entries",
    "weight_path",
    "weights_present",
]

PULL_COMMAND: Final = "sunriza models pull liveportrait"
FAMILY: Final = "liveportrait"
LICENCE: Final = "MIT"
LANDMARKER: Final = Path(FAMILY, "landmark.onnx")
RECORD: Final = Path(FAMILY, "weights.json")
OTHER_SUFFIX: Final = ".safetensors"
"""What a weight file may end in besides .pth."""


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
    return all(found_file(root, file) is not None for file in WEIGHT_FILES)


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
            found = found_file(root, file)
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
    """The file of LivePortrait's own landmark model; None where it is not installed."""
    path = root / LANDMARKER
    return path if path.is_file() else None


def weight_entries(root: Path) -> list[ModelEntry]:
    """All weight files for `sunriza models list`, there or not."""
    hashes = recorded_hashes(root)
    entries = []
    for file in WEIGHT_FILES:
        found = found_file(root, file)
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
    files: Mapping[str, Mapping[str, Any]] = pull_record(root).get("files", {})
    return {path: str(facts["sha256"]) for path, facts in files.items()}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def found_file(root: Path, file: WeightFile) -> Path | None:
    """The path of a weight file, with either suffix; None if it is missing."""
    for path in (root / file.path, (root / file.path).with_suffix(OTHER_SUFFIX)):
        if path.is_file():
            return path
    return None


def pull_record(root: Path) -> dict[str, Any]:
    """What was pulled: `revision` of the hub, `files` with `sha256` and `size`; empty before.

    Raises:
        ModelError: it cannot be read.
    """
    path = root / RECORD
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
