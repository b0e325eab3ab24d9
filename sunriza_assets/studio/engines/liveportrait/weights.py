"""The official LivePortrait weights on disk: where they lie, how they come, whether they are whole.

Files only: nothing here imports torch. What is inside a file is checked when it is loaded.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from filelock import FileLock

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.model_store import ModelEntry, PullProgress
from sunriza_assets.studio.files import replacing, write_json

__all__ = ["FILES", "PULL_COMMAND", "REPOSITORY", "LivePortraitWeights"]

REPOSITORY: Final = "KwaiVGI/LivePortrait"
"""Repository of the official weights on the Hugging Face hub."""
PULL_COMMAND: Final = "sunriza models pull liveportrait"
LICENCE: Final = "MIT"
"""Of code and models, by the maintainers' word in their tracker; the InsightFace models that the
official pipeline also uses are non-commercial, and this engine does without them."""

FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "appearance_feature_extractor": "liveportrait/base_models/appearance_feature_extractor.pth",
        "motion_extractor": "liveportrait/base_models/motion_extractor.pth",
        "warping_module": "liveportrait/base_models/warping_module.pth",
        "spade_generator": "liveportrait/base_models/spade_generator.pth",
        "stitching_retargeting_module": (
            "liveportrait/retargeting_models/stitching_retargeting_module.pth"
        ),
    }
)
"""Weight file -> its path in the repository and below the models folder."""
_PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "appearance_feature_extractor": "the portrait as a feature volume",
        "motion_extractor": "key points, head pose and expression of a face",
        "warping_module": "bends the feature volume from one pose to another",
        "spade_generator": "paints the picture from the bent features",
        "stitching_retargeting_module": "keeps shoulders still; opens and closes eyes and lips",
    }
)

_log = logging.getLogger(__name__)


class LivePortraitWeights:
    """The `ModelFamily` of the official weights, as .pth or as .safetensors of the same name."""

    family: Final = "liveportrait"

    def __init__(self, root: Path) -> None:
        """Args: root: the models folder; made by the first pull."""
        self.root = root

    @property
    def complete(self) -> bool:
        """Whether every file is there."""
        return all(self._found(name) is not None for name in FILES)

    def path(self, name: str) -> Path:
        """The file of one network (`FILES`).

        Raises:
            ModelError: it is not there; the message names it and the command that gets it.
        """
        found = self._found(name)
        if found is None:
            raise ModelError(
                f"LivePortrait weights {name} are missing",
                where=self.root / FILES[name],
                remedy=f"Run: {PULL_COMMAND}",
                code="missing",
            )
        return found

    def identity(self) -> dict[str, str]:
        """File -> sha256 of what is there, for cache keys and lineage.

        Raises:
            ModelError: a file is missing.
        """
        recorded = self._recorded()
        return {name: self._hash(self.path(name), recorded) for name in FILES}

    def entries(self) -> list[ModelEntry]:
        """All weight files, there or not."""
        recorded = self._recorded()
        return [
            ModelEntry(
                family=self.family,
                name=name,
                present=self._found(name) is not None,
                sha256=str(recorded.get(FILES[name], {}).get("sha256", "")),
                size=found.stat().st_size if (found := self._found(name)) else 0,
                licence=LICENCE,
                path=self._found(name) or self.root / FILES[name],
                purpose=_PURPOSES[name],
            )
            for name in FILES
        ]

    def pull(
        self, progress: PullProgress | None = None, *, source: Path | None = None
    ) -> list[str]:
        """Get what is missing: from a folder, or from the hub (an interrupted download resumes).

        Args:
            progress: told one line before each file.
            source: a folder with the official layout, or with the files side by side.

        Raises:
            ModelError: a file is not in the folder, or the hub cannot be reached.
        """
        tell = progress or (lambda _: None)
        self.root.mkdir(parents=True, exist_ok=True)
        done = []
        with FileLock(self.root / ".liveportrait.lock"):
            for name in FILES:
                if self._found(name) is not None:
                    continue
                tell(f"LivePortrait {name}")
                done.append(self._copy(name, source) if source else self._download(name))
            if done:
                self._record()
        return done

    def _found(self, name: str) -> Path | None:
        official = self.root / FILES[name]
        for path in (official, official.with_suffix(".safetensors")):
            if path.is_file():
                return path
        return None

    def _copy(self, name: str, source: Path) -> str:
        official = Path(FILES[name])
        for relative in (official, Path(*official.parts[1:]), Path(official.name)):
            for candidate in (source / relative, (source / relative).with_suffix(".safetensors")):
                if candidate.is_file():
                    target = (self.root / official).with_suffix(candidate.suffix)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with candidate.open("rb") as original, replacing(target) as file:
                        shutil.copyfileobj(original, file, 1 << 20)
                    return f"{name} copied from {candidate}"
        raise ModelError(
            f"The folder has no weights {name}",
            where=source,
            remedy=f"It should hold {official} or {official.name}.",
            code="missing",
        )

    def _download(self, name: str) -> str:
        import huggingface_hub
        from huggingface_hub.errors import (
            HfHubHTTPError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
        )

        try:
            huggingface_hub.hf_hub_download(
                repo_id=REPOSITORY, filename=FILES[name], local_dir=self.root
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
            raise ModelError(
                f"LivePortrait weights {name} cannot be downloaded: {type(error).__name__}",
                where=f"{REPOSITORY} on the Hugging Face hub",
                remedy=(
                    f"Connect this machine and run {PULL_COMMAND} again; or bring the files in a "
                    f"folder and run: {PULL_COMMAND} --from DIR"
                ),
                code="download",
            ) from error
        return f"{name} downloaded from {REPOSITORY}"

    @property
    def _record_path(self) -> Path:
        return self.root / "liveportrait" / "weights.json"

    def _record(self) -> None:
        """Note the hash of every file at its first pull: later runs are tied to these bytes."""
        files = {}
        for name in FILES:
            path = self.path(name)
            status = path.stat()
            files[FILES[name]] = {
                "sha256": _sha256(path),
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
            }
        write_json(self._record_path, {"repository": REPOSITORY, "files": files})

    def _recorded(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self._record_path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("The record of the weights cannot be read and is ignored: %s", error)
            return {}
        return dict(content.get("files", {}))

    def _hash(self, path: Path, recorded: Mapping[str, Mapping[str, Any]]) -> str:
        """The recorded hash while the file is the one recorded; else hashed anew."""
        known = recorded.get(path.relative_to(self.root).with_suffix(".pth").as_posix(), {})
        status = path.stat()
        if (known.get("size"), known.get("mtime_ns")) == (status.st_size, status.st_mtime_ns):
            return str(known["sha256"])
        return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
