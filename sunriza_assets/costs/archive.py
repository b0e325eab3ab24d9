"""Every manifest ever made, and what made a file, from the file's hash alone.

The bucket holds only what is in place now; here stay also the manifests of what was replaced.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sunriza_assets.atomic import make_folder, replaced, store_errors
from sunriza_assets.costs.manifest import Manifest, checked_sha256

__all__ = ["ARCHIVE_FOLDER", "ManifestArchive"]

ARCHIVE_FOLDER: Final = "lineage"
"""Its place below the reports folder."""
_ROLES: Final = ("output", "input")


class ManifestArchive:
    """Every manifest by its content, and an index from file hashes to manifests.

    `manifests/<sha256>.json`, and `files/<ab>/<sha256>/<manifest>.<role>` as empty marks: adding is
    idempotent and needs no lock, and finding a hash is one look into one folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, manifest: Manifest) -> None:
        """Keep a manifest for ever.

        Raises:
            StoreError: the folder cannot be written.
        """
        content = manifest.to_bytes()
        name = hashlib.sha256(content).hexdigest()
        kept = self._folder / "manifests" / f"{name}.json"
        if not kept.exists():
            make_folder(kept.parent)
            with replaced(kept) as part:
                part.write_bytes(content)
        for role, items in zip(_ROLES, (manifest.outputs, manifest.inputs), strict=True):
            for item in items:
                mark = self._marks(item.sha256) / f"{name}.{role}"
                make_folder(mark.parent)
                with store_errors("write", mark):
                    mark.touch()

    def find(self, sha256: str) -> list[tuple[str, Manifest]]:
        """(role, manifest) of every avatar that has the file as output or as input.

        Outputs come first, the newest first among them.

        Raises:
            CostError: this is no sha256, or a kept manifest is damaged.
        """
        folder = self._marks(checked_sha256(sha256))
        found = [
            (mark.suffix[1:], Manifest.load(self._folder / "manifests" / f"{mark.stem}.json"))
            for mark in (folder.iterdir() if folder.is_dir() else ())
            if mark.suffix[1:] in _ROLES
        ]
        return sorted(found, key=lambda hit: (_ROLES.index(hit[0]), -hit[1].made_at.timestamp()))

    def __iter__(self) -> Iterator[Manifest]:
        for path in sorted((self._folder / "manifests").glob("*.json")):
            yield Manifest.load(path)

    def _marks(self, sha256: str) -> Path:
        return self._folder / "files" / sha256[:2] / sha256
