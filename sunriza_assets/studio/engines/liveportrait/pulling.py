"""Installs the published weight files, from the hub or from a folder that has them.

Every tensor is checked against the manifest before a file is put in place.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import ModelError
from sunriza_assets.studio.engines.liveportrait.checkpoints import read_states
from sunriza_assets.studio.engines.liveportrait.weights import (
    FAMILY,
    LANDMARKER,
    OTHER_SUFFIX,
    PULL_COMMAND,
    RECORD,
    WEIGHT_FILES,
    WeightFile,
    found_file,
    landmarker_path,
    pull_record,
    sha256_of,
)
from sunriza_assets.studio.files import write_json
from sunriza_assets.studio.hub import hub_errors

__all__ = ["REPOSITORY", "pull_weights"]

REPOSITORY: Final = "KwaiVGI/LivePortrait"
"""On the Hugging Face hub."""
_PULL: Final = f"{PULL_COMMAND}; or, with a copy of the files at hand: {PULL_COMMAND} --from DIR"


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
    folder = root / FAMILY
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        record = pull_record(root)
        files: dict[str, Any] = dict(record.get("files", {}))
        revision = record.get("revision")
        for file in WEIGHT_FILES:
            found = found_file(root, file)
            action = "found"
            if found is None and source is not None:
                found, action = _copied(source, root, file), "copied"
            elif found is None:
                revision = revision or _newest_revision(endpoint)
                found, action = _downloaded(root, file, revision, endpoint), "downloaded"
            key = found.relative_to(root).as_posix()
            if key in files:
                continue
            read_states(found, file.nets)
            files[key] = {"sha256": sha256_of(found), "size": found.stat().st_size}
            write_json(root / RECORD, {"revision": revision, "files": files})
            yield f"{file.name}: {action}, {files[key]['size'] / 1e6:.0f} MB, every tensor checked"
        if source is not None and landmarker_path(root) is None:
            yield from _copied_landmarker(source, root)


def _copied(source: Path, root: Path, file: WeightFile) -> Path:
    """Copy a file out of a folder; looked at first, so that nothing foreign is put in place."""
    below_family = Path(*file.path.parts[1:])
    for place in (file.path, below_family, Path(file.path.name)):
        for path in (source / place, (source / place).with_suffix(OTHER_SUFFIX)):
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
    for place in (LANDMARKER, Path(LANDMARKER.name)):
        if (source / place).is_file():
            _copy(source / place, root / LANDMARKER)
            yield f"{LANDMARKER.name}: copied"
            return


def _copy(path: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as come, replacing(destination) as go:
        shutil.copyfileobj(come, go, 1 << 20)


def _newest_revision(endpoint: str | None) -> str:
    """The commit that `main` points at, so that all files come from one."""
    from huggingface_hub import HfApi

    with hub_errors(REPOSITORY, "revision", command=_PULL):
        return str(HfApi(endpoint=endpoint).model_info(REPOSITORY).sha)


def _downloaded(root: Path, file: WeightFile, revision: str, endpoint: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    with hub_errors(REPOSITORY, file.path.as_posix(), command=_PULL):
        return Path(
            hf_hub_download(
                REPOSITORY,
                file.path.as_posix(),
                revision=revision,
                local_dir=root,
                endpoint=endpoint,
            )
        )
